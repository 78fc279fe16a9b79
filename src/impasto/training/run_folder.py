"""The folder of a run and its painter: how they are begun, resumed and set aside.

Nothing that was there before is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from impasto.checkpoint import SUFFIX
from impasto.errors import ImpastoError, UsageError, printable
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import weightless
from impasto.system.files import written_whole
from impasto.system.lock import locked
from impasto.training.callbacks import callbacks_of, is_rank_zero, rank_zero_print
from impasto.training.plan import RunPlan
from impasto.training.tracking import end_wandb_run

_ANEW = "or begin anew with ckpt_path=null"
_REMEDIES = {
    "style picture": f"give that one (style.image, style.size), {_ANEW}",
    "loss": f"choose that one (loss), {_ANEW}",
    "photographs": f"give those (data), or go on from its painter with them: ckpt_path=null init=PAINTER{SUFFIX}",
    "optimizer": f"choose that one (optimizer), {_ANEW}",
    "network": f"say network.antialias as there, {_ANEW}",
}


@contextmanager
def alone(run: Path, output: Path) -> Generator[None]:
    """Keep other trainings from the run's folder and from the style model; rank 0 does so for all.

    Raises:
        UsageError: another one is at work there, or nothing can be written there.
    """
    if not is_rank_zero():
        yield
        return
    check_places(run, output)
    with ExitStack() as held:
        for path, setting in ((output, "output"), (run, "paths.run")):
            try:
                held.enter_context(locked(path, setting))
            except OSError as error:
                if not path.is_dir():  # a mounted folder of its own, whose parent belongs to others, goes without
                    raise UsageError(
                        f"{setting}={path}: cannot be written there ({error.strerror}); choose another {setting}="
                    ) from error
        yield


def check_places(run: Path, output: Path) -> None:
    """Find out before the training whether these can be a run's folder and a style model's path.

    Raises:
        UsageError: one cannot.
    """
    if run.exists() and not (run.is_dir() and os.access(run, os.W_OK)):
        raise UsageError(f"paths.run={run}: must be a folder that can be written to; choose another paths.run=")
    if output.is_dir() or output.suffix != SUFFIX:
        raise UsageError(f"output={output}: must be a file that ends in {SUFFIX}")


class BeginRun(Callback):
    """A run begins with its first step: whatever fails before leaves every file as it was.

    After that step, makes the run's folder and lets the loggers join, which write there from their start on. By then
    the checkpoint was loaded, a batch was read and the network has learned from it. A resumed run may begin with a
    validation; the network has then painted.

    Args:
        begin: makes the folder and sets aside what was there before.
        loggers: those of the trainer, which is built without any.
        made_for: what its checkpoints belong to, see `made_for`.
    """

    def __init__(self, begin: Callable[[], None], loggers: Sequence[Logger], made_for: Mapping[str, str]):
        self.begin, self.loggers, self.made_for = begin, list(loggers), dict(made_for)
        self.has_begun = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.now(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin it before a validation writes, where a resumed run begins with one."""
        if not trainer.sanity_checking:
            self.now(trainer)

    def now(self, trainer: Trainer) -> None:
        """Begin the run, unless it has begun."""
        if self.has_begun:
            return
        self.begin()
        self.has_begun = True
        end_wandb_run()
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
            f"logger: {type(logger).__name__} cannot start ({reason}); logger=csv needs nothing, "
            "WANDB_MODE=offline no network"
        ) from error


class RunCheckpoint(ModelCheckpoint):
    """Lightning's, but for a run that fails before it has begun: the checkpoints are then an earlier run's."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if all(callback.has_begun for callback in callbacks_of(trainer, BeginRun)):
            super().on_exception(trainer, pl_module, exception)


def begin(plan: RunPlan) -> None:
    """Make the run's folder; earlier runs and painters are set aside, not lost. Rank 0 does so for all."""
    if not is_rank_zero():
        return
    if plan.resumes_in_place:
        set_aside(plan.folder / "metrics.csv")  # a resumed CSVLogger begins its file anew
        if plan.earlier_output is None or plan.earlier_output.resolve() != plan.output.resolve():
            keep_earlier_painter(plan.output)
    else:
        keep_earlier_run(plan.folder, plan.output)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with written_whole(plan.folder / "config.yaml", durable=True) as temporary:
        temporary.write_text(plan.settings, encoding="utf-8")


def refuse_needed(plan: RunPlan, picture: Path) -> None:
    """Refuse a run that needs a file, such as its style picture, from the folder that it would set aside.

    Raises:
        UsageError: it does.
    """
    run = plan.folder
    if not is_rank_zero() or plan.resumes_in_place or not (run / "last.ckpt").is_file():
        return
    inside = [path for path in (plan.start, picture, plan.checkpoint) if path and lies_in(run, path)]
    if inside:
        raise UsageError(
            f"{inside[0]}: lies in {run}, which this run would set aside; copy it out, or choose another paths.run"
        )


