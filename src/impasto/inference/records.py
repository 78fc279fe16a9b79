"""What each result was made from: known from one run to the next, so that names stay and nothing is painted twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from impasto.system.files import cache_dir

_MOST_KEPT = 4096  # folders


@dataclass(frozen=True)
class Made:
    """What a result was made from: its source, as it was then, and all else that decides on the result."""

    result: str  # its name
    style: str
    source: str  # its whole path
    state: tuple[int, ...]  # of the source: its bytes, and when it was changed
    settings: str  # digest of the model's file and of the options
    written: tuple[int, ...] = ()  # the state of the result

    @classmethod
    def of(cls, source: Path, target: Path, style: str, settings: str) -> Made:
        return cls(target.name, style, absolute(source), state_of(source), settings)

    def is_from_the_same(self, other: Made | None) -> bool:
        return other is not None and replace(self, written=()) == replace(other, written=())


def state_of(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


class Records:
    """What the results in one folder were made from, as far as it is known:
    a line each in a file of the cache folder.
    """

    def __init__(self, folder: Path):
        digest = hashlib.sha256(os.fsencode(absolute(folder))).hexdigest()[:32]
        self._place = cache_dir() / "results" / f"{digest}.jsonl"
        self.of: dict[str, Made] = {}  # name of the result
        self._names: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        with suppress(OSError):
            for line in self._place.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, TypeError):  # a line that was cut off
                    self._take(Made(**json.loads(line)))

    def add(self, made: Made, target: Path) -> None:
        """Note that `target`, written just now, was made so."""
        made = replace(made, written=state_of(target))
        self._take(made)
        with suppress(OSError):  # without a cache nothing is known of it later
            is_new = not self._place.exists()
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with self._place.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(made)) + "\n")
            if is_new:
                for old in sorted(self._place.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-_MOST_KEPT]:
                    old.unlink(missing_ok=True)

    def name_for(self, source: Path, style: str, ours: re.Pattern[str]) -> str | None:
        """Return the name, of those that match `ours`, that a painting of `source` in this style has already."""
        names = self._names.get((absolute(source), style), [])
        return next((name for name in names if ours.fullmatch(name) and self.of[name].source == absolute(source)), None)

    def is_anothers(self, target: Path, source: Path) -> bool:
        """Whether `target` is there and was made from another source that is still there, too."""
        made = self.of.get(target.name)
        return made is not None and made.source != absolute(source) and os.path.lexists(made.source) and target.exists()

    def _take(self, made: Made) -> None:
        made = replace(made, state=tuple(made.state), written=tuple(made.written))  # JSON has lists
        self.of[made.result] = made
        self._names[made.source, made.style].append(made.result)


def settings_of(*models: Path, **options: object) -> str:
    """Return a digest of the models' files and of the options that decide on a result."""
    digest = hashlib.sha256()
    for model in models:
        digest.update(model.read_bytes())
    digest.update(json.dumps(options, sort_keys=True).encode())
    return digest.hexdigest()


def absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, and raise on circular ones
