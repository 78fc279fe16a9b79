"""`impasto stylize`: images, clips, folders and patterns through a trained painter."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli import clips
from impasto.cli.options import (
    add_backend,
    add_command,
    add_device_and_json,
    complain,
    memory_from,
    positive_from,
    progress_bar,
    reason_of,
    size_from,
)
from impasto.errors import ImageError, ImpastoError, UsageError, VideoError

if TYPE_CHECKING:
    from impasto.inference import Stylizer


def add(commands: Any) -> None:
    command = add_command(commands, "stylize", _stylize, "paint images, clips or folders with a trained style")
    command.add_argument(
        "sources", nargs="+", metavar="SOURCE",
        help="an image, a clip, a folder or a pattern such as '*.jpg'; a camera's number; - for raw frames",
    )  # fmt: skip
    command.add_argument("-s", "--style", required=True, help="a shipped style's name or a style model's path")
    command.add_argument(
        "-o", "--output", type=Path, help="a file for one source, else a folder (default: beside each source)"
    )
    command.add_argument(
        "--size", type=positive_from, help="longer side of the result in pixels (default: the input's)"
    )
    command.add_argument("--frame-size", metavar="WxH", type=size_from, help="of the raw RGB24 frames (with -)")
    command.add_argument("--keep-metadata", action="store_true", help="copy EXIF, place included, to the result")
    command.add_argument("--overwrite", action="store_true", help="allow a result to replace its own input")
    command.add_argument("--resume", action="store_true", help="leave results that are there and whole")
    command.add_argument(
        "--max-pixels", type=positive_from, help="refuse larger images and frames (default: 120000000)"
    )
    command.add_argument("--max-memory", type=memory_from, metavar="SIZE",
                         help="keep to about that much, as 1G or 500M, on a GPU of its memory: what does not fit is painted in "
                         "tiles, with the same result (default: half of what is free)")  # fmt: skip
    command.add_argument("--statistics", choices=("exact", "thumbnail"), default="exact",
                         help="of a picture painted in tiles: thumbnail is faster, and says how far it is off (default: exact)")  # fmt: skip
    add_backend(command)
    add_device_and_json(command)


def _stylize(options: argparse.Namespace) -> int:
    from impasto import images
    from impasto.checkpoint import SUFFIX, check_name, find_style_model
    from impasto.inference import Stylizer

    clips.check(options)
    options.max_pixels = options.max_pixels or images.MAX_PIXELS
    model = find_style_model(options.style)
    # Not the name inside: a painter trained further and saved beside its first state is known by its file.
    style = model.name.removesuffix(SUFFIX)
    check_name(style, model)
    painter = Stylizer(
        model, options.device, backend=options.backend, precision=options.precision,
        max_memory=options.max_memory, statistics=options.statistics,
    )  # fmt: skip
    print(f"painting with {painter.engine}", file=sys.stderr)
    if options.sources == ["-"]:
        return clips.paint_pipe(painter, options)
    done, failed = [], []

    def fail(source: object, error: Exception) -> None:
        complain(error if isinstance(error, ImpastoError) else f"{source}: {reason_of(error)}")
        failed.append({"input": images.printable(source), "error": images.printable(str(error))})

    pairs = clips.camera(options, style)
    if not pairs:
        pairs = _targets(_sources(options.sources, f".{style}", fail), style, options.output)
    for source, target in progress_bar(pairs, "image"):
        try:
            if options.resume and isinstance(source, Path) and _is_whole(target, source, options.max_pixels):
                continue
            told = _stylize_one(painter, source, target, options)
            done.append({"input": str(source), "output": str(target), **told})
            if told.get("damage"):
                raise VideoError(f"{images.printable(source)}: {told['damage']}")
        except (ImpastoError, OSError) as error:
            fail(source, error)
    if options.json:
        print(json.dumps({"style": style, "done": done, "failed": failed}, indent=2))
    else:
        for item in done:
            print(images.printable(item["output"]))
        if failed:
            print(f"{len(done)} painted, {len(failed)} failed", file=sys.stderr)
    return 1 if failed else 0


def _is_whole(result: Path, source: Path, max_pixels: int) -> bool:
    """Whether a picture other than the input is there and can be decoded to its end."""
    from impasto import images

    if clips.is_clip(source):
        return clips.is_whole(result, source)
    try:
        if result.exists() and result.samefile(source):
            return False
        images.read_picture(result, max_pixels=max_pixels, as_levels=True)
    except ImageError:
        return False
    return True


def _sources(words: Sequence[str], result: str, fail: Callable[[object, Exception], None]) -> list[Path]:
    """The images and clips that the words mean, without this style's own results unless they are named; a word that means none fails."""
    from impasto import images
    from impasto.video import VIDEO_SUFFIXES

    found: dict[Path, None] = {}
    for word in words:
        try:
            paths = images.find_images([word], images.IMAGE_SUFFIXES | VIDEO_SUFFIXES)
        except UsageError as error:
            if len(words) == 1:
                raise
            fail(word, error)
            continue
        found |= dict.fromkeys(path for path in paths if path == Path(word) or not path.stem.endswith(result))
    if not found:
        raise UsageError("nothing to paint: no images or clips, or all of them are already results of this style")
    return list(found)


