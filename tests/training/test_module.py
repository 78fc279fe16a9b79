"""What training adds to the loss, and what the loss does not see."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from impasto.losses.defects import grid_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network
from impasto.training.module import StyleModule
from impasto.training.schedule import rate_factor


def test_the_learning_rate_follows_the_steps(loss: PerceptualLoss) -> None:
    class Run:
        max_steps, callbacks, world_size = 100, (), 1

    module = StyleModule(build_network("johnson", width=4, blocks=1), loss, torch.optim.Adam)
    module._trainer = Run()  # type: ignore[assignment]
    found = module.configure_optimizers()
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]
    assert isinstance(schedule, dict) and schedule.get("interval") == "step"
    scheduler = schedule["scheduler"]
    assert isinstance(scheduler, LambdaLR)
    for step in range(101):
        wanted = rate_factor(step, step / 100) * optimizer.defaults["lr"]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted, abs=1e-12)
        optimizer.step()
        scheduler.step()


def test_training_adds_what_repeats_with_the_stride(loss: PerceptualLoss) -> None:
    loss.set_style(torch.rand(1, 3, 32, 32))
    network, batch = build_network("johnson", width=4, blocks=1), torch.rand(2, 3, 32, 32)
    with_grid, without = (
        StyleModule(network, loss, torch.optim.Adam, margin=0, grid_weight=weight) for weight in (7.0, 0.0)
    )
    for module in (with_grid, without):
        module.log = module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    difference = with_grid.training_step(batch, 0) - without.training_step(batch, 0)
    torch.testing.assert_close(difference, 7 * grid_energy(network(batch), 4).mean(), rtol=1e-3, atol=1e-6)


def test_the_loss_does_not_see_the_margin(loss: PerceptualLoss) -> None:
    loss.set_style(torch.rand(1, 3, 48, 48))
    network, batch = build_network("brush", width=4, blocks=1), torch.rand(2, 3, 64, 64)
    module = StyleModule(network, loss, torch.optim.Adam, margin=16, grid_weight=0.0)
    module.log = module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    expected = loss(network(batch)[..., 16:48, 16:48], batch[..., 16:48, 16:48]).total
    torch.testing.assert_close(module.training_step(batch, 0), expected)
