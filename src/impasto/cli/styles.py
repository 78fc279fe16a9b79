"""`impasto styles`: list the styles that are shipped with this installation."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from impasto.cli.options import add_command, format_fidelity, format_steps
from impasto.cli.output import print_error, print_json, print_result
from impasto.errors import ModelError

if TYPE_CHECKING:
    from impasto.checkpoint import Metadata
    from impasto.records import ReportSummary


def add(commands: Any) -> None:
    command = add_command(commands, "styles", _styles, "list the shipped styles and their measured reports")
    command.add_argument("--json", action="store_true", help="print a list of objects")


def _styles(options: argparse.Namespace) -> int:
    from impasto.checkpoint import read_metadata, shipped_styles

    known: list[tuple[Metadata, int]] = []
    failed = False
    for path in shipped_styles():
        try:
            metadata = read_metadata(path)
        except ModelError as error:  # the rest is listed
            print_error(error)
            failed = True
            continue
        known.append((metadata, path.stat().st_size))
    if options.json:
        print_json([_facts(metadata, size) for metadata, size in known])
        return int(failed)
    for metadata, size in known:
        network = metadata.spec["name"]
        print_result(
            f"{metadata.name:24} {network:10} {size / 1e6:5.1f} MB   {_measured(metadata.report)}{_dialled(metadata)}"
        )
    if not known:
        print("no styles are shipped with this installation; train one with `impasto train PICTURE`", file=sys.stderr)
    return int(failed)


def failure_report(_: str) -> list[Any]:
    return []


def _facts(metadata: Metadata, size: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": metadata.name, "network": metadata.spec["name"], "bytes": size}
    if metadata.style.dials:
        facts["dials"] = metadata.style.dials
    return {**facts, "report": metadata.report.to_dict()}


def _dialled(metadata: Metadata) -> str:
    dials = metadata.style.dials or {}
    return f" ({', '.join(f'{name} {value}' for name, value in dials.items())})" if dials else ""


def _measured(report: ReportSummary) -> str:
    if report.equal_iterations is None or report.gap is None or report.steps is None:
        return "not compared yet"
    reached = f"{format_fidelity(report.network)}, " if report.network else ""
    equals = f"equals {format_steps(report.equal_iterations.noise, report.steps)} L-BFGS iterations from noise"
    return f"{reached}{equals}{f', flickers by {report.film.flicker:.1f}' if report.film else ''}"
