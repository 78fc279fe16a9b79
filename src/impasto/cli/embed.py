"""`impasto embed`: keep the vector of a picture, or of a blend, as a style file of a few kilobytes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from impasto.cli.options import Once, add_command, path_from
from impasto.cli.output import print_json, print_result
from impasto.errors import UsageError, printable


def add(commands: Any) -> None:
    command = add_command(
        commands, "embed", _embed, "keep a picture, or a blend, as a style file of a few kilobytes",
        "Keep what the predictor sees in a picture, or in a blend of styles: a style file of a few kilobytes, which "
        "`impasto stylize -s FILE` paints with.",
    )  # fmt: skip
    command.add_argument("style", help="a picture, or a blend such as a.jpg:0.7,wave:0.3")
    command.add_argument("-o", "--output", type=path_from, action=Once, metavar="FILE",
                         help="(default: the picture's name with .vector.safetensors)")  # fmt: skip
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _embed(options: argparse.Namespace) -> int:
    from impasto.any_style.files import save_style_vector
    from impasto.any_style.find import find_vector
    from impasto.checkpoint import SUFFIX

    vector = find_vector(options.style)
    output = options.output or Path(f"{vector.name}.vector{SUFFIX}")
    if output.suffix != SUFFIX:
        raise UsageError(f"-o {printable(output)}: a style file's name ends in {SUFFIX}")
    save_style_vector(output, vector)
    if options.json:
        print_json({"output": str(output), "name": vector.name, "size": len(vector.values), "failed": []})
    else:
        print_result(printable(output))
    return 0


def failure_report(reason: str) -> dict[str, Any]:
    return {"output": None, "name": None, "size": None, "failed": [{"input": None, "error": reason}]}
