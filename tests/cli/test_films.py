"""Films at length from the command line."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.clips import make_clip
from helpers.stylizing import stylize, tree
from impasto.cli.clips import film_progress
from impasto.errors import INTERRUPTED
from impasto.inference.video import parts
from impasto.inference.video.parts import frames_kept, parts_folder
from impasto.system.files import written_whole

av = pytest.importorskip("av")


def shown(path: Path, kind: str = "video") -> list[tuple[object, bytes]]:
    """Of each packet its time, and what it holds."""
    with av.open(str(path)) as film:
        streams = film.streams.video if kind == "video" else film.streams.audio
        packets = [packet for packet in film.demux(streams) if packet.size]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in packets]


@pytest.mark.slow
def test_a_film_killed_three_times_is_the_straight_one(folder: Path, painter: Path) -> None:
    make_clip(folder / "in.mp4", times=list(range(1100)), sounds=1)  # five parts
    words = [sys.executable, "-m", "impasto", "stylize", "in.mp4", "-s", str(painter), "--device", "cpu"]
    straight = subprocess.run([*words, "-o", "straight.mp4", "--resume"], cwd=folder, timeout=200, check=False)
    assert straight.returncode == 0
    target, chance, kept = folder / "killed.mp4", random.Random(), 0
    for _ in range(3):
        run = subprocess.Popen([*words, "-o", target.name, "--resume"], cwd=folder, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 200
        while not (parts_folder(target) / f"{kept // 250:06}.film").exists():
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2))
        run.kill()
        assert run.wait(60) == -9 and not target.exists()
        assert frames_kept(target) > kept
        kept = frames_kept(target)
    last = subprocess.run(
        [*words, "-o", target.name, "--resume"], cwd=folder, timeout=200, capture_output=True, text=True
    )
    assert last.returncode == 0 and f"{kept} frames of it were painted before" in last.stderr
    assert len(shown(target)) == 1100
    for kind in ("video", "audio"):
        assert shown(target, kind) == shown(folder / "straight.mp4", kind)
    assert tree(folder) == {"in.mp4", "straight.mp4", "killed.mp4"} and not parts_folder(target).exists()


def test_an_interrupted_film_goes_on_with_its_masks(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_MOST", 24)
    make_clip(folder / "in.mp4", times=list(range(60)))
    (folder / "masks").mkdir()
    for number in range(60):
        mask = np.zeros((64, 96), np.uint8)
        mask[:, number:] = 255
        Image.fromarray(mask).save(folder / f"masks/{number:03}.png")
    words = ["in.mp4", "-s", painter, "--mask", "masks", "--strength", "0.8", "--resume"]
    assert stylize(*words, "-o", "straight.mp4") == 0

    def interrupted(path: Path, *, durable: bool = False, within: Path | None = None) -> object:
        if path.name == "000002.film":
            raise KeyboardInterrupt
        return written_whole(path, durable=durable, within=within)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "written_whole", interrupted)
        capsys.readouterr()
        assert stylize(*words, "-o", "out/") == 130
    told = capsys.readouterr().err
    assert "in.mp4: 48 painted frames are kept; the same command with --resume" in told and INTERRUPTED in told
    assert stylize(*words, "-o", "out/", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["done"][0]["frames"] == 60
    assert (folder / "out/in.tiny.mp4").read_bytes() == (folder / "straight.mp4").read_bytes()
    assert tree(folder / "out") == {"in.tiny.mp4"}
    parts_folder(folder / "out/in.tiny.mp4").mkdir()
    assert stylize(*words, "-o", "out/") == 0  # left as it is
    assert "1 left as it was" in capsys.readouterr().err and not list((folder / "out").glob(".*"))


def test_a_span_from_the_command_line_with_masks_of_the_source(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(folder / "in.mp4", times=list(range(40)))
    (folder / "masks").mkdir()
    for number in range(40):
        Image.new("L", (96, 64), 255 if number == 32 else 0).save(folder / f"masks/{number:03}.png")
    words = ["in.mp4", "-s", painter, "--mask", "masks"]
    assert stylize(*words, "-o", "whole.mp4") == 0
    capsys.readouterr()
    assert stylize(*words, "--from", "00:01", "--to", "1.3", "-o", "span.mp4", "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"][0]["frames"] == 9
    with av.open("whole.mp4") as whole, av.open("span.mp4") as span:
        both = zip(list(whole.decode(video=0))[30:39], span.decode(video=0), strict=True)
        assert max(np.abs(one.to_ndarray().astype(int) - other.to_ndarray()).mean() for one, other in both) < 2
    for extra in (["--resume"], ["--from", "1", "--to", "1.3", "--resume"]):  # another span is another film
        assert stylize("in.mp4", "-s", painter, *extra, "--json") == 0
        assert len(json.loads(capsys.readouterr().out)["done"]) == 1


@pytest.mark.parametrize(("words", "code", "said"), [
    (["in.mp4", "--from", "1:99"], 2, "no time"), (["in.mp4", "--from", "2", "--to", "1"], 2, "later than --from"),
    (["a.png", "--from", "1"], 1, "which has no times"), (["0", "-o", "x.mp4", "--to", "9"], 2, "cameras"),
    (["-", "--to", "9"], 2, "have no times"), (["in.mp4", "--from", "9"], 1, "it ends after 0.7 s"),
])  # fmt: skip
def test_mistakes_about_times_are_named(
    folder: Path, painter: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(folder / "in.mp4")
    Image.new("RGB", (20, 20)).save(folder / "a.png")
    try:
        ended = stylize(*words, "-s", painter)
    except SystemExit as exit:
        ended = int(str(exit.code))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert ended == code and said in line and tree(folder) == {"in.mp4", "a.png"}


def test_styles_change_along_a_film(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(folder / "in.mp4", times=list(range(60)))
    Image.new("RGB", (20, 20)).save(folder / "a.png")
    style = f"{painter}@0,{painter}@00:01"
    assert stylize("in.mp4", "-s", style, "--strength", "0.7", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["style"] == "tiny-tiny" and [each["from"] for each in report["dials"]["styles"]] == [0, 1]
    assert stylize("in.mp4", "-s", style, "--strength", "0.7", "--resume", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["left"]) == 1
    assert stylize("in.mp4", "-s", style, "--strength", "0.7", "--resume", "--transition", "0", "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"][0]["output"] == "in.tiny-tiny.mp4"
    assert stylize("a.png", "-s", style) == 1 and "a.png: a picture, which has no times" in capsys.readouterr().err
    for words in (["-", "--frame-size", "8x8"], ["-"]):
        assert stylize(*words, "-s", style) == 2 and "has no times" in capsys.readouterr().err
    assert stylize("in.mp4", "-s", f"{painter}@0,{painter}") == 2 and "a time is missing" in capsys.readouterr().err
    assert stylize("in.mp4", "-s", style, "-s", style) == 2 and "give it once" in capsys.readouterr().err


def test_what_another_command_has_painted_is_not_promised(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_MOST", 24)
    make_clip(folder / "in.mp4", times=list(range(60)))
    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert stylize("in.mp4", "-s", painter, "-o", "out.mp4", "--resume") == 130
    assert "60 painted frames are kept" in capsys.readouterr().err
    assert stylize("in.mp4", "-s", painter, "-o", "out.mp4", "--resume", "--from", "9") == 1
    assert "are kept" not in capsys.readouterr().err and frames_kept(folder / "out.mp4") == 60


def test_a_file_where_a_folder_should_be_is_named(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(folder / "in.mp4")
    (folder / "taken").write_bytes(b"")
    assert stylize("in.mp4", "-s", painter, "-o", "taken/deep/out.mp4") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert "taken/deep/out.mp4: " in line and "taken is no folder" in line


def test_the_progress_of_a_film_begins_with_its_first_frame(capsys: pytest.CaptureFixture[str]) -> None:
    with film_progress("a.mp4") as show:
        assert capsys.readouterr().err == ""
        show(41, 50)  # 40 are an earlier run's
        show(50, 50)
    said = capsys.readouterr().err
    assert "41/50" in said and "50/50" in said and not re.search(r"(?<![\d.])0frame", said)
    with film_progress("nothing is painted"):
        pass
    assert capsys.readouterr().err == ""
