"""What every measuring script saves, and with what it says where it comes from: scripts/measure/_head.py."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from helpers.places import ROOT
from helpers.results import SPEEDS

MEASURING = sorted(path.name for path in (ROOT / "scripts" / "measure").glob("[!_]*.py"))


def test_results_say_where_they_come_from_and_name_no_folder_of_the_machine(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {"speed.json", "speed.csv"}
    record = json.loads((saved / "speed.json").read_text())
    assert record["rows"] == SPEEDS and record["title"] == "How fast"
    assert record["command"] == "python scripts/measure/speed.py photographs --vgg=vgg.pth --pairs 7"
    assert {"device", "cores", "threads"} == set(record["machine"]) and {"impasto", "torch"} <= set(record["versions"])
    assert "/home/me" not in (saved / "speed.json").read_text() and str(ROOT) not in (saved / "speed.json").read_text()


def test_the_csv_has_the_same_rows(saved: Path) -> None:
    with (saved / "speed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"network": "brush", "ms": "8.25", "extra_mb": "", "is_fast": ""}
    assert rows[1] == {"network": "a|b", "ms": "1234", "extra_mb": "", "is_fast": "True"}


@pytest.mark.parametrize(("word", "shown"), [
    ("/a/b/photo.jpg", "photo.jpg"), ("--vgg=/a/vgg.pth", "--vgg=vgg.pth"), ("shipped=/a/models", "shipped=models"),
    ("../shared/judge", "../shared/judge"), ("/a/b=/c", "c"), ("--size", "--size"), ("/a/my photos", "'my photos'"),
])  # fmt: skip
def test_of_an_absolute_path_the_command_keeps_the_last_name(head: ModuleType, word: str, shown: str) -> None:
    script = str(ROOT / "scripts" / "measure" / "x.py")
    assert head.command([script, word]) == f"python scripts/measure/x.py {shown}"


@pytest.mark.parametrize("rows", [[], [{"ms": float("nan")}], [{"ms": object()}]])
def test_what_cannot_be_saved_leaves_the_earlier_results(head: ModuleType, saved: Path, rows: list[Any]) -> None:
    before = {path: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises((ValueError, TypeError)):
        head.save(saved, "speed", "How fast", rows)
    assert {path: path.read_bytes() for path in saved.iterdir()} == before


def test_memory_is_measured_from_a_process_without_torch() -> None:
    """A child's peak of memory is at least what its parent held when it began."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import cold_start, huge; print('torch' in sys.modules)"
    words = [sys.executable, "-c", code, str(ROOT / "scripts" / "measure")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "False"


@pytest.mark.parametrize("name", MEASURING)
def test_every_measuring_script_saves_results(name: str) -> None:
    text, stem = "".join((ROOT / "scripts" / "measure" / name).read_text(encoding="utf-8").split()), Path(name).stem
    is_named_by_option = "_head.save(options.results,options.name" in text and f'"--name",default="{stem}"' in text
    assert f'_head.save(options.results,"{stem}"' in text or is_named_by_option
