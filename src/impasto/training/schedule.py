"""What changes over a run: the learning rate, a warm-up and half a cosine down to zero, and the running average."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from torch import Tensor
from torch.optim import Optimizer

WARMUP_STEPS = 20


def rate_factor(step: int, gone: float, warmup_steps: int = WARMUP_STEPS) -> float:
    """Return the factor of the learning rate, from 0 to 1, at an update's number and the part of the run that is
    over.
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    return warmup * (1 + math.cos(math.pi * min(1.0, gone))) / 2


def scheduled(
    optimizer: Optimizer, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[int, float]]:
    """Set the learning rate for each step until the time is over; yield the step's number and the part gone."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    started, step, gone = clock(), 0, 0.0
    while gone < 1:
        gone = (clock() - started) / seconds
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * rate_factor(step, gone)
        step += 1
        yield step, gone


def averaging(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return what `AveragedModel` averages weights with: `decay` of the average is kept, less at the start, so that it
    forgets its random beginning.
    """

    def update(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
        return averaged + (current - averaged) * (1 - keep)

    return update
