"""Several styles in one run of `impasto stylize`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.predictors import style_picture
from helpers.stylizing import photo, stands_for, stylize, tree
from impasto.checkpoint import find_style_model, load_style_model, save_style_model
from impasto.datasets import coco_masks
from impasto.datasets.coco import read_coco
from impasto.inference.stylizer import Stylizer


@pytest.fixture
def models(folder: Path, painter: Path) -> list[Path]:
    (folder.parent / "models").mkdir()
    return [Path(shutil.copy(painter, folder.parent / f"models/{name}.safetensors")) for name in ("first", "second")]


def both(models: list[Path]) -> list[object]:
    return ["-s", models[0], "-s", models[1]]


def test_each_source_gets_a_painting_in_each_style_and_each_painter_is_loaded_once(
    folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [photo(folder / "p" / name, seed) for seed, name in enumerate(("a.png", "b.png"))]
    loaded: list[Any] = []
    make = Stylizer.__init__
    monkeypatch.setattr(
        Stylizer, "__init__", lambda self, *words, **more: (loaded.append(1), make(self, *words, **more))[1]
    )
    assert stylize("p", *both(models), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    made = {f"{stem}.{style}.png" for stem in "ab" for style in ("first", "second")}
    assert tree(folder / "p") == {"a.png", "b.png", *made} and len(loaded) == 2
    assert report["style"] is None and report["failed"] == [] and report["left"] == []
    assert {(each["style"], each["input"], each["output"]) for each in report["done"]} == {
        (style, f"p/{stem}.png", f"p/{stem}.{style}.png") for stem in "ab" for style in ("first", "second")
    }
    assert stands_for(folder / "p/b.second.png", sources[1], models[1])


def test_regions_and_annotations_are_read_once_for_all_styles(
    folder: Path, painter: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(folder / "a.png", 1)
    photo(folder / "mask.png", 2)
    loaded: list[Any] = []
    make = Stylizer.__init__
    monkeypatch.setattr(
        Stylizer, "__init__", lambda self, *words, **more: (loaded.append(words[0]), make(self, *words, **more))[1]
    )
    assert stylize("a.png", *both(models), "--region", f"mask.png={painter}", "-o", "out/") == 0
    assert set(loaded) == {painter, *models} and len(loaded) == 3 and len(tree(folder / "out")) == 2
    (folder / "coco.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 32}],
        "annotations": [], "categories": [{"id": 1, "name": "person"}],
    }))  # fmt: skip
    read: list[Path] = []
    monkeypatch.setattr(coco_masks, "read_coco", lambda path: (read.append(path), read_coco(path))[1])
    assert stylize("a.png", *both(models), "--annotations", "coco.json", "--keep", "person", "-o", "kept/") == 0
    assert len(read) == 1 and len(tree(folder / "kept")) == 2


def test_resume_goes_on_in_the_style_that_is_missing(
    folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    assert stylize("a.png", "-s", models[0]) == 0
    capsys.readouterr()
    assert stylize("a.png", *both(models), "--resume", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["output"] for each in report["left"]] == ["a.first.png"]
    assert [each["output"] for each in report["done"]] == ["a.second.png"]


def test_a_bad_source_is_named_once_and_a_bad_model_stops_no_other(
    folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    (folder / "bad.png").write_bytes(b"no picture")
    assert stylize("a.png", "bad.png", "gone.png", *both(models), "-o", "out/") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert len(lines) == 2 and tree(folder / "out") == {"a.first.png", "a.second.png"}
    models[1].write_bytes(models[1].read_bytes()[:-100])
    assert stylize("a.png", *both(models), "-o", "again/") == 1
    assert "second" in capsys.readouterr().err and tree(folder / "again") == {"a.first.png"}


def test_stdin_is_painted_in_each_style(folder: Path, models: list[Path]) -> None:
    data = photo(folder / "a.png", 1).read_bytes()
    command = [
        sys.executable,
        "-m",
        "impasto",
        "stylize",
        "-",
        *map(str, both(models)),
        "-o",
        "out/",
        "--device",
        "cpu",
    ]
    run = subprocess.run(command, cwd=folder, input=data, capture_output=True, timeout=100)
    assert run.returncode == 0 and tree(folder / "out") == {"stdin.first.png", "stdin.second.png"}, run.stderr


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("kind", ["torn", "nothere", "bad.jpg"])
def test_a_bad_style_stops_no_other_in_whichever_order(
    kind: str, is_first: bool, folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    (folder / "torn.safetensors").write_bytes(models[0].read_bytes()[:-100])
    (folder / "bad.jpg").write_bytes(b"no picture")
    styles = ["-s", kind, "-s", models[1]] if is_first else ["-s", models[1], "-s", kind]
    assert stylize("a.png", *styles, "-o", "out/", "--json") == 1
    told, remarks = capsys.readouterr()
    report = json.loads(told)
    assert tree(folder / "out") == {"a.second.png"} and remarks.count("impasto: ") == 1
    assert [each["style"] for each in report["done"]] == ["second"]
    (failure,) = report["failed"]
    assert failure["style"] == kind and failure["input"] is None and kind in failure["error"]


@pytest.mark.parametrize("words", [["nothere", "gone"], ["torn", "ripped"], ["nothere", "torn"]])
def test_styles_that_are_all_bad_are_an_error(
    words: list[str], folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    for name in ("torn", "ripped"):
        (folder / f"{name}.safetensors").write_bytes(models[0].read_bytes()[:-100])
    assert stylize("a.png", "-s", words[0], "-s", words[1], "-o", "out/", "--json") == 1
    told, remarks = capsys.readouterr()
    assert words[0] in remarks and json.loads(told)["done"] == [] and not (folder / "out").exists()


def test_of_several_styles_each_entry_has_its_own_dials(
    folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    model = load_style_model(models[0])
    model.style.dials = {"strength": 0.5}
    save_style_model(models[0], model)
    assert stylize("a.png", *both(models), "--color", "photo", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert "dials" not in report and [each["dials"]["strength"] for each in report["done"]] == [0.5, 1.0]


def test_two_styles_of_one_name_are_told_apart_from_one_given_twice(
    folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    shutil.copy(models[1], folder / "first.safetensors")
    assert stylize("a.png", "-s", models[0], "-s", "first.safetensors") == 2
    assert "-s first.safetensors: paintings in both would be called first; rename one" in capsys.readouterr().err
    assert stylize("a.png", "-s", "first", "-s", "first.safetensors") == 2
    assert "give it once" in capsys.readouterr().err


def test_a_picture_and_the_painter_trained_from_it_are_refused_before_anything_is_painted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    style_picture(folder / "p.jpg")
    shutil.copy(find_style_model("wave"), folder / "p.safetensors")
    for one, other in (("p.jpg", "p.safetensors"), ("p.safetensors,oils", "p.jpg,oils")):
        assert stylize("a.png", "-s", one, "-s", other) == 2
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
        assert len(said) == 1 and "would be called p" in said[0] and "rename one of these files" in said[0]
    assert tree(folder) == {"a.png", "p.jpg", "p.safetensors"}
