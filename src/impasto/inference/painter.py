"""A painter as people call it: any kind of picture in, with dials and a mask, and the same kind out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

import numpy as np
from PIL import Image

from impasto.dials.dials import Dials
from impasto.dials.masks import Mask, mask_from
from impasto.images.convert import check_batch, to_batch
from impasto.inference.regions import Painted, paint_with

if TYPE_CHECKING:
    from torch import Tensor


class Hand(TypedDict, total=False):
    """What can be set for one painting: `Dials`, and where to paint."""

    strength: float | None
    stroke: float | None
    color: str | None
    mask: Mask | None


class Painter(ABC):
    """Paints pictures with dials and masks; a subclass says what one forward pass makes of them.

    Call it with a PIL image, an array (H, W, 3) of uint8 or of floats in [0, 1], or a tensor (3, H, W) or (N, 3, H, W)
    of floats in [0, 1] or uint8; it returns the same kind, of the same size, for every size from 1x1, a PIL image with
    its transparency. `strength`, `stroke` and `color` are those of `Dials`, by default as the style says; `mask` says
    where to paint, as `mask_from` takes it. `paint` takes batches of arrays and tells more.

    Attributes:
        dials: those of the style.
    """

    dials: Dials

    @abstractmethod
    def paint_plainly(self, batch: np.ndarray) -> Painted:
        """Paint pictures (N, H, W, 3), uint8 or float32 in [0, 1], without dials and masks."""

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
        return paint_with(self.paint_plainly, batch, dials, masks)
