"""Where our files live, how one is written whole, and that libraries send nothing and write into our cache."""

from __future__ import annotations

import atexit
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path


def asset_dir(name: str) -> Path:
    """Return the folder `configs` or `checkpoints`: inside an installed wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parents[1] / name


def cache_dir() -> Path:
    """Return the user's cache folder for impasto (`IMPASTO_CACHE` overrides it); it may not exist yet.

    A user without a home has one for as long as this process lives.
    """
    if override := os.environ.get("IMPASTO_CACHE"):
        return Path(override)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "impasto"
    try:
        return Path.home() / ".cache" / "impasto"
    except RuntimeError:  # neither HOME nor an entry in passwd
        return _temporary_cache()


@cache
def _temporary_cache() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="impasto-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_address(source: object) -> bool:
    """Whether what should be a path is an address such as https://…, which `Path` writes with one slash."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(source)) is not None


def keep_to_ourselves() -> None:
    """Tell the libraries that some commands use to send nothing anywhere and to write into our cache; the user's word counts more.

    Called before they are imported.
    """
    for name in ("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    for name in ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        os.environ.setdefault(name, str(cache_dir() / name.partition("_")[0].lower()))


@contextmanager
def written_whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    A reader therefore sees the old file or the new one, never half of one; with `durable` also after a power cut.
    The temporary name ends in `.part`, so that no search for pictures or clips finds what a killed process left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".impasto-", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with suppress(OSError):  # a wish: shares and other people's disks may know no modes
            temporary.chmod(0o666 & ~_umask())
        if durable:
            _force_to_disk(temporary)
        temporary.replace(path)
        if durable and os.name != "nt":
            with suppress(OSError):  # network file systems do without
                _force_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _force_to_disk(path: Path) -> None:
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
