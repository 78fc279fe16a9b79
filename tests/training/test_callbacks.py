"""The best weights are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn

from helpers.trainings import model_of
from impasto.losses.perceptual import PerceptualLoss
from impasto.training.callbacks import KeepBest, ProgressLine, StyleModelWriter, measure_digest


class _Judged:
    """What `KeepBest` sees of a module: averaged weights, and a report for each validation."""

    def __init__(self) -> None:
        self.ema, self.report, self.defects = torch.nn.Linear(1, 1), {}, {}

    def reach(self, total: float, screen: float = 0.0) -> None:
        self.report, self.defects = {"total": total}, {"screen": screen}
        self.ema.bias.data.fill_(total)

    def progress(self, step: int) -> float:
        return step / 10


def test_the_best_weights_are_kept_and_resumed() -> None:
    best, module, trainer = KeepBest(patience=3), _Judged(), Trainer(accelerator="cpu", logger=False)
    trainer.state.fn = TrainerFn.FITTING
    steps = ((3.0, 0.0), (2.0, 0.0), (1.9, 9.0), (2.5, 0.0), (2.4, 0.0), (2.6, 0.0), (float("nan"), 0.0))
    made = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
    for made.completed, (total, screen) in enumerate(steps, start=1):
        module.reach(total, screen)
        best.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert not trainer.should_stop, "only two of them came in the second half"
    resumed = KeepBest(patience=3)
    resumed.load_state_dict(best.state_dict())
    resumed.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert not trainer.should_stop, "that step was judged before"
    made.completed += 1
    resumed.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert trainer.should_stop
    assert resumed.restore(trainer, module)
    assert module.ema.bias.item() == 2.0 == module.report["total"], "1.9 shows a screen"


def test_the_best_painter_for_films_holds_still() -> None:
    best, module, trainer = KeepBest(), _Judged(), Trainer(accelerator="cpu", logger=False)
    for temporal in (0.5, 0.2, 0.4):
        module.reach(2.0)
        module.report["temporal"] = temporal
        best.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert best.best == 2.2 and best.report["temporal"] == 0.2


def test_the_best_of_another_style_is_forgotten() -> None:
    before, same, other = KeepBest(), KeepBest(), KeepBest()
    before.measure = same.measure = "one"
    other.measure = "two"
    before.best, before.weights = 1.5, {"weight": torch.ones(1)}
    for callback in (same, other):
        callback.load_state_dict(before.state_dict())
    assert same.best == 1.5 and same.weights
    assert other.best == float("inf") and not other.weights and other.measure == "two"


def test_the_best_of_an_older_checkpoint_is_known() -> None:
    before, now = KeepBest(), KeepBest()
    before.measure = now.measure = "one"
    before.best = 1.5
    state = before.state_dict()
    state["judge"] = state.pop("measure")
    now.load_state_dict(state)
    assert now.best == 1.5 and now.measure == "one"


def test_measures_differ_by_loss_style_and_photographs(loss: PerceptualLoss) -> None:
    style, photographs = torch.rand(3, 32, 32), list(torch.rand(2, 3, 32, 32))
    measure = measure_digest(loss, style, photographs)
    assert measure == measure_digest(loss, style.clone(), list(photographs))
    heavier = PerceptualLoss(loss.features, style_weight=11)
    others = (heavier, style, photographs), (loss, 1 - style, photographs), (loss, style, photographs[::-1])
    assert len({measure, *(measure_digest(*other) for other in others)}) == 4
    films = {measure_digest(loss, style, photographs, weight) for weight in (0.0, 1.0, 3.0)}
    assert len(films) == 3 and measure in films


def test_what_is_resumed_remembers_its_own_start(tmp_path: Path) -> None:
    first, resumed = (
        StyleModelWriter(tmp_path / "x", {"start": start}, lambda _: model_of()) for start in ("base", "itself")
    )
    resumed.load_state_dict(first.state_dict())
    assert resumed.history == {"start": "base"}
    resumed.load_state_dict({"seconds": 1.0})  # as older checkpoints have it
    assert resumed.history == {"start": "base"}


def test_the_progress_line_shows_the_mean_of_the_last_losses(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    trainer: Any = SimpleNamespace(global_step=0, is_global_zero=True, world_size=1, accumulate_grad_batches=1)
    module = SimpleNamespace(progress=lambda step: step / 60)
    line.on_train_start(trainer, module)  # type: ignore[arg-type]
    for step in range(1, 61):
        trainer.global_step = step
        line.on_train_batch_end(trainer, module, {"loss": torch.tensor(100.0 - step)}, [None], step)
    assert "loss 50.000" in line.line.postfix  # steps 40, 45, …, 60
    line.line.close()
