"""What happens around the training step: the progress line, the contact sheet, the style model on disk."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from tqdm import tqdm

from impasto.checkpoint import StyleModel, save_style_model
from impasto.errors import ModelError
from impasto.images.contact_sheet import SHEET, contact_sheet
from impasto.images.tensors import to_pil
from impasto.images.writing import write_image
from impasto.losses.defects import visible_defects
from impasto.losses.perceptual import PerceptualLoss
from impasto.records import TrainingRecord

Kind = TypeVar("Kind", bound=Callback)


def callbacks_of(trainer: Trainer, kind: type[Kind]) -> list[Kind]:
    """Return the trainer's callbacks of one class."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it dynamically
    return [callback for callback in callbacks if isinstance(callback, kind)]


class ProgressLine(Callback):
    """One line on stderr: how far, how fast in images/s, how long still, and the loss,
    a mean over the last 25 steps.
    """

    every = 5  # steps, the same on all ranks: to read the loss a GPU must be waited for

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        quiet = 0.2 if sys.stderr.isatty() else 10
        self.line = tqdm(
            total=1.0, file=sys.stderr, mininterval=quiet, disable=not trainer.is_global_zero, dynamic_ncols=True,
            bar_format="{percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} left{postfix}",
        )  # fmt: skip
        self.started, self.first_step = time.monotonic(), trainer.global_step
        self.losses: deque[float] = deque(maxlen=5)  # one batch is easy, the next is hard

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step % self.every:
            return
        steps = trainer.global_step - self.first_step
        if steps and trainer.is_global_zero:
            pictures = steps * len(batch) * trainer.world_size * trainer.accumulate_grad_batches
            rate = pictures / (time.monotonic() - self.started)
            self.losses.append(float(outputs["loss"]))
            self.line.set_postfix_str(
                f"step {trainer.global_step}, {rate:.1f} images/s, loss {fmean(self.losses):.3f}", refresh=False
            )
        self._advance(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._advance(trainer, pl_module)
        self.line.close()

    def _advance(self, trainer: Trainer, pl_module: Any) -> None:
        # A collective under DDP with a clock: every rank asks, only rank 0 shows.
        self.line.update(pl_module.progress(trainer.global_step) - self.line.n)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "line"):
            self.line.close()


