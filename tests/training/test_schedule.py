"""The learning rate by steps and by the clock."""

from __future__ import annotations

import pytest
import torch

from impasto.training.schedule import rate_factor, scheduled


def test_warm_up_then_cosine_to_zero() -> None:
    factors = [rate_factor(step, step / 100, warmup_steps=10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and factors[100] == 0
    assert factors[50] == pytest.approx(0.5)
    assert factors.index(max(factors)) in (9, 10) and factors[10:] == sorted(factors[10:], reverse=True)


def test_a_schedule_by_the_clock_ends_at_zero() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    ticks = iter(range(1000))
    rates = [(gone, optimizer.param_groups[0]["lr"]) for _, gone in scheduled(optimizer, 100, lambda: next(ticks))]
    assert len(rates) == 100 and rates[-1] == (1.0, 0.0)
    assert dict(rates)[0.5] == pytest.approx(1.0), "half of the peak, half-way"
