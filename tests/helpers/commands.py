"""Commands that tests run in a process of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

# of a short run: it is judged and kept every few of them
STEPS = ("trainer.val_check_interval=4", "callbacks.checkpoint.every_n_train_steps=3", "data.heldout=1")


def training_command(folder: Path, photographs: Path, vgg: Path, *overrides: str) -> list[str]:
    """The command of a small training run that leaves everything in `folder`."""
    return [
        sys.executable, "-m", "impasto.training", f"style.image={photographs / '01.png'}", f"data.root={photographs}",
        f"loss.features.weights={vgg}", "network.width=4", "network.blocks=1", "data.crop=32", "margin=8",
        "data.batch_size=2", "data.heldout_size=48", "style.size=64", f"output={folder / 'style.safetensors'}",
        f"paths.run={folder / 'run'}", *overrides,
    ]  # fmt: skip


def start(folder: Path, photographs: Path, vgg: Path, *overrides: str, **environment: str) -> subprocess.Popen[str]:
    """Begin a small training from random weights in a process of its own."""
    words = training_command(folder, photographs, vgg, "init=none", *STEPS, *overrides)
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a process that has to end with `code`; return what it said on stderr."""
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
    """The newest checkpoint of `training_command`'s run."""
    return torch.load(folder / "run" / "last.ckpt", weights_only=True)
