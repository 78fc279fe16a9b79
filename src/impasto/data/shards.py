"""Photographs packed into tar files as WebDataset lays them out: on this machine, behind http or in an object store.

Beforehand only `index.json` is read, which `impasto shards` leaves beside the shards, or else the headers. Every
photograph is then read by its place, so that order, resumption, ranks and workers are those of a folder. What came from
afar is kept in the cache folder. Names in a shard are labels: nothing is ever unpacked under them.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from impasto.data.shard_index import INDEX, read_index
from impasto.data.shard_store import Unavailable, folder_of, is_remote, joined, last_part, patiently, store_of
from impasto.data.tar_headers import Place, Torn, scan
from impasto.errors import DataError, ImageError, printable
from impasto.images.reading import read_image
from impasto.system.files import cache_dir, written_whole

_MAX_SHARDS = 1 << 16
_LISTERS = 16  # threads: what they wait for is far away


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
        return read_image(_Member(shard.read(place), self.name(index)), at_least=at_least)

    def blame(self, index: int) -> tuple[str, int]:
        shard, _ = self._at(index)
        return (shard.url, len(shard.places)) if shard.fault else (self.name(index), 1)

    def subset(self, indices: Sequence[int]) -> ShardImages:
        return ShardImages(self.shards, self.chosen[np.asarray(indices, dtype=np.int64)])

    def listing_digest(self) -> str:
        told = [f"{last_part(shard.url)}\0{shard.size}\0{shard.sha256}\0{len(shard.places)}\n" for shard in self.shards]
        return hashlib.sha256("".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:12]

    def faults(self) -> list[tuple[str, str, int]]:
        """Return name, reason and number of images of every shard that cannot be used;
        as many as others have if unknown.
        """
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
        raise DataError(f"data.shards={printable(str(shards))}: {len(found)} shards; give 1 to {_MAX_SHARDS}")
    folders = dict.fromkeys(folder_of(shard.url) for shard in found)
    with ThreadPoolExecutor(_LISTERS) as pool:
        indexes = dict(zip(folders, pool.map(lambda folder: read_index(folder, storage), folders), strict=True))
        list(pool.map(lambda shard: shard.look(indexes[folder_of(shard.url)].get(last_part(shard.url))), found))
    source = ShardImages(found)
    if all(shard.fault for shard in found):
        raise DataError("no shard can be used:\n  " + "\n  ".join(str(shard.fault) for shard in found[:20]))
    if not len(source):
        raise DataError(f"data.shards={printable(str(shards))}: no image in them; write them again")
    return source


def expand(pattern: str) -> list[str]:
    """Return what a pattern stands for: `{0000..0007}` counts, `{a,b}` lists, several braces combine.

    Raises:
        DataError: more than any data set has.
    """
    parts = re.split(r"\{(\d+\.\.\d+|[^{}]*,[^{}]*)\}", pattern)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    if np.prod([float(len(choice)) for choice in choices]) > _MAX_SHARDS:
        raise DataError(f"data.shards={printable(pattern)}: stands for more than {_MAX_SHARDS} shards")
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
                if (size := patiently(self._actual_size)) != self.size:
                    raise Torn(f"{size} bytes where {INDEX} says {self.size}")
            else:
                self.size = patiently(self._actual_size)
                self.places = patiently(self._scanned)
        except Unavailable:
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
            return patiently(lambda: self._fetched(place))
        except Exception as error:
            self._set_aside(error)
            raise ImageError(self.fault) from error

    def _set_aside(self, error: Exception) -> None:
        reason = printable(str(error).strip() or type(error).__name__)[:200]
        if isinstance(error, FileNotFoundError):
            reason = "not there"
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror.lower()
        self.fault = f"{printable(self.url)}: {reason}; write or fetch this shard again"

    def _actual_size(self) -> int:
        if is_remote(self.url):
            files, path = store_of(self.url, self.storage)
            return int(files.info(path)["size"] or self.size)  # not every server tells it
        status = Path(self.url).stat()
        if not stat.S_ISREG(status.st_mode):
            raise Torn("not a regular file")
        return status.st_size

    def _scanned(self) -> list[Place]:
        if not is_remote(self.url):
            with Path(self.url).open("rb") as stream:
                return scan(stream, self.size)
        files, path = store_of(self.url, self.storage)
        with files.open(path, "rb", block_size=1 << 20) as stream:
            return scan(stream, self.size)

    def _fetched(self, place: Place) -> bytes:
        if not is_remote(self.url):
            with Path(self.url).open("rb") as stream:
                stream.seek(place.offset)
                return _whole(stream.read(place.size), place)
        files, path = store_of(self.url, self.storage)
        data = files.cat_file(path, start=place.offset, end=place.offset + place.size)
        if len(data) != self.size or len(data) == place.size:
            self._keep(place, _whole(data, place))
            return data
        for other in self.places:  # the server knows no ranges and has sent the whole shard
            self._keep(other, data[other.offset : other.offset + other.size])
        return data[place.offset : place.offset + place.size]

    def _kept(self, place: Place) -> Path | None:
        """Return where a photograph from afar is kept on this machine."""
        if not is_remote(self.url):
            return None
        shard = hashlib.sha256(f"{self.url}\0{self.size}\0{self.sha256}".encode()).hexdigest()[:16]
        return cache_dir() / "shards" / shard / f"{place.offset}-{place.size}"

    def _keep(self, place: Place, data: bytes) -> None:
        kept = self._kept(place)
        assert kept is not None
        with suppress(OSError), written_whole(kept) as temporary:  # a full disk only means fetching it again
            temporary.write_bytes(data)


def _whole(data: bytes, place: Place) -> bytes:
    if len(data) != place.size:
        raise OSError(f"cut short: {len(data)} of {place.size} bytes of {place.name}")
    return data


def _listed(name: str, storage: Mapping[str, Any]) -> list[Shard]:
    """Return the shard called `name`, or those of the folder: what its index names, else every tar file in it."""
    is_folder = not last_part(name).endswith(".tar") if is_remote(name) else Path(name).is_dir()
    if not is_folder:
        return [Shard(name, storage)]
    folder = name.rstrip("/") if is_remote(name) else name
    names = sorted(read_index(folder, storage))
    if names:
        return [Shard(joined(folder, shard), storage) for shard in names]
    if not is_remote(folder):
        plain, others = Path(folder).glob("*.tar"), (*Path(folder).glob("*.tar.*"), *Path(folder).glob("*.tgz"))
        return [Shard(str(path), storage) for path in sorted(plain) or sorted(others)]
    files, path = store_of(folder, storage)
    try:
        return [
            Shard(files.unstrip_protocol(found), storage) for found in patiently(lambda: files.glob(f"{path}/*.tar"))
        ]
    except Exception as error:
        raise DataError(f"data.shards={printable(name)}: cannot be listed; name the shards") from error
