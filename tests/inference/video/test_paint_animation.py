"""Animated GIF, WebP and PNG: painted frame by frame, with their times, plays and transparency."""

from __future__ import annotations

import json
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.clips import make_clip, scene
from helpers.stylizing import stylize
from impasto.errors import ImageError, VideoError
from impasto.images.animations import is_animated
from impasto.inference.stylizer import Stylizer
from impasto.inference.video.frames import read_frames
from impasto.inference.video.paint_video import paint_video

FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
TIMES = [100, 50, 30, 200, 70]


def animation(path: Path, *, frames: int = 5, loop: int | None = 2, clear: bool = False, **options: Any) -> Path:
    pictures = [Image.fromarray(scene(number)) for number in range(frames)]
    if clear:
        for number, picture in enumerate(pictures):
            picture.putalpha(Image.fromarray(hole(number)))
    repeats = {} if loop is None else {"loop": loop}
    own: dict[str, Any] = {".webp": {"lossless": True}, ".gif": {"disposal": 2}}.get(path.suffix, {})
    pictures[0].save(
        path, FORMATS[path.suffix], save_all=True, append_images=pictures[1:],
        duration=(TIMES * frames)[:frames], **repeats, **own, **options,
    )  # fmt: skip
    return path


def hole(number: int) -> np.ndarray:
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[8:40, 8 * number : 8 * number + 16] = 0
    return alpha


def look(path: Path) -> tuple[list[float], int | None, list[np.ndarray]]:
    """Return times, loop, and pixels (H, W, 4)."""
    with Image.open(path) as picture:
        times: list[float] = []
        pixels: list[np.ndarray] = []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            picture.load()
            times.append(picture.info["duration"])
            pixels.append(np.asarray(picture.convert("RGBA")))
        return times, picture.info.get("loop"), pixels


def inverted(frame: np.ndarray) -> np.ndarray:
    return 255 - frame


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
@pytest.mark.parametrize("kind", [".gif", ".webp", ".png"])
def test_what_an_animation_is_it_stays(tmp_path: Path, kind: str, suffix: str, clear: bool) -> None:
    source, target = animation(tmp_path / f"in{kind}", clear=clear), tmp_path / f"out{suffix}"
    report = paint_video(inverted, source, target)
    assert (report.frames, report.notes, report.damage) == (5, (), None) and is_animated(target)
    times, loop, pixels = look(target)
    plays = 2 + (kind == ".gif")  # a GIF says how often it is repeated
    assert times == TIMES and loop == plays - (suffix == ".gif")
    for number, frame in enumerate(pixels):
        seen = hole(number) > 0 if clear else np.full((64, 96), True)
        assert (frame[..., 3] == np.where(seen, 255, 0)).all()
        assert np.abs(frame[..., :3].astype(int) - (255 - scene(number)))[seen].mean() < 4


