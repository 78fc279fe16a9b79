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
from impasto.engine import build_engine
from impasto.errors import ImpastoError, UsageError
from impasto.networks import StagedNetwork
from impasto.runtime import free_memory, used_memory
from impasto.tiles import TiledPainter, padding, working_memory

Picture = TypeVar("Picture", Tensor, np.ndarray, Image.Image)
STATISTICS = ("exact", "thumbnail")
_TORCH_ALONE = 500 * 2**20  # bytes, where the system does not say


class Stylizer:
    """Applies one style model.

    Args:
        model: a style model, or the path or name of one.
        device: a torch device, `auto` for the fastest here.
        backend: what does the arithmetic, one of `impasto.engine.BACKENDS`; `auto` is torch on a GPU and the fastest
            that is installed on a CPU.
        precision: `float32`, `half`, or `auto`: half where the device is made for it. It moves few pixels by more than a level.
        max_memory: bytes that the process aims to keep to, on a GPU bytes of its memory; by default half of what is free.
            A picture that does not fit is painted in tiles, by torch in float32, with the same result; it takes longer.
        statistics: where the tiles take the picture's statistics from: `exact`, or `thumbnail`, several times faster.

    Call it with a PIL image, an array (H, W, 3) of uint8 or of floats in [0, 1], or a tensor (3, H, W) or (N, 3, H, W) of
    floats in [0, 1] or uint8; it returns the same kind, of the same size, for every size from 1x1. Bytes are fastest and need the least memory.
    The same picture comes out the same, to the last bit, from the same engine on the same machine.

    Attributes:
        deviation: how far the statistics of a thumbnail were off for the last picture, in standard deviations, mean and
            maximum over the norms; 0 unless it was painted with them.

    Raises:
        UsageError: the device, the backend or the precision cannot be used here.
    """

    def __init__(
        self,
        model: StyleModel | str | Path,
        device: str = "auto",
        *,
        backend: str = "auto",
        precision: str = "auto",
        max_memory: int | None = None,
        statistics: str = "exact",
    ):
        if statistics not in STATISTICS:
            raise UsageError(f"statistics {statistics!r}: choose one of {', '.join(STATISTICS)}")
        self.max_memory, self.statistics = max_memory, statistics
        self.deviation = (0.0, 0.0)
        self.model = model if isinstance(model, StyleModel) else load_style_model(find_style_model(model))
        self.stride: int = self.model.network.stride  # type: ignore[assignment]
        self.bytes_per_pixel: int | None = (
            None  # while a picture is painted whole; None for a network that knows no tiles
        )
        if isinstance(self.model.network, StagedNetwork):
            self.bytes_per_pixel = working_memory(self.model.network)
        self.engine = build_engine(self.model.network, device, backend, precision)
        self.device = self.engine.device

    def __call__(self, image: Picture) -> Picture:
        if isinstance(image, Image.Image):
            return images.to_pil(self(images.from_pil(image, as_levels=True)))
        if isinstance(image, np.ndarray):
            if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
                return self(torch.tensor(image).permute(2, 0, 1)).permute(1, 2, 0).numpy()
            painted = self.paint(images.from_array(image)[None])[0]
            return _like_array(painted, image)
        if (
            isinstance(image, Tensor)
            and image.dim() in (3, 4)
            and (image.is_floating_point() or image.dtype == torch.uint8)
        ):
            batch = image if image.dim() == 4 else image[None]
            return self.paint(batch).reshape(image.shape).to(image.device, image.dtype)
        raise UsageError(f"cannot paint {type(image).__name__}; give a PIL image, an array or a float tensor (3, H, W)")

    @torch.inference_mode()
    def paint(self, batch: Tensor) -> Tensor:
        """Paint (N, 3, H, W) images, floats in [0, 1] or uint8; returns the same shape and range, float32 or uint8, on the CPU.

        Raises:
            ImpastoError: the device has not enough memory for the picture.
        """
        height, width = batch.shape[-2:]
        memory = self._memory_for_tiles(batch)
        try:
            return self._paint_whole(batch) if memory is None else self._paint_tiles(batch, memory)
        except Exception as error:  # every backend has its own
            if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("memory", "bad_alloc")):
                raise
            raise ImpastoError(
                f"not enough memory on {self.device.type} for {width} x {height} pixels; choose a smaller --size"
            ) from error

    def _paint_whole(self, batch: Tensor) -> Tensor:
        height, width = batch.shape[-2:]
        if batch.dtype == torch.uint8:
            return self.engine(pad_to_multiple(batch.cpu(), self.stride))[..., :height, :width]
        painted = self.engine(pad_to_multiple(batch.detach().float().cpu(), self.stride))
        return painted[..., :height, :width].clamp_(0, 1).contiguous()

    def _paint_tiles(self, batch: Tensor, memory: int) -> Tensor:
        network = self.model.network.to(self.device).to(memory_format=torch.channels_last)
        assert isinstance(network, StagedNetwork)
        painter = TiledPainter(network, memory, quick=self.statistics == "thumbnail")
        painted = [painter(image) for image in (batch if batch.dtype == torch.uint8 else batch.float()).cpu()]
        self.deviation = painter.deviation
        return painted[0][None] if len(painted) == 1 else torch.stack(painted)

    def _memory_for_tiles(self, batch: Tensor) -> int | None:
        """Return how many bytes tiles may take, or None where the pictures fit as they are."""
        self.deviation = (0.0, 0.0)
        if self.bytes_per_pixel is None:
            return None
        pixels = batch[:, 0].numel()
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0] * 3 // 4
            room = min(free, self.max_memory or free)
        else:
            room = (
                free_memory() // 2 if self.max_memory is None else self.max_memory - used_memory(otherwise=_TORCH_ALONE)
            )
            room -= 3 * pixels * batch.element_size()  # the result
        in_and_out = 6 * batch.element_size()
        return None if (self.bytes_per_pixel + in_and_out) * pixels <= room else room


def pad_to_multiple(batch: Tensor, multiple: int) -> Tensor:
    """Pad (N, 3, H, W) on the right and at the bottom as `padding` says."""
    height, width = batch.shape[-2:]
    bottom, right, mode = padding(height, width, multiple)
    if not (bottom or right):
        return batch
    if batch.dtype == torch.uint8:  # which torch does not mirror
        sides = ((0, 0), (0, bottom), (0, right), (0, 0))
        padded = np.pad(batch.permute(0, 2, 3, 1).numpy(), sides, "reflect" if mode == "reflect" else "edge")
        return torch.from_numpy(padded).permute(0, 3, 1, 2)
    return F.pad(batch, (0, right, 0, bottom), mode=mode)


def load(style: str | Path, device: str = "auto", *, backend: str = "auto", precision: str = "auto") -> Stylizer:
    """Return the painter for `style`, the name of a shipped style or the path of a style model; the rest as for `Stylizer`."""
    return Stylizer(style, device, backend=backend, precision=precision)


def _like_array(image: Tensor, array: np.ndarray) -> np.ndarray:
    painted = image.permute(1, 2, 0).numpy()
    if np.issubdtype(array.dtype, np.floating):
        return painted.astype(array.dtype)
    levels = np.iinfo(array.dtype).max
    return np.rint(painted * levels).astype(array.dtype)
