"""The head that measuring scripts share: their common option, where a figure comes from, and the writing of results.

A script prints its rows as it finds them and saves them all at its end: `results/NAME.json`, and `results/NAME.csv`
beside it. `scripts/release/make_results_page.py` makes docs/results.md of these files.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from importlib import metadata
from pathlib import Path, PurePath

from impasto.system.files import written_whole
from impasto.system.machine import pick_device, provenance

Value = str | int | float | bool | None
Row = dict[str, Value]
SCRIPTS = Path(__file__).resolve().parent
_HARDWARE = ("device", "cores", "threads")
_ENGINES = ("openvino", "onnxruntime", "av", "ray")  # which figures depend on, where they are installed


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return a parser that describes a script by its docstring and knows `--results`."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where the rows go (default: results)"
    )
    return made


def stamp(device: str | None = None) -> str:
    """Return the date, the versions and the hardware in one line."""
    return ", ".join([str(date.today()), *(f"{key} {value}" for key, value in _origin(device).items())])


def save(folder: Path, name: str, title: str, rows: Sequence[Row], device: str | None = None) -> Path:
    """Write a table's rows as `NAME.json` and `NAME.csv` into `folder`, each whole or not at all; return the first
    path.

    Args:
        folder: made if it is not there.
        name: the script's; a script with several tables appends a word to each.
        title: what the table shows, in one line.
        rows: flat objects; those without a column have nothing to say in it.
        device: the one that was measured, by default the fastest.

    Raises:
        ValueError: no rows, or a figure that is not a number (NaN or infinite).
    """
    if not rows:
        raise ValueError(f"{name}: there is nothing to save")
    known = _origin(device)
    record = {
        "name": name,
        "title": title,
        "command": command(sys.argv),
        "date": str(date.today()),
        "machine": {key: known.pop(key) for key in _HARDWARE},
        "versions": known | _versions(),
        "rows": list(rows),
    }
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path = folder / f"{name}.json"
    with written_whole(path) as whole, written_whole(folder / f"{name}.csv") as flat:
        whole.write_text(text, encoding="utf-8")
        with flat.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    return path


def _origin(device: str | None) -> dict[str, str]:
    """Versions and hardware.

    Torch is imported here only: a child's peak of memory is at least that of its parent when it began.
    """
    return provenance(pick_device(device) if device else None)


def command(words: Sequence[str]) -> str:
    """Return the command line with the script's place in the project, and of every absolute path the last name alone.

    `--results` is left out: no figure depends on it.
    """
    script = Path(words[0])
    shown = f"scripts/measure/{script.name}" if script.resolve().parent == SCRIPTS else script.name
    return " ".join(["python", shown, *(_quoted(_without_folders(word)) for word in _without_results(words[1:]))])


def _without_results(words: Sequence[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word == "--results":
            next(rest, None)
        elif not word.startswith("--results="):
            yield word


def _without_folders(word: str) -> str:
    """Shorten an absolute path, also one after the `=` of `--option=PATH` or NAME=PATH."""
    if PurePath(word).is_absolute():
        return PurePath(word).name or word
    option, equals, value = word.partition("=")
    return f"{option}={_without_folders(value)}" if equals else word


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w./:=,+-]+", word) else "'" + word.replace("'", "'\\''") + "'"


def _versions() -> dict[str, str]:
    found = {}
    for package in _ENGINES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def rounded(value: float, digits: int = 4) -> float:
    """Return `value` with so many significant digits: the others are noise."""
    return float(f"{value:.{digits}g}")
