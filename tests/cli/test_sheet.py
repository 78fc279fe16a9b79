"""`impasto sheet`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from helpers.stylizing import photo, tree
from impasto import cli
from impasto.checkpoint import shipped_styles
from impasto.inference.stylizer import Stylizer


def sheet(*words: object) -> int:
    return cli.main(["sheet", *map(str, words), "--device", "cpu"])


def test_a_sheet_shows_each_photograph_in_each_style(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    photo(folder / "p/b.jpg", 2)
    (folder / "p/bad.jpg").write_bytes(b"no picture")
    words = ["-s", painter, "-s", shutil.copy(painter, folder / "other.safetensors"), "--size", "48"]
    assert sheet("a.png", *words) == 0
    one = Image.open(folder / "sheet.png").size
    assert capsys.readouterr().out == "sheet.png\n"
    assert sheet("a.png", "p", *words, "-o", "s.jpg", "--json") == 1
    told, remarks = capsys.readouterr()
    report = json.loads(told)
    assert (report["output"], report["styles"], report["photographs"]) == (
        "s.jpg", ["tiny", "other"], ["a.png", "p/b.jpg"]
    )  # fmt: skip
    assert [each["input"] for each in report["failed"]] == ["p/bad.jpg"] and remarks.count("impasto: ") == 1
    two = Image.open(folder / "s.jpg").size
    assert two[0] == one[0] and two[1] > one[1], "a row each"
    assert tree(folder) == {"a.png", "p/b.jpg", "p/bad.jpg", "other.safetensors", "sheet.png", "s.jpg"}


def test_all_shipped_styles_are_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    monkeypatch.setattr(Stylizer, "__init__", lambda self, *words: None)
    monkeypatch.setattr(Stylizer, "__call__", lambda self, picture: picture)
    assert sheet("a.png", "--json", "--size", "32") == 0
    assert json.loads(capsys.readouterr().out)["styles"] == [path.stem for path in shipped_styles()]


@pytest.mark.parametrize(("words", "said"), [
    (["gone.png"], "no picture there"),
    (["a.png", "-o", "a.png"], "choose another -o"),
    (["a.png", "-o", "s.txt"], "cannot write .txt"),
    (["a.png", "-s", "weve"], "did you mean wave"),
    (["a.png", "--size", "100000"], "smaller --size"),
    (["bad.png"], "bad.png"),
])  # fmt: skip
def test_mistakes_of_a_sheet_are_named(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    (folder / "bad.png").write_bytes(b"no picture")
    before = tree(folder)
    assert sheet(*words, *([] if "-s" in words else ["-s", "wave"]), "--json") in (1, 2)
    told, remarks = capsys.readouterr()
    assert said in remarks and json.loads(told)["output"] is None and tree(folder) == before


def test_an_earlier_sheet_in_the_folder_is_no_photograph(folder: Path, painter: Path) -> None:
    photo(folder / "p/a.png", 1)
    sizes = set()
    for _ in range(2):
        assert sheet("p", "-s", painter, "-o", "p/sheet.png", "--size", "32") == 0
        sizes.add(Image.open(folder / "p/sheet.png").size)
    assert len(sizes) == 1


def test_a_damaged_model_costs_no_other_style(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(folder / "a.png", 1)
    broken = folder / "broken.safetensors"
    broken.write_bytes(painter.read_bytes()[:-100])
    assert sheet("a.png", "-s", broken, "-s", painter, "--size", "32", "--json") == 1
    told, remarks = capsys.readouterr()
    assert json.loads(told)["styles"] == ["tiny"] and remarks.count("impasto: ") == 1
    assert sheet("a.png", "-s", broken, "-o", "none.png") == 2 and not (folder / "none.png").exists()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_style_that_is_not_there_costs_no_other(
    is_first: bool, folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    styles = ["-s", "nothere", "-s", painter] if is_first else ["-s", painter, "-s", "nothere"]
    assert sheet("a.png", *styles, "--size", "32", "--json") == 1
    told, remarks = capsys.readouterr()
    report = json.loads(told)
    assert report["styles"] == ["tiny"] and [each["input"] for each in report["failed"]] == ["nothere"]
    assert remarks.count("impasto: ") == 1 and (folder / "sheet.png").is_file()
    assert sheet("a.png", "-s", "nothere", "-s", "gone", "-o", "none.png") == 1 and not (folder / "none.png").exists()
