"""`impasto compare`: how much of the style does a painter reach, and how does the optimiser compare?"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from impasto.cli.options import (
    A_STYLE,
    Once,
    add_command,
    add_device_and_json,
    add_precision,
    folder_from,
    format_fidelity,
    format_steps,
    path_from,
    positive_from,
    wants_bfloat16,
)
from impasto.cli.output import print_failure, print_json, print_note, print_result
from impasto.errors import UsageError, counted
from impasto.inference import files
from impasto.inference.records import Records
from impasto.system.choices import COMPARE_SIZE, COMPARE_STEPS

if TYPE_CHECKING:
    from impasto.compare.report import Report

_TIMED_STEPS = 5  # of the optimiser: how long all will take is told from them
_BACKEND, _PRECISION = "torch", "float32"  # of the painter


def add(commands: Any) -> None:
    question = "how much of the style does a painter reach, and how does the optimiser compare?"
    duration = (
        "It takes minutes an image, and says after its first steps about how long; --steps 50 --no-polish takes a "
        "fifteenth."
    )
    command = add_command(commands, "compare", _compare, question, f"{question.capitalize()} {duration}")
    command.add_argument("sources", nargs="+", metavar="IMAGES", help="images, folders or patterns")
    command.add_argument("-s", "--style", action=Once, required=True, help=A_STYLE)
    command.add_argument(
        "-o", "--output", type=folder_from, action=Once, required=True, metavar="DIR", help="where the report goes"
    )
    command.add_argument("--steps", type=positive_from, default=COMPARE_STEPS)
    command.add_argument(
        "--size", type=positive_from, default=COMPARE_SIZE, help="side of the squares compared (default: %(default)s)"
    )
    command.add_argument("--limit", type=positive_from, help="only the first so many images")
    command.add_argument(
        "--loss-weights", help="torchvision, slim or a path (default: what the model was trained with)"
    )
    command.add_argument("--style-image", type=path_from, help="the style picture, needed with other weights")
    command.add_argument(
        "--no-polish",
        dest="polish",
        action="store_false",
        help="a third less time: the network's output is not optimised",
    )
    add_precision(command)
    add_device_and_json(command)


def _compare(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from impasto.compare.compare import compare
    from impasto.compare.judge import judging_loss
    from impasto.compare.output import write_report
    from impasto.errors import printable
    from impasto.images.formats import IMAGE_SUFFIXES
    from impasto.inference.stylizer import Stylizer

    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("comparing draws a curve; pip install 'impasto[compare]'")
    painter = Stylizer(options.style, options.device, backend=_BACKEND, precision=_PRECISION)
    failed: list[dict[str, Any]] = []

    def fail(source: object, error: Exception) -> None:
        failed.append(print_failure(source, error))

    loss = judging_loss(painter.model, options.loss_weights, options.style_image)
    found = files.photographs(options.sources, painter.name, cache(Records), fail, IMAGE_SUFFIXES, print_note)
    paths = [photograph.path for photograph in found][: options.limit]
    if not paths:
        raise UsageError("nothing to compare: no images, or all of them are results")
    options.output.mkdir(parents=True, exist_ok=True)
    with tqdm(
        total=(2 + options.polish) * len(paths) * options.steps, unit="step", file=sys.stderr, mininterval=1
    ) as line:
        moments: list[float] = []  # of the first steps

        def progress(image: str, init: str, step: int) -> None:
            line.set_description(f"{printable(image)} from {init}", refresh=False)
            line.update(step > 0)
            if len(moments) <= _TIMED_STEPS:
                moments.append(time.monotonic())
                if len(moments) > _TIMED_STEPS:
                    left = (moments[-1] - moments[0]) / _TIMED_STEPS * (line.total - line.n)
                    print_note(f"about {in_words(left)} to go; fewer --steps, a --limit and --no-polish take less")

        report, compared = compare(
            paths, painter, loss, steps=options.steps, size=options.size,
            bfloat16=wants_bfloat16(options, painter.device), polish=options.polish, progress=progress,
            failed=partial(fail, None),
        )  # fmt: skip
    written = write_report(options.output, report, compared)
    if options.json:
        print_json({**report.to_dict(), "failed": failed})
    else:
        print_result(*_sentences(report), *_in_plain_words(report), *map(printable, written))
    return 1 if failed else 0


def failure_report(reason: str) -> dict[str, Any]:
    return {"images": [], "failed": [{"input": None, "error": reason}]}


def _sentences(report: Report) -> Iterator[str]:
    def after(step: int | None) -> str:
        return format_steps(step, report.steps)

    equal, median, loss, seconds = report.equal_iterations, report.median_iterations, report.loss, report.seconds
    if report.network and report.optimiser:
        own, best = format_fidelity(report.network), format_fidelity(report.optimiser)
        yield f"{report.style}: {own}; the optimiser, {counted(report.steps, 'step')}: {best}"
    yield f"equals {after(equal.noise)} L-BFGS iterations from noise, {after(equal.content)} from content"
    if median and len(report.images) > 1:
        yield f"in the median image {after(median.noise)} and {after(median.content)}"
    yield (
        f"total loss {loss.network['total']:.3f}, the optimiser's best in {counted(report.steps, 'step')} "
        f"{loss.converged:.3f}: gap {report.gap:.0%}"
    )
    if loss.polish is not None:
        yield (
            f"polish: {after(report.polish_iterations)} iterations from the network's output reach the optimiser's best"
        )
    earlier = " (partly timed in an earlier comparison)" if seconds.cached else ""
    yield (
        f"speed: {seconds.network:.3f} s ({_BACKEND}, {_PRECISION}) against {seconds.noise:.1f} s "
        f"({report.gradients} gradients), {seconds.ratio:.0f} times{earlier}"
    )
    if report.screen is not None:
        yield f"screen: {report.screen:.2f} times the style's own"
    judge = "the slim loss network" if report.judge.network == "slim" else f"VGG-19, {report.judge.weights}"
    yield f"judge: {judge}, on {counted(len(report.images), 'image')} at {report.size} pixels"


def _in_plain_words(report: Report) -> Iterator[str]:
    """Yield what the first figures mean for a picture."""
    own, best = report.network, report.optimiser
    if not own or own.style_reached is None or own.structure_kept is None:
        return
    farther = f"; the optimiser goes {best.style_reached:.0%}" if best and best.style_reached is not None else ""
    yield (
        "in words: from the photograph (0%) to the colours, textures and strokes of the style picture (100%), this "
        f"painter goes {own.style_reached:.0%} of the way{farther}"
    )
    yield (
        f"of the photograph's shapes and outlines {own.structure_kept:.0%} is kept: with more, things and faces are "
        "recognised more easily, with less, the painting is freer"
    )


def in_words(seconds: float) -> str:
    """Return a duration as one says it: in seconds below two minutes, else in minutes."""
    return counted(round(seconds), "second") if seconds < 120 else counted(round(seconds / 60), "minute")
