"""What becomes of a run that is killed, stopped, spread over ranks and nodes, or finds the disk full: one line each.

    python scripts/measure/recovery.py [resume saves signals ranks disk] --photographs DIR [--vgg WEIGHTS]

resume: a CPU run of --steps updates, killed with SIGKILL --kills times at random moments; its end against a straight
run's.
saves: SIGKILL into --saves writes of a checkpoint; how often the newest that is left is not whole.
signals: SIGTERM to rank 0, to rank 1 and to torchrun; the seconds until all is saved and gone.
ranks: 1 rank of 4 crops, 2 ranks of 2 and 2 nodes of 2 ranks of 1 (torchrun, loopback): validation losses and weights.
disk: a full disk (a small tmpfs; needs root) and a read-only one.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _head
import torch

from impasto.training.checkpoint_io import DurableCheckpointIO, checkpoints_at, is_whole

Outcome = tuple[str, str]  # what was done, what came of it

options: argparse.Namespace


def words(folder: Path, *overrides: str) -> list[str]:
    vgg = [f"loss.features.weights={options.vgg}"] if options.vgg else []
    return [
        f"style.image={options.style}", f"data.root={options.photographs}", "data.crop=64", "margin=8",
        "data.heldout=2", "style.size=128",
        "data.workers=0", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.val_check_interval=50",
        "init=none",
        "callbacks.checkpoint.every_n_train_steps=10", f"output={folder / 'style.safetensors'}",
        f"paths.run={folder / 'run'}",
        *vgg, *overrides,
    ]  # fmt: skip


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def train(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    return start("impasto.training", *words(folder, *overrides))


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {errors[-2000:]}")
    return errors


def checkpoint(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "run" / "last.ckpt", weights_only=True)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield every tensor of a nested state, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from tensors(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)


def resume(folder: Path) -> Iterator[Outcome]:
    steps = f"trainer.max_steps={options.steps}"
    began = time.monotonic()
    finish(train(folder / "straight", steps))
    whole_run = time.monotonic() - began
    kills, rng = 0, random.Random(options.seed)
    while kills < options.kills:
        process = train(folder / "broken", steps, "ckpt_path=last")
        time.sleep(rng.uniform(0, whole_run))
        if process.poll() is not None:  # it had come to its end: begin again, the kills go on counting
            for path in (folder / "broken" / "run").glob("last*.ckpt"):
                path.unlink()
            continue
        process.kill()
        process.wait()
        kills += 1
        reached = next(
            (checkpoint(folder / "broken")["global_step"] for _ in checkpoints_at(folder / "broken/run/last.ckpt")), 0
        )
        print(f"  kill {kills}, checkpoint of step {reached}", file=sys.stderr, flush=True)
    finish(train(folder / "broken", steps, "ckpt_path=last"))
    one, other = (
        list(tensors([checkpoint(folder / name)[part] for part in ("state_dict", "optimizer_states")]))
        for name in ("straight", "broken")
    )
    equal = sum(torch.equal(left, right) for left, right in zip(one, other, strict=True))
    yield (
        f"{kills} SIGKILLs in a run of {options.steps} steps",
        f"{equal} of {len(one)} tensors bit-equal to the straight run's",
    )


def _save_for_ever(path: Path) -> None:
    writer, step = DurableCheckpointIO(), 0
    while True:
        writer.save_checkpoint({"step": step, "state_dict": {"weights": torch.rand(500_000)}}, path)
        step += 1


def saves(folder: Path) -> Iterator[Outcome]:
    path, rng, unreadable, step = folder / "last.ckpt", random.Random(options.seed), 0, []
    for _ in range(options.saves):
        process = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(path,))
        process.start()
        time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        process.join()
        kept = list(checkpoints_at(path))
        unreadable += bool(kept) and not is_whole(kept[0])
        step.append(len(kept))
    if not any(step):
        sys.exit("nothing was saved in all this time")
    yield (
        f"{options.saves} SIGKILLs into saves",
        f"{unreadable} unreadable newest checkpoints; at most {max(step)} kept",
    )


def torchrun(folder: Path, nodes: int, node: int, ranks: int, port: int, *overrides: str) -> subprocess.Popen[str]:
    return start(
        "torch.distributed.run", f"--nnodes={nodes}", f"--node-rank={node}", f"--nproc-per-node={ranks}",
        "--master-addr=127.0.0.1",
        f"--master-port={port}", "-m", "impasto.training",
        *words(folder, "trainer=torchrun", *overrides), OMP_NUM_THREADS="1",
    )  # fmt: skip


def ranks_below(process: subprocess.Popen[str]) -> dict[int, int]:
    """Return the process of every rank below torchrun."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    found = {}
    for child in map(int, children):
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {int(item[5:]): child for item in environment if item.startswith(b"RANK=")}
    return found


