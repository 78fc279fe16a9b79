"""Films in parts: a film that was interrupted and gone on with is the straight one, to the tick."""

from __future__ import annotations

import errno
import gc
import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.clips import make_clip
from impasto.errors import VideoError
from impasto.inference.video import paint_video as painting
from impasto.inference.video import parts
from impasto.inference.video.paint_video import VideoReport, paint_video
from impasto.inference.video.parts import frames_in_a_part, frames_kept, parts_folder

av = pytest.importorskip("av")

EACH = 24


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_MOST", EACH)


class Killed(Exception):
    pass


def painter(stops_after: int | None = None, seen: list[int] | None = None) -> Callable[[np.ndarray], np.ndarray]:
    done = iter(range(10**9))

    def paint(frame: np.ndarray) -> np.ndarray:
        if next(done) == stops_after:
            raise Killed
        if seen is not None:
            seen.append(1)
        return 255 - frame

    return paint


def interrupted(source: Path, target: Path, *after: int, **options: Any) -> None:
    for frames in after:
        with pytest.raises(Killed):
            paint_video(painter(frames), source, target, resume=True, settings="same", **options)
        assert not target.exists()


def resumed(source: Path, target: Path, **options: Any) -> tuple[VideoReport, int]:
    seen: list[int] = []
    return paint_video(painter(seen=seen), source, target, resume=True, settings="same", **options), len(seen)


def packets(path: Path) -> list[tuple[Any, ...]]:
    """Of every stream: times in seconds, and what the packet holds."""
    with av.open(str(path)) as film:
        found = [packet for packet in film.demux() if packet.size]
        return sorted(
            (
                packet.stream.index,
                packet.pts * packet.time_base,
                (packet.duration or 0) * packet.time_base,
                packet.is_keyframe,
                hashlib.sha256(bytes(packet)).hexdigest(),
            )
            for packet in found
        )


def frames(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    with av.open(str(path)) as film:
        return [(frame.pts * frame.time_base, frame.to_ndarray()) for frame in film.decode(video=0)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_a_film_gone_on_with_three_times_is_the_straight_one(tmp_path: Path, suffix: str) -> None:
    times = np.cumsum([0, *np.random.default_rng(1).integers(10, 150, 129)]).tolist()
    source = make_clip(
        tmp_path / ("in.mkv" if suffix == ".webm" else "in.mp4"), times=times, time_base=Fraction(1, 1000), sounds=1
    )
    plain, straight, target = (tmp_path / f"{name}{suffix}" for name in ("plain", "straight", "target"))
    paint_video(painter(), source, plain)
    assert resumed(source, straight)[1] == 130
    interrupted(source, target, 10, 40, 70)
    assert frames_kept(target) == 24 + 48 and parts_folder(target).is_dir()
    report, painted = resumed(source, target)
    assert (report.frames, report.frames_before, painted) == (130, 72, 58) and report.damage is None
    assert packets(target) == packets(straight)
    if suffix in (".mp4", ".mov"):  # Matroska's files have random names
        assert target.read_bytes() == straight.read_bytes()
    for (at, pixels), (wanted, others) in zip(frames(target), frames(plain), strict=True):
        assert at == wanted and np.abs(pixels.astype(int) - others).mean() < 1
    sound = [[packet for packet in packets(path) if packet[0] == 1] for path in (target, plain)]
    assert sound[0] == sound[1]
    assert not parts_folder(target).exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_times_of_a_film_in_parts_are_those_of_one_encoder(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mp4", times=list(range(60)))
    for is_in_parts in (0, 1):
        paint_video(painter(), source, tmp_path / f"{is_in_parts}{suffix}", resume=bool(is_in_parts))
    both: list[list[Any]] = []
    for number in (0, 1):
        with av.open(str(tmp_path / f"{number}{suffix}")) as film:
            both.append([(packet.dts, packet.duration) for packet in film.demux(video=0) if packet.size])
    assert both[0] == both[1]


def test_reading_goes_on_from_a_key_frame_or_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "in.mp4", times=list(range(100)), time_base=Fraction(1, 2))  # 50 s
    straight = tmp_path / "straight.mp4"
    resumed(source, straight)
    for name, codec in (("sought.mp4", "libx264"), ("counted.mp4", "libx264"), ("in.ts", "mpeg2video")):
        if name == "counted.mp4":
            monkeypatch.setattr("impasto.inference.video.reading.Clip._sought_behind", lambda *_: None)
        clip = source if codec == "libx264" else make_clip(tmp_path / name, times=list(range(100)), codec=codec)
        target = tmp_path / f"{name}.out.mp4"
        interrupted(clip, target, 80)
        assert frames_kept(target) == 72
        report, painted = resumed(clip, target)
        assert (report.frames, painted) == (100, 28) and report.damage is None
        if codec == "libx264":
            assert target.read_bytes() == straight.read_bytes()


def test_what_was_made_from_something_else_is_painted_anew(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(60))), tmp_path / "out.mp4"
    for change in ("settings", "size", "source"):
        interrupted(source, target, 40)
        settings = "others" if change == "settings" else "same"
        if change == "source":
            make_clip(source, times=list(range(61)))
        report = paint_video(
            painter(), source, target, resume=True, settings=settings, size=48 if change == "size" else None
        )
        assert report.frames_before == 0 and any("painted anew" in note for note in report.notes), change
        target.unlink()
    interrupted(source, target, 40)
    assert paint_video(painter(), source, target).frames == 61  # not asked to go on
    assert not parts_folder(target).exists()


def test_a_torn_part_is_painted_again(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", times=list(range(80)))
    target, straight = tmp_path / "out.mp4", tmp_path / "straight.mp4"
    resumed(source, straight)
    for torn in (b"", b"rubbish that is long enough", None):
        interrupted(source, target, 60)
        part = parts_folder(target) / "000001.film"
        part.write_bytes(part.read_bytes()[1:] if torn is None else torn)
        (parts_folder(target) / ".impasto-left.part").write_bytes(b"of a killed run")
        assert frames_kept(target) == EACH
        assert resumed(source, target)[1] == 56 and target.read_bytes() == straight.read_bytes()
        assert not parts_folder(target).exists()
        target.unlink()


@pytest.mark.parametrize("edit", [
    lambda data: data.replace(b'"origin": 0', b'"origin": ""'), lambda data: data[:-8] + b"\xff" * 8,
    lambda data: data[:-50],
])  # fmt: skip
def test_an_edited_part_is_painted_again(tmp_path: Path, edit: Callable[[bytes], bytes]) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(50))), tmp_path / "out.mp4"
    interrupted(source, target, EACH + 10)
    part = parts_folder(target) / "000000.film"
    data = part.read_bytes()
    part.write_bytes(edit(data))
    assert part.read_bytes() != data and frames_kept(target) == 0
    assert resumed(source, target)[1] == 50


