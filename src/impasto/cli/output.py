"""What the commands print: results on stdout; notes, errors and progress on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from impasto.errors import ImpastoError, printable
from impasto.system import streams


def print_result(*lines: object) -> None:
    """Print a result on stdout, a line each.

    Raises:
        ImpastoError: the disk that stdout leads to refuses it.
        BrokenPipeError: nobody reads stdout any more.
    """
    try:
        print(*lines, sep="\n", file=streams.results(), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ImpastoError(f"stdout: {(error.strerror or str(error)).lower()}; what was made is whole") from error


def print_json(report: Any) -> None:
    """Print a result on stdout as JSON; raises what `print_result` raises."""
    print_result(json.dumps(report, indent=2))


def print_note(line: str) -> None:
    """Print a line on stderr, above a progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def print_error(message: object) -> None:
    """Print an error on stderr as one line, above a progress bar."""
    print_note(f"impasto: {printable(str(message))}")


def print_failure(source: object, error: Exception, style: str | None = None) -> dict[str, Any]:
    """Print what failed, a source or a `style` in which nothing is painted; return the report's entry."""
    print_error(failure_line(source if style is None else style, error))
    return failure_entry(source, error)


def failure_line(what: object, error: Exception) -> str:
    """Return a line on what failed: our errors name it and the remedy, the system's do not."""
    return str(error) if isinstance(error, ImpastoError) else f"{what}: {os_error_reason(error)}"


def failure_entry(source: object, error: Exception) -> dict[str, Any]:
    """Return what a report says of a source that failed, or of none."""
    return {"input": None if source is None else printable(source), "error": printable(str(error))}


def os_error_reason(error: Exception) -> str:
    """Return the system's reason for an error, with a remedy."""
    return f"{getattr(error, 'strerror', None) or error}; choose another place or name"


def progress_bar(items: Sequence[Any], unit: str) -> Any:
    """Iterate over `items` with a progress bar on stderr; a single one needs none."""
    from tqdm import tqdm

    return tqdm(items, unit=unit, file=sys.stderr, disable=len(items) < 2)


@contextmanager
def library_log_shown() -> Generator[None]:
    """Print what the library logs inside the block, each message as a bare line on stderr."""
    logger, handler = logging.getLogger("impasto"), _NoteHandler()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library may have put a handler of its own on the root logger
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _NoteHandler(logging.Handler):
    """Prints the bare message of each record."""

    def emit(self, record: logging.LogRecord) -> None:
        print_note(record.getMessage())
