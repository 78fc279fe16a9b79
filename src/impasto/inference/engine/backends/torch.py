"""torch, layer by layer: always there, and on every device."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from impasto.errors import UsageError
from impasto.images.tensors import as_array, as_tensor, to_levels
from impasto.inference.engine.backends import Run
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = lazy("torch")

NEEDS: tuple[str, ...] = ()
TAKES_GRAPH = False
KNOWS_HALF = True


def start(network: nn.Module, device: str, half: bool) -> Run:
    """torch, layer by layer: always there, and on every device.

    On CUDA a shape that comes again is painted by a graph.
    """
    dtype = torch.bfloat16 if half else torch.float32
    network = network.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    made_in = os.getpid()

    @torch.no_grad()
    def paint(batch: Tensor) -> Tensor:
        levels = batch if batch.dtype == torch.uint8 else 255 * batch
        return network(levels.to(dtype, memory_format=torch.channels_last)).float()

    paint_there = _Recorder(paint, device) if device.startswith("cuda") else lambda batch: paint(batch.to(device))
    one_at_a_time = threading.Lock()  # a recording has one place for its result

    def run(array: np.ndarray) -> np.ndarray:
        if device != "cpu" and os.getpid() != made_in:
            raise UsageError("a painter on a GPU does not survive a fork; start the process by spawn, or load it there")
        with one_at_a_time:
            painted = paint_there(as_tensor(array))
            return as_array(to_levels(painted) if array.dtype == np.uint8 else painted)

    return run


class _Recorder:
    """`paint` for batches on the CPU, its result on the GPU. A shape that comes twice in a row, as frames do, is
    recorded as a CUDA graph: one launch in place of a hundred, and the bytes travel through pinned memory."""

    def __init__(self, paint: Callable[[Tensor], Tensor], device: str):
        self.paint, self.device = paint, device
        self.shape: tuple[torch.Size, torch.dtype] | None = None
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        with torch.cuda.device(self.device):
            came_before, self.shape = self.shape == (batch.shape, batch.dtype), (batch.shape, batch.dtype)
            if not came_before:
                self.graph = None
                return self.paint(batch.to(self.device))
            if self.graph is None:
                self._record(batch)
            return self._replay(batch)

    def _record(self, batch: Tensor) -> None:
        self.given, self.seen = torch.empty_like(batch).pin_memory(), batch.to(self.device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries choose their algorithms before, not in the recording
            self.paint(self.seen)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.painted = self.paint(self.seen)
        self.graph = graph

    def _replay(self, batch: Tensor) -> Tensor:
        assert self.graph is not None
        self.given.copy_(batch)
        self.seen.copy_(self.given, non_blocking=True)
        self.graph.replay()
        return self.painted


def _go_on_alone() -> None:
    """Go on in a forked process, where torch would wait for ever for threads that were not copied."""
    if "torch" in sys.modules:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_go_on_alone)
