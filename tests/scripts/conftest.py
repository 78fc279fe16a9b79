"""A folder of results, as measuring scripts save them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from helpers.places import ROOT
from helpers.results import SPEEDS
from helpers.scripts import load_script


@pytest.fixture(scope="module")
def head() -> ModuleType:
    return load_script("measure/_head")


@pytest.fixture
def saved(head: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one table."""
    words = [
        ROOT / "scripts" / "measure" / "speed.py",
        "/home/me/photographs",
        "--vgg=/home/me/vgg.pth",
        "--pairs",
        7,
        "--results",
        "/tmp/x",
    ]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    head.save(tmp_path / "results", "speed", "How fast", SPEEDS)
    return tmp_path / "results"
