"""`impasto stylize`: results beside the photographs, the good ones done and the bad ones named, nothing overwritten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from impasto import cli


def stylize(*arguments: object) -> int:
    return cli.main(["stylize", *map(str, arguments), "--device", "cpu"])


def test_stylize_writes_beside_the_photograph(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (30, 21), "teal").save(tmp_path / "a photo.jpg")
    assert stylize(tmp_path / "a photo.jpg", "-s", painter) == 0
    assert Image.open(tmp_path / "a photo.tiny.jpg").size == (30, 21)
    assert capsys.readouterr().out.strip() == str(tmp_path / "a photo.tiny.jpg")


def test_results_carry_the_name_of_the_models_file(painter: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "a.png")
    shutil.copy(painter, tmp_path / "tiny v2.1.safetensors")
    assert stylize(tmp_path, "-s", tmp_path / "tiny v2.1.safetensors") == 0
    assert (tmp_path / "a.tiny v2.1.png").is_file()
    assert stylize(tmp_path, "-s", tmp_path / "tiny v2.1") == 0  # its own results are not painted again
    assert len(list(tmp_path.iterdir())) == 3


def test_results_of_two_files_are_two_and_a_name_that_cannot_be_one_is_refused_at_once(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "a.png")
    for name in ("painter.v1", "painter.v2", "x" * 120 + ".safetensors"):
        shutil.copy(painter, tmp_path / name)
    for name in ("painter.v1", "painter.v2"):
        assert stylize(tmp_path / "a.png", "-s", tmp_path / name) == 0
        assert (tmp_path / f"a.{name}.png").is_file()
    capsys.readouterr()
    assert stylize(tmp_path / "a.png", "-s", tmp_path / ("x" * 120)) == 1
    assert "cannot be a style's name" in capsys.readouterr().err


def test_stylize_does_the_good_ones_and_names_the_bad(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg", "b.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "in" / name)
    (tmp_path / "in" / "c.jpg").write_bytes(b"not a picture")
    assert stylize(tmp_path / "in", "-s", painter, "-o", tmp_path / "out", "--size", 16, "--json") == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert len(result["done"]) == 3 == len({item["output"] for item in result["done"]})
    assert {Image.open(item["output"]).size for item in result["done"]} == {(16, 16)}
    assert [item["input"].endswith("c.jpg") for item in result["failed"]] == [True]
    assert "c.jpg" in captured.err and "Traceback" not in captured.err


def test_one_stem_twice_makes_two_results(painter: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (18, 18)).save(tmp_path / folder / "same.png")
    assert stylize(tmp_path / "x", tmp_path / "y", "-s", painter, "-o", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"same.tiny.png", "same-2.tiny.png"}


def test_the_input_is_never_overwritten_unasked(painter: Path, tmp_path: Path) -> None:
    photo = tmp_path / "p.png"
    Image.new("RGB", (20, 20), "red").save(photo)
    before = photo.read_bytes()
    assert stylize(photo, "-s", painter, "-o", photo) == 1 and photo.read_bytes() == before
    assert stylize(photo, "-s", painter, "-o", photo, "--overwrite") == 0 and photo.read_bytes() != before


def test_no_result_replaces_another_input(painter: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.tiny.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / name)
    before = (tmp_path / "a.tiny.png").read_bytes()
    assert stylize(tmp_path / "a.png", tmp_path / "a.tiny.png", "-s", painter) == 0
    assert (tmp_path / "a.tiny.png").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.tiny.png", "a-2.tiny.png", "a.tiny.tiny.png"}


def test_what_cannot_be_read_or_written_does_not_stop_the_rest(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long, good = tmp_path / f"{'x' * 250}.png", tmp_path / "good.png"
    for path in (long, good):
        Image.new("RGB", (20, 20)).save(path)
    missing = tmp_path / "\x1b]0;gone\x07.png"
    assert stylize(long, missing, good, "-s", painter) == 1
    assert (tmp_path / "good.tiny.png").is_file()
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert len(errors) == 2 and all(line.isprintable() for line in errors)
