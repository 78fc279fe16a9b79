"""What the commands have in common: options, their values, progress and complaints."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from mimetypes import MimeTypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from impasto.errors import UsageError
from impasto.system import streams
from impasto.system.choices import BACKENDS, PRECISIONS

if TYPE_CHECKING:
    from impasto.records import Fidelity


class OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong with the words of a command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help shows what it takes")


class Once(argparse.Action):
    """Of an option that can have one value: a second one would drop the first without a word."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        given = namespace.__dict__.setdefault("given_once", set())
        if self.dest in given:
            parser.error(f"argument {option}: given twice; run the command once for each")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def add_command(commands: Any, name: str, run: Any, help: str, description: str = "") -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=description or f"{help[0].upper()}{help[1:]}.")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(run=run)
    return command


def add_device_and_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def add_backend(command: argparse.ArgumentParser) -> None:
    command.add_argument("--backend", choices=("auto", *BACKENDS), default="auto",
                         help="what does the arithmetic (default: the fastest that is installed)")  # fmt: skip
    command.add_argument("--precision", choices=PRECISIONS, default="auto",
                         help="half moves few pixels by more than a level (default: half where the processor is made for it)")  # fmt: skip


def add_precision(command: argparse.ArgumentParser) -> None:
    command.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="float32",
                         help="of the gradients, never of the scores; bfloat16 is about twice as fast (default: float32)")  # fmt: skip


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


def path_from(text: str) -> Path:
    """A path as a shell takes it: `--output=~/x` reaches us with its tilde."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for a user who is not there


def folder_from(text: str) -> Path:
    """A path where a folder is or may be made: neither a file nor what would be taken for one."""
    path = path_from(text)
    if text == "-" or path.is_file() or (not path.exists() and MimeTypes().guess_type(path.name.lower())[0]):
        raise argparse.ArgumentTypeError(f"must be a folder, not {text}")
    return path


def strength_from(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1000:
            return value
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 1000, not {text}")


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
    """Width and height from text such as 1280x720, at most as many pixels as a picture may have by default."""
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.strip().lower(), re.ASCII)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < width * height <= 120_000_000:
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT, such as 1280x720, not {text}")
    return width, height


def memory_from(text: str) -> int:
    """Bytes from text such as 1G, 1.5GB or 500M (powers of 1024, as is usual for memory)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", text.strip().upper())
    value = int(float(found[1]) * 1024 ** " KMGT".index(found[2] or " ")) if found else 0
    if not 0 < value < 2**60:
        raise argparse.ArgumentTypeError(f"must be an amount of memory such as 1G or 500M, not {text}")
    return value


def progress_bar(items: Sequence[Any], unit: str) -> Any:
    from tqdm import tqdm

    return tqdm(items, unit=unit, file=sys.stderr, disable=len(items) < 2)


def tell_json(report: Any) -> None:
    streams.tell(json.dumps(report, indent=2))


def note(line: str) -> None:
    """Say on stderr what may be good to know, above a progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def complain(message: object) -> None:
    from tqdm import tqdm

    from impasto.errors import printable

    tqdm.write(f"impasto: {printable(str(message))}", file=sys.stderr)  # on a line of its own, above a progress bar


def reason_of(error: Exception) -> str:
    return f"{getattr(error, 'strerror', None) or error}; choose another place or name"
