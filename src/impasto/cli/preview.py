"""`impasto preview`: one photograph painted with every strength, stroke and colour to choose from, numbered."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.options import A_STYLE, add_command, add_sheet, path_from, refuse_as_output
from impasto.cli.output import print_json, print_result
from impasto.errors import UsageError, printable

if TYPE_CHECKING:
    import numpy as np

    from impasto.dials.picks import Pick

_HEADINGS = {"style": "in the style's colours", "photo": "in the photograph's colours"}  # of `picks.SHOWN_COLORS`


def add(commands: Any) -> None:
    command = add_command(
        commands, "preview", _preview, "see strengths, strokes and colours of a style, numbered to choose from"
    )
    command.add_argument("painting", metavar="PAINTING", help=A_STYLE)
    command.add_argument("photograph", type=path_from, metavar="PHOTO", help="the photograph to be painted")
    add_sheet(command, "preview.png", 384)


def _preview(options: argparse.Namespace) -> int:
    from impasto.cli.sheet import read_small
    from impasto.dials.picks import SHOWN_COLORS, SHOWN_STRENGTHS, all_picks, paint_picks
    from impasto.dials.strokes import REFERENCE
    from impasto.images.contact_sheet import Tile, captioned_sheet, in_rows
    from impasto.images.writing import check_writable, write_image
    from impasto.system.choices import MAX_PIXELS

    check_writable(options.output)
    refuse_as_output(options.output, [options.painting, options.photograph])
    count = len(all_picks())
    if count * options.size**2 > MAX_PIXELS:
        raise UsageError(f"--size {options.size}: too large for a sheet of {count}; choose a smaller one")
    photograph = read_small(options.photograph, REFERENCE)
    paint = _of_picture if _is_picture(options.painting) else _of_style_model
    painted = list(paint_picks(paint(options.painting, options.device), photograph, options.size))
    tiles = [Tile(picture, *_caption(pick)) for pick, picture in painted]
    columns = len(SHOWN_STRENGTHS) * len(SHOWN_COLORS)
    rows = list(in_rows(tiles, columns))
    write_image(options.output, captioned_sheet(rows, headings=[_HEADINGS[color] for color in SHOWN_COLORS]))
    _show([pick for pick, _ in painted], options)
    return 0


def failure_report(reason: str) -> dict[str, Any]:
    return {"output": None, "style": None, "picks": [], "failed": [{"input": None, "error": reason}]}


def _is_picture(painting: str) -> bool:
    from impasto.images.formats import is_picture

    return is_picture(Path(painting)) and Path(painting).is_file()


def _of_style_model(style: str, device: str) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return what paints with strokes of a size: by the size that the painter works at, as the stroke dial does.

    The dial's second pass is left out. It adds detail that is too fine to be seen on so small a picture.
    """
    from impasto.dials.strokes import resized, working_size
    from impasto.inference.stylizer import Stylizer

    painter = Stylizer(style, device)
    return lambda photograph, stroke: painter.paint_plainly(
        resized(photograph, working_size(photograph.shape[0], photograph.shape[1], stroke))[None]
    ).pixels[0]


def _of_picture(path: str, device: str) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return what paints with strokes of a size, as training does: by the size at which the style picture is read."""
    from impasto.any_style.find import find_painter
    from impasto.dials.picks import style_size
    from impasto.inference.stylizer import Stylizer

    def paint(photograph: np.ndarray, stroke: float) -> np.ndarray:
        painter = Stylizer(find_painter(path, style_size(stroke)), device)
        return painter.paint_plainly(photograph[None]).pixels[0]

    return paint


def _caption(pick: Pick) -> tuple[str, str]:
    dials = pick.dials
    return str(pick.number), f"strength {dials.strength:g}, stroke {pick.stroke:g}, {dials.color}"


def _show(picks: Sequence[Pick], options: argparse.Namespace) -> None:
    """Print what each number is, and how to have it."""
    style = options.painting
    if options.json:
        numbers = [
            {**pick.to_dict(), **({"style_size": pick.style_size} if _is_picture(style) else {})} for pick in picks
        ]
        print_json({"output": str(options.output), "style": style, "picks": numbers, "failed": []})
        return
    print_result(" number  strength  stroke  color")
    for pick in picks:
        dials = pick.dials
        print_result(f"{pick.number:7}  {dials.strength:<8g}  {pick.stroke:<6g}  {dials.color}")
    print_result(printable(options.output), f"choose one: {_command(options)}")


def _command(options: argparse.Namespace) -> str:
    style = printable(shlex.quote(options.painting))
    if _is_picture(options.painting):
        return f"impasto train {style} --pick N"
    photograph = printable(shlex.quote(str(options.photograph)))
    return f"impasto stylize {photograph} -s {style} --strength STRENGTH --stroke STROKE --color COLOR"
