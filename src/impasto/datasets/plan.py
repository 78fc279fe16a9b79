"""The plan of an augmented data set: it depends on the annotations, the styles and the seed alone."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from impasto.errors import UsageError, counted
from impasto.system.choices import AUGMENT_PER_IMAGE, AUGMENT_STRENGTH, DEFAULT_SEED


@dataclass(frozen=True)
class Output:
    """One file to write: its path below OUT/images, its style (None copies the original) and the share of the
    painting.
    """

    file_name: str
    style: str | None
    strength: float


@dataclass(frozen=True)
class Job:
    """One image and the files to make of it; `width` and `height` as the annotation file states them.

    `part` is what the annotation file says of this image alone, where its annotations decide on where to paint.
    """

    file_name: str
    width: Any
    height: Any
    outputs: tuple[Output, ...]
    part: dict[str, Any] | None = None


def plan_jobs(
    entries: Sequence[dict[str, Any]],
    styles: Sequence[str],
    per_image: int = AUGMENT_PER_IMAGE,
    seed: int = DEFAULT_SEED,
    strength: tuple[float, float] = AUGMENT_STRENGTH,
    keep_originals: bool = False,
) -> list[Job]:
    """Return a job for each of a COCO file's `images`, in their order; no two outputs have the same name.

    Raises:
        UsageError: `strength` is not a range in [0, 1], or so many paintings of an image that some would be the same.
    """
    if not 0 <= strength[0] <= strength[1] <= 1:
        raise UsageError(f"a strength of {strength[0]:g}:{strength[1]:g} is none; give LOW:HIGH between 0 and 1")
    if per_image > len(styles) and strength[0] == strength[1]:
        raise UsageError(
            f"{counted(per_image, 'painting')} an image in {counted(len(styles), 'style')} would repeat some; "
            "add styles or a range of strengths"
        )
    sources = [PurePosixPath(entry["file_name"]) for entry in entries]
    names = _UniqueNames(sources)
    jobs = []
    for entry, source in zip(entries, sources, strict=True):
        outputs = [Output(names.claim(source), None, 0.0)] if keep_originals else []
        for index in range(per_image):
            style, share = draw_style(seed, entry["id"], index, styles, strength)
            number = f"-{index + 1}" if per_image > 1 else ""
            outputs.append(Output(names.claim(source.with_name(f"{source.stem}.{style}{number}.jpg")), style, share))
        jobs.append(Job(str(source), entry.get("width"), entry.get("height"), tuple(outputs)))
    return jobs


def draw_style(
    seed: int, image_id: int | str, index: int, styles: Sequence[str], strength: tuple[float, float]
) -> tuple[str, float]:
    """Return style and strength of painting number `index` of an image: a pure function of its arguments.

    An image's paintings use every style once before they repeat one. Another style leaves the order of the rest.
    """
    order = sorted(styles, key=lambda style: _uniform(seed, image_id, style))
    low, high = strength
    return order[index % len(order)], round(low + (high - low) * _uniform(seed, image_id, index), 4)


def _uniform(*words: int | str) -> float:
    """Return a number in [0, 1) that is the same for the same words on every machine and in every version."""
    digest = hashlib.sha256(json.dumps(words).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


class _UniqueNames:
    """Hands out file names that are unique even where the file system ignores case."""

    def __init__(self, sources: Sequence[PurePosixPath]):
        self.taken = {str(parent).casefold() for source in sources for parent in source.parents}
        self.numbers: dict[str, Iterator[int]] = defaultdict(lambda: itertools.count(2))

    def claim(self, wanted: PurePosixPath) -> str:
        name = wanted
        while str(name).casefold() in self.taken:
            number = next(self.numbers[str(wanted).casefold()])
            name = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        self.taken.add(str(name).casefold())
        return str(name)
