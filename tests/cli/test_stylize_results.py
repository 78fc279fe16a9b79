"""Each result stands for its own photograph: names, trees, --resume, stdin and stdout."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import cli
from impasto.inference.stylizer import Stylizer
from impasto.synthetic.contents import procedural_image


def photo(path: Path, seed: int, **save: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(procedural_image(seed, 32)).save(path, **save)  # type: ignore[arg-type]
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def stylize(*words: object) -> int:
    return cli.main(["stylize", *map(str, words), "--device", "cpu"])


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def stands_for(result: Path, source: Path, painter: Path, within: float = 3) -> bool:
    """Whether a result shows its source: painted again it is the same, but for what its format loses."""
    wanted = np.asarray(Stylizer(painter, "cpu")(Image.open(source).convert("RGB")), int)
    return bool(np.abs(np.asarray(Image.open(result).convert("RGB"), int) - wanted).mean() < within)


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


def test_our_own_leavings_are_no_photographs(folder: Path, painter: Path) -> None:
    from impasto.images.finding import find_images

    photo(folder / "f/a.png", 1)
    photo(folder / "f/contact_sheet.png", 2)
    assert len(find_images(["f"])) == 2  # somebody's picture by that name
    for word in ("f/report.json", "f/runs/x/metrics.csv"):
        (folder / word).parent.mkdir(parents=True, exist_ok=True)
        (folder / word).touch()
    photo(folder / "f/runs/x/contact_sheet.png", 3)
    photo(folder / "f/curve.png", 3)
    assert find_images(["f"]) == [Path("f/a.png")]


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


@pytest.mark.parametrize(("words", "said"), [
    (["https://example.org/a.jpg"], "download it first"), (["a.png", "-s", "x.png"], "no such file"),
    (["a.png", "-s", "a.png"], "train one first"), (["a.png", "-s", "m.pth"], "impasto import m.pth"),
    (["a.png", "-s", "m.ckpt"], "beside the picture"),
    (["a.png", "-s", "https://example.org/m.safetensors"], "download it first"),
    (["a.png", "-s", "wave", "-s", "oils"], "given twice"), (["a.png", "-o", "x", "-o", "y"], "given twice"),
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


@pytest.mark.parametrize("command", [
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "o", "--strength", "abc"],
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "o", "--workers", "abc"],
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "o", "--seed", "abc"],
    ["optimize", "a.png", "-s", "a.png", "-o", "o.png", "--seed", "-1"],
    ["optimize", "a.png", "-s", "a.png", "-o", "o.png", "--steps", "0"],
    ["optimize", "a.png", "-s", "a.png", "-s", "b.png", "-o", "o.png"],
    ["compare", "a.png", "-s", "wave", "-o", "o", "--limit", "some"], ["benchmark", "--runs", "0.5"],
    ["benchmark", "--sizes", "512"], ["compare", "a.png", "-s", "wave", "-o", "-"],
    ["compare", "a.png", "-s", "wave", "-o", "x.json"],
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "out.tar"], ["import", "m.pth"],
    ["stylize"], [],
])  # fmt: skip
def test_options_name_themselves_and_what_they_take(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "_from" not in line and "--help" in line
    assert not list(folder.iterdir())
    assert all(word in line for word in command if word.startswith("--") and word == command[-2])


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
