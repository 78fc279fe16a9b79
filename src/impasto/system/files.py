"""Where impasto keeps its files, how it writes a file whole or not at all, and where other libraries may write."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_LARGEST = 2**30  # bytes


def asset_dir(name: str) -> Path:
    """Return the folder `configs` or `checkpoints`: inside an installed wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parents[1] / name


def cache_dir() -> Path:
    """Return the user's cache folder for impasto (`IMPASTO_CACHE` overrides it); it may not exist yet.

    A user without a home folder gets a temporary one, which is removed when this process ends.
    """
    if override := os.environ.get("IMPASTO_CACHE"):
        return Path(override)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "impasto"
    try:
        return Path.home() / ".cache" / "impasto"
    except RuntimeError:  # neither HOME nor an entry in passwd
        return temporary_cache_dir()


@cache
def temporary_cache_dir() -> Path:
    """Return a cache folder that is removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="impasto-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in blocks.

    Raises:
        OSError: it cannot be read, is no regular file, which might never end, or is larger than any picture or model.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if status.st_size > _LARGEST:
        raise OSError(errno.EFBIG, "too large for a picture or a model", str(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_address(source: object) -> bool:
    """Whether `source` is an address such as https://… rather than a path; `Path` writes it with one slash."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(source)) is not None


def disable_telemetry() -> None:
    """Set the environment variables that stop libraries from sending telemetry and that keep their caches in ours.

    Variables that the user has set stay as they are. Call it before the libraries are imported.
    """
    for name in ("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    for name in ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        os.environ.setdefault(name, str(cache_dir() / name.partition("_")[0].lower()))


@contextmanager
def written_whole(path: Path, *, durable: bool = False, within: Path | None = None) -> Generator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    A reader therefore sees the old file or the new one, never half of one; with `durable` also after a power cut.
    The temporary name ends in `.part`, so that no search for pictures or clips finds what a killed process left. It
    lies in the folder `within` where one is given, on the same disk as `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=within or path.parent, prefix=".impasto-", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with suppress(OSError):  # some file systems have no modes
            temporary.chmod(0o666 & ~_umask())
        if durable:
            _fsync(temporary)
        temporary.replace(path)
        if durable and os.name != "nt":
            with suppress(OSError):  # some network file systems cannot do this
                _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    """Wait until the disk holds a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system without such a thing
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
