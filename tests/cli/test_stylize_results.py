"""Each result of `impasto stylize` stands for its own photograph: names, trees, --resume."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from helpers.stylizing import photo, stands_for, stylize, tree


def test_results_mirror_the_tree(folder: Path, painter: Path) -> None:
    for seed, name in enumerate(("t/cat/1.jpg", "t/dog/1.jpg", "t/1.jpg")):
        photo(folder / name, seed)
    assert stylize("t", "-s", painter, "-o", "out") == 0
    assert tree(folder / "out") == {"cat/1.tiny.jpg", "dog/1.tiny.jpg", "1.tiny.jpg"}
    assert stylize("t/*/1.jpg", "-s", painter, "-o", "globbed") == 0
    assert tree(folder / "globbed") == {"cat/1.tiny.jpg", "dog/1.tiny.jpg"}
    assert stylize("t/cat/1.jpg", "t/dog/1.jpg", "-s", painter, "-o", "flat") == 0
    assert tree(folder / "flat") == {"1.tiny.jpg", "1-2.tiny.jpg"}


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_photograph_keeps_the_name_of_its_painting(folder: Path, painter: Path, resume: list[str]) -> None:
    names = ["p.ico", "p.png", "a/p.png", "b/p.png"]  # .ico is written as .png
    for seed, name in enumerate(names):
        photo(folder / name, seed)
    assert stylize("p.ico", "p.png", "a", "b", "-s", painter, "-o", "out") == 0
    assert len(tree(folder / "out")) == 4
    photo(folder / "A/p.png", 8)
    photo(folder / "new/p.png", 9)
    assert stylize("new", "A", "b", "a", "p.png", "p.ico", "-s", painter, "-o", "out", *resume) == 0
    assert len(tree(folder / "out")) == 6
    sources = [folder / name for name in (*names, "A/p.png", "new/p.png")]
    results = [folder / "out" / name for name in tree(folder / "out")]
    assert sorted(sum(stands_for(result, source, painter) for result in results) for source in sources) == [1] * 6


def test_resume_takes_no_painting_for_that_of_another_source(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = photo(folder / "1.png", 1), photo(folder / "2.png", 2)
    assert stylize(first, "-s", painter, "-o", "o.png") == 0
    assert stylize(second, "-s", painter, "-o", "o.png", "--resume") == 0
    assert stands_for(folder / "o.png", second, painter)
    assert stylize(second, "-s", painter) == 0 and (folder / "2.tiny.png").is_file()
    capsys.readouterr()
    assert stylize(second, "-s", painter, "-o", "o.png", "--resume", "--json") == 0
    told, remarks = capsys.readouterr()
    assert "1 left as they were" in remarks
    report = json.loads(told)
    assert report["done"] == [] and report["left"] == [{"input": str(second), "output": "o.png"}]


@pytest.mark.parametrize("what", ["source", "model", "size", "torn", "nothing", "unknown"])
def test_resume_paints_anew_what_was_made_from_anything_else(folder: Path, painter: Path, what: str) -> None:
    source, model = photo(folder / "1.png", 1), folder / "m.safetensors"
    shutil.copy(painter, model)
    assert stylize(source, "-s", model) == 0
    result, before = folder / "1.m.png", (folder / "1.m.png").stat()
    words: list[object] = []
    if what == "source":
        photo(source, 7)
    elif what == "model":
        from impasto.checkpoint import load_style_model, save_style_model

        changed = load_style_model(model)
        changed.training.steps = 99
        save_style_model(model, changed)
    elif what == "size":
        words = ["--size", 16]
    elif what == "torn":
        result.write_bytes(result.read_bytes()[:99])
    elif what == "unknown":  # painted by an earlier version, or the cache was emptied
        shutil.rmtree(folder.parent / "cache" / "results")
    assert stylize(source, "-s", model, "--resume", *words) == 0
    is_left = result.stat().st_ino == before.st_ino
    assert is_left == (what in ("nothing", "unknown"))
    assert what != "source" or stands_for(result, source, model)


def test_with_resume_nothing_replaces_the_painting_of_a_source_that_is_not_named(folder: Path, painter: Path) -> None:
    x, y = photo(folder / "x/1.png", 1), photo(folder / "y/1.png", 2)
    assert stylize("x", "-s", painter, "-o", "out") == 0
    assert stylize("y", "-s", painter, "-o", "out", "--resume") == 0
    assert stands_for(folder / "out/1.tiny.png", x, painter) and stands_for(folder / "out/1-2.tiny.png", y, painter)
    y.rename(folder / "y/2.png")
    x.unlink()  # whose painting may go, too
    photo(folder / "z/1.png", 3)
    assert stylize("z", "-s", painter, "-o", "out", "--resume") == 0
    assert stands_for(folder / "out/1.tiny.png", folder / "z/1.png", painter)


def test_results_of_any_style_are_no_sources(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(folder / "f/a.jpg", 1)
    shutil.copy(painter, folder / "second.safetensors")
    for style in (painter, folder / "second.safetensors", "wave"):
        assert stylize("f", "-s", style) == 0
    assert tree(folder / "f") == {"a.jpg", "a.tiny.jpg", "a.second.jpg", "a.wave.jpg"}
    assert "results of earlier paintings passed over: 2" in capsys.readouterr().err
    assert stylize("f/a.second.jpg", "-s", painter) == 0  # named, it is painted
    assert (folder / "f/a.second.tiny.jpg").is_file()
    photo(folder / "f/a.second.jpg", 5)  # another picture by that name is a photograph
    os.utime(folder / "f/a.second.jpg", (1, 1))
    (folder / "f/a.second.tiny.jpg").unlink()
    assert stylize("f", "-s", painter) == 0 and (folder / "f/a.second.tiny.jpg").is_file()
