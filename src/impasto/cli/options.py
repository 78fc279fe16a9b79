"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from mimetypes import MimeTypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from impasto.errors import UsageError, printable
from impasto.system.choices import BACKENDS, DEFAULT_BACKEND, DEFAULT_DEVICE, DEFAULT_PRECISION, MAX_PIXELS, PRECISIONS
from impasto.system.times import seconds_of

if TYPE_CHECKING:
    from impasto.records import Fidelity

A_STYLE = "a shipped style's name, a picture, a style model, or a blend such as a.jpg:0.7,wave:0.3"


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that raises a one-line UsageError instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help shows what it takes")


class Once(argparse.Action):
    """An option that may be given once: argparse would drop the first of two values silently."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        given = namespace.__dict__.setdefault("given_once", set())
        if self.dest in given:
            parser.error(f"argument {option}: given twice; run the command once for each")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def add_command(commands: Any, name: str, run: Any, help: str, description: str = "") -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=description or _sentence(help))
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(run=run)
    return command


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}" + "." * (words[-1] not in ".?!")


def add_device_and_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default=DEFAULT_DEVICE, help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def add_backend(command: argparse.ArgumentParser) -> None:
    command.add_argument("--backend", choices=(DEFAULT_BACKEND, *BACKENDS), default=DEFAULT_BACKEND,
                         help="what does the arithmetic (default: the fastest that is installed)")  # fmt: skip
    command.add_argument("--precision", choices=PRECISIONS, default=DEFAULT_PRECISION,
                         help="half moves few pixels by more than three levels (default: half where the processor is "
                              "made for it)")  # fmt: skip


def add_sheet(command: argparse.ArgumentParser, output: str, size: int) -> None:
    """Add the options of a command that lays pictures out on one sheet, with its name and their size by default."""
    command.add_argument(
        "-o", "--output", type=path_from, action=Once, default=Path(output), help="(default: %(default)s)"
    )
    command.add_argument(
        "--size", type=positive_from, default=size, help="longer side of each picture in pixels (default: %(default)s)"
    )
    add_device_and_json(command)


def add_precision(command: argparse.ArgumentParser) -> None:
    command.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="float32",
                         help="of the gradients, never of the scores; bfloat16 is about twice as fast (default: "
                              "float32)")  # fmt: skip


def wants_bfloat16(options: argparse.Namespace, device: Any) -> bool:
    from impasto.system.machine import has_fast_bfloat16

    return options.precision == "bfloat16" or (options.precision == "auto" and has_fast_bfloat16(device))


def format_steps(step: int | None, steps: int) -> str:
    """Format a step count; None means "not within the `steps` of the report"."""
    return f"more than {steps}" if step is None else str(step)


def format_fidelity(fidelity: Fidelity) -> str:
    """Format style reached and structure kept as percentages."""
    shown = {"style reached": fidelity.style_reached, "structure kept": fidelity.structure_kept}
    return ", ".join(f"{name} {value:.0%}" for name, value in shown.items() if value is not None)


def minutes_from(text: str) -> float:
    with suppress(ValueError):
        if 0 < (value := float(text)) < 100_000:
            return value
    raise argparse.ArgumentTypeError(f"must be a number of minutes above 0, not {text}")


def time_from(text: str) -> Fraction:
    """Parse a moment of a film, in seconds."""
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def path_from(text: str) -> Path:
    """Parse a path and expand its tilde: the shell leaves the one in `--output=~/x`."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for a user who is not there


def folder_from(text: str) -> Path:
    """Parse the path of a folder that exists or can be made; refuse a file and a name with a file's suffix."""
    path = path_from(text)
    if text == "-" or path.is_file() or (not path.exists() and MimeTypes().guess_type(path.name.lower())[0]):
        raise argparse.ArgumentTypeError(f"must be a folder, not {text}")
    return path


def refuse_as_output(output: Path | None, inputs: Iterable[str | Path]) -> None:
    """Refuse to write over what is read: a style picture, a mask, a photograph.

    Raises:
        UsageError: `output` is one of `inputs`, of which some may be no files.
    """
    for given in inputs:
        with suppress(OSError):
            if output and output.samefile(given):
                raise UsageError(f"{printable(output)} is one of the inputs; choose another -o")


def strength_from(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1000:
            return value
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 1000, not {text}")


def share_from(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1:
            return value
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")


def seed_from(text: str) -> int:
    with suppress(ValueError):
        if 0 <= (value := int(text)) < 2**63:
            return value
    raise argparse.ArgumentTypeError(f"must be a whole number between 0 and 2^63 - 1, not {text}")


def positive_from(text: str) -> int:
    with suppress(ValueError):
        if 1 <= (value := int(text)) < 2**63:
            return value
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text}")


def size_from(text: str) -> tuple[int, int]:
    """Parse (width, height) from text such as 1280x720; refuse more pixels than MAX_PIXELS."""
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.strip().lower(), re.ASCII)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < width * height <= MAX_PIXELS:
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT, such as 1280x720, not {text}")
    return width, height


def memory_from(text: str) -> int:
    """Parse bytes from text such as 1G, 1.5GB or 500M (powers of 1024, as is usual for memory)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", text.strip().upper())
    value = int(float(found[1]) * 1024 ** " KMGT".index(found[2] or " ")) if found else 0
    if not 0 < value < 2**60:
        raise argparse.ArgumentTypeError(f"must be an amount of memory such as 1G or 500M, not {text}")
    return value
