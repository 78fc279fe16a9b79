"""Signals end a run in good order, on one rank or many, under SLURM, too."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from helpers.commands import finish, free_port, start, trained, wait_for
from impasto.checkpoint import load_style_model
from impasto.training.signals import slurm_job


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_signal_ends_a_run_in_good_order(number: int, photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    process = start(tmp_path, photographs, random_vgg, "trainer.max_steps=100000")
    wait_for(tmp_path / "style.safetensors")
    process.send_signal(number)
    errors = finish(process)
    steps = load_style_model(tmp_path / "style.safetensors").training.steps
    assert f"stopped by {signal.Signals(number).name} after step {steps}" in errors
    assert steps is not None and trained(tmp_path)["global_step"] == steps
    finish(start(tmp_path, photographs, random_vgg, f"trainer.max_steps={steps + 3}", "ckpt_path=last"))
    assert trained(tmp_path)["global_step"] == steps + 3


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    words = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_steps=100000")
    process = start(tmp_path, photographs, random_vgg, *words)
    wait_for(tmp_path / "style.safetensors")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.is_file():
        process.terminate()
    else:
        ranks = [int(child) for child in children.read_text().split()]
        os.kill(next(rank for rank in ranks if b"LOCAL_RANK=1" in Path(f"/proc/{rank}/environ").read_bytes()), 15)
    assert "stopped by SIGTERM after step" in finish(process)


@pytest.mark.slow
def test_a_job_of_slurm_saves_and_goes_back_into_the_queue(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    queue = tmp_path / "scontrol"  # stands for the cluster's own
    queue.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/queue"\n')
    queue.chmod(0o755)
    job = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "MASTER_PORT": str(free_port()), "SLURM_JOB_ID": "77",
        "SLURM_NODEID": "0", "SLURM_JOB_NAME": "paint", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1", "SLURM_NODELIST": "localhost",
    }  # fmt: skip
    words = ("trainer=slurm", "trainer.accelerator=cpu", "trainer.max_steps=100000")
    tasks = [
        start(tmp_path, photographs, random_vgg, *words, SLURM_PROCID=rank, SLURM_LOCALID=rank, **job) for rank in "01"
    ]
    wait_for(tmp_path / "style.safetensors")
    for task in tasks:  # as --signal=SIGUSR1@90 warns them
        task.send_signal(signal.SIGUSR1)
    said = [finish(task) for task in tasks]
    assert "stopped by SIGUSR1 after step" in said[0]
    assert trained(tmp_path)["global_step"] == load_style_model(tmp_path / "style.safetensors").training.steps
    assert (tmp_path / "queue").read_text() == "requeue 77\n"


def test_the_job_that_slurm_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    assert slurm_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert slurm_job() == "77"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert slurm_job() == "70_3"
