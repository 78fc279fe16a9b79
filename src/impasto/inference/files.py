"""What a source means, what its result is called and where it goes, what is done already, and clip or picture."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from impasto.errors import ImageError, UsageError, printable
from impasto.inference.records import Made, Records, absolute, state_of
from impasto.system.files import is_address
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from impasto import checkpoint
    from impasto.images import animation_writing, animations, finding, formats
    from impasto.images import reading as pictures
    from impasto.images.finding import Found
    from impasto.inference.video import containers, writing
    from impasto.inference.video import reading as clips
else:
    animation_writing = lazy("impasto.images.animation_writing")
    animations = lazy("impasto.images.animations")
    checkpoint, finding = lazy("impasto.checkpoint"), lazy("impasto.images.finding")
    formats, pictures = lazy("impasto.images.formats"), lazy("impasto.images.reading")
    containers = lazy("impasto.inference.video.containers")
    clips, writing = lazy("impasto.inference.video.reading"), lazy("impasto.inference.video.writing")

STDOUT = Path("/dev/stdout")


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
        if not word:
            return cls()
        path = Path(os.path.expanduser(word))  # noqa: PTH111 - Path.expanduser raises for a user who is not there
        if word == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
            return cls(stream=STDOUT if word == "-" else path)
        if is_address(word):
            raise UsageError(f"-o {printable(word)}: an address; give a file or a folder")
        if path.is_dir() or word.endswith(("/", os.sep)) or not (_is_of_a_file(path) or path.is_file()):
            return cls(folder=path)
        if path.suffix.lower() not in formats.WRITABLE_SUFFIXES | writing.WRITABLE_CLIP_SUFFIXES:
            raise UsageError(
                f"-o {printable(path)}: cannot write {path.suffix or 'without a suffix'}; choose .png, .jpg, "
                ".webp, .avif, "
                ".tiff, or .mp4, .mov, .mkv, .webm, .gif for clips; the name of a new folder ends in /"
            )
        return cls(file=path)


def _is_of_a_file(path: Path) -> bool:
    """Whether the suffix is one that files have, so that no folder is meant: `v2.1` has none."""
    ours = formats.IMAGE_SUFFIXES | formats.FOREIGN.keys() | containers.VIDEO_SUFFIXES
    return path.suffix.lower() in ours or MimeTypes().guess_type(f"x{path.suffix.lower()}")[0] is not None


def _raise(_: object, error: Exception) -> NoReturn:
    raise error


@dataclass(frozen=True)
class Job:
    """A source and where its painting goes."""

    source: Path | int  # a camera's number
    target: Path

    @property
    def moves(self) -> bool:
        """Whether the source has frames."""
        return isinstance(self.source, int) or moves(self.source)

    def makes_clip(self, *, overwrite: bool = False) -> bool:
        """Whether frames are painted into a clip, and not a picture into a picture.

        Raises:
            UsageError: the target is the source itself and may not `overwrite` it, or is a clip of something that does
            not move.
        """
        if isinstance(self.source, int):
            return True
        if not overwrite and self.target.exists() and self.target.samefile(self.source):
            raise UsageError(f"{printable(self.target)} is the input itself; choose another -o, or add --overwrite")
        if is_clip(self.source) or (is_clip(self.target) and is_animation(self.source)):
            return True
        if moves(self.source):
            return is_clip(self.target) or self.target.suffix.lower() in animation_writing.WRITABLE_ANIMATIONS
        if is_clip(self.target):
            raise UsageError(
                f"{printable(self.target)}: a clip is made of a clip, or of an animated GIF; choose .png or .jpg"
            )
        return False

    def made(self, style: str, settings: str) -> Made | None:
        """Say what the result will be made from; None for a camera. Raises OSError where the source is gone."""
        return None if isinstance(self.source, int) else Made.of(self.source, self.target, style, settings)

    def is_done(self, made: Made, records: Records, max_pixels: int) -> bool:
        """Whether the target is whole and, as far as is known, what would be made now."""
        known = records.of.get(self.target.name)
        is_the_same = known is None or made.is_from_the_same(known)
        return is_the_same and is_whole(self.target, Path(made.source), max_pixels)


def jobs_of(
    words: Sequence[str],
    style: str,
    destination: Destination,
    records: Callable[[Path], Records],
    *,
    protect: bool = False,
    fail: Callable[[object, Exception], None] = _raise,
    note: Callable[[str], None] = lambda line: None,
) -> list[Job]:
    """Decide what is painted where: a job for every picture and clip that the words mean, or for the one camera.

    Args:
        words: files, folders and patterns; or a camera's number alone.
        records: what is known of the results in a folder, such as `cache(Records)`.
        protect: keep the paintings of other sources, as `paired` says.
        fail: called for a word that means nothing and for a folder that may not be read; by default the error is
            raised.
        note: called with a line on what may be missed.

    Raises:
        UsageError: several sources for one file.
    """
    one = destination.file or destination.stream
    if (number := camera_number(words[0])) is not None:
        folder = destination.folder or Path()
        return [Job(number, destination.file or folder / result_name(f"camera{number}", style, ".mp4"))]
    sources = photographs(words, style, records, fail, formats.IMAGE_SUFFIXES | containers.VIDEO_SUFFIXES, note)
    if one and len(sources) > 1:
        raise UsageError(f"{printable(one)} is one file and these are {len(sources)} sources; name a folder")
    if one:
        return [Job(found.path, one) for found in sources]
    return [Job(*pair) for pair in paired(sources, style, destination, result_suffix, records, protect)]


def is_result(path: Path, styles: Sequence[str], records: Callable[[Path], Records]) -> bool:
    """Whether a file is a painting: called after one of the `styles`, or recorded as one and not changed since."""
    if path.stem.endswith(tuple(f".{style}" for style in styles)):
        return True
    made = records(path.parent).of.get(path.name)
    return made is not None and made.written == state_of(path)


def photographs(
    words: Sequence[str],
    style: str,
    records: Callable[[Path], Records],
    fail: Callable[[object, Exception], None],
    suffixes: Set[str],
    note: Callable[[str], None] = lambda line: None,
) -> list[Found]:
    """Return the files that the words mean, without results of any style unless they are named.

    `note` is called with a line on what may be missed; `fail` is called for a word that means nothing and for a folder
    that may not be read.
    """
    styles = [style, *(path.name.removesuffix(checkpoint.SUFFIX) for path in checkpoint.shipped_styles())]
    found: dict[Path, Found] = {}
    old = 0
    for word in words:
        given = os.path.expanduser(word)  # noqa: PTH111 - a string: an address has two slashes
        try:
            matches = finding.find([given], suffixes, note, lambda error: fail(error.filename, error))
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

    Results mirror the folders below what was named. A source keeps the name that its painting has. Of two that would
    have the same name, also for those who do not tell capitals from small letters, the second gets a number; with
    `protect` so does one that would have the name of another source's painting.
    """
    taken = {_key(found.path) for found in sources}  # a result never replaces another input
    folders = {found.path: _folder_for(found, destination) for found in sources}
    targets: dict[Path, Path] = {}
    suffixes = {source: suffix_of(source) for source in folders}
    for source, folder in folders.items():
        known = records(folder).name_for(source, style, _result_pattern(source.stem, style, suffixes[source]))
        if known and _key(folder / known) not in taken:
            targets[source] = folder / known
            taken.add(_key(folder / known))
    numbers: dict[str, Iterator[int]] = {}
    for source in [path for path in folders if path not in targets]:
        target = plain = folders[source] / result_name(source.stem, style, suffixes[source])
        while _key(target) in taken or (protect and records(target.parent).is_anothers(target, source)):
            number = next(numbers.setdefault(_key(plain), itertools.count(2)))
            target = plain.with_name(result_name(source.stem, style, suffixes[source], number))
        taken.add(_key(target))
        targets[source] = target
    return [(source, targets[source]) for source in folders]


