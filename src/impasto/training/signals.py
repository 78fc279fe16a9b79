"""SIGTERM and SIGUSR1 end a run in good order: the ranks agree, the checkpoint is written, the job is requeued."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from threading import Thread
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import distributed

from impasto.training.callbacks import callbacks_of, rank_zero_print

LAUNCHER = "IMPASTO_LAUNCHER"  # the environment's variable with the process that starts the ranks

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class StopOnSignal(Callback):
    """Ends the training after the step in which SIGTERM or SIGUSR1 came, whichever rank it came to.

    Several ranks agree every few steps over the CPU: the GPUs need not wait for it.

    Args:
        every: steps between two agreements of several ranks.
    """

    def __init__(self, every: int = 5):
        self.every, self.received = every, 0
        self._before: dict[int, Any] = {}
        self._group: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        # Lightning would have the GPUs agree on SIGTERM at every step, and on rank 0's alone.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
        if trainer.world_size > 1:
            self._group = distributed.new_group(backend="gloo")

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._group is not None:
            if batch_idx % self.every:
                return
            received = torch.tensor(int(self.received))
            distributed.all_reduce(received, distributed.ReduceOp.MAX, group=self._group)
            self.received = int(received)
        if self.received:
            trainer.should_stop = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def signal_received(trainer: Trainer) -> int:
    """Return the signal that ended a training early; 0 if none did."""
    return max((callback.received for callback in callbacks_of(trainer, StopOnSignal)), default=0)


def end_with_launcher() -> None:
    """End this rank when what started it has ended, however it ended: a killed launcher cannot tell its ranks."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        launcher = os.getppid()
    elif os.environ.get("LOCAL_RANK", "0") != "0" and LAUNCHER in os.environ:
        launcher = int(os.environ[LAUNCHER])
    else:
        return
    if os.name != "nt":
        Thread(target=_follow, args=(launcher,), daemon=True).start()


def _follow(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(1)
    os._exit(1)


def say_goodbye(received: int, step: int) -> None:
    """Say how to go on after a signal; a job of SLURM that was warned with SIGUSR1 is put into its queue again."""
    rank_zero_print(f"stopped by {signal.Signals(received).name} after step {step}; ckpt_path=last goes on")
    job = slurm_job()
    if received == getattr(signal, "SIGUSR1", None) and job and os.environ.get("SLURM_PROCID", "0") == "0":
        with suppress(FileNotFoundError):  # a container without SLURM's commands
            subprocess.run(["scontrol", "requeue", job], check=False)


def slurm_job() -> str | None:
    """Return the number by which SLURM knows this job, if it runs under SLURM."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")
