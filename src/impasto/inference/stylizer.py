"""The painter at work: pad, one forward pass, crop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack, overload

import numpy as np
from PIL import Image

from impasto.checkpoint import StyleModel
from impasto.dials.dials import Dials
from impasto.dials.masks import Mask, mask_from
from impasto.errors import UsageError
from impasto.images.convert import check_batch, to_batch
from impasto.images.geometry import padding
from impasto.inference.engine import build_engine
from impasto.inference.engine.graph_cache import open_model
from impasto.inference.memory import lack_explained, room_for_tiles
from impasto.inference.regions import paint_with
from impasto.system.choices import DEFAULT_BACKEND, DEFAULT_DEVICE, DEFAULT_PRECISION, DEFAULT_STATISTICS, STATISTICS
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.inference import tiles
else:
    tiles = lazy("impasto.inference.tiles")


class Hand(TypedDict, total=False):
    """What can be set for one painting: `Dials`, and where to paint."""

    strength: float | None
    stroke: float | None
    color: str | None
    mask: Mask | None


class Painted(NamedTuple):
    """What `Stylizer.paint` returns.

    Attributes:
        pixels: (N, H, W, 3), uint8 or float32 in [0, 1] as the batch was.
        deviation: how far the statistics of a thumbnail were off, in standard deviations, mean and maximum over the
            norms, the largest of the batch; 0 where the statistics are exact.
    """

    pixels: np.ndarray
    deviation: tuple[float, float] = (0.0, 0.0)


class Stylizer:
    """Applies one style model.

    Args:
        model: a style model, or the path or name of one.
        device: a torch device, `auto` for the fastest here.
        backend: what does the arithmetic, one of `impasto.system.choices.BACKENDS`; `auto` is torch on a GPU and the
            fastest that is installed on a CPU.
        precision: `float32`, `half`, or `auto`: half where the device is made for it. It moves few pixels by more than
            three levels.
        max_memory: bytes that the process aims to keep to, on a GPU bytes of its memory; by default half of what is
            free. A picture that does not fit is painted in tiles, by torch in float32, with the same result; it takes
            longer.
        statistics: where the tiles take the picture's statistics from: `exact`, or `thumbnail`, several times faster.

    Call it with a PIL image, an array (H, W, 3) of uint8 or of floats in [0, 1], or a tensor (3, H, W) or (N, 3, H, W)
    of floats in [0, 1] or uint8; it returns the same kind, of the same size, for every size from 1x1, a PIL image with
    its transparency. `strength`, `stroke` and `color` are those of `Dials`, by default as the style says; `mask` says
    where to paint, as `mask_from` takes it. `paint` takes batches of arrays and tells more. Bytes are fastest and need
    the least memory. The same picture comes out the same, to the last bit, from the same engine on the same machine. A
    painter can be pickled, as its model's path and these arguments.

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
        self._model, blueprint, given = open_model(model)
        self._made_by = partial(
            Stylizer, given, device, backend=backend, precision=precision, max_memory=max_memory, statistics=statistics
        )
        self.name, self.bytes_per_pixel = blueprint.name, blueprint.bytes_per_pixel
        self.stride, self.surround = blueprint.stride, blueprint.surround
        self.dials = Dials.of_style(blueprint.name, blueprint.dials)
        self.engine = build_engine(blueprint, device, backend, precision)
        self.device = self.engine.device

    def __reduce__(self) -> tuple[Callable[[], Stylizer], tuple[()]]:
        """Pickle as what it was made by: an engine is of its process and machine."""
        return self._made_by, ()

    @property
    def model(self) -> StyleModel:
        return self._model()

    @overload
    def __call__(self, image: Tensor, **dials: Unpack[Hand]) -> Tensor: ...
    @overload
    def __call__(self, image: np.ndarray, **dials: Unpack[Hand]) -> np.ndarray: ...
    @overload
    def __call__(self, image: Image.Image, **dials: Unpack[Hand]) -> Image.Image: ...
    def __call__(self, image: Any, mask: Any = None, **dials: Any) -> Any:
        batch, give_back = to_batch(image)
        masks = None if mask is None else np.stack([mask_from(mask, batch.shape[1:3])] * len(batch))
        return give_back(self.paint(batch, dials=self.dials.given(**dials), masks=masks).pixels)

    def paint(self, batch: np.ndarray, *, dials: Dials | None = None, masks: np.ndarray | None = None) -> Painted:
        """Paint pictures (N, H, W, 3), uint8 or float32 in [0, 1], without torch where the backend does.

        Args:
            dials: how, by default as the style says.
            masks: where, (N, H, W) in [0, 1]; by default everywhere.

        Raises:
            UsageError: another shape or another type.
            ImpastoError: the device has not enough memory for the picture.
        """
        check_batch(batch)
        dials = self.dials if dials is None else dials
        if dials.is_neutral and masks is None:
            return self.paint_plainly(batch)
        return Painted(*paint_with(self.paint_plainly, batch, dials, masks))

    def paint_plainly(self, batch: np.ndarray) -> Painted:
        """Pad, one forward pass, crop; or the same tile by tile, where that is too much for the memory."""
        height, width = batch.shape[1:3]
        around = padding(height, width, self.stride, self.surround)
        room = room_for_tiles(batch, around.size(height, width), self.bytes_per_pixel, self.device, self.max_memory)
        with lack_explained(width, height, self.device):
            if room is not None:
                quick = self.statistics == "thumbnail"
                return Painted(*tiles.paint_in_tiles(self.model.network, batch, self.device, room, quick=quick))
            painted = around.crop(self.engine(around.pad(batch)))
            return Painted(painted if batch.dtype == np.uint8 else np.clip(painted, 0, 1))
