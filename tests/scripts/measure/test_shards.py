"""One measuring script from its command to its files: scripts/measure/shards.py, the quickest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from helpers.places import ROOT


def test_the_quickest_script_saves_what_it_prints(tmp_path: Path, photographs: Path) -> None:
    script = ROOT / "scripts" / "measure" / "shards.py"
    words = [script, photographs, "-o", tmp_path / "shards", "--shards", 6, "--size", 64, "--crop", 32, "--images", 8]
    words += ["--rounds", 1, "--results", tmp_path / "results"]
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"
    }  # another test may have set it
    command = [sys.executable, *map(str, words)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert run.returncode == 0, run.stderr
    names = {"shards.json", "shards.csv", "shards_completeness.json", "shards_completeness.csv"}
    assert {path.name for path in (tmp_path / "results").iterdir()} == names
    rows = json.loads((tmp_path / "results" / "shards_completeness.json").read_text())["rows"]
    assert all(f"{row['case']}: {row['outcome']}" in run.stdout.splitlines() for row in rows)
    assert [row["outcome"] for row in rows[:3]] == ["each image once: True"] * 3
