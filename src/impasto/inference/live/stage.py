"""The show: one thread reads, one paints and the main one shows, each the newest that the one before it has."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from threading import Event
from typing import NamedTuple, Protocol

import numpy as np

from impasto.dials.dials import Dials
from impasto.errors import ImpastoError
from impasto.inference.live.newest import Newest, Seen
from impasto.inference.live.overlay import put_line, put_table
from impasto.inference.live.palette import Palette
from impasto.inference.live.show import KEYS, Show

_IDLE = 0.01  # seconds between two looks at the keys
_TOLD = 2.5  # seconds that a message stays
_COUNTED = 10_000  # latencies, of which the median is told
_RECENT = 2.0  # seconds over which the rate of now is taken
_COLOURS = {"style": "the style's colours", "photo": "the photograph's colours", "match": "matched colours"}


class Shot(NamedTuple):
    """A painting and what it is made of and with."""

    pixels: np.ndarray  # (H, W, 3) uint8
    arrived: float | None  # of its frame; None for one that was shown already and is painted anew
    style: int
    dials: Dials


class Screen(Protocol):
    """A window, as `window.Window` is one."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def is_closed(self) -> bool: ...
    def show(self, picture: np.ndarray, draw: Callable[[np.ndarray], None]) -> None: ...
    def pressed_keys(self) -> list[str]: ...
    def set_full_screen(self, is_full: bool) -> None: ...
    def close(self) -> None: ...


@dataclass
class LiveReport:
    """What was shown; seconds by `time.perf_counter`."""

    frames: int = 0
    passed_over: int = 0  # frames that came and were not shown
    seconds: float = 0.0  # from the first frame shown to the last
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_COUNTED))
    failure: ImpastoError | None = None  # what ended the show

    @property
    def frames_per_second(self) -> float:
        return (self.frames - 1) / self.seconds if self.seconds else 0.0

    @property
    def latency(self) -> float | None:
        """Median of the seconds from a frame's arrival to its painting in the window."""
        return median(self.latencies) if self.latencies else None


