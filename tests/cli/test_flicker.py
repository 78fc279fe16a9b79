"""`impasto flicker`, and `impasto stylize --stabilize`, from what is typed to what is printed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.clips import make_clip
from impasto import cli
from impasto.images.writing import write_image
from impasto.inference.video.flow import write_flow
from impasto.inference.video.frames import read_frames

pytest.importorskip("cv2")
ON_CPU = ["--device", "cpu"]


@pytest.fixture
def clip(folder: Path) -> Path:
    return make_clip(folder / "clip.mp4", times=list(range(5)))


def said(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert cli.main(["flicker", *map(str, words), *ON_CPU, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_it_measures_styles_and_films_of_others(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(clip, "same.mp4")
    rows = said(capsys, clip, "-s", "wave", "-s", "oils", "--painted", "same.mp4", "--frames", 4)["clips"]
    assert [row["painted"] for row in rows] == ["wave", "oils", "same.mp4"]
    assert rows[2]["flicker"] == 0
    assert all(row["frames"] == 4 and len(row["per_frame"]) == 3 for row in rows)
    assert rows[0]["photograph"] == rows[1]["photograph"] == rows[2]["painting"]


def test_it_prints_a_sentence_and_draws_a_plot(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    words = ["flicker", str(clip), "-s", "wave", "--stabilize", "--size", "48", "-o", "plot.png", *ON_CPU]
    assert cli.main(words) == 0
    sentence, plot = capsys.readouterr().out.splitlines()
    assert "wave: flickers by" in sentence and "levels of 255" in sentence
    assert plot == "plot.png"
    assert Path(plot).read_bytes()[:4] == b"\x89PNG"


def test_it_takes_folders_and_flows(clip: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("frames", "painted", "flows"):
        (folder / name).mkdir()
    for number, frame in enumerate(read_frames(clip)):
        write_image(folder / "frames" / f"{number}.png", frame)
        write_image(folder / "painted" / f"{number}.png", 255 - frame)
    for number in range(4):
        write_flow(folder / "flows" / f"{number}.flo", np.zeros((64, 96, 2), np.float32))
    (row,) = said(capsys, "frames", "--painted", "painted", "--flow", "flows")["clips"]
    assert (row["input"], row["painted"], row["flicker"]) == ("frames", "painted", 0)
    (row,) = said(capsys, "frames", "--painted", "painted", "--flow", "flows/0.flo", "--frames", 2)["clips"]
    assert row["frames"] == 2
    failed = said(capsys, "frames", "--painted", "painted", "--flow", "flows/0.flo", code=1)["failed"]
    assert "one fewer than frames" in failed[0]["error"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["clip.mp4"], "give -s STYLE, or --painted FILE"),
        (["clip.mp4", "clip.mp4", "--painted", "clip.mp4"], "belong to one clip"),
        (["clip.mp4", "-s", "wave", "--frames", "1"], "two or more"),
        (["clip.mp4", "-s", "wave", "--flow", "none.flo"], "none.flo: no such flow"),
        (["clip.mp4", "-s", "wave", "-o", "plot.jpg"], "choose -o PLOT.png"),
        (["clip.mp4", "-s", "wave", "--stabilize", "2"], "from 0 to 1"),
    ],
)
def test_mistakes_are_named(clip: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert cli.main(["flicker", *words, *ON_CPU]) == 2
    except SystemExit as end:
        assert end.code == 2
    assert reason in capsys.readouterr().err


def test_a_bad_clip_is_named_and_the_others_are_measured(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.mp4").write_bytes(b"no clip")
    Path("bad.flo").write_bytes(b"no flow")
    report = said(capsys, "bad.mp4", clip, "-s", "wave", "--size", 32, code=1)
    assert [row["input"] for row in report["clips"]] == [str(clip)]
    assert [row["input"] for row in report["failed"]] == ["bad.mp4"]
    report = said(capsys, clip, "-s", "wave", "--flow", "bad.flo", code=1)
    assert "PIEH" in report["failed"][0]["error"]
    make_clip(Path("short.mp4"), times=[0, 1, 2])
    report = said(capsys, clip, "--painted", "short.mp4", code=1)
    assert "fewer frames" in report["failed"][0]["error"]


def test_messages_name_the_file(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(Path("one.mp4"), times=[0])
    write_flow(Path("small.flo"), np.zeros((8, 8, 2), np.float32))
    Path("empty").mkdir()
    for words, begins in (
        (["one.mp4", "-s", "wave"], "one.mp4: 1 frame cannot flicker"),
        ([clip, "--painted", "one.mp4"], "one.mp4: has fewer frames"),
        ([clip, "-s", "wave", "--flow", "small.flo"], "small.flo: a flow of 8 x 8"),
        (["empty", clip, "-s", "wave", "--size", 32], "empty: no picture there"),
    ):
        report = said(capsys, *words, code=1)
        assert report["failed"][0]["error"].startswith(begins)
    assert len(report["clips"]) == 1


def test_films_of_one_name_are_told_apart(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clip.parent / "theirs").mkdir()
    shutil.copy(clip, "theirs/clip.mp4")
    rows = said(capsys, clip, "--painted", "theirs/clip.mp4", "--painted", "clip.mp4", "--frames", 3)["clips"]
    assert [row["painted"] for row in rows] == ["theirs/clip.mp4", "clip.mp4"]


def test_a_plot_that_cannot_be_written_costs_no_figures(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    (clip.parent / "plot.png").mkdir()
    report = said(capsys, clip, "--painted", clip, "--frames", 3, "-o", "plot.png", code=1)
    assert report["clips"][0]["frames"] == 3 and report["failed"][0]["error"].startswith("plot.png: ")


def stylized(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    capsys.readouterr()
    assert cli.main(["stylize", *map(str, words), *ON_CPU, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_stylize_holds_clips_still_and_says_so(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (plain,) = stylized(capsys, clip, "-s", "wave", "-o", "plain.mp4")["done"]
    (held,) = stylized(capsys, clip, "-s", "wave", "-o", "held.mp4", "--stabilize")["done"]
    assert "stabilize" not in plain
    assert held["frames"] == plain["frames"] == 5
    assert held["stabilize"]["amount"] == 0.94
    assert held["stabilize"]["held"] > 0.5
    one, other = (list(read_frames(Path(name))) for name in ("plain.mp4", "held.mp4"))
    assert not np.array_equal(one[-1], other[-1])


def test_resume_knows_whether_a_clip_was_held_still(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(Path("photo.png"), next(iter(read_frames(clip))))
    words = [clip, "photo.png", "-s", "wave", "-o", "out/", "--resume"]

    def made(*more: object) -> list[str]:
        return [Path(item["input"]).name for item in stylized(capsys, *words, *more)["done"]]

    assert made() == ["clip.mp4", "photo.png"]
    assert made() == []
    assert made("--stabilize") == ["clip.mp4"]  # a picture is the same
    assert made("--stabilize") == []
    assert made("--stabilize", "0.5") == ["clip.mp4"]
    assert made("--stabilize", "0") == ["clip.mp4"]
    assert made() == []
