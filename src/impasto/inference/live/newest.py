"""The newest of what comes in, and nothing queued; frames of a camera, or of a clip that stands in for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from impasto.errors import VideoError
from impasto.inference.video.colours import FramePlan, upright_frames
from impasto.inference.video.reading import Clip, opened
from impasto.system.choices import LIVE_SIZE, MAX_PIXELS

T = TypeVar("T")
_STEP = 2  # pixels that both sides are multiples of: virtual cameras take no others
_PATIENCE = 1.0  # seconds for a thread to end; a camera that hangs keeps nobody waiting


class Seen(NamedTuple):
    """A frame (H, W, 3), uint8, upright, and when it arrived, in seconds of `time.perf_counter`."""

    pixels: np.ndarray
    arrived: float


class Newest(Generic[T]):
    """Keeps the latest item of what `read` makes in a thread of its own; the one before is passed over.

    Args:
        read: makes the items, none of them None; the event that it gets is set when nobody wants more.
    """

    def __init__(self, read: Callable[[Event], Generator[T, None, None]]):
        self.passed_over = 0
        self._item: T | None = None
        self._error: BaseException | None = None
        self._has_ended = False
        self._changed, self._over = Condition(), Event()
        self._thread = Thread(target=self._work, args=(read,), daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to take, and no error to be told."""
        with self._changed:
            return self._has_ended and self._item is None and self._error is None

    def take(self, timeout: float) -> T | None:
        """Return the latest item, each one once; None where none comes within `timeout` seconds, or ever again.

        Raises:
            Whatever `read` raised, after the last item.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._has_ended, timeout)
            item, self._item = self._item, None
            if item is None and self._error:
                raise self._error
            return item

    def close(self) -> None:
        self._over.set()
        self._thread.join(_PATIENCE)

    def _work(self, read: Callable[[Event], Generator[T, None, None]]) -> None:
        try:
            with closing(read(self._over)) as items:
                for item in items:
                    if self._over.is_set():
                        return
                    with self._changed:
                        self.passed_over += self._item is not None
                        self._item = item
                        self._changed.notify_all()
        except BaseException as error:  # raised again where the items are wanted
            self._error = error
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()


def frames(
    source: str | Path | int, over: Event, *, size: int | None = None, loop: bool = False
) -> Generator[Seen, None, None]:
    """Yield the frames of a camera as they come, or those of a clip at its own rate; `loop` begins it again and again.

    Args:
        over: ends the waiting for a frame's time.
        size: the longer side in pixels, by default `LIVE_SIZE` at most.

    Raises:
        VideoError: no video, no camera, a camera that stops or a clip that breaks off.
    """
    while not over.is_set():
        with opened(source) as clip:
            yield from _played(clip, over, size)
            if over.is_set():
                return
            if clip.is_camera:
                raise VideoError(f"{clip.name}: gives no more frames; connect it again")
            if not loop and (damage := clip.damage()):
                raise VideoError(f"{clip.name}: {damage}")
        if not loop:
            return


def _played(clip: Clip, over: Event, size: int | None) -> Generator[Seen, None, None]:
    first, items = clip.peeked()
    size = size or min(LIVE_SIZE, max(first.width, first.height))
    plan = FramePlan.of(clip, first, size, MAX_PIXELS, _STEP)
    arrivals: list[float] = []  # of frames that are not upright yet, of which there is one at a time
    with closing(upright_frames(_arriving(items, clip, over, arrivals), clip, plan)) as upright:
        for frame in upright:
            yield Seen(frame.pixels, arrivals.pop())


def _arriving(
    items: Generator[Any, None, None], clip: Clip, over: Event, arrivals: list[float]
) -> Generator[Any, None, None]:
    """Yield decoded frames as a camera gives them, those of a clip when it is their turn, and note when."""
    moment, start, lasts = 0.0, None, float(1 / clip.rate)
    with closing(items):
        for item in items:
            if clip.is_sound(item):
                continue
            if not clip.is_camera:
                moment = moment + lasts if item.pts is None else float(item.pts * clip.video.time_base)
                start = time.perf_counter() - moment if start is None else start
                if over.wait(max(0.0, start + moment - time.perf_counter())):
                    return
            arrivals.append(time.perf_counter())
            yield item
    if not clip.is_camera:
        over.wait(lasts)  # the last frame is seen as long as the others