@pytest.mark.parametrize(("loop", "plays"), [(None, None), (0, 0), (1, 1), (7, 7)])
def test_how_often_a_gif_is_repeated_stays(tmp_path: Path, loop: int | None, plays: int | None) -> None:
    paint_video(inverted, animation(tmp_path / "in.gif", loop=loop), tmp_path / "out.gif")
    assert look(tmp_path / "out.gif")[1] == plays


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_a_clip_becomes_an_animation(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("av")
    steps = [0, 1, 2, 4, 8, 9, 15]
    source = make_clip(tmp_path / "in.mp4", times=steps, time_base=Fraction(1, 30), sounds=1)
    report = paint_video(inverted, source, tmp_path / f"out{suffix}")
    times, loop, pixels = look(tmp_path / f"out{suffix}")
    assert loop == 0 and report.frames == len(pixels) == 7 and any("sound" in note for note in report.notes)
    tick = 10 if suffix == ".gif" else 1
    assert all(abs(sum(times[:n]) - step * 1000 / 30) <= tick / 2 for n, step in enumerate(steps))
    assert np.abs(pixels[3][..., :3].astype(int) - (255 - scene(3))).mean() < 6
    quick = make_clip(tmp_path / "quick.mp4", times=list(range(30)), time_base=Fraction(1, 60))
    report = paint_video(inverted, quick, tmp_path / f"quick{suffix}", start=0.1)
    assert report.frames == (12 if suffix == ".gif" else 24)
    assert bool([note for note in report.notes if "50 a second" in note]) == (suffix == ".gif")


@pytest.mark.parametrize("name", ["in.webp", "in.png", "in.gif"])
def test_an_animation_becomes_a_clip_at_its_times(tmp_path: Path, name: str) -> None:
    av = pytest.importorskip("av")
    paint_video(inverted, animation(tmp_path / name, clear=name == "in.webp"), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as film:
        moments = [frame.pts * frame.time_base for frame in film.decode(video=0)]
    assert moments == [Fraction(sum(TIMES[:number]), 1000) for number in range(5)]


def test_a_span_of_an_animation(tmp_path: Path) -> None:
    source = animation(tmp_path / "in.gif")  # 0, 0.1, 0.15, 0.18, 0.38, 0.45
    paint_video(inverted, source, tmp_path / "out.gif", start=0.1, end=0.3)
    times, _, pixels = look(tmp_path / "out.gif")
    assert times == [50, 30, 120]
    assert np.abs(pixels[0][..., :3].astype(int) - (255 - scene(1))).mean() < 4
    with pytest.raises(VideoError, match=r"in\.gif: holds no frame from 9 s on"):
        paint_video(inverted, source, tmp_path / "out.gif", start=9)


def test_a_span_of_a_clip_counts_the_frames_before_it(tmp_path: Path) -> None:
    class Counting:
        counts_frames = True

        def __init__(self):
            self.numbers: list[int] = []

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            raise AssertionError

        def paint_at(self, pixels: np.ndarray, number: int, moment: Fraction) -> np.ndarray:
            self.numbers.append(number)
            return pixels

    clip = make_clip(tmp_path / "in.mkv", times=list(range(100)), time_base=Fraction(1, 2), codec="mpeg2video")
    paint = Counting()  # behind several key frames, to which others jump
    paint_video(paint, clip, tmp_path / "out.gif", start=30, end=32)
    assert paint.numbers == [60, 61, 62, 63]


def test_a_size_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    source = animation(tmp_path / "in.webp", frames=2)
    for target in ("out.webp", "out.gif", "out.mp4"):
        with pytest.raises(ImageError, match=r"in\.webp: more pixels a frame than --max-pixels allows"):
            paint_video(inverted, source, tmp_path / target, size=60000)
    with pytest.raises(ImageError, match="more pixels"):
        next(read_frames(source, 60000))
    frames = list(read_frames(source, 48))
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 2


def test_hostile_animations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = animation(tmp_path / "in.gif", frames=20)
    for suffix in FORMATS:
        data = animation(tmp_path / f"whole{suffix}", frames=20).read_bytes()
        torn = tmp_path / f"torn{suffix}"
        torn.write_bytes(data[: int(len(data) * 0.7)])
        try:
            report = paint_video(inverted, torn, tmp_path / "out.gif")
        except ImageError as error:
            assert "torn" in str(error) and suffix == ".webp"  # whose decoder wants it whole
        else:
            assert (report.damage and "breaks off after" in report.damage) or suffix == ".gif"
            assert 5 < report.frames < 20
    data = whole.read_bytes()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)  # Pillow's guard only ever rises, in whatever ran before
    (tmp_path / "huge.gif").write_bytes(data[:6] + b"\xff\xff\xff\xff" + data[10:])
    with pytest.raises(ImageError, match=r"huge\.gif: more pixels than allowed"):
        paint_video(inverted, tmp_path / "huge.gif", tmp_path / "out.gif")
    Image.fromarray(scene(0)).save(
        tmp_path / "zero.gif", save_all=True, append_images=[Image.fromarray(scene(1))], duration=0
    )
    paint_video(inverted, tmp_path / "zero.gif", tmp_path / "out.webp")
    assert look(tmp_path / "out.webp")[0] == [100, 100]
    (tmp_path / "rubbish.gif").write_bytes(b"GIF89a" + bytes(range(200)))
    with pytest.raises(ImageError, match=r"rubbish\.gif"):
        paint_video(inverted, tmp_path / "rubbish.gif", tmp_path / "out.gif")


def test_memory_stays_flat_and_a_full_folder_is_a_line(tmp_path: Path) -> None:
    source = animation(tmp_path / "in.gif", frames=300)
    peaks = []
    for end in (2, None):
        tracemalloc.start()
        paint_video(inverted, source, tmp_path / "out.gif", end=end)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(look(tmp_path / "out.gif")[0]) == 300
    assert peaks[1] < peaks[0] + 1e6  # 270 more frames would be 5 MB
    (tmp_path / "out.apng").mkdir()
    with pytest.raises(ImageError, match="a folder"):
        paint_video(inverted, source, tmp_path / "out.apng")


def test_the_command_paints_animations_as_clips(
    tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    for suffix in (".gif", ".webp", ".png"):
        animation(tmp_path / f"f/dance{suffix}")
    Image.fromarray(scene(0)).save(tmp_path / "f/still.gif")
    words = ["f", "-s", painter, "-o", "out/", "--json"]
    assert stylize(*words) == 0
    done = {Path(each["output"]).name: each for each in json.loads(capsys.readouterr().out)["done"]}
    assert done.keys() == {"dance.tiny.gif", "dance.tiny.webp", "dance.tiny.png", "still.tiny.gif"}
    assert {name for name, each in done.items() if each.get("frames") == 5} == done.keys() - {"still.tiny.gif"}
    painted = look(tmp_path / "out/dance.tiny.png")[2]
    wanted = Stylizer(painter, "cpu")(scene(3)).astype(int)
    assert np.abs(painted[3][..., :3] - wanted).max() <= 1
    torn = tmp_path / "out/dance.tiny.png"
    torn.write_bytes(torn.read_bytes()[:-2000])
    assert stylize(*words, "--resume") == 0
    assert [Path(each["output"]).name for each in json.loads(capsys.readouterr().out)["done"]] == [torn.name]
    assert stylize("f/dance.gif", "-s", f"{painter}@0,{painter}@0.2", "--from", "0.1", "-o", "x.webp") == 0
    assert look(tmp_path / "x.webp")[0] == TIMES[1:]
    assert stylize("f/still.gif", "-s", painter, "--from", "0.1") == 1
    assert "which has no times" in capsys.readouterr().err


@pytest.mark.slow
def test_three_thousand_frames_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    pytest.importorskip("av")
    source = make_clip(tmp_path / "in.mp4", times=list(range(3000)), size=(64, 48))
    for suffix, settings in ((".mp4", None), (".mp4", "in parts"), (".gif", None), (".apng", None)):
        at: dict[int, int] = {}

        def look_at(done: int, _: int | None, at: dict[int, int] = at) -> None:
            if done in (300, 2900):
                at[done] = tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        paint_video(inverted, source, tmp_path / f"out{suffix}", progress=look_at, settings=settings)
        tracemalloc.stop()
        assert at[2900] - at[300] < 2e6, suffix  # 2,600 frames would be 24 MB
