"""`impasto stylize`: results beside the photographs, the good ones done and the bad ones named, nothing overwritten."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.stylizing import photo, stands_for, stylize, tree
from impasto.synthetic.contents import procedural_image


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


def test_what_is_passed_over_is_named(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(folder / "f/a.png", 1)
    photo(folder / "real/b.png", 2)
    (folder / "f/linked").symlink_to(folder / "real")
    (folder / "f/linked again").symlink_to(folder / "real")
    (folder / "f/round").symlink_to(folder / "f")
    (folder / "f/gone.png").symlink_to(folder / "nowhere.png")
    for name in ("x.jxl", "y.dng", "z.dng"):
        (folder / "f" / name).touch()
    assert stylize("f", "-s", painter, "-o", "out") == 0
    assert tree(folder / "out") == {"a.tiny.png", "linked/b.tiny.png"}
    remarks = capsys.readouterr().err
    assert "f/gone.png: passed over, a link to nothing" in remarks
    assert "f: 1 .jxl passed over" in remarks and "f: 2 .dng passed over" in remarks


def test_a_folder_that_may_not_be_read_is_named(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(folder / "f/a.png", 1)
    photo(folder / "f/closed/b.png", 2)
    scandir = os.scandir

    def closed(place: str) -> object:  # to root, who may run this, no folder is
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", closed)
    assert stylize("f", "-s", painter, "-o", "out") == 1
    assert "impasto: f/closed: Permission denied" in capsys.readouterr().err
    assert tree(folder / "out") == {"a.tiny.png"}


def piped(folder: Path, data: bytes, *words: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "impasto", "stylize", *map(str, words), "--device", "cpu"]
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, timeout=100)


@pytest.mark.parametrize(("suffix", "format"), [(".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP"), (".ico", "PNG")])
def test_a_picture_goes_through_a_pipe(folder: Path, painter: Path, suffix: str, format: str) -> None:
    source = photo(folder / f"a{suffix}", 3)
    run = piped(folder, source.read_bytes(), "-", "-s", painter)
    assert run.returncode == 0 and Image.open(io.BytesIO(run.stdout)).format == format, run.stderr
    (folder / "o").write_bytes(run.stdout)
    assert stands_for(folder / "o", source, painter, within=3 if format == "PNG" else 15)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_of_a_damaged_picture_nothing_goes_through_the_pipe(folder: Path, painter: Path, suffix: str) -> None:
    data = photo(folder / f"a{suffix}", 3).read_bytes()
    whole = piped(folder, data, "-", "-s", painter, "-o", "-")
    assert whole.returncode == 0 and Image.open(io.BytesIO(whole.stdout)).size == (32, 32)
    run = piped(folder, data[: len(data) // 2], "-", "-s", painter, "-o", "-")
    assert run.returncode == 1 and run.stdout == b"" and run.stderr.count(b"impasto: ") == 1
    assert b"stdin" in run.stderr and b"Traceback" not in run.stderr


def test_stdin_and_stdout_in_every_pairing(folder: Path, painter: Path) -> None:
    source = photo(folder / "a.png", 3)
    data = source.read_bytes()
    (folder / "out").mkdir()
    assert piped(folder, data, "-", "-s", painter, "-o", "x.jpg").stdout == b"x.jpg\n"
    assert piped(folder, data, "-", "-s", painter, "-o", "out").stdout.strip() == b"out/stdin.tiny.png"
    for word in ("-", "/dev/stdout"):
        assert Image.open(io.BytesIO(piped(folder, b"", "a.png", "-s", painter, "-o", word).stdout)).size == (32, 32)
    assert tree(folder) == {"a.png", "x.jpg", "out/stdin.tiny.png"}
    for words in (
        ["-", "a.png"],
        ["-", "--json"],
        ["a.png", "-o", "-", "--json"],
        ["a.png", "a.png", "x.jpg", "-o", "-"],
    ):
        run = piped(folder, data, *words, "-s", painter)
        assert run.returncode == 2 and run.stderr.count(b"impasto: ") == 1, words
    for broken in (b"", b"no picture", data[:200]):
        run = piped(folder, broken, "-", "-s", painter)
        assert run.returncode == 1 and run.stdout == b"" and b"Traceback" not in run.stderr


@pytest.mark.parametrize(
    "word", ["x.jxl", "x.heic.pdf", "x.psd", "x.avi", "x.txt", "x.JXL", "https://example.org/x.png"]
)
def test_what_cannot_be_written_is_refused_by_name(
    folder: Path, painter: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    assert stylize("a.png", "-s", painter, "-o", word) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert word in line and tree(folder) == {"a.png"}


def test_folders_may_have_dots_in_their_names(folder: Path, painter: Path) -> None:
    photo(folder / "a.png", 1)
    for word in ("v2.1", "x.jxl/", "best of 2026.", "plain"):
        assert stylize("a.png", "-s", painter, "-o", word) == 0 and (folder / word / "a.tiny.png").is_file()


def test_a_picture_as_the_style_needs_the_predictor(
    folder: Path, no_predictor: None, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    assert stylize("a.png", "-s", "a.png") == 1
    assert capsys.readouterr().err == (
        "impasto: a.png: a picture, not a painter; train one first: impasto train a.png\n"
    )
    assert tree(folder) == {"a.png"}


@pytest.mark.parametrize(("words", "said"), [
    (["https://example.org/a.jpg"], "download it first"), (["a.png", "-s", "x.png"], "no such file"),
    (["a.png", "-s", "a.png:0.7"], "they must make 1"), (["a.png", "-s", "m.pth"], "impasto import m.pth"),
    (["a.png", "-s", "m.ckpt"], "beside the picture"),
    (["a.png", "-s", "https://example.org/m.safetensors"], "download it first"),
    (["a.png", "-s", "wave", "-s", "oils", "-o", "x.png"], "name a folder"),
    (["a.png", "-s", "wave", "-s", "oils", "-o", "-"], "name a folder"),
    (["-", "-s", "wave", "-s", "oils", "--frame-size", "8x8"], "in one style"),
    (["0", "-s", "wave", "-s", "oils", "-o", "x/"], "in one style"),
    (["a.png", "-s", "wave", "-s", "wave"], "give it once"),
    (["a.png", "-s", "weve"], "did you mean wave"),
    (["a.png", "-o", "x", "-o", "y"], "given twice"),
    (["a.png", "--size", "abc"], "a whole number of at least 1, not abc"), (["a.png", "--size", "1.5"], "whole number"),
    (["a.png", "--size", "-3"], "whole number"), (["a.png", "--size", "9" * 30], "whole number"),
    (["a.png", "--max-memory", "much"], "an amount of memory"), (["a.png", "--max-pixels", "x"], "--max-pixels"),
    (["-", "--frame-size", "big"], "WIDTHxHEIGHT"), (["a.png", "--frame-size", "8x8"], "name - as the source"),
    (["x.psd"], "export it as PNG"), (["a.png", "-o", "film.mp4"], "a clip is made of a clip"),
])  # fmt: skip
def test_mistakes_are_named_with_the_remedy(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    for name in ("m.pth", "m.ckpt", "x.psd"):
        (folder / name).write_bytes(b"1234567890")
    before = tree(folder)
    style = [] if "-s" in words else ["-s", "wave"]
    try:
        code = stylize(*words, *style)
    except SystemExit as ended:
        code = int(str(ended.code))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert code in (1, 2) and said in line and "_from" not in line and tree(folder) == before


def test_a_tilde_after_an_equals_sign_is_the_home(folder: Path, painter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    photo(folder / "home/a.png", 1)
    shutil.copy(painter, folder / "home/m.safetensors")
    assert stylize("~/*.png", "--style=~/m.safetensors", "--output=~/x") == 0
    assert tree(folder) == {"home/a.png", "home/m.safetensors", "home/x/a.m.png"}


def test_heic_without_its_extra_gets_the_remedy(folder: Path, painter: Path) -> None:
    photo(folder / "f/a.png", 1)
    (folder / "f/p.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    code = "import sys; sys.modules['pillow_heif'] = None; from impasto import cli; sys.exit(cli.main(sys.argv[1:]))"
    for source, rc in (("f", 0), ("f/p.heic", 1)):
        words = [sys.executable, "-c", code, "stylize", source, "-s", str(painter), "-o", "out/", "--device", "cpu"]
        run = subprocess.run(words, capture_output=True, text=True, timeout=100)
        assert run.returncode == rc and "pip install 'impasto[heic]'" in run.stderr


def test_more_exif_than_a_jpeg_holds_costs_no_result(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, tag in (("notes", 0x927C), ("story", 0x010E)):  # a maker's notes, a description
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        (exif.get_ifd(0x8769) if tag == 0x927C else exif)[tag] = "M" * 80_000 if tag == 0x010E else b"M" * 80_000
        Image.fromarray(procedural_image(1, 32)).save(folder / f"{name}.png", exif=exif)
        assert stylize(f"{name}.png", "-s", painter, "--keep-metadata", "-o", f"{name}.jpg") == 0
        assert f"{name}.png: its EXIF is too long for a JPEG" in capsys.readouterr().err
    assert Image.open("notes.jpg").getexif()[0x010F] == "Maker" and not Image.open("story.jpg").getexif()
