"""Whether a picture fits into memory as it is, and else how much its tiles may take."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from impasto.system.lazy import lazy
from impasto.system.machine import free_memory, used_memory

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_TORCH_ALONE = 640 * 2**20  # bytes


def room_for_tiles(
    pixels: int, itemsize: int, result: int, bytes_per_pixel: int | None, device: str, max_memory: int | None
) -> int | None:
    """Return how many bytes tiles may take, or None where the pictures fit as they are.

    Args:
        pixels: of all pictures with what is put around them.
        itemsize: bytes of one channel of a pixel.
        result: bytes of the painted pictures.
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
        room -= result
    in_and_out = 6 * itemsize
    if (bytes_per_pixel + in_and_out) * pixels <= room:
        return None
    return room if "torch" in sys.modules else room - _TORCH_ALONE  # which paints the tiles
