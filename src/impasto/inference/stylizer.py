"""The painter at work: one forward pass, pictures in, pictures of the same size out."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
from PIL import Image

from impasto.checkpoint import SUFFIX, StyleModel, find_style_model, load_style_model
from impasto.errors import ImageError, ImpastoError, UsageError
from impasto.images.geometry import Padding, padding
from impasto.images.reading import picture_from_pil
from impasto.images.tensors import from_array, to_pil
from impasto.inference.convert import as_array, as_tensor, check_batch, cropped, like_array, padded, sides_of
from impasto.inference.engine import build_engine
from impasto.inference.engine.graph_cache import Blueprint, CachedBlueprint
from impasto.system.choices import DEFAULT_BACKEND, DEFAULT_DEVICE, DEFAULT_PRECISION, DEFAULT_STATISTICS, STATISTICS
from impasto.system.files import asset_dir
from impasto.system.lazy import lazy
from impasto.system.machine import free_memory, used_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from impasto.inference import tiles
else:
    torch = lazy("torch")
    tiles = lazy("impasto.inference.tiles")

Batch = TypeVar("Batch", "Tensor", np.ndarray)
_TORCH_ALONE = 640 * 2**20  # bytes


class Stylizer:
    """Applies one style model.

    Args:
        model: a style model, or the path or name of one.
        device: a torch device, `auto` for the fastest here.
        backend: what does the arithmetic, one of `impasto.system.choices.BACKENDS`; `auto` is torch on a GPU and the fastest
            that is installed on a CPU.
        precision: `float32`, `half`, or `auto`: half where the device is made for it. It moves few pixels by more than a level.
        max_memory: bytes that the process aims to keep to, on a GPU bytes of its memory; by default half of what is free.
            A picture that does not fit is painted in tiles, by torch in float32, with the same result; it takes longer.
        statistics: where the tiles take the picture's statistics from: `exact`, or `thumbnail`, several times faster.

    Call it with a PIL image, an array (H, W, 3) of uint8 or of floats in [0, 1], or a tensor (3, H, W) or (N, 3, H, W) of
    floats in [0, 1] or uint8; it returns the same kind, of the same size, for every size from 1x1, a PIL image with its
    transparency. A painter can be pickled, as its model's path and these arguments. Bytes are fastest and need the least memory.
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
        device: str = DEFAULT_DEVICE,
        *,
        backend: str = DEFAULT_BACKEND,
        precision: str = DEFAULT_PRECISION,
        max_memory: int | None = None,
        statistics: str = DEFAULT_STATISTICS,
    ):
        if statistics not in STATISTICS:
            raise UsageError(f"statistics {statistics!r}: choose one of {', '.join(STATISTICS)}")
        self.max_memory, self.statistics = max_memory, statistics
        self.deviation = (0.0, 0.0)
        self._model, blueprint, given = _loaded(model)
        self._made_by = partial(
            Stylizer, given, device, backend=backend, precision=precision, max_memory=max_memory, statistics=statistics
        )
        self.name, self.bytes_per_pixel = blueprint.name, blueprint.bytes_per_pixel
        self.stride, self.surround = blueprint.stride, blueprint.surround
        self.engine = build_engine(blueprint, device, backend, precision)
        self.device = self.engine.device

    def __reduce__(self) -> tuple[Callable[[], Stylizer], tuple[()]]:
        """Pickle as what it was made by: an engine is of its process and machine."""
        return self._made_by, ()

    @property
    def model(self) -> StyleModel:
        return self._model()

    @overload
    def __call__(self, image: Tensor) -> Tensor: ...
    @overload
    def __call__(self, image: np.ndarray) -> np.ndarray: ...
    @overload
    def __call__(self, image: Image.Image) -> Image.Image: ...
    def __call__(self, image: Tensor | np.ndarray | Image.Image) -> Tensor | np.ndarray | Image.Image:
        if isinstance(image, Image.Image):
            return self._paint_pil(image)
        if isinstance(image, np.ndarray):
            return self._paint_array(image)
        if isinstance(image, torch.Tensor):
            batch = image if image.dim() == 4 else image[None]
            return self.paint(batch).reshape(image.shape).to(image.device, image.dtype)
        raise UsageError(f"cannot paint {type(image).__name__}; give a PIL image, an array or a float tensor (3, H, W)")

    def _paint_pil(self, image: Image.Image) -> Image.Image:
        picture = picture_from_pil(image)
        painted = to_pil(self(picture.pixels))
        if picture.alpha is not None:
            painted.putalpha(to_pil(picture.alpha))
        return painted

    def _paint_array(self, image: np.ndarray) -> np.ndarray:
        if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] != 1:
            return self.paint(image[None])[0]
        try:
            tensor = from_array(image)
        except ImageError as error:
            raise UsageError(f"cannot paint this: {error}") from error
        return like_array(self.paint(tensor[None])[0], image)

    def paint(self, batch: Batch) -> Batch:
        """Paint (N, 3, H, W) images, floats in [0, 1] or uint8; returns the same shape and range, float32 or uint8, on the CPU.

        So it does with an array (N, H, W, 3) of uint8, without torch where the backend does.

        Raises:
            UsageError: another shape or another type.
            ImpastoError: the device has not enough memory for the picture.
        """
        check_batch(batch)
        if not isinstance(batch, np.ndarray):
            return as_tensor(self._paint(as_array(batch)))
        return self._paint(batch)

    def _paint(self, batch: np.ndarray) -> np.ndarray:
        memory = self._memory_for_tiles(batch)
        try:
            return self._paint_whole(batch) if memory is None else self._paint_tiles(batch, memory)
        except Exception as error:  # every backend has its own
            if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("memory", "bad_alloc")):
                raise
            height, width = sides_of(batch)
            raise ImpastoError(
                f"not enough memory on {self.device.partition(':')[0]} for {width} x {height} pixels; choose a smaller --size"
            ) from error

    def _paint_whole(self, batch: np.ndarray) -> np.ndarray:
        around = self._padding(batch)
        painted = cropped(self.engine(padded(batch, around)), around)
        return painted if batch.dtype == np.uint8 else np.clip(painted, 0, 1)

    def _padding(self, batch: np.ndarray) -> Padding:
        return padding(*sides_of(batch), self.stride, self.surround)

    def _paint_tiles(self, batch: np.ndarray, memory: int) -> np.ndarray:
        network = self.model.network.to(self.device).to(memory_format=torch.channels_last)
        painter = tiles.TiledPainter(network, memory, quick=self.statistics == "thumbnail")  # type: ignore[arg-type]
        painted = [painter(image) for image in as_tensor(batch)]
        self.deviation = painter.deviation
        return as_array(painted[0][None] if len(painted) == 1 else torch.stack(painted))

    def _memory_for_tiles(self, batch: np.ndarray) -> int | None:
        """Return how many bytes tiles may take, or None where the pictures fit as they are."""
        self.deviation = (0.0, 0.0)
        if self.bytes_per_pixel is None:
            return None
        pixels = len(batch) * math.prod(self._padding(batch).size(*sides_of(batch)))
        if self.device.startswith("cuda"):
            free = torch.cuda.mem_get_info(self.device)[0] * 3 // 4
            room = min(free, self.max_memory or free)
        else:
            room = (
                free_memory() // 2 if self.max_memory is None else self.max_memory - used_memory(otherwise=_TORCH_ALONE)
            )
            room -= batch.nbytes  # the result
        in_and_out = 6 * batch.itemsize
        if (self.bytes_per_pixel + in_and_out) * pixels <= room:
            return None
        return room if "torch" in sys.modules else room - _TORCH_ALONE  # which paints the tiles


def _loaded(model: StyleModel | str | Path) -> tuple[Callable[[], StyleModel], Blueprint, StyleModel | str | Path]:
    """Return what gives the style model, read from its file when first wanted; the blueprint of its network; and how to have
    the same model again, in another process and another folder.
    """
    if isinstance(model, StyleModel):
        return lambda: model, Blueprint.of(model.network, model.name), model
    path = find_style_model(model)
    read = cache(lambda: load_style_model(path))
    is_shipped = path.parent == asset_dir("checkpoints")
    return read, CachedBlueprint(path, read), path.name.removesuffix(SUFFIX) if is_shipped else path.absolute()


def load(
    style: str | Path,
    device: str = DEFAULT_DEVICE,
    *,
    backend: str = DEFAULT_BACKEND,
    precision: str = DEFAULT_PRECISION,
) -> Stylizer:
    """Return the painter for `style`, the name of a shipped style or the path of a style model; the rest as for `Stylizer`."""
    return Stylizer(style, device, backend=backend, precision=precision)