class Stage:
    """Brings frames, painters and a window together.

    Args:
        show: as it begins.
        palette: the painters of its styles.
        open_window: takes the size (H, W) of the first painting.
        save: puts a painting and the name of its style into a file; returns a line to show.
        send: takes every new painting, as a virtual camera does.
    """

    def __init__(
        self,
        show: Show,
        palette: Palette,
        open_window: Callable[[tuple[int, int]], Screen],
        save: Callable[[np.ndarray, str], str],
        send: Callable[[np.ndarray], None] = lambda painting: None,
    ):
        self.show, self.report = show, LiveReport()
        self._palette, self._open_window, self._save, self._send = palette, open_window, save, send
        self._shot: Shot | None = None  # what is seen
        self._message, self._message_until = "", 0.0
        self._moments: deque[float] = deque()  # at which frames were shown, the recent ones
        self._drawn: object = None

    def run(self, read: Callable[[Event], Generator[Seen, None, None]]) -> None:
        """Paint and show what `read` makes until it ends or somebody quits; `report` tells how it went.

        Raises:
            ImpastoError: nothing could be shown. What fails later is in the report.
        """
        with closing(Newest(read)) as seen, closing(Newest(partial(self._paintings, seen))) as painted:
            try:
                self._show_all(painted)
            except ImpastoError as error:
                if not self.report.frames:
                    raise
                self.report.failure = error
            finally:
                self.report.passed_over = seen.passed_over + painted.passed_over

    def _paintings(self, seen: Newest[Seen], over: Event) -> Generator[Shot, None, None]:
        """Yield paintings of the newest frame; in a pause those of the last one, each time that something is set."""
        last: Seen | None = None
        made: object = None
        while not over.is_set():
            new = None if self.show.is_paused and last else seen.take(0.1)
            if new is None and seen.is_over and not self.show.is_paused:
                return
            last = new or last
            style = self._style()
            dials = self.show.dials(self._palette[style].dials)
            wanted = style, dials, self.show.is_mirrored
            if last is None or (new is None and wanted == made):
                over.wait(_IDLE)
                continue
            pixels = np.ascontiguousarray(last.pixels[:, ::-1] if self.show.is_mirrored else last.pixels)
            painting = self._palette[style].paint(pixels[None], dials=dials).pixels[0]
            made = wanted
            yield Shot(painting, new and new.arrived, style, dials)

    def _style(self) -> int:
        """Return the number of the style that is wanted, or that of now, or the first, while it is not there."""
        wanted = self.show.style
        if not self._palette.state(wanted):
            return wanted
        return self._shot.style if self._shot else self._palette.first

    def _show_all(self, painted: Newest[Shot]) -> None:
        window: Screen | None = None
        try:
            while not self.show.is_over and not painted.is_over:
                shot = painted.take(_IDLE)
                if shot and not window:
                    window = self._open_window((shot.pixels.shape[0], shot.pixels.shape[1]))
                    if self.show.is_full_screen:
                        window.set_full_screen(True)
                if window:
                    if window.is_closed:
                        return
                    self._present(shot, window)
                    self._obey(window)
        finally:
            if window:
                window.close()

    def _present(self, shot: Shot | None, window: Screen) -> None:
        """Show a new painting; or the last one again, if the words on it are others or the window has another size."""
        self._shot = shot or self._shot
        assert self._shot
        if shot:
            self._send(shot.pixels)
        words = self._words(self._shot)
        drawn = words, self.show.shows_help, window.size
        if shot or drawn != self._drawn:
            window.show(self._shot.pixels, lambda picture: self._draw(picture, *words))
            self._drawn = drawn
        if shot and shot.arrived is not None:
            self._count(shot.arrived, time.perf_counter())

    def _count(self, arrived: float, now: float) -> None:
        report = self.report
        report.frames += 1
        report.latencies.append(now - arrived)
        self._first = now if report.frames == 1 else self._first
        report.seconds = now - self._first
        self._moments.append(now)
        while now - self._moments[0] > _RECENT:
            self._moments.popleft()

    def _obey(self, window: Screen) -> None:
        """Do what the keys say that were pressed."""
        assert self._shot
        for key in window.pressed_keys():
            dials = self.show.dials(self._shot.dials)  # as earlier keys have set them, which may not be painted yet
            before, self.show = self.show, self.show.pressed(key, dials)
            if self.show.is_full_screen != before.is_full_screen:
                window.set_full_screen(self.show.is_full_screen)
            if self.show.saves > before.saves:
                self._tell(self._save(self._shot.pixels, self.show.styles[self._shot.style]))

    def _tell(self, message: str) -> None:
        self._message, self._message_until = message, time.perf_counter() + _TOLD

    def _words(self, shot: Shot) -> tuple[str, str]:
        """Return the facts, and a message."""
        state = self._palette.state(self.show.style)
        message = self._message if time.perf_counter() < self._message_until else ""
        message = f"{self.show.styles[self.show.style]} {state}" if state else message
        return (self._facts(shot) if self.show.shows_facts else ""), message

    def _facts(self, shot: Shot) -> str:
        dials, name = shot.dials, self.show.styles[shot.style]
        facts = [name, f"strength {dials.strength:g}", _COLOURS[dials.color]]
        if dials.stroke is not None:
            facts.append(f"stroke {dials.stroke:g}")
        if self.show.is_paused:
            facts.append("paused")
        elif len(self._moments) > 1:
            rate = (len(self._moments) - 1) / (self._moments[-1] - self._moments[0])
            facts.append(f"{rate:.0f} frames/s")
        return "    ".join(facts)

    def _draw(self, picture: np.ndarray, facts: str, message: str) -> None:
        if facts:
            put_line(picture, facts)
        if message:
            put_line(picture, message, at_bottom=True)
        if self.show.shows_help:
            put_table(picture, KEYS)
