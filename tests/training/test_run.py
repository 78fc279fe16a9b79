"""Whole runs of the training command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.commands import STEPS, finish, free_port, start, trained, training_command, wait_for
from impasto.checkpoint import load_style_model, read_metadata
from impasto.losses.defects import DEFECTS


def run(folder: Path, photographs: Path, vgg: Path, *overrides: str) -> str:
    command = training_command(folder, photographs, vgg, *overrides)
    result = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def steps_of(folder: Path) -> int:
    steps = load_style_model(folder / "style.safetensors").training.steps
    assert steps is not None
    return steps


def test_a_run_leaves_style_model_checkpoint_metrics_and_contact_sheet(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    out = run(
        tmp_path,
        photographs,
        random_vgg,
        "trainer.max_steps=6",
        "trainer.val_check_interval=3",
        "trainer.log_every_n_steps=1",
        "style.title='A, title'",
    )
    assert out.strip() == str(tmp_path / "style.safetensors")
    model = load_style_model(tmp_path / "style.safetensors")
    assert model.training.steps == 6 and model.training.images == 12
    assert model.style.title == "A, title"
    assert model.style.thumbnail is not None and len(model.style.thumbnail) > 100
    assert model.report.heldout is not None
    assert {"content", "style", "tv", "total", "screen"} == set(model.report.heldout)
    assert model.loss.fingerprint in model.style_targets
    for grams in model.style_targets.values():
        # Of a picture of 64 pixels.
        layers, octaves = ("relu1_2", "relu2_2", "relu3_3", "relu3_4", "rgb"), ("", "/2", "/4")
        assert set(grams) == {layer + octave + kind for layer in layers for octave in octaves for kind in ("", ".mean")}
    assert {"run", "style.safetensors"} == {path.name for path in tmp_path.iterdir()}
    assert {"config.yaml", "contact_sheet.png", "last.ckpt", "metrics.csv"} == {
        p.name for p in (tmp_path / "run").iterdir()
    }
    header = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    assert {"train/content", "train/total", "val/total", "val/screen"} <= set(header.split(","))
    checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert not [key for key in checkpoint["state_dict"] if "loss" in key], "the loss network is in the checkpoint"


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    endless = (
        "trainer.max_steps=100000",
        "callbacks.checkpoint.every_n_train_steps=5",
        "trainer.val_check_interval=100000",
    )
    process = subprocess.Popen(
        training_command(tmp_path, photographs, random_vgg, *endless),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not (tmp_path / "style.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = steps_of(tmp_path)
    assert before >= 5
    run(tmp_path, photographs, random_vgg, f"trainer.max_steps={before + 20}", "ckpt_path=last")
    assert steps_of(tmp_path) == before + 20


def test_a_checkpoint_from_elsewhere_begins_a_run_of_its_own(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    run(tmp_path, photographs, random_vgg, "trainer.max_steps=4")
    (tmp_path / "run").rename(tmp_path / "moved")
    run(tmp_path, photographs, random_vgg, "trainer.max_steps=2")
    trained = (tmp_path / "style.safetensors").read_bytes()
    command = [word for word in training_command(tmp_path, photographs, random_vgg) if "trainer.max_" not in word]
    words = ["trainer.max_minutes=null", "trainer.max_steps=null", f"ckpt_path={tmp_path / 'moved' / 'last.ckpt'}"]
    result = subprocess.run([*command, *words], capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    assert "4 steps" in result.stderr, "the length of the run that it goes on with"
    assert steps_of(tmp_path) == 4
    assert (tmp_path / "run-1" / "style.safetensors").read_bytes() == trained


def test_ctrl_c_before_the_training_is_one_line(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    code = """if True:
        from impasto.training import __main__, build
        def interrupted(config):
            raise KeyboardInterrupt
        build.read_style = interrupted
        __main__.main()
    """
    command = [sys.executable, "-c", code, *training_command(tmp_path, photographs, random_vgg)[3:]]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert result.returncode == 130 and result.stderr.splitlines()[-1].startswith("impasto: stopped")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_two_processes_train_one_style_model(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    out = run(
        tmp_path,
        photographs,
        random_vgg,
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "trainer.max_steps=4",
    )
    model = load_style_model(tmp_path / "style.safetensors")
    assert model.training.steps == 4 and model.training.images == 4 * 2 * 2
    assert out.splitlines() == [str(tmp_path / "style.safetensors")]


def test_mistakes_are_one_line_with_the_remedy(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(photographs, broken)
    for name in ("01.png", "02.png", "04.png"):
        (broken / name).write_bytes(b"")
    result = subprocess.run(
        training_command(tmp_path, photographs, random_vgg, f"data.root={broken}"),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "3 of 12 images are bad" in result.stderr and "01.png" in result.stderr


def test_a_key_that_is_missing_is_named(photographs: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "impasto.training", f"style.image={photographs / '01.png'}"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "impasto: data.root is not set" in result.stderr


def test_a_mistyped_setting_is_one_line(photographs: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "impasto", "train", str(photographs / "01.png"), "minutes=3"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "impasto: no setting minutes; did you mean trainer.max_minutes?" in result.stderr


def test_a_run_starts_from_what_init_names(photographs: Path, random_vgg: Path, tmp_path: Path, painter: Path) -> None:
    """One step at a learning rate of zero leaves the weights that the run started from."""
    run(
        tmp_path, photographs, random_vgg, f"init={painter}", "network=johnson", "trainer.max_steps=1", "optimizer.lr=0"
    )
    start, end = (load_style_model(path).network.state_dict() for path in (painter, tmp_path / "style.safetensors"))
    assert all(torch.equal(start[key], end[key]) for key in start)
    before, now = (read_metadata(path).training for path in (painter, tmp_path / "style.safetensors"))
    assert now.start == painter.stem and now.before == before.to_dict()


@pytest.mark.slow
def test_train_by_the_clock_keeps_earlier_work_and_goes_on(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    def train(*words: str) -> subprocess.CompletedProcess[str]:
        overrides = training_command(tmp_path, photographs, random_vgg, "callbacks.checkpoint.every_n_train_steps=5")[
            4:
        ]
        call = [sys.executable, "-m", "impasto", "train", str(photographs / "01.png"), *overrides, *words]
        return subprocess.run(call, capture_output=True, text=True, timeout=280)

    first = train("--minutes", "0.05")
    assert first.returncode == 0 and "0.05 minutes" in first.stderr, first.stderr
    trained = (tmp_path / "style.safetensors").read_bytes()
    again = train("--minutes", "0.05")
    assert again.returncode == 0 and "run-1" in again.stderr, again.stderr
    assert (tmp_path / "run-1" / "style.safetensors").read_bytes() == trained
    before = steps_of(tmp_path)
    longer = train("--minutes", "0.12", "ckpt_path=last")
    assert f"where {tmp_path / 'run' / 'last.ckpt'} stopped" in longer.stderr
    assert longer.returncode == 0 and steps_of(tmp_path) > before, longer.stderr
    assert (tmp_path / "run" / "metrics-1.csv").is_file() and (tmp_path / "run" / "metrics.csv").is_file()


def test_a_run_that_gains_nothing_ends_early(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    words = ("trainer.max_steps=40", "trainer.val_check_interval=2", "callbacks.keep_best.patience=2", "optimizer.lr=0")
    run(tmp_path, photographs, random_vgg, *words)
    model = load_style_model(tmp_path / "style.safetensors")
    assert steps_of(tmp_path) <= 26
    assert model.report.defects is not None
    assert set(model.report.defects) == set(DEFECTS)


def test_an_output_that_cannot_be_written_is_found_before_the_training(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    for output in (tmp_path, tmp_path / "x.pt"):
        words = [*training_command(tmp_path, photographs, random_vgg), f"output={output}"]
        result = subprocess.run(words, capture_output=True, text=True, timeout=280)
        assert result.returncode == 2 and "must be a file that ends in .safetensors" in result.stderr


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
    words = ("trainer.max_steps=13",)
    finish(start(straight, photographs, random_vgg, *words))
    for number in range(2):
        process = start(broken, photographs, random_vgg, *words, "ckpt_path=last")
        wait_for(broken / "run" / ("last.ckpt", "last-1.ckpt")[number])
        process.kill()
        process.wait()
    finish(start(broken, photographs, random_vgg, *words, "ckpt_path=last"))
    one, other = trained(straight), trained(broken)
    assert one["global_step"] == other["global_step"] == 13
    best = next(key for key in one["callbacks"] if "KeepBest" in key)
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(one[part], other[part], part)
    assert_same(one["callbacks"][best], other["callbacks"][best], best)
    weights = [load_style_model(folder / "style.safetensors").network.state_dict() for folder in (straight, broken)]
    assert_same(weights[0], weights[1])


# A training that a signal ends in a method, once its run has made so many steps.
_ENDED = """if True:
    import os, signal
    from impasto.training import __main__
    from impasto.training.checkpoint_io import DurableCheckpointIO
    from impasto.training.module import StyleModule

    kind, name, step_of = {{
        "checkpoint": (DurableCheckpointIO, "save_checkpoint", lambda self, checkpoint, *_: checkpoint["global_step"]),
        "validation": (StyleModule, "validation_step", lambda self, *_: self.trainer.global_step),
        "step": (StyleModule, "training_step", lambda self, *_: self.trainer.global_step),
    }}["{where}"]
    method, sent = getattr(kind, name), []

    def ended(*arguments, **named):
        result = method(*arguments, **named)
        if step_of(*arguments) == {step} and not sent:
            sent.append(os.kill(os.getpid(), signal.{signal}))
        return result

    setattr(kind, name, ended)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have their background jobs ignore it
    __main__.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accumulated", "interval", "ends"),
    [
        (1, 3, [("checkpoint", 6, "SIGKILL")]),
        (2, 4, [("checkpoint", 6, "SIGKILL"), ("step", 7, "SIGKILL")]),
        (2, 3, [("checkpoint", 3, "SIGTERM"), ("validation", 6, "SIGINT")]),
    ],
    ids=["a validation at each checkpoint", "accumulated", "accumulated, told to end, and Ctrl-C"],
)
def test_a_run_that_ends_anywhere_goes_on_to_the_bits_of_a_straight_one(
    accumulated: int,
    interval: int,
    ends: list[tuple[str, int, str]],
    photographs: Path,
    random_vgg: Path,
    tmp_path: Path,
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    words = (
        "init=none", *STEPS, "trainer.max_steps=8", f"trainer.accumulate_grad_batches={accumulated}",
        f"trainer.val_check_interval={interval}", "temporal_weight=3", "ckpt_path=last",
    )  # fmt: skip
    run(straight, photographs, random_vgg, *words)
    for where, step, name in ends:
        code = _ENDED.format(where=where, step=step, signal=name)
        command = [sys.executable, "-c", code, *training_command(broken, photographs, random_vgg, *words)[3:]]
        result = subprocess.run(command, capture_output=True, text=True, timeout=280)
        code = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 0, "SIGINT": 130}[name]
        assert result.returncode == code, result.stderr
    run(broken, photographs, random_vgg, *words)
    one, other = trained(straight), trained(broken)
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(one[part], other[part], part)
    assert_same(one["callbacks"]["KeepBest"], other["callbacks"]["KeepBest"], "KeepBest")
    kept = [load_style_model(folder / "style.safetensors") for folder in (straight, broken)]
    assert_same(kept[0].network.state_dict(), kept[1].network.state_dict())
    assert kept[0].report == kept[1].report


def test_a_torn_checkpoint_is_passed_over(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    finish(start(tmp_path, photographs, random_vgg, "trainer.max_steps=7"))
    last = tmp_path / "run" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    errors = finish(start(tmp_path, photographs, random_vgg, "trainer.max_steps=9", "ckpt_path=last"))
    assert f"passed over: {last} is torn" in errors
    assert trained(tmp_path)["global_step"] == 9


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
