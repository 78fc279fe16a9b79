"""Two trainings at once: the second is refused, whatever became of the first, and nothing of the lock stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.commands import training_command, wait_for
from impasto.errors import UsageError
from impasto.system import lock
from impasto.system.lock import locked

HOLDER = """if True:
    import os, sys, time
    from pathlib import Path
    from impasto.system.lock import locked
    with locked(Path(sys.argv[1]), "paths.run"):
        if os.fork() == 0:
            time.sleep(30)  # a worker that outlives a killed training
            os._exit(0)
        print("held", flush=True)
        time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="forks")
def test_only_a_live_process_holds_a_lock(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "p"
    process = holder(run)
    with pytest.raises(UsageError, match=rf"paths.run={run}: process {process.pid} on .* is training there"):
        locked(run, "paths.run").__enter__()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(run, "paths.run"):
        assert (run.parent / ".p.lock").read_text().split() == [socket.gethostname(), str(os.getpid())]
    assert list(run.parent.iterdir()) == []


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "a" / "b" / "c", "paths.run"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def _no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that knows none; there is no such disk at hand."""
    monkeypatch.setattr(lock, "_system_lock", lambda handle: None)


@pytest.mark.usefixtures("_no_locks")
def test_where_the_disk_has_no_locks_the_names_in_the_file_count(tmp_path: Path) -> None:
    file, run = tmp_path / ".p.lock", tmp_path / "p"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for free in (f"{socket.gethostname()} {dead.pid}\n", f"{socket.gethostname()} {os.getpid()}\n"):
        file.write_text(free)
        with locked(run, "paths.run"):
            assert file.read_text().split()[1] == str(os.getpid())
        assert not file.exists()
    for taken in (f"{socket.gethostname()} {os.getppid()}\n", "elsewhere 7\n", "rubbish"):
        file.write_text(taken)
        with pytest.raises(UsageError, match=r"or remove .*\.p\.lock, if it has ended"):
            locked(run, "paths.run").__enter__()
        assert file.read_text() == taken


def start(folder: Path, photographs: Path, vgg: Path, *words: str) -> subprocess.Popen[str]:
    command = training_command(
        folder, photographs, vgg, "init=none", "callbacks.checkpoint.every_n_train_steps=3", *words
    )
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_second_training_is_refused_while_the_first_lives(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    first = start(tmp_path, photographs, random_vgg, "trainer.max_steps=1000000")
    wait_for(tmp_path / "run" / "last.ckpt")
    first.send_signal(signal.SIGSTOP)  # it lives, and leaves the processor to the others
    for words, named in (
        ((), "output"),
        ((f"output={tmp_path / 'o.safetensors'}",), "paths.run"),
        ((f"paths.run={tmp_path / 'x'}",), "output"),
    ):
        second = start(tmp_path, photographs, random_vgg, "trainer.max_steps=1", *words)
        _, errors = second.communicate(timeout=100)
        assert second.returncode == 2 and f"{named}=" in errors and f"process {first.pid}" in errors, errors
    assert {"run", "style.safetensors"} == {path.name for path in tmp_path.iterdir() if path.name[0] != "."}
    first.kill()
    first.communicate()
    third = start(tmp_path, photographs, random_vgg, "trainer.max_steps=1")
    _, errors = third.communicate(timeout=100)
    assert third.returncode == 0, errors
    # Killed while it wrote, the first one leaves a hidden .part behind.
    assert {"run", "run-1", "style.safetensors"} == {path.name for path in tmp_path.iterdir() if path.name[0] != "."}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc")
def test_ranks_end_with_their_launcher_however_it_ends(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    launcher = start(
        tmp_path, photographs, random_vgg, "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu",
        "trainer.max_steps=1000000",
    )  # fmt: skip
    wait_for(tmp_path / "run" / "last.ckpt")
    ranks = [int(name) for name in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()]
    assert ranks
    launcher.kill()
    launcher.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{rank}").exists() for rank in ranks):
        assert time.monotonic() < deadline, "a rank outlives its launcher"
        time.sleep(0.1)
