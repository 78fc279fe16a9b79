"""Weights & Biases: the environment's word, no network, and the curve of a run that goes on."""

from __future__ import annotations

import os
import socket
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from helpers.commands import training_command
from impasto.training.tracking import last_wandb_id, wandb_offline

pytest.importorskip("wandb")
KEY = "0123456789" * 4


@pytest.mark.parametrize(
    ("mode", "offline"), [("disabled", False), ("online", False), ("offline", True), ("dryrun", True)]
)
def test_the_environments_word_counts(mode: str, offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert wandb_offline() == offline


def test_without_a_key_or_an_answer_it_logs_offline_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_MODE", "WANDB_API_KEY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert wandb_offline() and "no key, so it logs offline" in capsys.readouterr().err
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert wandb_offline() and "does not answer, so it logs offline" in capsys.readouterr().err
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # which answers with an error
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        assert not wandb_offline()
    assert "logger=wandb" not in capsys.readouterr().err


def run(folder: Path, photographs: Path, vgg: Path, mode: str, *words: str) -> None:
    command = training_command(folder, photographs, vgg, "logger=wandb", "trainer.log_every_n_steps=1", *words)
    # Without the service that another test of this process may have started, which may not be done with the run before.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_SERVICE")}
    environment = {**inherited, "WANDB_MODE": mode, "WANDB_SILENT": "true"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_its_id(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    run(tmp_path, photographs, random_vgg, "disabled", "trainer.max_steps=1")
    assert last_wandb_id(tmp_path / "run") is None and not (tmp_path / "run" / "wandb").exists()
    run(tmp_path, photographs, random_vgg, "offline", "trainer.max_steps=2")
    first = last_wandb_id(tmp_path / "run")
    run(tmp_path, photographs, random_vgg, "offline", "trainer.max_steps=3", "ckpt_path=last")
    assert first and last_wandb_id(tmp_path / "run") == first
