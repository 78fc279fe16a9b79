"""From saved rows to docs/results.md: scripts/release/make_results_page.py."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from helpers.places import ROOT
from helpers.results import SPEEDS
from helpers.scripts import load_script


@pytest.fixture(scope="module")
def make_results_page() -> ModuleType:
    return load_script("release/make_results_page")


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
    head.save(saved, "memory", "How much", SPEEDS)
    assert "Earlier" not in make_results_page.page(saved)


def test_the_terms_come_before_the_tables(make_results_page: ModuleType, saved: Path) -> None:
    (saved / "notes.md").write_text("## The terms\n\n**Speed** is fast.\n")
    text = make_results_page.page(saved)
    assert text.index("**Speed**") < text.index("## speed")
