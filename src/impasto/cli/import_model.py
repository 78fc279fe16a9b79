"""`impasto import`: import a style model of another project."""

from __future__ import annotations

import argparse
from typing import Any

from impasto.cli.options import Once, add_command, path_from
from impasto.cli.output import print_json, print_result
from impasto.errors import UsageError


def add(commands: Any) -> None:
    command = add_command(
        commands, "import", _import, "make a style model of one that pytorch/examples trained (.pth, .model)"
    )
    command.add_argument("model", type=path_from, metavar="FILE", help="a state dict of its fast_neural_style")
    command.add_argument(
        "-o",
        "--output",
        type=path_from,
        action=Once,
        required=True,
        metavar="OUT",
        help="the style model, .safetensors",
    )
    command.add_argument("--name", help="of the style (default: OUT's)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _import(options: argparse.Namespace) -> int:
    from impasto.checkpoint import SUFFIX, save_style_model
    from impasto.errors import printable
    from impasto.exchange.pytorch_examples import import_model

    if options.output.suffix != SUFFIX:
        raise UsageError(f"-o {options.output}: a style model's name ends in {SUFFIX}")
    if options.output.exists():
        raise UsageError(f"-o {options.output}: there already; choose another name or remove it")
    name = options.output.stem if options.name is None else options.name
    save_style_model(options.output, import_model(options.model, name))
    if options.json:
        print_json({"output": str(options.output), "failed": []})
    else:
        print_result(printable(options.output))
    return 0


def failure_report(reason: str) -> dict[str, Any]:
    return {"output": None, "failed": [{"input": None, "error": reason}]}
