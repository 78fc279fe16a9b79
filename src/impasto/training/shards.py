"""Photographs packed into tar files as WebDataset lays them out: on this machine, behind http or in an object store.

Beforehand only `index.json` is read, which `impasto shards` leaves beside the shards, or else the headers. Every
photograph is then read by its place, so that order, resumption, ranks and workers are those of a folder. What came from
afar is kept in the cache folder. Names in a shard are labels: nothing is ever unpacked under them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from impasto import images
from impasto.errors import DataError, ImageError
from impasto.runtime import cache_dir, written_whole

INDEX = "index.json"
INDEX_FORMAT = "impasto shards 1"

_BLOCK = 512  # of a tar file
_MAX_IMAGE = 1 << 28  # bytes
_MAX_IMAGES = 1 << 20  # in a shard
_MAX_SHARDS = 1 << 16
_MAX_INDEX = 1 << 29  # bytes
_MAX_LABEL = 1 << 14  # bytes of a long name's own record
_COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
_PAUSES = (0.2, 0.6, 1.8)  # seconds between tries
_LISTERS = 16  # threads: what they wait for is far away

Result = TypeVar("Result")


class Place(NamedTuple):
    """Where in its shard a photograph lies, and what it is called there."""

    name: str
    offset: int
    size: int


class ShardImages:
    """The photographs of `shards`, a source for `CropDataset`; `chosen` are the rows (shard, place) of those meant."""

    def __init__(self, shards: Sequence[Shard], chosen: np.ndarray | None = None):
        self.shards = list(shards)
        if chosen is None:
            rows = [(i, j) for i, shard in enumerate(self.shards) for j in range(len(shard.places))]
            chosen = np.array(rows, dtype=np.int32).reshape(-1, 2)
        self.chosen = chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def name(self, index: int) -> str:
        shard, place = self._at(index)
        return f"{shard.url}:{place.name}"

    def read(self, index: int, at_least: int = 0) -> Tensor:
        shard, place = self._at(index)
        return images.read_image(_Member(shard.read(place), self.name(index)), at_least=at_least)

    def blame(self, index: int) -> tuple[str, int]:
        shard, _ = self._at(index)
        return (shard.url, len(shard.places)) if shard.fault else (self.name(index), 1)

    def subset(self, indices: Sequence[int]) -> ShardImages:
        return ShardImages(self.shards, self.chosen[np.asarray(indices, dtype=np.int64)])

    def fingerprint(self) -> str:
        told = [f"{_last(shard.url)}\0{shard.size}\0{shard.sha256}\0{len(shard.places)}\n" for shard in self.shards]
        return hashlib.sha256("".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:12]

    def faults(self) -> list[tuple[str, str, int]]:
        """Return name, reason and number of images of every shard that cannot be used; as many as others have if unknown."""
        known = [len(shard.places) for shard in self.shards if shard.places]
        typical = round(sum(known) / len(known)) if known else 1
        return [(shard.url, shard.fault, len(shard.places) or typical) for shard in self.shards if shard.fault]

    def _at(self, index: int) -> tuple[Shard, Place]:
        shard = self.shards[self.chosen[index, 0]]
        return shard, shard.places[self.chosen[index, 1]]


class _Member(io.BytesIO):
    """The bytes of a photograph under its name, for messages."""

    def __init__(self, data: bytes, name: str):
        super().__init__(data)
        self.name = name


def open_shards(shards: str | Sequence[str], storage: Mapping[str, Any] | None = None) -> ShardImages:
    """Find out what `shards` hold; a shard that cannot be used is among the `faults`.

    Args:
        shards: paths or addresses of tar files, or folders of them; `{0000..0007}` and `{a,b}` stand for several.
        storage: what fsspec takes for this kind of store, such as {"anon": True}.

    Raises:
        DataError: no shard there, none that can be used, an index that is none, or a package is missing.
    """
    storage = dict(storage or {})
    patterns = [shards] if isinstance(shards, str) else list(shards)
    found = [shard for pattern in patterns for name in expand(pattern) for shard in _listed(name, storage)]
    if not found or len(found) > _MAX_SHARDS:
        raise DataError(f"data.shards={images.printable(str(shards))}: {len(found)} shards; give 1 to {_MAX_SHARDS}")
    folders = dict.fromkeys(_folder(shard.url) for shard in found)
    with ThreadPoolExecutor(_LISTERS) as pool:
        indexes = dict(zip(folders, pool.map(lambda folder: _read_index(folder, storage), folders), strict=True))
        list(pool.map(lambda shard: shard.look(indexes[_folder(shard.url)].get(_last(shard.url))), found))
    source = ShardImages(found)
    if all(shard.fault for shard in found):
        raise DataError("no shard can be used:\n  " + "\n  ".join(str(shard.fault) for shard in found[:20]))
    if not len(source):
        raise DataError(f"data.shards={images.printable(str(shards))}: no image in them; write them again")
    return source


def expand(pattern: str) -> list[str]:
    """Return what a pattern stands for: `{0000..0007}` counts, `{a,b}` lists, several braces combine.

    Raises:
        DataError: more than any data set has.
    """
    parts = re.split(r"\{(\d+\.\.\d+|[^{}]*,[^{}]*)\}", pattern)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    if np.prod([float(len(choice)) for choice in choices]) > _MAX_SHARDS:
        raise DataError(f"data.shards={images.printable(pattern)}: stands for more than {_MAX_SHARDS} shards")
    return ["".join(chosen) for chosen in product(*choices)]


def _choices(inside: str) -> Sequence[str]:
    if ".." not in inside or "," in inside:
        return inside.split(",")
    first, last = inside.split("..")
    numbers = range(int(first), int(last) + 1)
    if len(numbers) > _MAX_SHARDS:
        raise DataError(f"data.shards: {{{inside}}} stands for more than {_MAX_SHARDS} shards")
    return [str(number).zfill(len(first)) for number in numbers]


class Shard:
    """One tar file of photographs and what is known of it; `fault` says in one line why it cannot be used, if so."""

    def __init__(self, url: str, storage: Mapping[str, Any] | None = None):
        self.url, self.storage = url, dict(storage or {})
        self.places: list[Place] = []
        self.size, self.sha256 = 0, ""
        self.fault: str = ""

    def look(self, record: Mapping[str, Any] | None) -> None:
        """Learn what the shard holds, from its record in the index or from its headers, and whether it is whole."""
        try:
            if record:
                self.places = [Place(*place) for place in record["images"]]
                self.size, self.sha256 = record["bytes"], record["sha256"]
                if (size := _patiently(self._actual_size)) != self.size:
                    raise _Torn(f"{size} bytes where {INDEX} says {self.size}")
            else:
                self.size = _patiently(self._actual_size)
                self.places = _patiently(self._scanned)
        except _Unavailable:
            raise
        except Exception as error:  # each kind of store has its own classes
            self._set_aside(error)

    def read(self, place: Place) -> bytes:
        """Return the file that lies at `place`.

        Raises:
            ImageError: the shard cannot be read, now or before.
        """
        kept = self._kept(place)
        with suppress(OSError):
            if kept and len(data := kept.read_bytes()) == place.size:
                return data
        if self.fault:
            raise ImageError(self.fault)
        try:
            return _patiently(lambda: self._fetched(place))
        except Exception as error:
            self._set_aside(error)
            raise ImageError(self.fault) from error

    def _set_aside(self, error: Exception) -> None:
        reason = images.printable(str(error).strip() or type(error).__name__)[:200]
        if isinstance(error, FileNotFoundError):
            reason = "not there"
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror.lower()
        self.fault = f"{images.printable(self.url)}: {reason}; write or fetch this shard again"

    def _actual_size(self) -> int:
        if _is_remote(self.url):
            files, path = _store(self.url, self.storage)
            return int(files.info(path)["size"] or self.size)  # not every server tells it
        status = Path(self.url).stat()
        if not stat.S_ISREG(status.st_mode):
            raise _Torn("not a regular file")
        return status.st_size

    def _scanned(self) -> list[Place]:
        if not _is_remote(self.url):
            with Path(self.url).open("rb") as stream:
                return scan(stream, self.size)
        files, path = _store(self.url, self.storage)
        with files.open(path, "rb", block_size=1 << 20) as stream:
            return scan(stream, self.size)

    def _fetched(self, place: Place) -> bytes:
        if not _is_remote(self.url):
            with Path(self.url).open("rb") as stream:
                stream.seek(place.offset)
                return _whole(stream.read(place.size), place)
        files, path = _store(self.url, self.storage)
        data = files.cat_file(path, start=place.offset, end=place.offset + place.size)
        if len(data) != self.size or len(data) == place.size:
            self._keep(place, _whole(data, place))
            return data
        for other in self.places:  # the server knows no ranges and has sent the whole shard
            self._keep(other, data[other.offset : other.offset + other.size])
        return data[place.offset : place.offset + place.size]

    def _kept(self, place: Place) -> Path | None:
        """Return where a photograph from afar is kept on this machine."""
        if not _is_remote(self.url):
            return None
        shard = hashlib.sha256(f"{self.url}\0{self.size}\0{self.sha256}".encode()).hexdigest()[:16]
        return cache_dir() / "shards" / shard / f"{place.offset}-{place.size}"

    def _keep(self, place: Place, data: bytes) -> None:
        kept = self._kept(place)
        assert kept is not None
        with suppress(OSError), written_whole(kept) as temporary:  # a full disk only means fetching it again
            temporary.write_bytes(data)


class _Torn(Exception):
    """What is there is not the whole shard, or no shard; trying again is no use."""


class _Unavailable(DataError):
    """No store of that kind can be reached from here; trying again is no use."""


def _whole(data: bytes, place: Place) -> bytes:
    if len(data) != place.size:
        raise OSError(f"cut short: {len(data)} of {place.size} bytes of {place.name}")
    return data


def _patiently(act: Callable[[], Result]) -> Result:
    """Try again after short pauses: networks and shared disks have hiccups."""
    for pause in _PAUSES:
        try:
            return act()
        except (_Torn, DataError):
            raise
        except Exception:
            time.sleep(pause)
    return act()


# Where shards lie.


def _is_remote(url: str) -> bool:
    return "://" in url


def _folder(url: str) -> str:
    return url.rpartition("/")[0] if _is_remote(url) else str(Path(url).parent)


def _last(url: str) -> str:
    return url.split("?")[0].rpartition("/")[2] if _is_remote(url) else Path(url).name


def _store(url: str, storage: Mapping[str, Any]) -> tuple[Any, str]:
    """Return fsspec's file system for `url`, that of this process, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(url, **storage)
    except (ImportError, ValueError, TypeError) as error:
        reason = images.printable(str(error))[:200]
        raise _Unavailable(
            f"data.shards={images.printable(url)}: {reason}; pip install 'impasto[shards]' and what fsspec needs for this store"
        ) from error


