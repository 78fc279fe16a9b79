"""What can go wrong, each with the exit code that the command line gives for it.

A message is one line that names the file (or the option) and the remedy: it is printed as it stands.
"""

from __future__ import annotations

import os

INTERRUPTED = "interrupted; files that were finished are whole"
INTERRUPTED_CODE = 130


class ImpastoError(Exception):
    """Base of every error that a user can mend.

    Args:
        source: the whole message; or with a `reason` the path, stream or name that it is about, which is escaped.
        reason: what is wrong with the source.
        remedy: what to do about it.
    """

    exit_code = 1

    def __init__(self, source: object, reason: str | None = None, remedy: str = ""):
        told = str(source) if reason is None else f"{printable(source)}: {reason}"
        super().__init__(f"{told}; {remedy}" if remedy else told)


class UsageError(ImpastoError):
    """The command itself cannot be carried out: a wrong option, a missing argument."""

    exit_code = 2


class ImageError(ImpastoError):
    """An image cannot be read or written."""


class VideoError(ImpastoError):
    """A clip or a camera cannot be read, or a clip not be written."""


class ModelError(ImpastoError):
    """A style model cannot be read, or is not one."""


class WeightsError(ImpastoError):
    """The weights of the loss network are missing, damaged or too shallow."""


class DataError(ImpastoError):
    """A data set, to train on or to paint, cannot be used."""


def counted(number: int, what: str) -> str:
    """Return a number and what it counts, as `1 image` and `2 images`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def printable(source: object) -> str:
    """Return the name of a path or stream such that it prints as one line on any terminal, odd characters escaped."""
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else getattr(source, "name", "stream")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))
