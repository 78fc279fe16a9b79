"""The newest item is taken and none queue up; clips play at their own rate."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from helpers.clips import make_clip
from impasto.errors import VideoError
from impasto.inference.live.newest import Newest, Seen, frames

SOON = 10.0  # seconds, on however busy a machine


def played(path: Path, *, size: int | None = None, loop: bool = False, most: int = 1000) -> list[Seen]:
    seen: list[Seen] = []
    with closing(frames(path, Event(), size=size, loop=loop)) as items:
        for item in items:
            seen.append(item)
            if len(seen) == most:
                break
    return seen


def test_only_the_newest_is_there_to_take() -> None:
    have_come = Event()

    def read(over: Event) -> Generator[int, None, None]:
        yield from range(1, 11)
        have_come.set()

    with closing(Newest(read)) as newest:
        assert have_come.wait(SOON)
        assert not newest.is_over
        assert (newest.take(0), newest.passed_over) == (10, 9)
        assert newest.take(SOON) is None and newest.is_over


def test_each_is_taken_once_and_waited_for() -> None:
    go_on = Event()

    def read(over: Event) -> Generator[str, None, None]:
        yield "first"
        go_on.wait(SOON)
        yield "second"

    with closing(Newest(read)) as newest:
        assert newest.take(SOON) == "first"
        assert newest.take(0) is None and not newest.is_over
        go_on.set()
        assert (newest.take(SOON), newest.passed_over) == ("second", 0)


def test_an_error_comes_after_the_last_item() -> None:
    def read(over: Event) -> Generator[int, None, None]:
        yield 1
        raise VideoError("the camera is gone")

    with closing(Newest(read)) as newest:
        assert newest.take(SOON) == 1
        with pytest.raises(VideoError, match="gone"):
            newest.take(SOON)
        assert not newest.is_over  # as long as it is told


def test_closing_ends_the_reading() -> None:
    ended = Event()

    def read(over: Event) -> Generator[int, None, None]:
        try:
            while not over.wait(0.001):
                yield 1
        finally:
            ended.set()

    with closing(Newest(read)) as newest:
        assert newest.take(SOON) == 1
    assert ended.wait(SOON)


def test_a_clip_faster_than_painting_passes_over_frames_and_never_queues(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "fast.mp4", times=list(range(60)), time_base=Fraction(1, 100))
    everything = played(clip)
    taken: list[Seen] = []
    with closing(Newest(partial(frames, clip))) as newest:
        while not newest.is_over:
            item = newest.take(SOON)
            taken += [item] if item else []
            time.sleep(0.06)  # a painter of 16 frames a second
    assert len(everything) == 60
    assert len(taken) + newest.passed_over == 60 and newest.passed_over >= 30
    arrivals = [item.arrived for item in taken]
    assert arrivals == sorted(set(arrivals))
    assert np.array_equal(taken[-1].pixels, everything[-1].pixels)


def test_a_clip_plays_at_its_own_rate_again_and_again(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=[0, 1, 2, 7], time_base=Fraction(1, 20), sounds=1)
    started = time.perf_counter()
    once = played(clip)
    assert time.perf_counter() - started >= 8 / 20 - 0.05  # the last frame, too, is seen for a while
    waits = np.diff([item.arrived for item in once])
    assert len(once) == 4 and waits[2] >= 0.2  # a late frame makes up for it
    twice = played(clip, loop=True, most=6)
    assert [np.array_equal(twice[at].pixels, once[at % 4].pixels) for at in range(6)] == [True] * 6


@pytest.mark.parametrize(
    ("size", "wanted", "shown"),
    [((96, 64), None, (96, 64)), ((960, 480), None, (640, 320)), ((96, 64), 48, (48, 32)), ((96, 64), 51, (52, 34))],
)
def test_frames_are_small_by_default_and_even(
    tmp_path: Path, size: tuple[int, int], wanted: int | None, shown: tuple[int, int]
) -> None:
    (item,) = played(make_clip(tmp_path / "clip.mp4", times=[0], size=size), size=wanted)
    assert item.pixels.shape == (shown[1], shown[0], 3)
    assert np.abs(item.pixels[4:12, 4:20].astype(int) - (230, 60, 30)).mean() < 12


def test_what_is_no_clip_or_breaks_off_is_told(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", times=list(range(60)), size=(320, 240), time_base=Fraction(1, 100))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"cut.mkv: .*get it again"):
        played(cut)
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(VideoError, match=r"text.mp4: no video"):
        played(tmp_path / "text.mp4")
    with pytest.raises(VideoError, match="camera 98: there is none"):
        list(frames(98, Event()))
