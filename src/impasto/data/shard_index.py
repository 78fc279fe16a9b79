"""The index beside shards, by strangers: what each of them holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from impasto.data.shard_store import joined, patiently, read_small
from impasto.data.tar_headers import MAX_IMAGE, MAX_IMAGES, Place
from impasto.errors import DataError, printable

INDEX = "index.json"
INDEX_FORMAT = "impasto shards 1"


def read_index(folder: str, storage: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the shards' records in a folder's index by their names; nothing if there is no index."""
    url = joined(folder, INDEX)
    try:
        data = patiently(lambda: read_small(url, storage))
    except DataError:
        raise
    except Exception as error:
        raise DataError(url, f"cannot be read ({printable(str(error))[:200]})") from error
    if not data:
        return {}
    try:
        return records(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = printable(str(error))[:100]
        raise DataError(url, f"not an index of shards ({reason})", "write it again or remove it") from error


def records(data: bytes) -> dict[str, dict[str, Any]]:
    """Check the text of an index and return its records, {"bytes", "sha256", "images": [[name, offset, size], …]}, by
    name.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: it is none.
    """
    index = json.loads(data)
    if index["format"] != INDEX_FORMAT:
        raise ValueError("another format")
    for name, record in index["shards"].items():
        if PurePosixPath(name).name != name or "\\" in name or not name.isprintable() or not name.endswith(".tar"):
            raise ValueError(f"{name[:60]!r} is not the name of a shard")
        if not isinstance(record["sha256"], str) or len(record["images"]) > MAX_IMAGES:
            raise ValueError(f"the record of {name} is damaged")
        for place in record["images"]:
            _check_place(Place(*place), record["bytes"])
    return index["shards"]


def _check_place(place: Place, size: int) -> None:
    plain = isinstance(place.name, str) and type(place.offset) is type(place.size) is type(size) is int
    if not plain or not (0 < place.size <= MAX_IMAGE and 0 <= place.offset <= size - place.size):
        raise ValueError("an image lies outside of its shard")
