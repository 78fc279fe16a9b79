"""The training step without Lightning, for scripts that train many painters for moments each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from impasto.losses.perceptual import LossTerms, PerceptualLoss
from impasto.runtime import has_fast_bfloat16


def update(
    network: nn.Module, loss: PerceptualLoss, optimizer: torch.optim.Optimizer, batch: Tensor
) -> tuple[Tensor, LossTerms]:
    """Take one step on `batch` (N, 3, H, W); return what the network made of it and its loss, both before the step."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=has_fast_bfloat16(batch.device)):
        output = network(batch)
        terms = loss(output, batch)
    optimizer.zero_grad()
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return output.detach().float(), terms


def scheduled(
    optimizer: torch.optim.Optimizer, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[int, float]]:
    """Set the learning rate for each step, a warm-up and a cosine, until the time is over; yield its number and the part gone."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    started, step, gone = clock(), 0, 0.0
    while gone < 1:
        gone = (clock() - started) / seconds
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * min(1, (step + 1) / 20) * (1 + np.cos(np.pi * min(1.0, gone))) / 2
        step += 1
        yield step, gone