class ContactSheet(Callback):
    """After each validation, the held-out photographs and their paintings as `contact_sheet.png` and in the loggers."""

    def __init__(self, folder: str | Path, pictures: int = 6):
        self.path, self.pictures = Path(folder) / SHEET, pictures

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero or not pl_module.painted:
            return
        columns = pl_module.painted[: self.pictures]
        sheet = contact_sheet([[photo for photo, _ in columns], [painted for _, painted in columns]])
        write_image(self.path, sheet)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("contact_sheet", [to_pil(sheet)], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("contact_sheet", sheet, trainer.global_step)


class KeepBest(Callback):
    """Remembers the best averaged weights, and ends the run when they have stopped improving.

    The best have the lowest held-out loss, the temporal term included, every visible defect counting as a tenth of it.
    Each step is judged once while the run lasts, however often it is validated, so that a resumed run keeps what a
    straight one does.

    Args:
        patience: validations without a gain, in the second half of the run, after which it ends.
        min_gain: what counts as a gain, as a fraction of the loss.

    Attributes:
        measure: `measure_digest` of the module's losses and style and the data's photographs. The best of a checkpoint
            with another one is forgotten.
    """

    def __init__(self, patience: int = 8, min_gain: float = 0.002):
        self.patience, self.min_gain, self.measure = patience, min_gain, ""
        self.best = self.mark = math.inf
        self.step, self.stale, self.judged = 0, 0, -1
        self.weights: dict[str, Tensor] = {}
        self.report: dict[str, float] = {}
        self.defects: dict[str, float] = {}

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        # A checkpoint is loaded after this.
        if stage == TrainerFn.FITTING:
            photographs = trainer.datamodule.heldout_images  # type: ignore[attr-defined]
            self.measure = measure_digest(pl_module.loss, pl_module.style, photographs, pl_module.temporal_weight)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            # Lightning validates where a signal or the clock ends a run, too; `run` validates once more behind its end.
            if trainer.should_stop or trainer.global_step == self.judged:
                return
            self.judged = trainer.global_step
        total = pl_module.report.get("total", math.inf) + pl_module.report.get("temporal", 0.0)
        reached = total * (1 + 0.1 * len(visible_defects(pl_module.defects)))
        if reached < self.best:
            self.best, self.step = reached, trainer.global_step
            self.report, self.defects = dict(pl_module.report), dict(pl_module.defects)
            self.weights = {key: value.cpu().clone() for key, value in pl_module.ema.state_dict().items()}
        gained = reached < self.mark * (1 - self.min_gain)
        # Early on, a high learning rate hides the gains.
        late = trainer.state.fn == TrainerFn.FITTING and pl_module.progress(trainer.global_step) > 0.5
        self.mark, self.stale = (reached, 0) if gained else (self.mark, self.stale + late)
        if late and self.stale >= self.patience:
            rank_zero_print("the held-out loss has stopped falling: done early")
            trainer.should_stop = True

    def restore(self, trainer: Trainer, pl_module: Any) -> bool:
        """Give the module the weights and the report of its best moment; whether that was not its last."""
        if not self.weights or self.step == trainer.global_step:
            return False
        rank_zero_print(f"keeping the weights of step {self.step}, the best of {trainer.global_step}")
        pl_module.ema.load_state_dict(self.weights)
        pl_module.report, pl_module.defects = self.report, self.defects
        return True

    def state_dict(self) -> dict[str, Any]:
        kept = ("measure", "best", "mark", "step", "stale", "judged", "weights", "report", "defects")
        return {name: getattr(self, name) for name in kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        kept = dict(state_dict)
        measure = kept.pop("judge", None)  # as older checkpoints call it
        if kept.setdefault("measure", measure) == self.measure:
            for name, value in kept.items():
                setattr(self, name, value)


def measure_digest(
    loss: PerceptualLoss, style: Tensor | None, photographs: Sequence[Tensor], temporal_weight: float = 0.0
) -> str:
    """Return twelve hex digits of what held-out losses are measured with: the loss, the style, the photographs and the
    temporal loss's weight.
    """
    digest = hashlib.sha256(json.dumps([loss.spec(), loss.features.fingerprint()], sort_keys=True).encode())
    for picture in photographs if style is None else (style, *photographs):
        digest.update(picture.numpy().tobytes())
    if temporal_weight:
        digest.update(f"temporal {temporal_weight}".encode())
    return digest.hexdigest()[:12]


def is_rank_zero() -> bool:
    """Whether this process is the first of its run, or the only one."""
    return getattr(rank_zero_only, "rank", 0) == 0  # Lightning sets it on a function, which types cannot tell


def rank_zero_print(line: str) -> None:
    """Print one line to stderr, once for all ranks; above the progress line, where there is one."""
    if is_rank_zero():
        tqdm.write(line, file=sys.stderr)


class StyleModelWriter(Callback):
    """Writes the style model, whole or not at all, each time a training checkpoint is written.

    Args:
        history: what the model says of the start of its training; a checkpoint that is resumed has its own.
        describe: the module -> the style model as it stands.
    """

    def __init__(self, path: str | Path, history: dict[str, Any], describe: Callable[[Any], StyleModel]):
        self.path, self.history, self.describe = Path(path), history, describe
        self.seconds_before, self.started = 0.0, time.monotonic()

    def seconds(self) -> float:
        """Seconds of training so far, those before a resumption included."""
        return self.seconds_before + time.monotonic() - self.started

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.write(trainer, pl_module)

    def write(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the style model as it stands, from rank 0.

        Raises:
            ModelError: the training has diverged; what an earlier checkpoint wrote is left as it was.
        """
        if not trainer.is_global_zero:
            return
        if not all(torch.isfinite(weight).all() for weight in pl_module.ema.parameters()):
            raise ModelError("the training has diverged: weights that are not numbers; try a lower optimizer.lr")
        model = self.describe(pl_module)
        batch = trainer.accumulate_grad_batches * trainer.world_size * pl_module.trainer.datamodule.batch_size
        known = TrainingRecord.from_dict(self.history)
        model.training = replace(
            model.training,
            start=known.start,
            before=known.before,
            steps=trainer.global_step,
            seconds=round(self.seconds(), 1),
            images=trainer.global_step * batch,
        )
        save_style_model(self.path, model)

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds(), "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds_before = state_dict["seconds"]
        self.history = state_dict.get("history", self.history)
