"""A span of a clip: the very frames, times from 0, and the sound that belongs to them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.clips import make_clip
from impasto.errors import UsageError, VideoError
from impasto.inference.video.paint_video import paint_video
from impasto.inference.video.reading import is_whole_clip

av = pytest.importorskip("av")


def frames(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    with av.open(str(path)) as film:
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]


def sound(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as film:
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in film.demux(audio=0) if packet.size]


def painted(source: Path, target: Path, **options: Any) -> list[np.ndarray]:
    seen: list[np.ndarray] = []
    report = paint_video(lambda frame: seen.append(frame) or frame, source, target, **options)
    assert report.damage is None and report.frames == len(seen)
    return seen


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(("suffix", "begins"), [(".mp4", 0), (".mkv", 0), (".mp4", 7), (".mkv", 4)])
def test_the_frames_and_the_sound_of_a_span(tmp_path: Path, suffix: str, begins: int, resume: bool) -> None:
    steps = np.random.default_rng(2).integers(10, 200, 99)
    times = (1000 * begins + np.cumsum([0, *steps])).tolist()
    source = make_clip(tmp_path / f"in{suffix}", times=times, time_base=Fraction(1, 1000), sounds=0 if begins else 1)
    whole = painted(source, tmp_path / f"whole{suffix}")
    moments = [Fraction(at - times[0], 1000) for at in times]
    start, end = moments[31], moments[77]
    target = tmp_path / f"span{suffix}"
    seen = painted(source, target, start=start, end=end, resume=resume)
    assert len(seen) == 46 and all((one == other).all() for one, other in zip(seen, whole[31:77], strict=True))
    shown = [at for at, _ in frames(target)]
    late = shown[0]  # Matroska moves everything by the encoder's delay
    assert late <= Fraction(1, 5) and (suffix == ".mkv" or late == 0)
    assert [at - late for at in shown] == [at - start for at in moments[31:77]]
    assert is_whole_clip(target)
    if not begins:
        first = next(at for at, _ in frames(source)) + start
        wanted = [(at - first, data) for at, data in sound(source) if first <= at < first - start + end]
        heard = [(at - late, data) for at, data in sound(target)]
        assert [data for _, data in heard] == [data for _, data in wanted] and len(wanted) > 100
        assert all(abs(one[0] - other[0]) <= Fraction(1, 500) for one, other in zip(heard, wanted, strict=True))


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.webm", "in.ts", "in.avi", "in.m2v"])
def test_a_span_far_inside_is_sought_or_counted_and_always_exact(tmp_path: Path, name: str) -> None:
    codecs = {".webm": "libvpx-vp9", ".ts": "mpeg2video", ".avi": "mpeg4", ".m2v": "mpeg2video"}
    source = make_clip(
        tmp_path / name, times=list(range(900)), size=(32, 32), codec=codecs.get(Path(name).suffix, "libx264")
    )
    target = tmp_path / "out.mp4"
    whole = painted(source, target)
    for start, end in ((Fraction(20), None), (25, 27.5), (Fraction("29.9"), 40), (0, 1)):
        seen = painted(source, target, start=start, end=end)
        first, last = int(start * 30), 900 if end is None else min(900, int(end * 30))
        assert len(seen) == len(frames(target)) == last - first
        assert all((one == other).all() for one, other in zip(seen, whole[first:last], strict=True))


def test_chapters_of_a_span_are_moved_with_it(tmp_path: Path) -> None:
    made = make_clip(tmp_path / "plain.mp4", times=list(range(120)))
    with av.open(str(made)) as read, av.open(str(tmp_path / "in.mp4"), "w") as out:
        out.add_stream_from_template(read.streams.video[0])
        base = Fraction(1, 1000)
        out.set_chapters([
            {"id": number, "start": 1000 * number, "end": 1000 * (number + 1), "time_base": base,
             "metadata": {"title": str(number)}} for number in range(4)
        ])  # fmt: skip
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = out.streams.video[0]
                out.mux(packet)
    report = paint_video(lambda frame: frame, tmp_path / "in.mp4", tmp_path / "out.mp4", start=1.5, end=2.5)
    with av.open(str(tmp_path / "out.mp4")) as film:
        kept = [
            (each["metadata"]["title"], each["start"] * each["time_base"], each["end"] * each["time_base"])
            for each in film.chapters()
        ]
    assert kept == [("1", 0, Fraction(1, 2)), ("2", Fraction(1, 2), 1)]
    assert any("chapters" in note for note in report.notes)


def test_spans_that_hold_nothing_are_said(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    with pytest.raises(VideoError, match=r"in\.mp4: holds no frame from 5 s on; it ends after 0\.7 s"):
        paint_video(lambda frame: frame, source, tmp_path / "out.mp4", start=5)
    with pytest.raises(UsageError, match="holds nothing"):
        paint_video(lambda frame: frame, source, tmp_path / "out.mp4", start=5, end=4)
    with pytest.raises(UsageError, match="camera 0"):
        paint_video(lambda frame: frame, 0, tmp_path / "out.mp4", start=5)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_span_may_end_in_a_clip_that_is_torn_later(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "in.mkv", times=list(range(90)))
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    report = paint_video(lambda frame: frame, whole, tmp_path / "out.mkv", end=1)
    assert report.frames == 30 and report.damage is None
    assert paint_video(lambda frame: frame, whole, tmp_path / "out.mkv", start=0.5, end=2.9).damage