def is_clip(path: Path) -> bool:
    return path.suffix.lower() in containers.VIDEO_SUFFIXES


def is_animation(path: Path) -> bool:
    """Whether a file is of a kind of picture whose frames can be painted into a clip."""
    return path.suffix.lower() in containers.ANIMATION_SUFFIXES


def moves(path: Path) -> bool:
    """Whether a file is a clip, or a picture of several frames."""
    return is_clip(path) or animations.is_animated(path)


def result_suffix(source: Path) -> str:
    """Return the source's own suffix where such a file can be written,
    else that of a usual format that holds all of it.
    """
    suffix, is_video = source.suffix.lower(), is_clip(source)
    if suffix in (writing.WRITABLE_CLIP_SUFFIXES if is_video else formats.WRITABLE_SUFFIXES):
        return suffix
    return writing.suffix_for(source) if is_video else ".png"


def result_name(stem: str, style: str, suffix: str, number: int = 1) -> str:
    """Name a painting after its source's stem; `number` tells those apart that would have one name."""
    return f"{stem}.{style}{suffix}" if number == 1 else f"{stem}-{number}.{style}{suffix}"


def _result_pattern(stem: str, style: str, suffix: str) -> re.Pattern[str]:
    """Match the names that `result_name` gives, whatever the number."""
    return re.compile(rf"{re.escape(stem)}(-\d+)?\.{re.escape(style)}{re.escape(suffix)}")


def is_whole(result: Path, source: Path, max_pixels: int) -> bool:
    """Whether `result`, a picture or a clip, is there, is not the source itself, and can be read to its end."""
    if not result.is_file() or result.samefile(source):
        return False
    if is_clip(result):
        return clips.is_whole_clip(result)
    if animations.is_animated(result):
        return animations.is_whole_animation(result, max_pixels)
    try:
        pictures.read_picture(result, max_pixels=max_pixels)
    except ImageError:
        return False
    return True


def camera_number(word: str) -> int | None:
    """Return the number of the camera that a word means; None where it means files."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 4 and not os.path.lexists(word) else None


def _folder_for(found: Found, destination: Destination) -> Path:
    return destination.folder / found.below if destination.folder else found.path.parent


def _key(path: Path) -> str:
    return unicodedata.normalize("NFC", absolute(path)).casefold()
