"""The pictures that a file, a folder or a pattern means."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import UsageError, printable
from impasto.images.formats import FOREIGN, IMAGE_SUFFIXES
from impasto.system.files import is_address


@dataclass(frozen=True)
class Found:
    """A file, and the folders between what was named and it: `cat` of tree/cat/1.jpg where tree was named."""

    path: Path
    below: Path = Path()


def find_images(sources: Sequence[str | Path], suffixes: Set[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the paths of what `find` finds."""
    return [found.path for found in find(sources, suffixes)]


def find(
    sources: Sequence[str | Path],
    suffixes: Set[str] = IMAGE_SUFFIXES,
    passed_over: Callable[[str], None] = lambda line: None,
    closed: Callable[[OSError], None] = lambda error: None,
) -> list[Found]:
    """Return the files that `sources` mean: files as they are, folders walked, patterns expanded; each path once.

    From folders and patterns come only regular files with one of the `suffixes`, sorted; hidden files and folders, and
    what impasto itself leaves in a folder, are passed over. Linked folders are followed, each folder once.
    `passed_over` is called with a line for each kind of picture that is not read, `closed` with the error for each
    folder that may not be.

    Raises:
        UsageError: a source means no file.
    """
    found: dict[Path, Found] = {}
    for source in sources:
        if os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where a folder above is closed
            matches = _walked(Path(source), suffixes, passed_over, closed)
        elif os.path.lexists(source):
            matches = [Found(Path(source))]
        elif is_address(source):
            raise UsageError(source, "an address, and addresses are not fetched", "download it first")
        else:
            matches = _globbed(Path(source), suffixes)
        if not matches:
            raise UsageError(source, "no picture there", "give a file, a folder or a pattern like '*.jpg'")
        for match in matches:
            found.setdefault(match.path, match)
    return list(found.values())


def _walked(
    folder: Path, suffixes: Set[str], passed_over: Callable[[str], None], closed: Callable[[OSError], None]
) -> list[Found]:
    files = list(_files_below(folder, closed))
    foreign = Counter(suffix for path in files if (suffix := path.suffix.lower()) in FOREIGN)
    for suffix, number in sorted(foreign.items()):
        passed_over(f"{printable(folder)}: {number} {suffix} passed over: {FOREIGN[suffix]}")
    for path in sorted(files):
        if path.suffix.lower() in suffixes and path.is_symlink() and not os.path.exists(path):  # noqa: PTH110 - as below
            passed_over(f"{printable(path)}: passed over, a link to nothing")
    wanted = sorted(path for path in files if _is_wanted(path, suffixes))
    return [Found(path, path.parent.relative_to(folder)) for path in wanted]


def _files_below(folder: Path, closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield every file below `folder` but our own leavings and what hidden folders hold;
    through links, too, each folder once.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:  # links come last: what really lies here keeps its own path
        links: list[Path] = []
        for top in waiting:
            for parent, folders, names in os.walk(top, onerror=closed):
                status = os.stat(parent)  # noqa: PTH116 - os.walk gives strings
                if (status.st_dev, status.st_ino) in seen:
                    folders.clear()
                    continue
                seen.add((status.st_dev, status.st_ino))
                below = [Path(parent, name) for name in sorted(folders) if not name.startswith(".")]
                links += [path for path in below if path.is_symlink()]
                folders[:] = [path.name for path in below if not path.is_symlink()]
                yield from (Path(parent, name) for name in names if not _is_leaving(name, names))
        waiting = links


def _is_leaving(name: str, beside: Sequence[str]) -> bool:
    """Whether a file is what training or comparing draws into a folder, as the other files there tell."""
    return name in ("contact_sheet.png", "curve.png") and not {"report.json", "config.yaml", "metrics.csv"}.isdisjoint(
        beside
    )


def _globbed(pattern: Path, suffixes: Set[str]) -> list[Found]:
    with suppress(ValueError, IndexError, NotImplementedError, OSError):  # no pattern, or none that can be followed
        fixed = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), pattern.parts[:-1]))
        found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        return [Found(path, path.parent.relative_to(fixed)) for path in sorted(found) if _is_wanted(path, suffixes)]
    return []


def _is_wanted(path: Path, suffixes: Set[str]) -> bool:
    if path.suffix.lower() not in suffixes or path.name.startswith("."):
        return False
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a link leads into a closed folder
        return False
    return path.suffix.lower() != ".ts" or _is_transport_stream(path)


def _is_transport_stream(path: Path) -> bool:
    """Whether a file is what recorders call .ts, and not a program in TypeScript."""
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(1) == b"G"  # the sync byte of every packet
    return True  # what cannot be read is named when it is opened
