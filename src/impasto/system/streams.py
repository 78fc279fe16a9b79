"""The standard streams, made safe: they may be closed, full, broken off, or written to by other libraries.

A closed stream is replaced by the null device, and stdout holds nothing but results.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

_results: TextIO | None = None  # where results go while `results_alone`


def prepare() -> None:
    """Reopen closed standard streams, escape characters that the terminal lacks,
    and survive a stderr that nobody reads.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stderr is sys.__stderr__ and not sys.stderr.isatty():
        sys.stderr = _text_stream(_LossyFile(2, "w", closefd=False), sys.stderr)


@contextmanager
def results_alone() -> Generator[None]:
    """Keep stdout for what is written to `results()`; whatever else is printed in the block, by whomever, goes to
    stderr.
    """
    global _results
    sys.stdout.flush()
    with _separate_stdout() as _results, redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            _results = None


def results() -> TextIO:
    """Return the stream for results."""
    return _results or sys.stdout


def _open_closed_streams() -> None:
    # Otherwise the next opened file would get the free descriptor, and with it whatever libraries print.
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
def _separate_stdout() -> Generator[TextIO]:
    """Yield a stream to where stdout leads; meanwhile file descriptor 1, to which C libraries print,
    leads to stderr.
    """
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
            yield _text_stream(_BlockingFile(number, "w", closefd=False), stdout)
    finally:
        os.dup2(number, 1)
        os.close(number)


def _text_stream(raw: io.RawIOBase, like: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(raw, like.encoding, "backslashreplace", write_through=True)  # type: ignore[arg-type]


class _BlockingFile(io.FileIO):
    """A file whose `write` writes everything: it waits where a pipe takes no more for now."""

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        while rest:
            written = super().write(rest)
            if written is None:
                select.select([], [self], [])
            else:
                rest = rest[written:]
        return len(data)


class _LossyFile(_BlockingFile):
    """A file for stderr: its `write` drops what cannot be written."""

    def write(self, data: Any) -> int:
        with suppress(OSError):
            super().write(data)
        return len(data)
