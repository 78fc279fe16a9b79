"""What a source means, what its result is called and where it goes, and what each result was made from."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.images.finding import Found

STDOUT = Path("/dev/stdout")
_MOST_KEPT = 4096  # folders


@dataclass(frozen=True)
class Destination:
    """What `-o` means: a folder, a file, a stream such as stdout; or nothing, which is beside each source."""

    folder: Path | None = None
    file: Path | None = None
    stream: Path | None = None

    @classmethod
    def of(cls, word: str | None) -> Destination:
        """Decide it from the word alone and what is there.

        Raises:
            UsageError: the name of a kind of file that cannot be written.
        """
        from impasto.errors import printable
        from impasto.images.formats import WRITABLE_SUFFIXES
        from impasto.inference.video.writing import WRITABLE_CLIP_SUFFIXES
        from impasto.system.files import is_address

        if not word:
            return cls()
        path = Path(os.path.expanduser(word))  # noqa: PTH111 - Path.expanduser raises for a user who is not there
        if word == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
            return cls(stream=STDOUT if word == "-" else path)
        if is_address(word):
            raise UsageError(f"-o {printable(word)}: an address; give a file or a folder")
        if path.is_dir() or word.endswith(("/", os.sep)) or not (_is_of_a_file(path) or path.is_file()):
            return cls(folder=path)
        if path.suffix.lower() not in WRITABLE_SUFFIXES | WRITABLE_CLIP_SUFFIXES:
            raise UsageError(
                f"-o {printable(path)}: cannot write {path.suffix or 'without a suffix'}; choose .png, .jpg, .webp, .avif, "
                ".tiff, or .mp4, .mov, .mkv, .webm for clips; the name of a new folder ends in /"
            )
        return cls(file=path)


def _is_of_a_file(path: Path) -> bool:
    """Whether the suffix is one that files have, so that no folder is meant: `v2.1` has none."""
    from mimetypes import MimeTypes

    from impasto.images.formats import FOREIGN, IMAGE_SUFFIXES
    from impasto.inference.video.reading import VIDEO_SUFFIXES

    ours = IMAGE_SUFFIXES | FOREIGN.keys() | VIDEO_SUFFIXES
    return path.suffix.lower() in ours or MimeTypes().guess_type(f"x{path.suffix.lower()}")[0] is not None


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
        return cls(target.name, style, absolute(source), _state(source), settings)

    def is_from_the_same(self, other: Made | None) -> bool:
        return other is not None and replace(self, written=()) == replace(other, written=())


def _state(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


class Records:
    """What the results in one folder were made from, as far as it is known: a line each in a file of the cache folder."""

    def __init__(self, folder: Path):
        from impasto.system.files import cache_dir

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
        made = replace(made, written=_state(target))
        self._take(made)
        with suppress(OSError):  # without a cache nothing is known of it later
            is_new = not self._place.exists()
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with self._place.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(made)) + "\n")
            if is_new:
                for old in sorted(self._place.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-_MOST_KEPT]:
                    old.unlink(missing_ok=True)

    def name_for(self, source: Path, style: str, suffix: str) -> str | None:
        """Return the name, of those that we give, that a painting of `source` in this style has already."""
        ours = re.compile(rf"{re.escape(source.stem)}(-\d+)?\.{re.escape(style)}{re.escape(suffix)}")
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


def settings_of(model: Path, **options: object) -> str:
    """Return a digest of the model's file and of the options that decide on a result."""
    digest = hashlib.sha256(model.read_bytes())
    digest.update(json.dumps(options, sort_keys=True).encode())
    return digest.hexdigest()


def is_result(path: Path, styles: Sequence[str], records: Callable[[Path], Records]) -> bool:
    """Whether a file is a painting: called after one of the `styles`, or recorded as one and not changed since."""
    if path.stem.endswith(tuple(f".{style}" for style in styles)):
        return True
    made = records(path.parent).of.get(path.name)
    return made is not None and made.written == _state(path)


