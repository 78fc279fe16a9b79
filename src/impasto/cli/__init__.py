"""The commands that people type. Imports stand inside the functions: `impasto --help` must not wait for torch."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from impasto.cli import (
    augment,
    benchmark,
    compare,
    embed,
    flicker,
    import_model,
    live,
    optimize,
    preview,
    sample_style,
    shards,
    sheet,
    styles,
    stylize,
    train,
)
from impasto.cli.options import OneLineParser
from impasto.cli.output import library_log_shown, os_error_reason, print_error, print_json
from impasto.errors import INTERRUPTED, INTERRUPTED_CODE, ImpastoError, UsageError
from impasto.system import streams
from impasto.system.files import disable_telemetry

_COMMANDS = {
    "stylize": stylize, "live": live, "sheet": sheet, "preview": preview, "train": train, "optimize": optimize,
    "compare": compare, "augment": augment, "import": import_model, "styles": styles, "benchmark": benchmark,
    "flicker": flicker, "embed": embed, "sample-style": sample_style, "shards": shards,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 all done, 1 some inputs failed, 2 usage, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    streams.prepare()
    disable_telemetry()
    if arguments[:1] == ["train"] and arguments[1:] not in (["-h"], ["--help"]):
        return train.run(arguments[1:])  # its words are Hydra's
    try:
        options = _parser().parse_args(arguments)
    except UsageError as error:
        sys.exit(_failed(arguments, error, error.exit_code))
    with streams.results_alone(), library_log_shown():
        return _run(options, arguments)


def _run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    if not options.debug:
        warnings.simplefilter("ignore")  # Pillow's and torch's warnings are not for the person at the command line
    try:
        return options.run(options)
    except BrokenPipeError:
        return ImpastoError.exit_code
    except KeyboardInterrupt:
        return _failed(arguments, INTERRUPTED, INTERRUPTED_CODE)
    except MemoryError:
        return _failed(arguments, "not enough memory for these files; give smaller ones", ImpastoError.exit_code)
    except (ImpastoError, OSError) as error:
        if options.debug:
            raise
        if isinstance(error, ImpastoError):
            return _failed(arguments, error, error.exit_code)
        # A full disk, a folder that cannot be written.
        return _failed(arguments, f"{error.filename or 'a file'}: {os_error_reason(error)}", ImpastoError.exit_code)


def _failed(arguments: Sequence[str], reason: object, code: int) -> int:
    """Print why a command failed as a whole, with --json also in the form of its report; return the exit code."""
    print_error(reason)
    command = _COMMANDS.get(arguments[0]) if arguments else None
    if "--json" in arguments and hasattr(command, "failure_report"):
        try:
            print_json(command.failure_report(str(reason)))  # type: ignore[union-attr]
        except (ImpastoError, OSError) as error:
            print_error(error)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="impasto", description="Train a painter in minutes, paint in one forward pass.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS.values():
        command.add(commands)
    return parser


def _version() -> str:
    from importlib import metadata

    return f"impasto {metadata.version('impasto')}"
