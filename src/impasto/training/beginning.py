"""A run begins with its first step: whatever fails before leaves every file as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from impasto.errors import ImpastoError
from impasto.training.callbacks import callbacks_of


class BeginRun(Callback):
    """After the first step, makes the run's folder and lets the loggers join, which write there from their start on.

    By then the checkpoint was loaded, a batch was read and the network has learned from it.

    Args:
        begin: makes the folder and sets aside what was there before.
        loggers: those of the trainer, which is built without any.
        made_for: what its checkpoints belong to, see `resuming.made_for`.
    """

    def __init__(self, begin: Callable[[], None], loggers: Sequence[Logger], made_for: Mapping[str, str]):
        self.begin, self.loggers, self.made_for = begin, list(loggers), dict(made_for)
        self.has_begun = False

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.now(trainer)

    def now(self, trainer: Trainer) -> None:
        """Begin the run, unless it has begun."""
        if self.has_begun:
            return
        self.begin()
        self.has_begun = True
        for logger in self.loggers:
            _start(logger)
        trainer.loggers = self.loggers

    def state_dict(self) -> dict[str, Any]:
        return {"made_for": self.made_for}


def _start(logger: Logger) -> None:
    try:
        getattr(logger, "experiment", None)
    except Exception as error:  # W&B has classes of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ImpastoError(
            f"logger: {type(logger).__name__} cannot start ({reason}); logger=csv needs nothing, WANDB_MODE=offline no network"
        ) from error


class RunCheckpoint(ModelCheckpoint):
    """Lightning's, but for a run that fails before it has begun: the checkpoints are then an earlier run's."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if all(callback.has_begun for callback in callbacks_of(trainer, BeginRun)):
            super().on_exception(trainer, pl_module, exception)
