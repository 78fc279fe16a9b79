"""The painter at work: one forward pass, pictures in, pictures of the same size out."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from impasto import images
from impasto.checkpoint import StyleModel, find_style_model, load_style_model
from impasto.errors import ImpastoError, UsageError
from impasto.runtime import pick_device

Picture = TypeVar("Picture", Tensor, np.ndarray, Image.Image)
_MIN_SIDE = 16  # what reflection padding at a quarter of the resolution needs


class Stylizer:
    """Applies one style model.

    Args:
        model: a style model, or the path or name of one.
        device: a torch device, `auto` for the fastest here.

    Call it with a PIL image, an array (H, W, 3) of uint8 or of floats in [0, 1], or a tensor (3, H, W) or (N, 3, H, W) of
    floats in [0, 1]; it returns the same kind, of the same size, for every size from 1x1.
    """

    def __init__(self, model: StyleModel | str | Path, device: str = "auto"):
        self.model = model if isinstance(model, StyleModel) else load_style_model(find_style_model(model))
        self.device = pick_device(device)
        self.stride: int = self.model.network.stride  # type: ignore[assignment]
        self.network = self.model.network.to(self.device).to(memory_format=torch.channels_last)

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

    @torch.inference_mode()
    def paint(self, batch: Tensor) -> Tensor:
        """Paint (N, 3, H, W) float images in [0, 1]; returns the same shape and range, float32, on the CPU.

        Raises:
            ImpastoError: the device has not enough memory for the picture.
        """
        height, width = batch.shape[-2:]
        padded = pad_to_multiple(batch.float(), self.stride)
        try:
            painted = self.network(padded.to(self.device, memory_format=torch.channels_last))
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            raise ImpastoError(
                f"not enough memory on {self.device.type} for {width} x {height} pixels; choose a smaller --size"
            ) from error
        return painted[..., :height, :width].float().clamp(0, 1).cpu().contiguous()


def pad_to_multiple(batch: Tensor, multiple: int) -> Tensor:
    """Pad (N, 3, H, W) on the right and at the bottom until both sides are multiples of `multiple` and large enough.

    The border is mirrored where the picture is large enough for that, else repeated: no foreign colour comes in.
    """
    height, width = batch.shape[-2:]
    bottom, right = (max(-(-side // multiple) * multiple, _MIN_SIDE) - side for side in (height, width))
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(batch, (0, right, 0, bottom), mode=mode) if bottom or right else batch


def load(style: str | Path, device: str = "auto") -> Stylizer:
    """Return the painter for `style`, the name of a shipped style or the path of a style model."""
    return Stylizer(style, device)


def _like_array(image: Tensor, array: np.ndarray) -> np.ndarray:
    painted = image.permute(1, 2, 0).numpy()
    if np.issubdtype(array.dtype, np.floating):
        return painted.astype(array.dtype)
    levels = np.iinfo(array.dtype).max
    return np.rint(painted * levels).astype(array.dtype)