def test_a_part_that_decayed_is_no_film_and_is_painted_again(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(80))), tmp_path / "out.mp4"
    interrupted(source, target, 60)
    part = parts_folder(target) / "000001.film"
    data = bytearray(part.read_bytes())
    data[20] ^= 1  # in a packet
    part.write_bytes(data)
    with pytest.raises(VideoError, match=r"out\.mp4: a part of it was damaged on the disk; --resume paints"):
        resumed(source, target)
    assert not target.exists() and resumed(source, target)[1] == 56
    assert len(frames(target)) == 80


def test_a_run_that_ended_in_joining_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(2 * EACH)), sounds=1), tmp_path / "out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "join", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            resumed(source, target)
    report, painted = resumed(source, target)
    assert (report.frames, painted, len(frames(target))) == (2 * EACH, 0, 2 * EACH)


def test_long_films_are_kept_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(80))), tmp_path / "out.mp4"
    for is_long in (False, True):
        monkeypatch.setattr(painting, "LONG", 80 if is_long else 81)
        with pytest.raises(Killed):
            paint_video(painter(60), source, target, settings="same")
        assert frames_kept(target) == (2 * EACH if is_long else 0)
        assert parts_folder(target).exists() == is_long
    assert resumed(source, target)[1] == 80 - 2 * EACH


def test_a_full_disk_is_one_line_and_costs_one_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(60))), tmp_path / "out.mp4"
    written = parts._written

    def full(packets: list[Any], file: Any) -> Any:
        if file.name.endswith(".part") and (parts_folder(target) / "000000.film").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(packets, file)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "_written", full)
        with pytest.raises(VideoError, match=r"out\.mp4: .*no space left on device.*--resume"):
            resumed(source, target)
    assert frames_kept(target) == EACH and not list(parts_folder(target).glob(".impasto-*"))
    assert resumed(source, target)[1] == 60 - EACH
    parts_folder(target).write_bytes(b"a file where the folder would be")
    with pytest.raises(VideoError, match="cannot be kept"):
        resumed(source, target)


def test_sound_that_does_not_fit_is_said_before_the_work(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", sounds=1)
    seen: list[int] = []
    with pytest.raises(VideoError, match="its sound"):
        paint_video(painter(seen=seen), source, tmp_path / "out.webm", resume=True)
    assert not seen and not parts_folder(tmp_path / "out.webm").exists()


def test_broken_places_are_told_of_whoever_met_them(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "in.mp4", times=list(range(80))), tmp_path / "out.mp4"
    with av.open(str(source)) as clip:
        broken = [bytes(packet) for packet in clip.demux(video=0)][8]
    source.write_bytes(source.read_bytes().replace(broken, b"\xff" * len(broken)))
    straight = paint_video(painter(), source, tmp_path / "straight.mp4", resume=True)
    interrupted(source, target, 60)
    report, _ = resumed(source, target)
    assert report.damage == straight.damage and report.damage and "broken" in report.damage
    assert target.read_bytes() == (tmp_path / "straight.mp4").read_bytes()


def test_each_part_frees_its_encoder(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", times=list(range(4 * EACH)))

    def containers() -> int:
        return sum(type(each).__name__ == "OutputContainer" for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = containers()
        paint_video(painter(), source, tmp_path / "out.mp4", resume=True, settings="same")
        assert containers() <= before + 1  # of the whole film
    finally:
        gc.enable()


def test_parts_are_shorter_the_larger_the_frames_and_their_folder_has_a_name(tmp_path: Path) -> None:
    assert frames_in_a_part(64, 48) == EACH == frames_in_a_part(7680, 4320)  # here
    assert parts_folder(tmp_path / "in.wave.mp4").name == ".in.wave.mp4.parts"
    assert len(parts_folder(tmp_path / f"{'x' * 250}.mp4").name) < 100
    source, target = make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(Killed):
        paint_video(painter(2), source, target, resume=True)
    assert not parts_folder(target).exists()  # nothing to keep
    parts_folder(target).mkdir()
    (parts_folder(target) / "made_from.json").write_text(json.dumps({"format": 99}))
    (parts_folder(target) / "yours.txt").write_text("keep me")
    assert resumed(source, target)[1] == 20 and (parts_folder(target) / "yours.txt").exists()
