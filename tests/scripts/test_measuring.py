"""From measured rows to a page: scripts/measure/_head.py and scripts/release/make_results_page.py."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from helpers.places import ROOT
from helpers.scripts import load_script

ROWS = [{"network": "brush", "ms": 8.25, "extra_mb": None}, {"network": "a|b", "ms": 1234, "is_fast": True}]
MEASURING = sorted(path.name for path in (ROOT / "scripts" / "measure").glob("[!_]*.py"))


@pytest.fixture(scope="module")
def head() -> ModuleType:
    return load_script("measure/_head")


@pytest.fixture(scope="module")
def make_results_page() -> ModuleType:
    return load_script("release/make_results_page")


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
    head.save(tmp_path / "results", "speed", "How fast", ROWS)
    return tmp_path / "results"


def test_results_say_where_they_come_from_and_name_no_folder_of_the_machine(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {"speed.json", "speed.csv"}
    record = json.loads((saved / "speed.json").read_text())
    assert record["rows"] == ROWS and record["title"] == "How fast"
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
def test_what_cannot_be_saved_leaves_the_earlier_results(
    head: ModuleType, saved: Path, rows: list[dict[str, Any]]
) -> None:
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
    text = (ROOT / "scripts" / "measure" / name).read_text(encoding="utf-8")
    assert f'_head.save(options.results,"{Path(name).stem}"' in "".join(text.split())


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


def test_the_page_shows_each_table_with_its_origin(make_results_page: ModuleType, saved: Path) -> None:
    text = make_results_page.page(saved)
    assert "## speed\n\nHow fast.\n\n| network | ms | extra mb | is fast |\n| --- | --- | --- | --- |\n" in text
    assert "| brush | 8.25 |  |  |\n| a\\|b | 1,234 |  | yes |\n" in text
    assert "`python scripts/measure/speed.py photographs --vgg=vgg.pth --pairs 7`" in text
    record = json.loads((saved / "speed.json").read_text())
    assert f"{record['date']}, {record['machine']['device']}, cores" in text and "torch 2" in text


@pytest.mark.parametrize("text", ["[]", "{", "7", '{"name": "x"}'])
def test_a_file_of_another_kind_is_named(make_results_page: ModuleType, saved: Path, text: str) -> None:
    (saved / "strange.json").write_text(text)
    with pytest.raises(ValueError, match=r"strange\.json: .*measure again"):
        make_results_page.page(saved)


def test_the_page_of_results_is_what_the_files_say(make_results_page: ModuleType) -> None:
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == make_results_page.page(ROOT / "results")


def test_an_earlier_table_stays_until_it_is_measured_again(
    head: ModuleType, make_results_page: ModuleType, saved: Path
) -> None:
    record = json.loads((saved / "speed.json").read_text())
    (saved / "earlier").mkdir()
    for name, until in (("memory", {}), ("speed_of_brush", {"until": "speed"}), ("speed", {})):
        earlier = {**record, "name": name, "title": f"Earlier {name}", "note": f"A note on {name}.", **until}
        (saved / "earlier" / f"{name}.json").write_text(json.dumps(earlier))
    text = make_results_page.page(saved)
    assert "Earlier memory" in text and "A note on memory." in text
    assert "Earlier speed" not in text
    head.save(saved, "memory", "How much", ROWS)
    assert "Earlier" not in make_results_page.page(saved)


def test_the_terms_come_before_the_tables(make_results_page: ModuleType, saved: Path) -> None:
    (saved / "notes.md").write_text("## The terms\n\n**Speed** is fast.\n")
    text = make_results_page.page(saved)
    assert text.index("**Speed**") < text.index("## speed")
