"""Generators one behind the other, each in a thread of its own, a few frames apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np

from impasto.errors import VideoError

Painter = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 -> the same; maybe a `FilmPainter`, too
Progress = Callable[[int, int | None], None]  # frames done, frames in all as far as they are known
T = TypeVar("T")
_AHEAD = 4  # frames between two neighbours in the chain


class FilmPainter(Protocol):
    """A painter for which it matters which frame it paints: one with a mask for each, or with a change of style."""

    counts_frames: bool  # whether the number must be known: then no reader skips what is not painted

    def __call__(self, pixels: np.ndarray) -> np.ndarray: ...

    def paint_at(self, pixels: np.ndarray, number: int, moment: Fraction) -> np.ndarray:
        """Paint frame `number` of the source, counted from 0, which is shown there at second `moment`."""
        ...


@dataclass(frozen=True)
class Mark:
    """How far a clip had been read when a frame came out: enough to go on behind that frame."""

    number: int  # of the next frame in the source
    pts: int | None  # of the frame, as the source has it
    written: int  # and as the result has it
    origin: int  # what the result's times are less than the source's
    is_steady: bool  # every frame up to here came later than the one before: it can be found again by its time
    broken: int
    is_interlaced: bool
    is_clear: bool


@dataclass(frozen=True)
class Frame:
    pixels: np.ndarray  # (H, W, 3) uint8, upright
    pts: int = 0
    duration: int = 0
    number: int = 0  # in the source, from 0
    moment: Fraction = Fraction(0)  # in seconds from the source's beginning
    mark: Mark | None = None
    alpha: np.ndarray | None = None  # (H, W, 1) uint8, of an animated picture


def ahead(items: Generator[T, None, None], depth: int = _AHEAD) -> Generator[T, None, None]:
    """Yield `items`, made in a thread of their own, at most `depth` of them before they are asked for."""
    ready: Queue[tuple[str, Any]] = Queue(depth)
    is_over = Event()

    def hand_over(kind: str, value: object) -> bool:
        while not is_over.is_set():
            with suppress(Full):
                ready.put((kind, value), timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    if not hand_over("item", item):
                        return
            hand_over("end", None)
        except BaseException as error:  # raised again where the items are wanted
            hand_over("error", error)

    worker = Thread(target=work, daemon=True)
    worker.start()
    try:
        while (entry := _patiently(ready))[0] == "item":
            yield entry[1]
        if entry[0] == "error":
            raise entry[1]
    finally:
        is_over.set()
        worker.join()


def _patiently(ready: Queue[T]) -> T:
    while True:  # with pauses, in which Ctrl-C is heard on every system
        with suppress(Empty):
            return ready.get(timeout=0.5)


def painted_frames(paint: Painter, items: Generator[Any, None, None]) -> Generator[Any, None, None]:
    paint_at: Callable[[np.ndarray, int, Fraction], np.ndarray] | None = getattr(paint, "paint_at", None)
    with closing(items):
        for item in items:
            if isinstance(item, Frame):
                pixels = paint_at(item.pixels, item.number, item.moment) if paint_at else paint(item.pixels)
                item = replace(item, pixels=pixels)
            yield item


def raw_frames(source: BinaryIO, width: int, height: int) -> Generator[Frame, None, None]:
    size = width * height * 3
    for number in itertools.count():
        data = source.read(size)
        if not data:
            return
        if len(data) < size:
            raise VideoError(
                f"the input ends {size - len(data)} bytes short of frame {number + 1}; is it rgb24 of {width}x{height}?"
            )
        yield Frame(np.frombuffer(data, np.uint8).reshape(height, width, 3), number=number)
