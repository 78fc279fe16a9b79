"""`impasto sample-style`: make style pictures by code."""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

from impasto.cli.options import Once, add_command, folder_from, positive_from, seed_from
from impasto.cli.output import print_json, print_result
from impasto.errors import UsageError, printable
from impasto.system.choices import DEFAULT_SEED, SAMPLE_STYLE_SIZE


def add(commands: Any) -> None:
    command = add_command(commands, "sample-style", _sample_style, "make style pictures by code, to train on or to try")
    command.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    command.add_argument("-o", "--output", type=folder_from, action=Once, metavar="DIR", help="where NAME.png goes")
    command.add_argument(
        "--size", type=positive_from, default=SAMPLE_STYLE_SIZE, help="side in pixels (default: %(default)s)"
    )
    command.add_argument(
        "--seed", type=seed_from, default=DEFAULT_SEED, help="another seed, another picture (default: %(default)s)"
    )
    command.add_argument("--list", action="store_true", help="list the names, one a line, and stop")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _sample_style(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("scipy") is None:
        raise UsageError("pictures made by code need SciPy; pip install 'impasto[demo]'")
    from impasto.synthetic.styles import STYLES, check_names

    check_names(options.names)
    names = options.names or list(STYLES)
    if not options.list and options.output is None:
        raise UsageError("where to? give -o DIR")
    outputs = [] if options.list else [_write(name, options) for name in names]
    if options.json:
        print_json({"names": names, "outputs": outputs, "failed": []})
    elif options.list:
        print_result(*(f"{name:<14} {STYLES[name].__doc__}" for name in names))
    else:
        print_result(*map(printable, outputs))
    return 0


def _write(name: str, options: argparse.Namespace) -> str:
    from impasto.synthetic.styles import make_style
    from impasto.system.files import written_whole

    path = options.output / f"{name}.png"
    with written_whole(path) as temporary:
        make_style(name, options.size, options.seed).save(temporary, format="PNG")
    return str(path)


def failure_report(reason: str) -> dict[str, Any]:
    return {"names": [], "outputs": [], "failed": [{"input": None, "error": reason}]}
