"""scripts/measure/crop_sizes.py from its command to its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from helpers.scripts import load_script


def test_the_whole_picture_has_its_own_statistics_and_its_parts_have_them_less(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script("measure/crop_sizes")
    words = ["crop_sizes.py", "--styles", photographs, "--side", "32", "64", "96", "128", "--size", "96"]
    monkeypatch.setattr(sys, "argv", list(map(str, [*words, "--parts", "4", "--results", tmp_path])))
    script.main()
    rows = json.loads((tmp_path / "crop_sizes.json").read_text())["rows"]
    assert len(rows) == 12 and "128 pixels" not in rows[0]
    smallest, middle, whole = (sum(row[f"{side} pixels"] for row in rows) for side in (32, 64, 96))
    assert smallest > middle > whole
    assert whole < 1e-3
