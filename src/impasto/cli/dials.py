"""The dials of `impasto stylize`: how strongly, in whose colours, with which strokes and where is painted."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from impasto.cli.options import path_from
from impasto.errors import UsageError, printable
from impasto.inference.files import camera_number
from impasto.system.choices import COLORS, MAX_STRENGTH, STROKE_RANGE

if TYPE_CHECKING:
    from impasto.dials.dials import Dials
    from impasto.inference.hands import Hands, Region
    from impasto.inference.mask_files import Masks
    from impasto.inference.stylizer import Stylizer


def add(command: argparse.ArgumentParser) -> None:
    dials = command.add_argument_group("dials", "by default as the style says, everywhere")
    add_strength(dials)
    add_stroke_and_color(dials)
    where = dials.add_mutually_exclusive_group()
    where.add_argument("--mask", type=path_from, metavar="FILE|DIR",
                       help="paint where this picture is white; of a folder, the one named like the photograph, or "
                            "for a clip one a frame, in the order of their names")  # fmt: skip
    add_categories(where)
    dials.add_argument("--invert-mask", action="store_true", help="paint where the mask is black")
    dials.add_argument("--annotations", type=path_from, metavar="FILE",
                       help="a COCO annotation file, for --paint and --keep")  # fmt: skip
    dials.add_argument("--region", type=_region_from, action="append", metavar="MASK=STYLE",
                       help="paint where this mask is white in another style; repeatable, later ones "
                            "on top")  # fmt: skip


def add_strength(command: argparse._ActionsContainer) -> None:
    command.add_argument("--strength", type=_between(0, MAX_STRENGTH), metavar="SHARE",
                         help=f"0 is the photograph, 1 the painting; above it, to {MAX_STRENGTH}, an "
                              "exaggeration")  # fmt: skip


def add_stroke_and_color(command: argparse._ActionsContainer) -> None:
    command.add_argument("--stroke", type=_between(*STROKE_RANGE), metavar="SIZE",
                         help="size of the strokes against the picture, {} to {} (default: by the picture's "
                              "pixels)".format(*STROKE_RANGE))  # fmt: skip
    command.add_argument("--color", choices=COLORS,
                         help="the style's colours, the photograph's, or the painting's matched to its "
                              "palette")  # fmt: skip


def add_categories(group: argparse._ActionsContainer) -> None:
    group.add_argument("--paint", type=categories_from, metavar="NAME[,NAME]",
                       help="paint these objects of the annotations alone, such as person,dog")  # fmt: skip
    group.add_argument("--keep", type=categories_from, metavar="NAME[,NAME]",
                       help="paint everything but these objects of the annotations")  # fmt: skip


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for dials that cannot go together, before a painter is loaded."""
    if options.invert_mask and not options.mask:
        raise UsageError("--invert-mask inverts a mask: add --mask, or choose --keep")
    if bool(options.annotations) != bool(options.paint or options.keep):
        raise UsageError("--annotations goes with --paint NAME or --keep NAME")
    for path in [options.mask, *(mask for mask, _ in options.region or ())]:
        if path and not path.exists():
            raise UsageError(f"{printable(path)}: no such mask; give a picture, or a folder of them")
        if path and path.is_dir() and camera_number(options.sources[0]) is not None:
            raise UsageError(f"{printable(path)}: a camera has no last frame; give one mask, not a folder")


class Places(NamedTuple):
    """Where is painted, whatever the style."""

    masks: Masks | None
    regions: list[Region]


def places_of(options: argparse.Namespace) -> Places:
    """Return the masks and the regions that the options set.

    Raises:
        ImpastoError: the annotations or the style of a region cannot be read.
    """
    return Places(_masks(options), [_region(mask, style, options) for mask, style in options.region or ()])


def hands_of(painter: Stylizer, places: Places, options: argparse.Namespace) -> Hands:
    """Return the painter with all that the options set."""
    from impasto.inference.hands import Hands

    return Hands(painter, _dials(painter, options), places.masks, places.regions)


def _dials(painter: Stylizer, options: argparse.Namespace) -> Dials:
    return painter.dials.given(options.strength, options.stroke, options.color)


def _masks(options: argparse.Namespace) -> Masks | None:
    if options.mask:
        from impasto.inference.mask_files import MaskFiles

        return MaskFiles(options.mask, options.invert_mask)
    if options.annotations:
        from impasto.datasets.coco_masks import CocoMasks

        return CocoMasks(options.annotations, options.paint or options.keep, invert=bool(options.keep))
    return None


def _region(mask: Path, style: str, options: argparse.Namespace) -> Region:
    from impasto.any_style.find import find_painter
    from impasto.inference.hands import Region
    from impasto.inference.mask_files import MaskFiles
    from impasto.inference.records import settings_of
    from impasto.inference.stylizer import Stylizer

    model = find_painter(style)
    painter = Stylizer(
        model, options.device, backend=options.backend, precision=options.precision,
        max_memory=options.max_memory, statistics=options.statistics,
    )  # fmt: skip
    return Region(MaskFiles(mask), painter, _dials(painter, options), settings_of(model))


def categories_from(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"must be names of categories, such as person,dog, not {text}")
    return names


def _between(low: float, high: float) -> Callable[[str], float]:
    def number_from(text: str) -> float:
        with suppress(ValueError):
            if low <= (value := float(text)) <= high:
                return value
        raise argparse.ArgumentTypeError(f"must be a number from {low} to {high}, not {text}")

    return number_from


def _region_from(text: str) -> tuple[Path, str]:
    mask, _, style = text.partition("=")
    if not (mask and style):
        raise argparse.ArgumentTypeError(f"must be MASK=STYLE, such as sky.png=wave, not {text}")
    return path_from(mask), style
