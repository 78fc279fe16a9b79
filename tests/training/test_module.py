"""What training adds to the loss, and what the loss does not see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from helpers.pictures import photograph
from impasto.losses.defects import grid_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.losses.temporal import second_view, temporal_loss
from impasto.networks import build_network
from impasto.training.module import StyleModule
from impasto.training.plain import painted_within
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
    painting = network(torch.nn.functional.pad(batch, (16,) * 4, mode="reflect"))
    expected = loss(painting[..., 16:-16, 16:-16], batch).total
    torch.testing.assert_close(module.training_step(batch, 0), expected)


@pytest.mark.parametrize(("network", "height", "width"), [("brush", 53, 70), ("johnson", 33, 41), ("swift", 35, 58)])
def test_crops_of_any_size_are_trained_on(loss: PerceptualLoss, network: str, height: int, width: int) -> None:
    loss.set_style(torch.rand(1, 3, 48, 48))
    painter, batch = build_network(network, width=4, blocks=1), torch.rand(1, 3, height, width)
    module = quiet(StyleModule(painter, loss, torch.optim.Adam, margin=8, grid_weight=0.0, temporal_weight=1.0))
    found: dict[str, Tensor] = {}
    module.log_dict = found.update  # type: ignore[method-assign, assignment]
    assert module.training_step(batch, 0).isfinite()
    expected = loss(painted_within(painter, batch, 8), batch)
    torch.testing.assert_close(found["train/style"], expected.style)
    torch.testing.assert_close(found["train/content"], expected.content)


def test_the_temporal_loss_is_added_and_logged_by_its_weight(loss: PerceptualLoss) -> None:
    loss.set_style(torch.rand(1, 3, 48, 48))
    network, batch = build_network("brush", width=4, blocks=1), torch.rand(2, 3, 64, 64)
    found: dict[float, dict[str, Tensor]] = {}
    steps = {
        weight: quiet(StyleModule(network, loss, torch.optim.Adam, margin=8, temporal_weight=weight))
        for weight in (0, 1, 4)
    }
    totals = {}
    for weight, module in steps.items():
        module.log_dict = lambda terms, weight=weight: found.update({weight: terms})  # type: ignore[method-assign]
        totals[weight] = module.training_step(batch, 0)
    assert "train/temporal" not in found[0] and found[1]["train/temporal"] > 0
    torch.testing.assert_close(found[4]["train/temporal"], 4 * found[1]["train/temporal"])
    torch.testing.assert_close(totals[4] - totals[0], found[4]["train/temporal"])
    assert torch.equal(found[0]["train/style"], found[1]["train/style"]), "the first view lies where it did"


def test_motions_depend_on_the_seed_the_step_and_the_rank(loss: PerceptualLoss) -> None:
    class Run:
        accumulate_grad_batches, global_step, global_rank = 2, 3, 0

    module = StyleModule(build_network("swift", width=4, blocks=1), loss, torch.optim.Adam, seed=5)
    assert module._motion_seed(0) != module._motion_seed(1)
    module._trainer = Run()  # type: ignore[assignment]
    seed = module._motion_seed(6)
    assert seed == module._motion_seed(0) != module._motion_seed(1), "batches are counted anew where a run goes on"
    for name, value in (("global_step", 4), ("global_rank", 1)):
        setattr(module._trainer, name, value)
        assert module._motion_seed(6) != seed


def test_a_painter_trained_with_the_temporal_loss_flickers_less() -> None:
    loss = PerceptualLoss.from_spec("slim")
    loss.set_style(photograph(99, 48)[None])
    batch = torch.stack([photograph(seed, 48) for seed in range(2)])
    left: dict[float, float] = {}
    for weight in (0.0, 20.0):
        torch.manual_seed(0)
        module = quiet(
            StyleModule(
                build_network("brush", width=4, blocks=1), loss, torch.optim.Adam, margin=8, temporal_weight=weight
            )
        )
        optimizer = torch.optim.Adam(module.network.parameters(), lr=1e-2)
        for step in range(60):
            optimizer.zero_grad()
            module.training_step(batch, step).backward()
            optimizer.step()
        left[weight] = flicker(module.network.eval(), torch.stack([photograph(seed, 64) for seed in range(10, 12)]))
    assert left[20.0] < 0.6 * left[0.0]


def flicker(network: torch.nn.Module, photographs: Tensor) -> float:
    with torch.no_grad():
        views = [second_view(photographs, torch.Generator().manual_seed(seed)) for seed in range(4)]
        return float(torch.stack([temporal_loss(network(photographs), network(v.images), v) for v in views]).mean())


def quiet(module: StyleModule) -> StyleModule:
    module.log = module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return module
