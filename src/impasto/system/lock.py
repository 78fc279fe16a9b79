"""One training at a time: a lock that the process holds while it lives, on this machine and on shared disks."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from impasto.errors import UsageError, printable

_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN}


@contextmanager
def locked(path: Path, setting: str) -> Generator[None]:
    """Keep other trainings from `path` until the block ends, or this process does, however it ends.

    The lock is the operating system's, on a hidden file beside `path`, and so a dead process holds none; file servers
    pass it on to other hosts. Where a disk knows no locks, the host and process number in that file count instead.

    Args:
        setting: the one to change for a place of one's own.

    Raises:
        UsageError: another process has it.
        OSError: nothing can be written there.
    """
    place = path.resolve()
    file = place.with_name(f".{place.name}.lock")
    missing = [folder for folder in file.parents if not folder.exists()]
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = _taken(file, path, setting)
        try:
            yield
        finally:
            with suppress(OSError):  # while it is ours; whoever opened this very file before tries again
                file.unlink()
            os.close(handle)
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def _taken(file: Path, path: Path, setting: str) -> int:
    while True:
        is_new = not file.exists()
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        lock = _system_lock(handle)
        if lock is None and (is_new or not _is_alive(_holder(file))):
            lock = True
        if lock and _is_at(handle, file):
            with suppress(OSError):  # a full disk; the lock is ours all the same
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
                os.write(handle, f"{socket.gethostname()} {os.getpid()}\n".encode())
            return handle
        os.close(handle)
        if not lock:
            host, process = _holder(file)
            remedy = f" (or remove {printable(file)}, if it has ended)" if lock is None else ""
            raise UsageError(
                f"{setting}={printable(path)}: process {process} on {host} is training there; "
                f"wait for its end{remedy}, or choose another {setting}"
            )


def _system_lock(handle: int) -> bool | None:
    """Lock an open file: True, it is ours; False, it is another's; None, this disk knows no locks."""
    if os.name == "nt":
        import msvcrt

        os.lseek(handle, 1 << 20, os.SEEK_SET)  # beyond the holder's name, which stays readable
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    import fcntl

    # POSIX's kind first: forked workers, which may outlive a killed training, do not inherit it.
    for lock in (fcntl.lockf, fcntl.flock):
        try:
            lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                return False
        else:
            return True
    return None


def _is_at(handle: int, file: Path) -> bool:
    """Whether the open file still has its name: its last holder removes it."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(handle), file.stat())
    return False


def _holder(file: Path) -> tuple[str, int]:
    """Return the host and the process that hold a lock, as far as it says so."""
    with suppress(OSError, ValueError):
        host, process = file.read_text(encoding="utf-8").split()
        return printable(host), int(process)
    return "another host", 0


def _is_alive(holder: tuple[str, int]) -> bool:
    """Whether a holder may live; of other hosts' nothing is known."""
    host, process = holder
    if host != socket.gethostname() or os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()  # a container numbers its processes alike each time
