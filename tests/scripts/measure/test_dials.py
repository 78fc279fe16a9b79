"""scripts/measure/dials.py from its command to its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from helpers.scripts import load_script


def test_it_saves_a_row_for_each_dial(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script("measure/dials")
    monkeypatch.setattr(script, "DIALS", {name: script.DIALS[name] for name in ("none", "color match", "mask")})
    words = ["dials.py", photographs, "--sizes", "48x32", "--rounds", "1", "--images", "2", "--results", tmp_path]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    script.main()
    rows = json.loads((tmp_path / "dials.json").read_text())["rows"]
    assert [(row["dials"], row["images"]) for row in rows] == [("none", 2), ("color match", 2), ("mask", 2)]
    assert rows[0]["times"] == 1