def keep_earlier_run(run: Path, output: Path) -> None:
    """Set an earlier run aside, its painter with it; where there was no run, keep the painter."""
    if not (run / "last.ckpt").is_file():
        keep_earlier_painter(output)
        return
    kept = "earlier run and its painter are" if output.is_file() else "earlier run is"
    if output.is_file() and not lies_in(run, output):
        place = run / output.name
        shutil.copyfile(output, spare_name(place) if place.exists() else place)
    rank_zero_print(f"the {kept} kept in {set_aside(run)}")


def keep_earlier_painter(output: Path) -> None:
    """Copy the painter that is about to be replaced, if there is one."""
    if output.is_file():
        kept = shutil.copyfile(output, spare_name(output))
        rank_zero_print(f"the painter that {output} was is kept as {kept}")


def set_aside(path: Path) -> Path:
    """Rename `path`, if it is there, to its name with the first free number."""
    kept = spare_name(path)
    if path.exists():
        path.rename(kept)
    return kept


def spare_name(path: Path) -> Path:
    """Return `path` with the first number that makes it a new name."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, 10_000))
    return next(candidate for candidate in numbered if not candidate.exists())


def lies_in(folder: Path, path: Path) -> bool:
    """Whether `path` is in `folder`, however deep."""
    return folder.resolve() in path.resolve().parents


def made_for(
    picture: Path, size: int, loss: PerceptualLoss, photographs: str, optimizer: str, spec: Mapping[str, Any]
) -> dict[str, str]:
    """Return what a checkpoint must share with the run that goes on from it, short enough to be stored in each.

    Of the network it is what the shapes of its weights do not say.
    """
    with picture.open("rb") as file:
        style = hashlib.file_digest(file, "sha256")
    stated = json.dumps([loss.spec(), loss.features.fingerprint()], sort_keys=True)
    return {
        "style picture": f"{style.hexdigest()[:12]} at {size}",
        "loss": hashlib.sha256(stated.encode()).hexdigest()[:12],
        "photographs": photographs,
        "optimizer": optimizer,
        "network": json.dumps({option: spec[option] for option in weightless(spec)}),
    }


def check_checkpoint(
    path: Path, network: nn.Module, spec: Mapping[str, Any], optimizer: Optimizer, belongs: Mapping[str, str]
) -> None:
    """Find out whether the run can go on from a checkpoint; the optimizer takes up its state.

    Raises:
        UsageError: it was made with another network, style picture, loss, optimizer or other photographs.
    """
    checkpoint = read_checkpoint(path)
    shapes = {f"network.{key}": value.shape for key, value in network.state_dict().items()}
    state = checkpoint["state_dict"].items()
    if shapes != {key: getattr(value, "shape", None) for key, value in state if str(key).startswith("network.")}:
        raise UsageError(f"{path}: of another network than {spec}; name its own")
    check_belongs(path, checkpoint, belongs, {"network": json.dumps(weightless(spec))})
    check_resumes(path, checkpoint, optimizer)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a training checkpoint that `checkpoint_io.is_whole`, its tensors left on the disk."""
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def check_belongs(
    path: Path, checkpoint: Mapping[str, Any], wanted: Mapping[str, str], unsaid: Mapping[str, str]
) -> None:
    """Refuse a checkpoint that was made for something else; what older ones do not say is `unsaid`, or else as wanted.

    Raises:
        UsageError: of another style picture, loss, optimizer or network, or of other photographs.
    """
    callbacks = checkpoint.get("callbacks", {})
    known = {**unsaid, **callbacks.get("BeginRun", {}).get("made_for", {})}
    for what, value in wanted.items():
        if known.get(what, value) != value:
            which = f" ({known[what]})" if what == "optimizer" else ""
            other = "other photographs" if what == "photographs" else f"another {what}{which}"
            raise UsageError(f"{printable(path)}: trained with {other}; {_REMEDIES[what]}")


def check_resumes(path: Path, checkpoint: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Find out whether the optimizer can take up its state; it takes it.

    Raises:
        UsageError: there is none, or another optimizer's.
    """
    states = checkpoint.get("optimizer_states")
    if not states or "lr_schedulers" not in checkpoint:
        raise UsageError(f"{printable(path)}: holds weights alone; give a whole checkpoint, {_ANEW}")
    try:
        optimizer.load_state_dict(states[0])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{printable(path)}: trained with another optimizer than {type(optimizer).__name__}; "
            f"{_REMEDIES['optimizer']}"
        ) from error
