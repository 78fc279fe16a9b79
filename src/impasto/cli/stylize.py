"""`impasto stylize`: paint images, clips, folders and patterns with a trained style."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from impasto.any_style.words import cues_of
from impasto.cli import clips, dials
from impasto.cli.named_styles import CuedModels, style_models
from impasto.cli.options import (
    A_STYLE,
    Once,
    add_backend,
    add_command,
    add_device_and_json,
    memory_from,
    positive_from,
    refuse_as_output,
    size_from,
)
from impasto.cli.output import failure_entry, print_failure, print_json, print_note, print_result, progress_bar
from impasto.errors import INTERRUPTED, INTERRUPTED_CODE, ImpastoError, ModelError, UsageError, VideoError, printable
from impasto.inference import files
from impasto.inference.files import Destination, Job
from impasto.inference.records import Records, settings_of
from impasto.system import streams
from impasto.system.choices import DEFAULT_STATISTICS, MAX_PIXELS, STATISTICS

if TYPE_CHECKING:
    from impasto.cli.clips import Painter
    from impasto.cli.dials import Places
    from impasto.inference.hands import Hands


def add(commands: Any) -> None:
    command = add_command(commands, "stylize", _stylize, "paint images, clips or folders in the style of a painting")
    command.add_argument(
        "sources", nargs="+", metavar="SOURCE",
        help="an image, a clip, a folder or a pattern such as '*.jpg'; a camera's number; - for stdin",
    )  # fmt: skip
    command.add_argument(
        "-s",
        "--style",
        action="append",
        required=True,
        help=f"{A_STYLE}; repeatable; of a film also wave@0,oils@00:10, which changes at that time",
    )
    command.add_argument(
        "-o",
        "--output",
        action=Once,
        help="a file for one source, else a folder; - for stdout (default: beside each source)",
    )
    command.add_argument(
        "--size", type=positive_from, help="longer side of the result in pixels (default: the input's)"
    )
    command.add_argument("--frame-size", metavar="WxH", type=size_from,
                         help="read raw RGB24 frames of that size from stdin (with -)")  # fmt: skip
    command.add_argument("--keep-metadata", action="store_true", help="copy EXIF, place included, to the result")
    command.add_argument("--overwrite", action="store_true", help="allow a result to replace its own input")
    command.add_argument(
        "--resume",
        action="store_true",
        help="leave results that are there, whole and made from the same, and go on with films that were interrupted",
    )
    command.add_argument(
        "--max-pixels",
        type=positive_from,
        default=MAX_PIXELS,
        help="refuse larger images and frames (default: %(default)s)",
    )
    command.add_argument("--max-memory", type=memory_from, metavar="SIZE",
                         help="keep to about that much, as 1G or 500M, on a GPU of its memory: what does not fit "
                              "is painted in "
                         "tiles, with the same result (default: half of what is free)")  # fmt: skip
    command.add_argument("--statistics", choices=STATISTICS, default=DEFAULT_STATISTICS,
                         help="of a picture painted in tiles: thumbnail is faster, and says how far it is off "
                              "(default: %(default)s)")  # fmt: skip
    clips.add(command)
    dials.add(command)
    add_backend(command)
    add_device_and_json(command)


def _stylize(options: argparse.Namespace) -> int:
    destination = Destination.of(options.output)
    clips.check_sources(options, destination)
    dials.check(options)
    masks = [options.mask, options.annotations, *(mask for mask, _ in options.region or ())]
    styles = [cue.word for style in options.style for cue in cues_of(style)]
    refuse_as_output(destination.file, [*styles, *(path for path in masks if path)])
    report = _Report(None, options.json, several=len(options.style) > 1)
    models = style_models(options.style, report.fail)
    places = dials.places_of(options)
    if options.sources == ["-"] and options.frame_size:
        (cued,) = models.values()
        return clips.paint_pipe(_painter(cued, places, options), options)
    stdin = cache(_stdin)
    try:
        for report.style, cued in models.items():
            try:
                painter = _painter(cued, places, options)
            except ModelError as error:
                if not report.several:
                    raise
                report.fail(None, error, report.style)
                continue
            report.dials = painter.to_dict()
            _paint_sources(painter, cued, destination, options, report, stdin)
    except KeyboardInterrupt:
        report.fail(None, ImpastoError(INTERRUPTED))
        report.code = INTERRUPTED_CODE
    report.show()
    return report.code


def _painter(cued: CuedModels, places: Places, options: argparse.Namespace) -> Painter:
    hands = {model: _hands(model, places, options) for model in dict.fromkeys(model for _, model in cued)}
    print(f"painting with {hands[cued[0].model].painter.engine}", file=sys.stderr)
    if len(cued) == 1:
        return hands[cued[0].model]
    from impasto.inference.changes import ChangingHands, Cue

    return ChangingHands([Cue(start, hands[model]) for start, model in cued], options.transition)


def _hands(model: Path, places: Places, options: argparse.Namespace) -> Hands:
    from impasto.inference.stylizer import Stylizer

    stylizer = Stylizer(
        model, options.device, backend=options.backend, precision=options.precision,
        max_memory=options.max_memory, statistics=options.statistics,
    )  # fmt: skip
    return dials.hands_of(stylizer, places, options)


class _Report:
    """What became of each source (done, left as it was, failed), and the exit code."""

    def __init__(self, style: str | None, as_json: bool, *, several: bool = False):
        self.style, self.as_json, self.code = style, as_json, 0  # the style is that which is painted in just now
        self.dials: dict[str, Any] = {}  # of that style
        self.several = several  # styles: each entry then names its own, with its dials
        self.done: list[dict[str, Any]] = []
        self.left: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.to_stdout = False  # the picture itself goes there

    @property
    def has_bad_source(self) -> bool:
        return any(entry["input"] is not None for entry in self.failed)

    def fail(self, source: object, error: Exception, style: str | None = None) -> None:
        """Record and print what failed: a source, or a `style` in which nothing is painted."""
        named = {} if style is None else {"style": printable(style)}
        entry = {**named, **failure_entry(source, error)}
        self.code = self.code or 1
        if entry in self.failed:
            return  # in an earlier style
        print_failure(source, error, style)
        self.failed.append(entry)

    def entry(self, source: object, target: Path) -> dict[str, Any]:
        """Return the entry of a source that did not fail."""
        entry = {"input": str(source), "output": str(target)}
        return {"style": self.style, **entry, **self._dials()} if self.several else entry

    def as_dict(self) -> dict[str, Any]:
        common = {"style": None} if self.several else {"style": self.style, **self._dials()}
        return {**common, "done": self.done, "left": self.left, "failed": self.failed}

    def _dials(self) -> dict[str, Any]:
        return {"dials": self.dials} if self.dials else {}

    def show(self) -> None:
        if self.left:
            print(f"{len(self.left)} left as {'it was' if len(self.left) == 1 else 'they were'}", file=sys.stderr)
        if self.as_json:
            print_json(self.as_dict())
            return
        if self.done and not self.to_stdout:
            print_result(*(printable(item["output"]) for item in self.done))
        if self.failed:
            print(f"{len(self.done)} painted, {len(self.failed)} failed", file=sys.stderr)


def failure_report(reason: str) -> dict[str, Any]:
    report = _Report(None, as_json=True)
    report.failed.append({"input": None, "error": reason})
    return report.as_dict()


def _paint_sources(
    painter: Painter,
    cued: CuedModels,
    destination: Destination,
    options: argparse.Namespace,
    report: _Report,
    stdin: Callable[[], BinaryIO],
) -> None:
    """Paint all that is named in one style."""
    if options.sources == ["-"]:
        _paint_stdin(painter, stdin, destination, options, report)
    else:
        _paint_all(painter, cued, destination, options, report)


def _paint_all(
    painter: Painter,
    cued: CuedModels,
    destination: Destination,
    options: argparse.Namespace,
    report: _Report,
) -> None:
    """Paint every source; record each one in the report."""
    records = cache(Records)
    style = str(report.style)
    settings = settings_of(
        *(model for _, model in cued), size=options.size, statistics=options.statistics,
        keep_metadata=options.keep_metadata,
        **clips.film_settings(options),
    )  # fmt: skip
    made_now = {item["output"] for item in (*report.done, *report.left)}  # in earlier styles: no sources
    note = print_note if not (made_now or report.has_bad_source) else lambda line: None
    jobs = files.jobs_of(
        options.sources, style, destination, records, protect=options.resume, fail=report.fail, note=note
    )
    jobs = [job for job in jobs if str(job.source) not in made_now]
    if not jobs:
        report.code = UsageError.exit_code
        if not report.has_bad_source:
            raise UsageError("nothing to paint: no images or clips, or all of them are results already")
    report.to_stdout = destination.stream == files.STDOUT
    for job in progress_bar(jobs, "image"):
        try:
            decides = clips.settings_of_clip(settings, options) if job.moves else settings
            made = job.made(style, painter.settings(decides, job.source))
            if made and options.resume and job.is_done(made, records(job.target.parent), options.max_pixels):
                report.left.append(report.entry(job.source, job.target))
                clips.forget_parts(job.target)
                continue
            summary = _paint_one(painter, job, options, made.settings if made else None)
            report.done.append({**report.entry(job.source, job.target), **summary})
            if made and job.target.is_file():  # and no stream
                records(job.target.parent).add(made, job.target)
            if summary.get("damage"):
                raise VideoError(f"{job.source}: {summary['damage']}")
        except (ImpastoError, OSError) as error:
            report.fail(job.source, error)


def _paint_one(painter: Painter, job: Job, options: argparse.Namespace, settings: str | None) -> dict[str, Any]:
    """Paint one source; return its entries of the report beside input and output."""
    if job.makes_clip(overwrite=options.overwrite):
        return clips.paint_clip(painter, job.source, job.target, options, settings)
    assert isinstance(job.source, Path)
    clips.check_picture(job.source, options)
    _paint_to(painter, job.source, job.target, files.result_suffix(job.source), options)
    return {}


def _paint_to(
    painter: Painter, source: Path | BinaryIO, target: Path, suffix: str, options: argparse.Namespace
) -> None:
    """Paint a picture into a file, a pipe or a device; `suffix` gives the format of the latter two."""
    if target == files.STDOUT:
        _paint_picture(painter, source, streams.results().buffer, suffix, options)  # type: ignore[attr-defined]
    elif target.exists() and not target.is_file():
        with target.open("wb") as stream:
            _paint_picture(painter, source, stream, suffix, options)
    else:
        _paint_picture(painter, source, target, "", options)


def _paint_picture(
    painter: Painter,
    source: Path | BinaryIO,
    target: Path | BinaryIO,
    suffix: str,
    options: argparse.Namespace,
) -> None:
    from impasto.images.geometry import resize, size_of
    from impasto.images.reading import read_picture
    from impasto.images.writing import write_image

    picture = read_picture(source, max_pixels=options.max_pixels)
    pixels, alpha = picture.pixels, picture.alpha
    if options.size:
        sides = size_of(pixels)
        if options.size * options.size * min(sides) > max(sides) * options.max_pixels:
            raise UsageError(f"--size {options.size} makes more pixels than --max-pixels allows")
        pixels = resize(pixels, options.size)
        alpha = None if alpha is None else resize(alpha, options.size)
    exif, notes = picture.exif if options.keep_metadata else None, picture.notes
    del picture  # frees memory: a huge picture and its painting need not both be held while the file is written
    (pixels,), deviation = painter.paint(pixels, source)
    if any(deviation):
        off = "off by {:.2f} standard deviations on average over the norms, {:.2f} at most".format(*deviation)
        notes += (f"statistics from a thumbnail: {off}; --statistics exact is not",)
    notes += write_image(target, pixels, alpha=alpha, exif=exif, format=suffix.removeprefix("."))
    for line in notes:
        print_note(f"{printable(source)}: {line}")


def _stdin() -> BinaryIO:
    from impasto.images.reading import buffered

    return buffered(sys.stdin.buffer)


def _paint_stdin(
    painter: Painter,
    stdin: Callable[[], BinaryIO],
    destination: Destination,
    options: argparse.Namespace,
    report: _Report,
) -> None:
    """Paint the picture that stdin holds."""
    from impasto.images.reading import suffix_of

    try:
        data = stdin()
        suffix = suffix_of(data)
        target = destination.file or destination.stream or files.STDOUT
        if destination.folder:
            target = destination.folder / files.result_name("stdin", str(report.style), suffix)
        report.to_stdout = target == files.STDOUT
        _paint_to(painter, data, target, suffix, options)
        report.done.append(report.entry("-", target))
    except (ImpastoError, OSError) as error:
        report.fail("-", error)
