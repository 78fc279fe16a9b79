"""Where shards lie: on this machine, behind http or in an object store, and how long one waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from impasto.data.tar_headers import Torn
from impasto.errors import DataError, printable

_MAX_INDEX = 1 << 29  # bytes
_PAUSES = (0.2, 0.6, 1.8)  # seconds between tries

Result = TypeVar("Result")


class Unavailable(DataError):
    """No store of that kind can be reached from here; trying again is no use."""


def patiently(act: Callable[[], Result]) -> Result:
    """Try again after short pauses: networks and shared disks have hiccups."""
    for pause in _PAUSES:
        try:
            return act()
        except (Torn, DataError):
            raise
        except Exception:
            time.sleep(pause)
    return act()


def is_remote(url: str) -> bool:
    return "://" in url


def folder_of(url: str) -> str:
    return url.rpartition("/")[0] if is_remote(url) else str(Path(url).parent)


def last_part(url: str) -> str:
    return url.split("?")[0].rpartition("/")[2] if is_remote(url) else Path(url).name


def store_of(url: str, storage: Mapping[str, Any]) -> tuple[Any, str]:
    """Return fsspec's file system for `url`, that of this process, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(url, **storage)
    except (ImportError, ValueError, TypeError) as error:
        reason = printable(str(error))[:200]
        raise Unavailable(
            f"data.shards={printable(url)}: {reason}; pip install 'impasto[shards]' and what fsspec needs for "
            "this store"
        ) from error


def joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if is_remote(folder) else str(Path(folder) / name)


def read_small(url: str, storage: Mapping[str, Any]) -> bytes:
    try:
        if is_remote(url):
            files, path = store_of(url, storage)
            return files.cat_file(path)
        with Path(url).open("rb") as stream:
            return stream.read(_MAX_INDEX)
    except (
        FileNotFoundError,
        NotADirectoryError,
        PermissionError,
    ):  # a store says "forbidden" of what it will not list
        return b""
