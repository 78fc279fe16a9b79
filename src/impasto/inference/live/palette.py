"""The painters of a live show, all of them loaded, so that a key changes the style at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError

if TYPE_CHECKING:
    from impasto.inference.stylizer import Stylizer

Loader = Callable[[], "Stylizer"]
Fail = Callable[[int, Exception], None]


class Palette:
    """Painters by their number. The first is there at once; the others are loaded beside the painting.

    Args:
        loaders: one for each style.
        fail: is told which painters cannot be used, in the thread that loads them.

    Raises:
        ImpastoError, OSError: none can be used.
    """

    def __init__(self, loaders: Sequence[Loader], fail: Fail):
        self._painters: dict[int, Stylizer | None] = {}  # None: it cannot be used
        self._fail = fail
        rest = list(enumerate(loaders))
        while not any(self._painters.values()):
            number, load = rest.pop(0)
            try:
                self._painters[number] = load()
            except (ImpastoError, OSError) as error:
                if not rest:
                    raise
                self._refuse(number, error)
        self.first = len(self._painters) - 1
        self._thread = Thread(target=self._load, args=(rest,), daemon=True)
        self._thread.start()
        if self[self.first].device != "cpu":  # nothing may be loaded while a GPU records its graph
            self._thread.join()

    def __getitem__(self, number: int) -> Stylizer:
        """Return a painter; raises KeyError while it is being loaded, and where it cannot be used."""
        painter = self._painters[number]
        if painter is None:
            raise KeyError(number)
        return painter

    def state(self, number: int) -> str:
        """Say in a few words why a painter is not there; nothing where it is."""
        if number not in self._painters:
            return "is being loaded"
        return "" if self._painters[number] else "cannot be used"

    def wait(self, seconds: float | None = None) -> None:
        """Wait until all painters are loaded."""
        self._thread.join(seconds)

    def _load(self, rest: Sequence[tuple[int, Loader]]) -> None:
        for number, load in rest:
            try:
                self._painters[number] = load()
            except Exception as error:  # the show goes on
                self._refuse(number, error)

    def _refuse(self, number: int, error: Exception) -> None:
        self._painters[number] = None
        with suppress(Exception):
            self._fail(number, error)