def photographs(
    words: Sequence[str],
    style: str,
    records: Callable[[Path], Records],
    fail: Callable[[object, Exception], None],
    suffixes: Set[str],
    note: Callable[[str], None] = lambda line: None,
) -> list[Found]:
    """Return the files that the words mean, without results of any style unless they are named.

    `note` is called with a line on what may be missed; `fail` is called for a word that means nothing and for a folder that may not be read.
    """
    from impasto.checkpoint import SUFFIX, shipped_styles
    from impasto.images.finding import find

    styles = [style, *(path.name.removesuffix(SUFFIX) for path in shipped_styles())]
    found: dict[Path, Found] = {}
    old = 0
    for word in words:
        given = os.path.expanduser(word)  # noqa: PTH111 - a string: an address has two slashes
        try:
            matches = find([given], suffixes, note, lambda error: fail(error.filename, error))
        except UsageError as error:
            fail(word, error)
            continue
        for match in matches:
            if match.path != Path(given) and is_result(match.path, styles, records):
                old += 1
            else:
                found.setdefault(match.path, match)
    if old:
        note(f"results of earlier paintings passed over: {old}")
    return list(found.values())


def paired(
    sources: Sequence[Found],
    style: str,
    destination: Destination,
    suffix_of: Callable[[Path], str],
    records: Callable[[Path], Records],
    protect: bool = False,
) -> list[tuple[Path, Path]]:
    """Pair every source with a target of its own.

    Results mirror the folders below what was named. A source keeps the name that its painting has. Of two that would have the
    same name, also for those who do not tell capitals from small letters, the second gets a number; with `protect`
    so does one that would have the name of another source's painting.
    """
    taken = {_key(found.path) for found in sources}  # a result never replaces another input
    folders = {found.path: _folder_for(found, destination) for found in sources}
    targets: dict[Path, Path] = {}
    suffixes = {source: suffix_of(source) for source in folders}
    for source, folder in folders.items():
        known = records(folder).name_for(source, style, suffixes[source])
        if known and _key(folder / known) not in taken:
            targets[source] = folder / known
            taken.add(_key(folder / known))
    numbers: dict[str, Iterator[int]] = {}
    for source in [path for path in folders if path not in targets]:
        target = plain = folders[source] / f"{source.stem}.{style}{suffixes[source]}"
        while _key(target) in taken or (protect and records(target.parent).is_anothers(target, source)):
            number = next(numbers.setdefault(_key(plain), itertools.count(2)))
            target = plain.with_name(f"{source.stem}-{number}.{style}{plain.suffix}")
        taken.add(_key(target))
        targets[source] = target
    return [(source, targets[source]) for source in folders]


def is_clip(path: Path) -> bool:
    from impasto.inference.video.reading import VIDEO_SUFFIXES

    return path.suffix.lower() in VIDEO_SUFFIXES


def is_animation(path: Path) -> bool:
    """Whether a file is of a kind of picture whose frames can be painted into a clip."""
    from impasto.inference.video.reading import ANIMATION_SUFFIXES

    return path.suffix.lower() in ANIMATION_SUFFIXES


def result_suffix(source: Path) -> str:
    """Return the source's own suffix where such a file can be written, else that of a usual format that holds all of it."""
    from impasto.images.formats import WRITABLE_SUFFIXES
    from impasto.inference.video.writing import WRITABLE_CLIP_SUFFIXES, suffix_for

    suffix, is_video = source.suffix.lower(), is_clip(source)
    if suffix in (WRITABLE_CLIP_SUFFIXES if is_video else WRITABLE_SUFFIXES):
        return suffix
    return suffix_for(source) if is_video else ".png"


def _folder_for(found: Found, destination: Destination) -> Path:
    return destination.folder / found.below if destination.folder else found.path.parent


def _key(path: Path) -> str:
    return unicodedata.normalize("NFC", absolute(path)).casefold()


def absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, and raise on circular ones
