"""`impasto styles`: list the styles that are shipped with this installation."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from impasto.cli.options import add_command, in_words, reach_in_words
from impasto.cli.output import print_error, print_json, print_result
from impasto.errors import ModelError


def add(commands: Any) -> None:
    command = add_command(commands, "styles", _styles, "list the shipped styles and their measured reports")
    command.add_argument("--json", action="store_true", help="print a list of objects")


def _styles(options: argparse.Namespace) -> int:
    from impasto.checkpoint import read_metadata, shipped_styles

    known, failed = [], False
    for path in shipped_styles():
        try:
            metadata = read_metadata(path)
        except ModelError as error:  # the rest is listed
            print_error(error)
            failed = True
            continue
        facts = {"name": metadata["name"], "network": metadata["network"]["name"], "bytes": path.stat().st_size}
        known.append({**facts, "report": metadata["report"]})
    if options.json:
        print_json(known)
        return int(failed)
    for style in known:
        print_result(
            f"{style['name']:24} {style['network']:10} {style['bytes'] / 1e6:5.1f} MB   {_measured(style['report'])}"
        )
    if not known:
        print("no styles are shipped with this installation; train one with `impasto train PICTURE`", file=sys.stderr)
    return int(failed)


def failure_report(_: str) -> list[Any]:
    return []


def _measured(report: dict[str, Any]) -> str:
    if not {"equal_iterations", "gap", "steps"} <= set(report):
        return "not compared yet"
    reached = f"{reach_in_words(report['network'])}, " if "network" in report else ""
    return f"{reached}equals {in_words(report['equal_iterations']['noise'], report)} L-BFGS iterations from noise"
