"""The show from frames to a screen: the newest is painted, keys are obeyed, and it goes on when something fails."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from impasto.checkpoint import load_style_model
from impasto.errors import ModelError, UsageError, VideoError
from impasto.inference.live.newest import Seen
from impasto.inference.live.palette import Loader, Palette
from impasto.inference.live.show import Show
from impasto.inference.live.stage import Stage
from impasto.inference.stylizer import Stylizer

SOON = 10.0
SIDES = (32, 48)


def numbered(number: int) -> np.ndarray:
    """A frame (H, W, 3) that tells its number, and left from right."""
    frame = np.full((*SIDES, 3), 40, np.uint8)
    frame[:, : SIDES[1] // 2] = (number, 255 - number, 128)
    return frame


class Screen:
    """Keeps what is shown. After each picture `press` says which keys are pressed: a list for its number, from 1."""

    def __init__(self, press: Callable[[int], list[str]]):
        self.shown: list[np.ndarray] = []
        self.drawn: list[np.ndarray] = []
        self.full_screens: list[bool] = []
        self.size, self.is_closed, self.closed = SIDES, False, 0
        self.shown_anew = Event()
        self._press, self._asked = press, 0

    def show(self, picture: np.ndarray, draw: Callable[[np.ndarray], None]) -> None:
        self.shown.append(picture)
        self.drawn.append(picture.copy())
        draw(self.drawn[-1])
        self.shown_anew.set()

    def pressed_keys(self) -> list[str]:
        if len(self.shown) == self._asked:
            return []
        self._asked = len(self.shown)
        return self._press(self._asked)

    def set_full_screen(self, is_full: bool) -> None:
        self.full_screens.append(is_full)

    def close(self) -> None:
        self.closed += 1


class Theatre:
    """A stage with a screen, and what was saved and sent."""

    def __init__(
        self,
        show: Show,
        loaders: list[Loader],
        press: Callable[[int], list[str]] = lambda number: [],
        *,
        wait: bool = True,
    ):
        self.failures: list[tuple[int, str]] = []
        self.saved: list[tuple[np.ndarray, str]] = []
        self.sent: list[np.ndarray] = []
        self.sizes: list[tuple[int, int]] = []
        self.screen = Screen(press)
        palette = Palette(loaders, lambda number, error: self.failures.append((number, str(error))))
        if wait:
            palette.wait()
        self.stage = Stage(show, palette, self._open, self._save, self.sent.append)

    def _open(self, size: tuple[int, int]) -> Screen:
        self.sizes.append(size)
        return self.screen

    def _save(self, painting: np.ndarray, style: str) -> str:
        self.saved.append((painting, style))
        return "saved"


@pytest.fixture(scope="module")
def tiny(painter: Path) -> Stylizer:
    return Stylizer(painter, "cpu", backend="torch")


@pytest.fixture(scope="module")
def pale(painter: Path) -> Stylizer:
    """Another painter, which says of itself that it paints more calmly."""
    model = load_style_model(painter)
    model.style.dials = {"strength": 0.5}
    return Stylizer(model, "cpu", backend="torch")


def one_frame(over: Event) -> Generator[Seen, None, None]:
    """Read one frame and no other."""
    yield Seen(numbered(7), 0.0)
    over.wait(SOON)


def test_the_newest_frame_is_painted_and_none_queue_up(tiny: Stylizer) -> None:
    def read(over: Event) -> Generator[Seen, None, None]:
        for number in range(60):
            yield Seen(numbered(number), 0.0)
            over.wait(0.0005)

    theatre = Theatre(Show(("tiny",)), [lambda: tiny])
    theatre.stage.run(read)
    names = {tiny(numbered(number)).tobytes(): number for number in range(60)}
    shown = [names[picture.tobytes()] for picture in theatre.sent]
    report = theatre.stage.report
    assert shown == sorted(set(shown)) and shown[-1] == 59
    assert report.frames == len(shown) and report.frames + report.passed_over == 60
    assert report.latency and report.latency > 0 and report.failure is None
    assert theatre.sizes == [SIDES] and theatre.screen.closed == 1
    assert len(theatre.screen.shown) >= len(shown)


def test_keys_set_the_paused_frame_anew(tiny: Stylizer, pale: Stylizer) -> None:
    # A pause is told by no word when facts are hidden, so that the next picture comes by another key.
    script = {1: [" ", "n"], 2: ["up"], 3: ["c"], 4: ["m"], 5: ["s", "f"], 6: ["q"]}
    theatre = Theatre(
        Show(("tiny", "pale"), shows_facts=False), [lambda: tiny, lambda: pale], lambda number: script.get(number, [])
    )
    theatre.stage.run(one_frame)
    frame = numbered(7)
    wanted = [
        tiny(frame), pale(frame), pale(frame, strength=0.6), pale(frame, strength=0.6, color="photo"),
        pale(np.ascontiguousarray(frame[:, ::-1]), strength=0.6, color="photo"),
    ]  # fmt: skip
    assert [np.array_equal(one, other) for one, other in zip(theatre.sent, wanted, strict=True)] == [True] * 5
    assert theatre.stage.report.frames == 1  # the others are no new frames
    ((saved, style),) = theatre.saved
    assert np.array_equal(saved, wanted[-1]) and style == "pale"
    assert theatre.screen.full_screens == [True]
    assert np.array_equal(theatre.screen.drawn[0], theatre.screen.shown[0])  # no word on it
    assert not np.array_equal(theatre.screen.drawn[-1], theatre.screen.shown[-1])  # "saved"


def test_words_never_get_into_what_is_saved_or_sent(tiny: Stylizer) -> None:
    script = {1: ["h"], 2: ["s", "q"]}
    theatre = Theatre(Show(("tiny",)), [lambda: tiny], lambda number: script.get(number, []))
    theatre.stage.run(one_frame)
    painting = tiny(numbered(7))
    assert np.array_equal(theatre.saved[0][0], painting) and np.array_equal(theatre.sent[0], painting)
    assert not np.array_equal(theatre.screen.drawn[0], painting)


def test_a_style_is_painted_as_soon_as_it_is_loaded(tiny: Stylizer, pale: Stylizer) -> None:
    may_load = Event()

    def late() -> Stylizer:
        assert may_load.wait(SOON)
        return pale

    def press(number: int) -> list[str]:
        if number == 2:
            may_load.set()  # the screen says that it is being loaded
        return {1: [" ", "2"], 3: [], 4: []}.get(number, [])

    theatre = Theatre(Show(("tiny", "pale"), shows_facts=False), [lambda: tiny, late], press, wait=False)

    def read(end: Event) -> Generator[Seen, None, None]:
        yield Seen(numbered(7), 0.0)
        while len(theatre.sent) < 2 and not end.wait(0.005):
            pass
        theatre.screen.is_closed = True

    theatre.stage.run(read)
    assert np.array_equal(theatre.sent[0], tiny(numbered(7)))
    assert np.array_equal(theatre.screen.shown[1], theatre.sent[0])
    assert not np.array_equal(theatre.screen.drawn[1], theatre.sent[0])
    assert np.array_equal(theatre.sent[1], pale(numbered(7)))


def test_painters_that_cannot_be_used_are_told_and_left_out(tiny: Stylizer) -> None:
    def broken() -> Stylizer:
        raise ModelError("broken.safetensors: damaged")

    theatre = Theatre(
        Show(("broken", "tiny", "broken too"), style=1), [broken, lambda: tiny, broken], lambda _: ["n", "q"]
    )
    theatre.stage.run(one_frame)
    assert theatre.failures == [(0, "broken.safetensors: damaged"), (2, "broken.safetensors: damaged")]
    assert np.array_equal(theatre.sent[0], tiny(numbered(7)))
    with pytest.raises(ModelError, match="damaged"):
        Palette([broken, broken], lambda number, error: None)


def test_a_camera_that_stops_ends_the_show_and_a_window_that_is_closed_too(tiny: Stylizer) -> None:
    def stops(over: Event) -> Generator[Seen, None, None]:
        yield Seen(numbered(1), 0.0)
        raise VideoError("camera 0: gives no more frames")

    theatre = Theatre(Show(("tiny",)), [lambda: tiny])
    theatre.stage.run(stops)
    assert "no more frames" in str(theatre.stage.report.failure) and theatre.stage.report.frames == 1

    theatre = Theatre(Show(("tiny",)), [lambda: tiny])

    def endless(over: Event) -> Generator[Seen, None, None]:
        while not over.wait(0.001):
            yield Seen(numbered(1), 0.0)
            theatre.screen.is_closed = theatre.screen.shown_anew.is_set()

    theatre.stage.run(endless)
    assert theatre.stage.report.failure is None and theatre.screen.closed == 1


def test_what_cannot_begin_is_raised(tiny: Stylizer) -> None:
    def gone(over: Event) -> Generator[Seen, None, None]:
        raise VideoError("camera 0: there is none")
        yield Seen(numbered(1), 0.0)

    with pytest.raises(VideoError, match="there is none"):
        Theatre(Show(("tiny",)), [lambda: tiny]).stage.run(gone)

    def no_window(size: tuple[int, int]) -> Screen:
        raise UsageError("no display")

    palette = Palette([lambda: tiny], lambda number, error: None)
    with pytest.raises(UsageError, match="no display"):
        Stage(Show(("tiny",)), palette, no_window, lambda painting, style: "").run(one_frame)
