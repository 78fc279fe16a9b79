"""What people type as a style: a shipped name, a file, a picture, a vector, or several of them, blended or in turn."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from impasto.errors import UsageError, printable
from impasto.system.files import is_address
from impasto.system.times import seconds_of

_ROUNDING = 0.0051  # of each weight: thirds are typed as 0.33
_MOST_COMMAS = 8  # of one file's name
_CUE = re.compile(r"@([\d:.]+)(?:,|$)", re.ASCII)


@dataclass(frozen=True)
class Part:
    """One style of a blend and its weight; the weights of a blend make 1."""

    word: str
    weight: float


@dataclass(frozen=True)
class Cue:
    """A style, or a blend, and the second of a film from which on it is painted."""

    word: str
    start: Fraction


def cues_of(word: str) -> list[Cue]:
    """Take `a@0,b.jpg:0.7,c:0.3@00:10` apart: a style is all that stands before its @TIME, be it a blend.

    A word without any time, or that is there as a file, is one style from 0 on.

    Raises:
        UsageError: a time that is none, is not later than the one before, or is missing.
    """
    found = [] if _is_there(word) or is_address(word) else list(_CUE.finditer(word))
    if not found:
        return [Cue(word, Fraction(0))]
    said = f"-s {printable(word)}: "
    example = "write it as wave@0,oils@00:10"
    if found[-1].end() < len(word) or word.endswith(","):
        raise UsageError(f"{said}a time is missing behind the last style; {example}")
    cues: list[Cue] = []
    for before, match in zip([0, *(match.end() for match in found)], found, strict=False):
        try:
            cues.append(Cue(_named(word[before : match.start()], word), seconds_of(match[1])))
        except ValueError as error:
            raise UsageError(f"{said}{error}") from error
    if cues[0].start:
        raise UsageError(f"{said}the first style begins at {float(cues[0].start):g} s and must at 0; {example}")
    if any(one.start >= other.start for one, other in pairwise(cues)):
        raise UsageError(f"{said}each style must begin later than the one before; {example}")
    return cues


def parts_of(word: str | Path) -> list[Part]:
    """Take `a.jpg:0.7,wave:0.3` apart; what is there as a file is one style, whatever commas and colons it has.

    Raises:
        UsageError: a weight that is no number from 0 to 1, weights that do not make 1, or some with and some without.
    """
    if isinstance(word, Path) or _is_there(word) or is_address(word):
        return [Part(str(word), 1.0)]
    found = [_part_of(piece, word) for piece in _pieces(word)]
    weights = [weight for _, weight in found if weight is not None]
    if not weights:
        return [Part(name, 1 / len(found)) for name, _ in found]
    if len(weights) < len(found):
        raise UsageError(f"-s {printable(word)}: give every style of a blend its weight, as in a.jpg:0.7,wave:0.3")
    if abs((total := sum(weights)) - 1) > _ROUNDING * len(weights):
        raise UsageError(f"-s {printable(word)}: the weights make {total:g}; they must make 1")
    return [Part(name, weight / total) for name, weight in found if weight is not None]


def joined_name(parts: Sequence[Part], names: Sequence[str]) -> str:
    """Join the names of a blend's parts, as `a+wave`; with percents where the weights differ, as `a-70+wave-30`."""
    percents = [f"{100 * part.weight:.4g}" for part in parts]
    if len(set(percents)) == 1:
        return "+".join(names)
    return "+".join(f"{name}-{percent}" for name, percent in zip(names, percents, strict=True))


def _pieces(word: str) -> Iterator[str]:
    """Yield what stands between commas, but for the commas of files' names: a longer name that is there goes first."""
    words = word.split(",")
    while words:
        ends = range(min(len(words), _MOST_COMMAS), 1, -1)
        joined = ((end, ",".join(words[:end])) for end in ends)
        end, piece = next((each for each in joined if _is_there(_split(each[1])[0])), (1, words[0]))
        yield piece
        del words[:end]


def _is_there(name: str) -> bool:
    with suppress(ValueError):  # a null character
        return os.path.exists(os.path.expanduser(name))  # noqa: PTH110, PTH111 - those of Path raise for odd names
    return False


def _split(piece: str) -> tuple[str, str]:
    """Return a name and what stands behind its last colon; that of a drive or of a file's name is no such colon."""
    name, colon, said = piece.rpartition(":")
    return (piece, "") if not colon or _is_there(piece) or set(said) & {"/", "\\"} else (name, said)


def _part_of(piece: str, word: str) -> tuple[str, float | None]:
    name, said = _split(piece)
    if name == piece:
        return _named(piece, word), None
    with suppress(ValueError):
        if 0 <= (weight := float(said)) <= 1:
            return _named(name, word), weight
    raise UsageError(f"-s {printable(word)}: {printable(said)!r} is no weight from 0 to 1")


def _named(name: str, word: str) -> str:
    if not name.strip():
        raise UsageError(f"-s {printable(word)}: a style without a name; write a.jpg:0.7,wave:0.3")
    return name if _is_there(name) else name.strip()