def _listed(name: str, storage: Mapping[str, Any]) -> list[Shard]:
    """Return the shard called `name`, or those of the folder: what its index names, else every tar file in it."""
    is_folder = not _last(name).endswith(".tar") if _is_remote(name) else Path(name).is_dir()
    if not is_folder:
        return [Shard(name, storage)]
    folder = name.rstrip("/") if _is_remote(name) else name
    names = sorted(_read_index(folder, storage))
    if names:
        return [Shard(_joined(folder, shard), storage) for shard in names]
    if not _is_remote(folder):
        plain, others = Path(folder).glob("*.tar"), (*Path(folder).glob("*.tar.*"), *Path(folder).glob("*.tgz"))
        return [Shard(str(path), storage) for path in sorted(plain) or sorted(others)]
    files, path = _store(folder, storage)
    try:
        return [
            Shard(files.unstrip_protocol(found), storage) for found in _patiently(lambda: files.glob(f"{path}/*.tar"))
        ]
    except Exception as error:
        raise DataError(f"data.shards={images.printable(name)}: cannot be listed; name the shards") from error


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if _is_remote(folder) else str(Path(folder) / name)


# The index and the headers, both by strangers.


def _read_index(folder: str, storage: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the shards' records in a folder's index by their names; nothing if there is no index."""
    url = _joined(folder, INDEX)
    try:
        data = _patiently(lambda: _read_small(url, storage))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{images.printable(url)}: cannot be read ({images.printable(str(error))[:200]})") from error
    if not data:
        return {}
    try:
        return records(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = images.printable(str(error))[:100]
        raise DataError(
            f"{images.printable(url)}: not an index of shards ({reason}); write it again or remove it"
        ) from error


def _read_small(url: str, storage: Mapping[str, Any]) -> bytes:
    try:
        if _is_remote(url):
            files, path = _store(url, storage)
            return files.cat_file(path)
        with Path(url).open("rb") as stream:
            return stream.read(_MAX_INDEX)
    except (
        FileNotFoundError,
        NotADirectoryError,
        PermissionError,
    ):  # a store says "forbidden" of what it will not list
        return b""


def records(data: bytes) -> dict[str, dict[str, Any]]:
    """Check the text of an index and return its records, {"bytes", "sha256", "images": [[name, offset, size], …]}, by name.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: it is none.
    """
    index = json.loads(data)
    if index["format"] != INDEX_FORMAT:
        raise ValueError("another format")
    for name, record in index["shards"].items():
        if PurePosixPath(name).name != name or "\\" in name or not name.isprintable() or not name.endswith(".tar"):
            raise ValueError(f"{name[:60]!r} is not the name of a shard")
        if not isinstance(record["sha256"], str) or len(record["images"]) > _MAX_IMAGES:
            raise ValueError(f"the record of {name} is damaged")
        for place in record["images"]:
            _check_place(Place(*place), record["bytes"])
    return index["shards"]


def _check_place(place: Place, size: int) -> None:
    plain = isinstance(place.name, str) and type(place.offset) is type(place.size) is type(size) is int
    if not plain or not (0 < place.size <= _MAX_IMAGE and 0 <= place.offset <= size - place.size):
        raise ValueError("an image lies outside of its shard")


def scan(stream: BinaryIO, size: int) -> list[Place]:
    """Return where the images of a tar file of `size` bytes lie, by its headers alone.

    Links, devices and folders are passed over, and so is what has no image's suffix. Python's own reader is not used: it
    takes the length of a name from the file, however large.

    Raises:
        _Torn: not a plain tar file, cut short, or beyond all bounds; says which.
    """
    _check_plain(stream)
    places, offset, label = [], 0, ""
    while (header := _block_at(stream, offset)).strip(b"\0"):
        kind, name, length = _parsed(header)
        start = offset + _BLOCK
        offset = start + -(-length // _BLOCK) * _BLOCK
        if offset > size:
            raise _Torn("cut short")
        if kind in b"xL":
            label = _long_name(stream, start, length, kind) or label
            continue
        name, label = label or name, ""
        if kind in b"0\0" and length and PurePosixPath(name).suffix.lower() in images.IMAGE_SUFFIXES:
            if length > _MAX_IMAGE or len(places) == _MAX_IMAGES:
                raise _Torn(f"more than {_MAX_IMAGE >> 20} MB in an image or {_MAX_IMAGES} images")
            places.append(Place(images.printable(name)[:200], start, length))
    return places


def _check_plain(stream: BinaryIO) -> None:
    """Refuse a compressed tar file: nothing in it has a place of its own."""
    stream.seek(0)
    start = stream.read(6)
    for signature, tool in _COMPRESSED.items():
        if start.startswith(signature):
            raise _Torn(f"compressed ({tool} it)")


def _block_at(stream: BinaryIO, offset: int) -> bytes:
    stream.seek(offset)
    block = stream.read(_BLOCK)
    if len(block) < _BLOCK:  # a whole tar file ends with empty blocks
        raise _Torn("cut short")
    return block


def _parsed(header: bytes) -> tuple[bytes, str, int]:
    """Return kind, name and length of the member that a header announces."""
    checksum = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    try:
        if int(header[148:156].strip(b" \0"), 8) != checksum:
            raise ValueError
        length = int(header[124:136].strip(b" \0") or b"0", 8)  # a larger one is written otherwise, and too large
        if length < 0:
            raise ValueError
    except ValueError as error:
        raise _Torn("not a plain tar file, or damaged") from error
    if header[156:157] == b"S":
        raise _Torn("a tar file with holes; write it without --sparse")
    name, prefix = (part.split(b"\0")[0].decode("utf-8", "replace") for part in (header[:100], header[345:500]))
    is_posix = header[257:263] == b"ustar\0"
    return header[156:157], f"{prefix}/{name}" if prefix and is_posix else name, length


def _long_name(stream: BinaryIO, start: int, length: int, kind: bytes) -> str:
    """Return the name that a record before its file gives, or nothing."""
    if length > _MAX_LABEL:
        raise _Torn("a name longer than any file's")
    stream.seek(start)
    record = stream.read(length)
    if kind == b"L":
        return record.split(b"\0")[0].decode("utf-8", "replace")
    if re.search(rb"(?m)^\d+ (size|GNU\.sparse\.)", record):
        raise _Torn("a tar file with holes or a file of many gigabytes")
    found = re.search(rb"(?m)^\d+ path=(.*)$", record)
    return found[1].decode("utf-8", "replace") if found else ""
