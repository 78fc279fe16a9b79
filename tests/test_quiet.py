"""Nobody phones home, and nothing is written but the results and our cache."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.commands import training_command
from impasto.synthetic.contents import procedural_image

# Runs in every Python that a command starts: writes down each name that is looked up and each address that is called.
# What libraries in C call, only strace sees.
WATCH = """
import os, sys
def watch(event, arguments, _busy=[]):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto") and not _busy:
        place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        if isinstance(place, str) and place.startswith("/"):  # a pipe of this machine
            return
        _busy.append(1)
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {place} {sys.argv}\\n")
        _busy.clear()
sys.addaudithook(watch)
"""
PYTHON = [sys.executable, "-m"]


def watched(command: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], list[str], list[str]]:
    """Run a command in `folder`; return what it gave back, whom it called, and the files that it left in the user's
    home.
    """
    watch, home, log = folder / "watch", folder / "home", folder / "called.txt"
    for place in (watch, home):
        place.mkdir(exist_ok=True)
    (watch / "sitecustomize.py").write_text(WATCH)
    hidden = {"CI", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCH_HOME", "IMPASTO_CACHE", "DO_NOT_TRACK"}
    world = {name: value for name, value in os.environ.items() if name not in hidden}
    world |= {"HOME": str(home), "PYTHONPATH": str(watch), "WATCHED": str(log), "IMPASTO_CACHE": str(folder / "cache")}
    trace = folder / "trace.txt"
    strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    if not shutil.which("strace"):
        strace = []
    run = subprocess.run([*strace, *command], cwd=folder, env=world, capture_output=True, text=True, timeout=200)
    called = log.read_text().splitlines() if log.exists() else []
    if strace:
        called += [line for line in trace.read_text().splitlines() if "AF_INET" in line]
    called = [line for line in called if not is_local(line)]
    return run, called, [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]


def is_local(line: str) -> bool:
    """Whether a process called another one of this machine, as W&B and torch's ranks do."""
    return any(place in line for place in ("127.0.0.1", "localhost", '"::1"'))


@pytest.mark.parametrize("backend", ["auto", "openvino", "onnxruntime", "torch"])
def test_painting_calls_nobody(painter: Path, tmp_path: Path, backend: str) -> None:
    Image.fromarray(procedural_image(1, 40)).save(tmp_path / "a.png")
    words = ["impasto", "stylize", "a.png", "-s", str(painter), "--backend", backend, "--device", "cpu"]
    run, called, left = watched([*PYTHON, *words], tmp_path)
    assert run.returncode == 0 and (called, left) == ([], []), run.stderr


def test_painting_from_python_calls_nobody(painter: Path, tmp_path: Path) -> None:
    code = (
        "import impasto, numpy as n; "
        f"impasto.load({str(painter)!r}, 'cpu')(n.zeros((16, 16, 3), n.uint8)); import openvino"
    )
    run, called, left = watched([sys.executable, "-c", code], tmp_path)
    assert run.returncode == 0 and (called, left) == ([], []), run.stderr


@pytest.mark.parametrize("name", ["optimize", "compare", "augment", "train", "benchmark"])
def test_no_command_calls_anybody(
    painter: Path, photographs: Path, random_vgg: Path, tmp_path: Path, name: str
) -> None:
    Image.fromarray(procedural_image(1, 40)).save(tmp_path / "a.png")
    coco = {"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 40}]}
    (tmp_path / "c.json").write_text(json.dumps(coco))
    small = ["--steps", "2", "--size", "32", "--device", "cpu"]
    words = {
        "optimize": ["a.png", "-s", "a.png", "-o", "o.png", "--loss-weights", str(random_vgg), *small],
        "compare": ["a.png", "-s", str(painter), "-o", "report", *small, "--no-polish"],
        "augment": ["--annotations", "c.json", "--images", ".", "-s", str(painter), "-o", "out", "--workers", "1"],
        "train": [*training_command(tmp_path, photographs, random_vgg)[3:], "trainer.max_steps=2"],
        "benchmark": ["--sizes", "32x32", "--runs", "1"],
    }[name]
    run, called, left = watched([*PYTHON, "impasto", name, *words], tmp_path)
    assert run.returncode == 0 and (called, left) == ([], []), run.stderr


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="W&B is not installed")
def test_logging_for_wandb_without_a_key_calls_nobody(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    command = [*training_command(tmp_path, photographs, random_vgg), "trainer.max_steps=2", "logger=wandb"]
    run, called, _ = watched([*PYTHON, "impasto", "train", *command[3:]], tmp_path)
    assert run.returncode == 0 and called == [], run.stderr


def test_a_user_without_a_home_paints(painter: Path, tmp_path: Path) -> None:
    Image.fromarray(procedural_image(1, 40)).save(tmp_path / "a.png")
    code = (
        "import os, pwd, sys\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"
        "for name in ('HOME', 'USER', 'LOGNAME', 'LNAME', 'USERNAME', 'IMPASTO_CACHE', 'XDG_CACHE_HOME'):\n"
        "    os.environ.pop(name, None)\n"
        "from impasto import cli\n"
        f"sys.exit(cli.main(['stylize', 'a.png', '-s', {str(painter)!r}, '--device', 'cpu']))"
    )
    before = set(Path(tmp_path).iterdir())
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0 and "Traceback" not in run.stderr
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"a.tiny.png"}


def test_openvino_is_imported_whole_where_its_telemetry_was_there_before(painter: Path) -> None:
    pytest.importorskip("openvino_telemetry")
    code = (
        "import openvino_telemetry, impasto, sys\n"
        f"impasto.load({str(painter)!r}, 'cpu', backend='openvino')\n"
        "assert sys.modules['openvino_telemetry'] is openvino_telemetry"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
