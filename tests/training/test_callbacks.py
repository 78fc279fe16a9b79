"""The best weights are kept."""

from __future__ import annotations

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn

from impasto.training.callbacks import KeepBest


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
    for step, (total, screen) in enumerate(steps, start=1):
        trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = step
        module.reach(total, screen)
        best.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert not trainer.should_stop, "only two of them came in the second half"
    resumed = KeepBest(patience=3)
    resumed.load_state_dict(best.state_dict())
    resumed.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert trainer.should_stop
    assert resumed.restore(trainer, module)
    assert module.ema.bias.item() == 2.0 == module.report["total"], "1.9 shows a screen"
