"""Whether a picture fits into memory as it is, else how much its tiles may take, and what is said where none fits."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from impasto.errors import ImpastoError
from impasto.system.lazy import lazy
from impasto.system.machine import free_memory, used_memory

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_TORCH_ALONE = 640 * 2**20  # bytes


def room_for_tiles(
    batch: np.ndarray, padded: tuple[int, int], bytes_per_pixel: int | None, device: str, max_memory: int | None
) -> int | None:
    """Return how many bytes tiles may take, or None where the pictures fit as they are.

    Args:
        batch: the pictures (N, H, W, 3).
        padded: height and width of one with what is put around it.
        bytes_per_pixel: working memory of the network; None for one that knows no tiles.
        device: as torch writes it, "cpu" or "cuda:0".
        max_memory: bytes that the process aims to keep to, on a GPU bytes of its memory; None for half of what is free.
    """
    if bytes_per_pixel is None:
        return None
    if device.startswith("cuda"):
        free = torch.cuda.mem_get_info(device)[0] * 3 // 4
        room = min(free, max_memory or free)
    else:
        room = free_memory() // 2 if max_memory is None else max_memory - used_memory(otherwise=_TORCH_ALONE)
        room -= batch.nbytes  # for the painted pictures
    in_and_out = 6 * batch.itemsize
    if (bytes_per_pixel + in_and_out) * len(batch) * math.prod(padded) <= room:
        return None
    return room if "torch" in sys.modules else room - _TORCH_ALONE  # which paints the tiles


@contextmanager
def lack_explained(width: int, height: int, device: str) -> Generator[None]:
    """Raise ImpastoError, with the remedy, where the memory of `device` does not do for a picture of this size."""
    try:
        yield
    except Exception as error:  # every backend has its own
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("memory", "bad_alloc")):
            raise
        raise ImpastoError(
            f"not enough memory on {device.partition(':')[0]} for {width} x {height} pixels; choose a smaller --size"
        ) from error
