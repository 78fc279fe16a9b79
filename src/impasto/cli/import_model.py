"""`impasto import`: style models of others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from impasto.cli.options import add_command
from impasto.errors import UsageError


def add(commands: Any) -> None:
    command = add_command(
        commands, "import", _import, "make a style model of one that pytorch/examples trained (.pth, .model)"
    )
    command.add_argument("model", type=Path, metavar="FILE", help="a state dict of its fast_neural_style")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="the style model, .safetensors"
    )
    command.add_argument("--name", help="of the style (default: OUT's)")


def _import(options: argparse.Namespace) -> int:
    from impasto.checkpoint import SUFFIX, save_style_model
    from impasto.images import printable
    from impasto.importer import import_model

    if options.output.suffix != SUFFIX:
        raise UsageError(f"-o {options.output}: a style model's name ends in {SUFFIX}")
    if options.output.exists():
        raise UsageError(f"-o {options.output}: there already; choose another name or remove it")
    name = options.output.stem if options.name is None else options.name
    save_style_model(options.output, import_model(options.model, name))
    print(printable(options.output))
    return 0
