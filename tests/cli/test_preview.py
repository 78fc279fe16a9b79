"""`impasto preview`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from helpers.stylizing import photo, tree
from impasto import cli
from impasto.any_style import find


def preview(*words: object) -> int:
    return cli.main(["preview", *map(str, words), "--device", "cpu"])


def test_a_preview_numbers_what_a_style_can_be(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(folder / "a.png", 1)
    assert preview(painter, "a.png", "--size", "32") == 0
    header, *rows, path, command = capsys.readouterr().out.splitlines()
    assert header.split() == ["number", "strength", "stroke", "color"] and path == "preview.png"
    assert [row.split()[0] for row in rows] == [str(number) for number in range(1, 19)]
    assert rows[4].split() == ["5", "0.75", "0.5", "photo"]
    assert command.startswith(f"choose one: impasto stylize a.png -s {painter}")
    assert Image.open(folder / "preview.png").width > 6 * 32 and tree(folder) == {"a.png", "preview.png"}


def test_of_a_picture_each_stroke_is_a_size_at_which_the_picture_is_read(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(folder / "a.png", 1)
    photo(folder / "my painting.jpg", 2)
    read: list[tuple[str, int]] = []
    monkeypatch.setattr(find, "find_painter", lambda style, size: (read.append((style, size)), painter)[1])
    assert preview("my painting.jpg", "a.png", "-o", "p.png", "--size", "32") == 0
    assert read == [("my painting.jpg", size) for size in (256, 512, 1024)]
    assert capsys.readouterr().out.splitlines()[-1] == "choose one: impasto train 'my painting.jpg' --pick N"
    assert preview("my painting.jpg", "a.png", "-o", "p.png", "--size", "32", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["output"], report["style"], report["failed"]) == ("p.png", "my painting.jpg", [])
    assert report["picks"][17] == {"number": 18, "strength": 1.0, "stroke": 2.0, "color": "photo", "style_size": 1024}


@pytest.mark.parametrize(("words", "said"), [
    (["weve", "a.png"], "did you mean wave"), (["wave", "gone.png"], "gone.png"), (["gone.jpg", "a.png"], "gone.jpg"),
    (["wave", "a.png", "-o", "a.png"], "choose another -o"),
    (["wave", "a.png", "--size", "9999"], "too large for a sheet of 18; choose a smaller one"),
])  # fmt: skip
def test_mistakes_of_a_preview_are_named(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    assert preview(*words, "--json") in (1, 2)
    told, remarks = capsys.readouterr()
    assert said in remarks and json.loads(told)["output"] is None and tree(folder) == {"a.png"}