def _stylize_one(painter: Stylizer, source: Path | int, target: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Paint one source; return what to tell of it beside its name."""
    from impasto import images

    if isinstance(source, int):
        return clips.paint_clip(painter, source, target, options)
    if not options.overwrite and target.exists() and target.samefile(source):
        raise UsageError(f"{images.printable(target)} is the input itself; choose another -o, or add --overwrite")
    if clips.is_clip(source):
        return clips.paint_clip(painter, source, target, options)
    picture = images.read_picture(source, max_pixels=options.max_pixels, as_levels=True)
    pixels, alpha = picture.pixels, picture.alpha
    if options.size:
        sides = images.size_of(pixels)
        if options.size * options.size * min(sides) > max(sides) * options.max_pixels:
            raise UsageError(f"--size {options.size} makes more pixels than --max-pixels allows")
        pixels = images.resize(pixels, options.size)
        alpha = None if alpha is None else images.resize(alpha, options.size)
    exif, notes = picture.exif if options.keep_metadata else None, picture.notes
    del picture  # a huge one and its painting need not be there both while the file is written
    pixels = painter(pixels)
    if any(painter.deviation):
        off = "off by {:.2f} standard deviations on average over the norms, {:.2f} at most".format(*painter.deviation)
        notes += (f"statistics from a thumbnail: {off}; --statistics exact is not",)
    images.write_image(target, pixels, alpha=alpha, exif=exif)
    for note in notes:
        print(f"{images.printable(source)}: {note}", file=sys.stderr)
    return {}


def _targets(sources: Sequence[Path], style: str, output: Path | None) -> list[tuple[Path, Path]]:
    """Pair every source with a target of its own."""
    from impasto import images
    from impasto.video import VIDEO_SUFFIXES

    if output and output.suffix.lower() in images.IMAGE_SUFFIXES | VIDEO_SUFFIXES and not output.is_dir():
        if len(sources) > 1:
            raise UsageError(
                f"{images.printable(output)} is one file and these are {len(sources)} sources; name a folder"
            )
        return [(sources[0], output)]
    taken = {_absolute(source) for source in sources}  # a result never replaces another input
    numbers: dict[str, Iterator[int]] = {}
    pairs = []
    for source in sources:
        folder = output or source.parent
        suffix = clips.result_suffix(source)
        target = folder / f"{source.stem}.{style}{suffix}"
        plain = _absolute(target)
        while _absolute(target) in taken:
            number = next(numbers.setdefault(plain, itertools.count(2)))
            target = folder / f"{source.stem}-{number}.{style}{suffix}"
        taken.add(_absolute(target))
        pairs.append((source, target))
    return pairs


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, and raise on circular ones
