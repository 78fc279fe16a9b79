"""What people type as a style: a shipped name, a file, a picture, a vector, or several of them blended."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import UsageError, printable

_ROUNDING = 0.01  # by which weights may miss 1: thirds are typed as 0.33


@dataclass(frozen=True)
class Part:
    """One style of a blend and its weight; the weights of a blend make 1."""

    word: str
    weight: float


def parts_of(word: str | Path) -> list[Part]:
    """Take `a.jpg:0.7,wave:0.3` apart; a file that is there under the whole name is one style, whatever it is called.

    Raises:
        UsageError: a weight that is no number from 0 to 1, weights that do not make 1, or some with and some without.
    """
    if isinstance(word, Path) or Path(os.path.expanduser(word)).exists():  # noqa: PTH111 - Path.expanduser may raise
        return [Part(str(word), 1.0)]
    found = [_part_of(piece, word) for piece in word.split(",")]
    if len(found) == 1:
        name, weight = found[0]
        return [Part(name if weight is not None else word, 1.0)]
    weights = [weight for _, weight in found if weight is not None]
    if not weights:
        return [Part(name, 1 / len(found)) for name, _ in found]
    if len(weights) < len(found):
        raise UsageError(f"-s {printable(word)}: give every style of a blend its weight, as in a.jpg:0.7,wave:0.3")
    if abs((total := sum(weights)) - 1) > _ROUNDING:
        raise UsageError(f"-s {printable(word)}: the weights make {total:g}; they must make 1")
    return [Part(name, weight / total) for name, weight in found if weight is not None]


def _part_of(piece: str, word: str) -> tuple[str, float | None]:
    name, colon, said = piece.rpartition(":")
    if not colon or "/" in said or "\\" in said:  # the colon of a drive
        return _named(piece, word), None
    with suppress(ValueError):
        if 0 <= (weight := float(said)) <= 1:
            return _named(name, word), weight
    raise UsageError(f"-s {printable(word)}: {printable(said)!r} is no weight from 0 to 1")


def _named(name: str, word: str) -> str:
    if not name.strip():
        raise UsageError(f"-s {printable(word)}: a style without a name; write a.jpg:0.7,wave:0.3")
    return name.strip()
