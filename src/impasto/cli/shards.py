"""`impasto shards`: pack a folder of photographs into tar shards for training."""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

from impasto.cli.options import Once, add_command, folder_from, path_from, positive_from
from impasto.cli.output import print_json, print_result
from impasto.errors import UsageError, printable
from impasto.system.choices import SHARD_COUNT, SHARD_SIZE


def add(commands: Any) -> None:
    command = add_command(
        commands, "shards", _shards, "pack a folder of photographs into tar shards for `impasto train data=shards`"
    )
    command.add_argument("folder", type=path_from, metavar="FOLDER", help="photographs, at any depth")
    command.add_argument("-o", "--output", type=folder_from, action=Once, required=True, metavar="DIR",
                         help="where the shards go; the same command goes on with what was cut off")  # fmt: skip
    command.add_argument(
        "--shards", type=positive_from, default=SHARD_COUNT, metavar="N", help="how many (default: %(default)s)"
    )
    command.add_argument("--size", type=positive_from, default=SHARD_SIZE, metavar="N",
                         help="shorter side in pixels, 1.6 times data.crop or more (default: %(default)s)")  # fmt: skip
    command.add_argument("--jobs", type=positive_from, metavar="N", help="processes (default: one a core)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _shards(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("pytorch_lightning") is None:
        raise UsageError("shards are for training, which needs more packages; pip install 'impasto[train]'")
    from impasto.data.write_shards import write_shards

    written = write_shards(options.folder, options.output, options.shards, options.size, options.jobs)
    if options.json:
        counts = {"shards": written.shards, "images": written.images, "missing": written.missing}
        print_json({"index": str(written.index), **counts, "failed": written.left_out})
    else:
        print_result(printable(written.index))
    return 1 if written.missing else 0


def failure_report(reason: str) -> dict[str, Any]:
    return {"index": None, "shards": 0, "images": 0, "missing": 0, "failed": [reason]}
