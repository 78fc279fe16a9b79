"""`impasto sheet`: photographs painted in many styles, on one picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.named_styles import usable_styles
from impasto.cli.options import A_STYLE, add_command, add_sheet, refuse_as_output
from impasto.cli.output import print_failure, print_json, print_note, print_result, progress_bar
from impasto.errors import ImpastoError, ModelError, UsageError, counted, printable
from impasto.system.choices import MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np

    from impasto.images.contact_sheet import Tile


def add(commands: Any) -> None:
    command = add_command(commands, "sheet", _sheet, "paint a photograph in all styles, side by side on one sheet")
    command.add_argument("photographs", nargs="+", metavar="PHOTO", help="an image, a folder or a pattern")
    command.add_argument("-s", "--style", action="append", help=f"{A_STYLE}; repeatable (default: all shipped ones)")
    add_sheet(command, "sheet.png", 512)


def _sheet(options: argparse.Namespace) -> int:
    from impasto.checkpoint import shipped_styles
    from impasto.images.contact_sheet import captioned_sheet, columns_for, in_rows
    from impasto.images.writing import check_writable, write_image

    check_writable(options.output)
    refuse_as_output(options.output, options.style or ())
    failed: list[dict[str, Any]] = []
    models = _models(options.style, failed) if options.style else shipped_styles()
    photographs = _read_all(options, failed, len(models))
    if not photographs:
        raise UsageError("no sheet: there is no photograph that can be read")
    blocks = _painted(photographs, models, options.device, failed)
    aspect = max(tile.picture.shape[1] / tile.picture.shape[0] for block in blocks for tile in block)
    columns = columns_for(len(blocks), len(blocks[0]), aspect)
    write_image(options.output, captioned_sheet([row for block in blocks for row in in_rows(block, columns)]))
    if options.json:
        styles = [tile.name for tile in blocks[0][1:]]
        print_json({"output": str(options.output), "styles": styles,
                    "photographs": [str(path) for path in photographs], "failed": failed})  # fmt: skip
    else:
        print_result(printable(options.output))
    return int(bool(failed))


def failure_report(reason: str) -> dict[str, Any]:
    return {"output": None, "styles": [], "photographs": [], "failed": [{"input": None, "error": reason}]}


def _models(styles: Sequence[str], failed: list[dict[str, Any]]) -> list[Path]:
    """Return the style models; name those that are not there.

    Raises:
        ImpastoError, OSError: none is there.
        UsageError: weights that make no blend.
    """
    from impasto.any_style.find import find_painter

    found, failures = usable_styles(styles, find_painter)
    failed += [print_failure(style, error) for style, error in failures]
    return [model for _, model in found]


def _read_all(options: argparse.Namespace, failed: list[dict[str, Any]], styles: int) -> dict[Path, np.ndarray]:
    """Read every photograph at the size that it has on the sheet; name those that cannot be read.

    Raises:
        UsageError: too many for one sheet, or the sheet would replace one of them.
    """
    from impasto.images.formats import IMAGE_SUFFIXES
    from impasto.inference.files import photographs
    from impasto.inference.records import Records

    def fail(source: object, error: Exception) -> None:
        failed.append(print_failure(source, error))

    found = photographs(options.photographs, "sheet", cache(Records), fail, IMAGE_SUFFIXES, print_note)
    if len(found) * (styles + 1) * options.size**2 > MAX_PIXELS:
        raise UsageError(
            f"{counted(len(found), 'photograph')} in {counted(styles, 'style')} at --size {options.size}: too much for "
            "one sheet; choose fewer, or a smaller --size"
        )
    pictures: dict[Path, np.ndarray] = {}
    for path in (each.path for each in found):
        try:
            if options.output.exists() and options.output.samefile(path):
                if str(path) not in options.photographs:
                    continue  # an earlier sheet in the folder
                raise UsageError(f"{printable(path)} is a photograph; choose another -o")
            pictures[path] = read_small(path, options.size)
        except UsageError:
            raise
        except (ImpastoError, OSError) as error:
            fail(path, error)
    return pictures


def read_small(path: Path, size: int) -> np.ndarray:
    """Read a photograph as (H, W, 3) uint8, its longer side `size` pixels."""
    from impasto.images.arrays import as_levels
    from impasto.images.geometry import resize
    from impasto.images.reading import read_levels

    pixels = read_levels(path)
    return resize(pixels if pixels.dtype.name == "uint8" else as_levels(pixels), size)


def _painted(
    photographs: dict[Path, np.ndarray], models: list[Path], device: str, failed: list[dict[str, Any]]
) -> list[list[Tile]]:
    """Return for each photograph its tiles: itself, and its painting in each style. A damaged model is named.

    Raises:
        UsageError: every model is damaged.
    """
    from impasto.checkpoint import SUFFIX, read_metadata
    from impasto.images.contact_sheet import Tile
    from impasto.inference.stylizer import Stylizer

    blocks = [[Tile(photograph, path.name, "the photograph")] for path, photograph in photographs.items()]
    for model in progress_bar(models, "style"):
        try:
            painter, style = Stylizer(model, device), read_metadata(model).style
        except ModelError as error:  # the others are painted
            failed.append(print_failure(model, error))
            continue
        detail = ", ".join(str(fact) for fact in (style.artist, style.year) if fact is not None)
        for block in blocks:
            block.append(Tile(painter(block[0].picture), model.name.removesuffix(SUFFIX), detail))
    if len(blocks[0]) == 1:
        raise UsageError("no sheet: there is no style that can be loaded")
    return blocks