def signals(folder: Path) -> Iterator[Outcome]:
    for number, whom in enumerate(("rank 0", "rank 1", "torchrun")):
        here = folder / str(number)
        process = torchrun(here, 1, 0, 2, 29_600 + number, "trainer.max_steps=100000")
        while not (here / "style.safetensors").exists():
            time.sleep(0.1)
            if process.poll() is not None:
                finish(process)
        began = time.monotonic()
        os.kill(process.pid if whom == "torchrun" else ranks_below(process)[number], signal.SIGTERM)
        _, errors = process.communicate()
        said = next((line for line in errors.splitlines() if line.startswith("stopped by")), "it did not say so")
        whole = is_whole(here / "run" / "last.ckpt")
        gone = f"gone after {time.monotonic() - began:.1f} s, exit code {process.returncode}"
        yield f"SIGTERM to {whom}", f"{gone}, whole: {whole}; {said}"


def curve(folder: Path) -> list[float]:
    with (folder / "run" / "metrics.csv").open() as file:
        return [float(row["val/total"]) for row in csv.DictReader(file) if row["val/total"]]


def ranks(folder: Path) -> Iterator[Outcome]:
    same = ("trainer.max_steps=10", "trainer.val_check_interval=1")  # rounding grows from step to step
    finish(train(folder / "1x4", *same, "data.batch_size=4"))
    finish(torchrun(folder / "2x2", 1, 0, 2, 29_610, *same, "data.batch_size=2"))
    nodes = [torchrun(folder / "2x2x1", 2, node, 2, 29_611, *same, "data.batch_size=1") for node in range(2)]
    for node in nodes:
        finish(node)
    reference = curve(folder / "1x4")
    for name in ("2x2", "2x2x1"):
        off = max(abs(a - b) / a for a, b in zip(reference, curve(folder / name), strict=True))
        models = len(list((folder / name).glob("*.safetensors")))
        yield (
            f"{name} against 1x4",
            f"{len(reference)} validation losses, at most {off:.1e} apart; {models} style model",
        )


def disk(folder: Path) -> Iterator[Outcome]:
    for name, mount in (("full", "size=20m"), ("read-only", "size=50m")):
        here = folder / name
        here.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", mount, "tmpfs", here], check=True)
        try:
            finish(
                train(here, "trainer.max_steps=10", "trainer.plugins.0.keep=1", f"output={folder / name}.safetensors")
            )
            before = checkpoint(here)["global_step"]
            if name == "full":
                free = os.statvfs(here)
                (here / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 100_000)))
            else:
                subprocess.run(["mount", "-o", "remount,ro", here], check=True)
            process = train(
                here,
                "trainer.max_steps=30",
                "trainer.plugins.0.keep=1",
                "ckpt_path=last",
                "logger=none",
                f"output={folder / name}.safetensors",
            )
            _, errors = process.communicate()
            said = next((line for line in errors.splitlines() if line.startswith("impasto:")), errors[-200:])
            whole = is_whole(here / "run" / "last.ckpt") and checkpoint(here)["global_step"] >= before
            yield name, f"exit code {process.returncode}, earlier checkpoint whole: {whole}; {said}"
        finally:
            subprocess.run(["umount", here], check=True)


def main() -> None:
    global options
    parser = _head.parser(__doc__)
    trials = {trial.__name__: trial for trial in (resume, saves, signals, ranks, disk)}
    parser.add_argument("trials", nargs="*", default=list(trials), metavar="TRIAL", help=", ".join(trials))
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True, help="the style picture")
    parser.add_argument("--vgg", help="weights of VGG-19 (default: the slim loss network)")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--saves", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(_head.stamp())
    rows: list[_head.Row] = []
    for name in options.trials:
        with tempfile.TemporaryDirectory() as folder:
            for case, outcome in trials[name](Path(folder)):
                print(f"{name}: {case}: {outcome}", flush=True)
                rows.append({"trial": name, "case": case, "outcome": outcome})
    _head.save(
        options.results, "recovery", "What becomes of a run that is killed, stopped, spread or out of disk", rows
    )


if __name__ == "__main__":
    main()
