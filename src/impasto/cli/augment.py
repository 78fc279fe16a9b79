"""`impasto augment`: paint a COCO data set and keep its annotations."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, suppress
from functools import cache
from typing import Any

from impasto.cli import dials
from impasto.cli.options import (
    A_STYLE,
    Once,
    add_command,
    add_device_and_json,
    folder_from,
    path_from,
    positive_from,
    seed_from,
)
from impasto.cli.output import print_error, print_json, print_result
from impasto.system.choices import AUGMENT_ENGINES, AUGMENT_PER_IMAGE, AUGMENT_STRENGTH, DEFAULT_ENGINE, DEFAULT_SEED

_MAX_ERRORS_SHOWN = 20  # a damaged data set may have thousands


def add(commands: Any) -> None:
    command = add_command(commands, "augment", _augment, "paint a COCO data set, its annotations kept")
    command.add_argument("--annotations", type=path_from, required=True, metavar="FILE", help="a COCO annotation file")
    command.add_argument("--images", type=path_from, required=True, metavar="DIR", help="the folder with its images")
    command.add_argument(
        "-s",
        "--style",
        action="append",
        required=True,
        help=f"{A_STYLE}; repeatable",
    )
    command.add_argument(
        "-o",
        "--output",
        type=folder_from,
        action=Once,
        required=True,
        metavar="DIR",
        help="where the new data set goes",
    )
    command.add_argument("--per-image", type=positive_from, default=AUGMENT_PER_IMAGE, metavar="N",
                         help="paintings of each image, in different styles as far as there are (default: "
                              "%(default)s)")  # fmt: skip
    command.add_argument(
        "--seed", type=seed_from, default=DEFAULT_SEED, help="decides on styles and strengths (default: %(default)s)"
    )
    command.add_argument("--strength", type=_range_from, default=AUGMENT_STRENGTH, metavar="LOW:HIGH",
                         help="share of the painting, drawn from this range; the rest is the photograph "
                         f"(default: {':'.join(f'{end:g}' for end in AUGMENT_STRENGTH)})")  # fmt: skip
    dials.add_stroke_and_color(command)
    dials.add_categories(command.add_mutually_exclusive_group())
    command.add_argument("--keep-originals", action="store_true", help="copy the photographs into the data set too")
    command.add_argument("--resume", action="store_true", help="go on with a run that was cut off")
    command.add_argument(
        "--workers", type=_workers_from, metavar="N", help="processes (default: auto, one a core or GPU)"
    )
    command.add_argument("--engine", choices=AUGMENT_ENGINES, default=DEFAULT_ENGINE,
                         help="processes of this machine, or the Ray cluster that RAY_ADDRESS names (default: "
                              "%(default)s)")  # fmt: skip
    add_device_and_json(command)


def _range_from(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    with suppress(ValueError):
        ends = float(low), float(high or low)
        if 0 <= ends[0] <= ends[1] <= 1:
            return ends
    raise argparse.ArgumentTypeError(f"must be LOW:HIGH with both between 0 and 1, not {text}")


def _workers_from(text: str) -> int | None:
    try:
        return None if text == "auto" else positive_from(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"must be auto or a whole number of at least 1, not {text}") from error


class _LimitedErrors:
    """Prints the first `limit` errors and counts the rest as `hidden`."""

    def __init__(self, limit: int):
        self.left, self.hidden = limit, 0

    def __call__(self, reason: str) -> None:
        if self.left:
            print_error(reason)
            self.left -= 1
        else:
            self.hidden += 1


def _augment(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from impasto.datasets.augment import augment
    from impasto.errors import counted, printable

    failures = _LimitedErrors(_MAX_ERRORS_SHOWN)
    with ExitStack() as stack:
        line = cache(
            lambda: stack.enter_context(tqdm(unit="image", file=sys.stderr))
        )  # the bar appears with the first image

        def progress(done: int, total: int) -> None:
            line().total = total
            line().update(done - line().n)

        report = augment(
            options.annotations, options.images, options.style, options.output, per_image=options.per_image,
            seed=options.seed, strength=options.strength, stroke=options.stroke, color=options.color,
            paint=options.paint, keep=options.keep, keep_originals=options.keep_originals,
            resume=options.resume, workers=options.workers, engine=options.engine, device=options.device,
            progress=progress, failed=failures,
        )  # fmt: skip
    if failures.hidden:
        print_error(f"{counted(failures.hidden, 'more image')} could not be painted; --json names all")
    if options.json:
        print_json(report)
    else:
        print_result(printable(report["annotations"]))
    counts = f"{counted(report['images'], 'image')} with {counted(report['marks'], 'annotation')}"
    print(f"{counts}, {len(report['failed'])} failed" if report["failed"] else counts, file=sys.stderr)
    return 1 if report["failed"] else 0


def failure_report(reason: str) -> dict[str, Any]:
    return {"annotations": None, "images": 0, "marks": 0, "failed": [reason]}
