"""Runs that are killed, stopped, or find the disk full: nothing is lost, and what is resumed ends where it would
have.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.commands import training_command
from impasto.checkpoint import load_style_model
from impasto.errors import ImpastoError
from impasto.training.checkpoint_io import DurableCheckpointIO, checkpoints_at, is_whole
from impasto.training.signals import slurm_job

STEPS = ("trainer.val_check_interval=4", "callbacks.checkpoint.every_n_train_steps=3", "data.heldout=1")


def start(folder: Path, photographs: Path, vgg: Path, *overrides: str, **environment: str) -> subprocess.Popen[str]:
    words = training_command(folder, photographs, vgg, "init=none", *STEPS, *overrides)
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    _, errors = process.communicate(timeout=280)
    assert process.returncode == code, errors[-3000:]
    return errors


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 200
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def trained(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "run" / "last.ckpt", weights_only=True)


def assert_same(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{where}[{number}]")
    else:
        assert one == other or (one != one and other != other), where


@pytest.mark.slow
def test_a_killed_run_ends_with_the_bits_of_a_straight_one(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    finish(start(straight, photographs, random_vgg, "trainer.max_steps=13"))
    for number in range(2):
        process = start(broken, photographs, random_vgg, "trainer.max_steps=13", "ckpt_path=last")
        wait_for(broken / "run" / ("last.ckpt", "last-1.ckpt")[number])
        process.kill()
        process.wait()
    finish(start(broken, photographs, random_vgg, "trainer.max_steps=13", "ckpt_path=last"))
    one, other = trained(straight), trained(broken)
    assert one["global_step"] == other["global_step"] == 13
    best = next(key for key in one["callbacks"] if "KeepBest" in key)
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(one[part], other[part], part)
    assert_same(one["callbacks"][best], other["callbacks"][best], best)
    weights = [load_style_model(folder / "style.safetensors").network.state_dict() for folder in (straight, broken)]
    assert_same(weights[0], weights[1])


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
        "SLURM_NODEID": "0",
        "SLURM_JOB_NAME": "paint", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1",
        "SLURM_NODELIST": "localhost",
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


@pytest.mark.slow
def test_torchrun_says_how_many_nodes_and_ranks_there_are(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    python, *words = training_command(tmp_path, photographs, random_vgg, "init=none", *STEPS, "trainer.max_steps=4")
    port = str(free_port())
    nodes = [
        subprocess.Popen(
            [python, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={node}", "--nproc-per-node=2",
             "--master-addr=127.0.0.1", f"--master-port={port}", *words, "trainer=torchrun", "trainer.accelerator=cpu"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for node in range(2)
    ]  # fmt: skip
    for node in nodes:
        finish(node)
    training = load_style_model(tmp_path / "style.safetensors").training
    assert training.steps == 4 and training.images == 4 * 2 * 2 * 2  # steps, crops, ranks, nodes


def test_without_torchrun_its_settings_are_refused_in_one_line(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    errors = finish(start(tmp_path, photographs, random_vgg, "trainer=torchrun"), code=2)
    assert "LOCAL_WORLD_SIZE" in errors and "Traceback" not in errors


def test_a_sweep_over_several_ranks_is_refused(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    words = ("seed=1,2", "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "--multirun")
    assert "every rank would begin a sweep of its own" in finish(
        start(tmp_path, photographs, random_vgg, *words), code=2
    )


def save_steps(path: Path, count: int, keep: int = 3) -> DurableCheckpointIO:
    writer = DurableCheckpointIO(keep)
    for step in range(count):
        writer.save_checkpoint({"step": step, "state_dict": {"weights": torch.full((1000,), float(step))}}, path)
    return writer


def test_the_last_checkpoints_are_kept_the_newest_first(tmp_path: Path) -> None:
    save_steps(tmp_path / "run" / "last.ckpt", 5)
    kept = list(checkpoints_at(tmp_path / "run" / "last.ckpt"))
    assert [path.name for path in kept] == ["last.ckpt", "last-1.ckpt", "last-2.ckpt"]
    assert [torch.load(path, weights_only=True)["step"] for path in kept] == [4, 3, 2]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(path.name for path in kept)


def test_only_the_newest_where_one_is_kept(tmp_path: Path) -> None:
    save_steps(tmp_path / "last.ckpt", 3, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    with pytest.raises(ImpastoError, match="at least one"):
        DurableCheckpointIO(0)


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "text", "not_a_checkpoint"])
def test_damage_is_seen(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_steps(path, 1)
    assert is_whole(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = {"empty": b"", "short": data[:-7], "flipped": data, "text": b"hello\n"}
    if damage == "not_a_checkpoint":
        torch.save(torch.nn.Linear(1, 1), path)  # a pickled module: loading it would run code
    else:
        path.write_bytes(bytes(damaged[damage]))
    assert not is_whole(path)
    assert not is_whole(tmp_path / "absent.ckpt")


def test_a_torn_checkpoint_is_passed_over(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    finish(start(tmp_path, photographs, random_vgg, "trainer.max_steps=7"))
    last = tmp_path / "run" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    errors = finish(start(tmp_path, photographs, random_vgg, "trainer.max_steps=9", "ckpt_path=last"))
    assert f"passed over: {last} is torn" in errors
    assert trained(tmp_path)["global_step"] == 9


def test_a_full_disk_is_a_loud_error_and_the_earlier_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    writer = save_steps(path, 2)
    before = {kept: kept.read_bytes() for kept in checkpoints_at(path)}
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # a write beyond it fails, as on a full disk
    try:
        with pytest.raises(ImpastoError, match=r"last\.ckpt: the checkpoint cannot be written .*make room"):
            writer.save_checkpoint({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {kept: kept.read_bytes() for kept in tmp_path.iterdir()} == before


def test_the_job_that_slurm_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    assert slurm_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert slurm_job() == "77"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert slurm_job() == "70_3"
