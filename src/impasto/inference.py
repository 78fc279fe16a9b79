"""The painter at work: one forward pass, pictures in, pictures of the same size out."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from impasto import images
from impasto.checkpoint import StyleModel, find_style_model, load_style_model
from impasto.engine import build_engine
from impasto.errors import ImpastoError, UsageError

Picture = TypeVar("Picture", Tensor, np.ndarray, Image.Image)
_MIN_SIDE = 16  # what reflection padding at a quarter of the resolution needs


class Stylizer:
    """Applies one style model.

    Args:
        model: a style model, or the path or name of one.
        device: a torch device, `auto` for the fastest here.
        backend: what does the arithmetic, one of `impasto.engine.BACKENDS`; `auto` is torch on a GPU and the fastest
            that is installed on a CPU.
        precision: `float32`, `half`, or `auto`: half where the device is made for it. It moves few pixels by more than a level.

    Call it with a PIL image, an array (H, W, 3) of uint8 or of floats in [0, 1], or a tensor (3, H, W) or (N, 3, H, W) of
    floats in [0, 1]; it returns the same kind, of the same size, for every size from 1x1. The same picture comes out the
    same, to the last bit, from the same engine on the same machine.

    Raises:
        UsageError: the device, the backend or the precision cannot be used here.
    """

    def __init__(
        self, model: StyleModel | str | Path, device: str = "auto", *, backend: str = "auto", precision: str = "auto"
    ):
        self.model = model if isinstance(model, StyleModel) else load_style_model(find_style_model(model))
        self.stride: int = self.model.network.stride  # type: ignore[assignment]
        self.engine = build_engine(self.model.network, device, backend, precision)
        self.device = self.engine.device

    def __call__(self, image: Picture) -> Picture:
        if isinstance(image, Image.Image):
            return images.to_pil(self.paint(images.from_pil(image)[None])[0])
        if isinstance(image, np.ndarray):
            painted = self.paint(images.from_array(image)[None])[0]
            return _like_array(painted, image)
        if isinstance(image, Tensor) and image.is_floating_point() and image.dim() in (3, 4):
            batch = image if image.dim() == 4 else image[None]
            return self.paint(batch).reshape(image.shape).to(image)
        raise UsageError(f"cannot paint {type(image).__name__}; give a PIL image, an array or a float tensor (3, H, W)")

    def paint(self, batch: Tensor) -> Tensor:
        """Paint (N, 3, H, W) float images in [0, 1]; returns the same shape and range, float32, on the CPU.

        Raises:
            ImpastoError: the device has not enough memory for the picture.
        """
        height, width = batch.shape[-2:]
        padded = pad_to_multiple(batch.detach().float().cpu(), self.stride)
        try:
            painted = self.engine(padded)
        except Exception as error:  # every backend has its own
            if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("memory", "bad_alloc")):
                raise
            raise ImpastoError(
                f"not enough memory on {self.device.type} for {width} x {height} pixels; choose a smaller --size"
            ) from error
        return painted[..., :height, :width].clamp_(0, 1).contiguous()


def pad_to_multiple(batch: Tensor, multiple: int) -> Tensor:
    """Pad (N, 3, H, W) on the right and at the bottom until both sides are multiples of `multiple` and large enough.

    The border is mirrored where the picture is large enough for that, else repeated: no foreign colour comes in.
    """
    height, width = batch.shape[-2:]
    bottom, right = (max(-(-side // multiple) * multiple, _MIN_SIDE) - side for side in (height, width))
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(batch, (0, right, 0, bottom), mode=mode) if bottom or right else batch


def load(style: str | Path, device: str = "auto", *, backend: str = "auto", precision: str = "auto") -> Stylizer:
    """Return the painter for `style`, the name of a shipped style or the path of a style model; the rest as for `Stylizer`."""
    return Stylizer(style, device, backend=backend, precision=precision)


def _like_array(image: Tensor, array: np.ndarray) -> np.ndarray:
    painted = image.permute(1, 2, 0).numpy()
    if np.issubdtype(array.dtype, np.floating):
        return painted.astype(array.dtype)
    levels = np.iinfo(array.dtype).max
    return np.rint(painted * levels).astype(array.dtype)
