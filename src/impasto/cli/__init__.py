"""The commands that people type. Imports stand inside the functions: `impasto --help` must not wait for torch."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence

from impasto.cli import augment, benchmark, compare, import_model, optimize, styles, stylize, train
from impasto.cli.options import complain, reason_of
from impasto.errors import ImpastoError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 all done, 1 some inputs failed, 2 usage."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["train"] and arguments[1:] not in (["-h"], ["--help"]):
        return train.run(arguments[1:])  # its words are Hydra's
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks
    if not options.debug:
        warnings.simplefilter("ignore")  # Pillow's and torch's remarks are not for the person at the command line
    try:
        return options.run(options)
    except ImpastoError as error:
        if options.debug:
            raise
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        complain("interrupted; files that were finished are whole")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder that cannot be written
        if options.debug:
            raise
        complain(f"{error.filename or 'a file'}: {reason_of(error)}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="impasto", description="Train a painter in minutes, paint in one forward pass."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (stylize, train, optimize, compare, augment, import_model, styles, benchmark):
        command.add(commands)
    return parser


def _version() -> str:
    from importlib import metadata

    return f"impasto {metadata.version('impasto')}"
