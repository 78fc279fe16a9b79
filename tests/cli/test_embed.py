"""`impasto embed`, and painting with what it wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.predictors import style_picture
from helpers.stylizing import photo, stylize, tree
from impasto import cli
from impasto.any_style.files import read_style_vector
from impasto.system.files import temporary_cache_dir


def embed(*words: object) -> int:
    return cli.main(["embed", *map(str, words)])


def test_the_vector_paints_what_the_picture_paints_to_the_byte(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    style_picture(folder / "p.jpg")
    assert embed("p.jpg") == 0 and capsys.readouterr().out == "p.vector.safetensors\n"
    assert stylize("a.png", "-s", "p.jpg", "-o", "one.png") == 0
    assert "p.jpg: a painter predicted at once; `impasto train PICTURE` comes closer" in capsys.readouterr().err
    assert stylize("a.png", "-s", "p.vector.safetensors", "-o", "other.png") == 0
    assert (folder / "one.png").read_bytes() == (folder / "other.png").read_bytes()
    assert (folder / "p.vector.safetensors").stat().st_size < 10_000
    assert stylize("a.png", "-s", "p.vector.safetensors") == 0 and (folder / "a.p.png").is_file()


def test_a_blend_is_kept_as_a_style_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style_picture(folder / "p.jpg")
    assert embed("p.jpg:0.7,wave:0.3", "-o", "out/mine.safetensors", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    vector = read_style_vector(folder / "out/mine.safetensors")
    name = "p-70+wave-30"
    assert report == {"output": "out/mine.safetensors", "name": name, "size": len(vector.values), "failed": []}
    assert vector.name == name
    photo(folder / "a.png", 1)
    assert stylize("a.png", "-s", "out/mine.safetensors:0.5,oils:0.5") == 0
    assert (folder / "a.mine+oils.png").is_file()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["p.jpg", "-o", "p.jpg"], 2, "a style file's name ends in .safetensors"),
        (["gone.jpg"], 1, "gone.jpg: no such file"),
        (["p.jpg:0.7"], 2, "must make 1"),
        (["p.jpg", "-o", "mine.safetensors"], 2, "something else is there, a painter perhaps"),
        (["mine.safetensors"], 1, "lacks the statistics that a blend needs"),
        (["p.jpg", "-o", "folder.safetensors"], 2, "something else"),
        (["p.jpg", "-o", "p.jpg/x.safetensors"], 1, "cannot be written"),
    ],
)
def test_mistakes_are_named_and_nothing_is_replaced(
    folder: Path, painter: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    style_picture(folder / "p.jpg")
    shutil.copy(painter, folder / "mine.safetensors")
    (folder / "folder.safetensors").mkdir()
    before = {name: (folder / name).read_bytes() for name in tree(folder)}
    assert embed(*words, "--json") == code
    out, err = capsys.readouterr()
    assert err.startswith("impasto: ") and err.count("\n") == 1 and said in err
    assert json.loads(out)["output"] is None and said in json.loads(out)["failed"][0]["error"]
    assert {name: (folder / name).read_bytes() for name in tree(folder)} == before


def test_a_vector_may_be_made_again(folder: Path) -> None:
    style_picture(folder / "p.jpg")
    assert embed("p.jpg") == embed("p.jpg") == 0


def test_where_the_cache_cannot_be_written_one_line_says_so_and_the_painting_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cache").touch()
    monkeypatch.setenv("IMPASTO_CACHE", str(folder / "cache"))
    photo(folder / "a.png", 1)
    style_picture(folder / "p.jpg")
    assert stylize("a.png", "-s", "p.jpg") == 0
    said = capsys.readouterr().err
    assert said.count("nothing can be written there, so the next time takes as long") == 1
    assert (folder / "a.p.png").is_file() and list(temporary_cache_dir().rglob("p.safetensors"))
