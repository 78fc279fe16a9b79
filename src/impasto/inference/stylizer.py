"""The painter at work: pad, one forward pass, crop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from impasto.checkpoint import StyleModel
from impasto.dials.dials import Dials
from impasto.errors import UsageError
from impasto.images.geometry import padding
from impasto.inference.engine import build_engine
from impasto.inference.engine.graph_cache import open_model
from impasto.inference.memory import lack_explained, room_for_tiles
from impasto.inference.painter import Painter
from impasto.inference.regions import Painted
from impasto.system.choices import DEFAULT_BACKEND, DEFAULT_DEVICE, DEFAULT_PRECISION, DEFAULT_STATISTICS, STATISTICS
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from impasto.inference import tiles
else:
    tiles = lazy("impasto.inference.tiles")


class Stylizer(Painter):
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

    Call it with any kind of picture, with dials and a mask, as `Painter` says. Bytes are fastest and need the least
    memory. The same picture comes out the same, to the last bit, from the same engine on the same machine. A painter
    can be pickled, as its model's path and these arguments.

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
