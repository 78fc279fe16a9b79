"""stdin, stdout and stderr as they come: closed, full, broken off, or written to by everybody.

What is closed is done without, and stdout holds nothing but results.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

_results: TextIO | None = None  # where results go while `results_alone`


def prepare() -> None:
    """Make the standard streams fit to work with: a name that the terminal lacks, a closed stream, a reader who left."""
    _stand_in_for_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stderr is sys.__stderr__ and not sys.stderr.isatty():
        sys.stderr = _text(_Forgiving(2, "w", closefd=False), sys.stderr)


@contextmanager
def results_alone() -> Iterator[None]:
    """Keep stdout for what is written to `results()`; whatever else is printed in the block, by whomever, goes to stderr."""
    global _results
    sys.stdout.flush()
    with _stdout_set_apart() as _results, redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            _results = None


def results() -> TextIO:
    """Return the stream for results."""
    return _results or sys.stdout


def _stand_in_for_closed() -> None:
    # The next file that anybody opened would get the free number, and whatever libraries print there.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is this one
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", closefd=False)  # noqa: SIM115 - for as long as we live
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


@contextmanager
def _stdout_set_apart() -> Iterator[TextIO]:
    """Yield the stream that stdout is; number 1, to which libraries in C print, is stderr meanwhile."""
    stdout = sys.stdout
    if stdout is not sys.__stdout__:  # somebody has put a stream of his own there
        yield stdout
        return
    number = os.dup(1)
    os.dup2(2, 1)
    try:
        if stdout.isatty():
            with open(number, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False) as terminal:
                yield terminal
        else:
            yield _text(_Patient(number, "w", closefd=False), stdout)
    finally:
        os.dup2(number, 1)
        os.close(number)


def _text(raw: io.RawIOBase, like: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(raw, like.encoding, "backslashreplace", write_through=True)  # type: ignore[arg-type]


class _Patient(io.FileIO):
    """Writes all that it is given, also into a pipe that takes no more for now."""

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        while rest:
            written = super().write(rest)
            if written is None:
                select.select([], [self], [])
            else:
                rest = rest[written:]
        return len(data)


class _Forgiving(_Patient):
    """As stderr should be: what nobody can read is not worth failing for."""

    def write(self, data: Any) -> int:
        with suppress(OSError):
            super().write(data)
        return len(data)
