"""`impasto flicker`: measure how much painted clips flicker."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.clips import add_stabilize, film_progress
from impasto.cli.named_styles import steady_models
from impasto.cli.options import (
    A_STYLE,
    Once,
    add_command,
    add_device_and_json,
    path_from,
    positive_from,
    refuse_as_output,
)
from impasto.cli.output import os_error_reason, print_failure, print_json, print_result
from impasto.errors import ImpastoError, UsageError, VideoError, printable

if TYPE_CHECKING:
    import numpy as np

    from impasto.inference.video.flicker import Flicker
    from impasto.inference.video.flow import Motion

AUTO = "auto"


def add(commands: Any) -> None:
    command = add_command(commands, "flicker", _flicker, "measure how much painted clips flicker")
    command.add_argument("clips", nargs="+", type=path_from, metavar="CLIP", help="a clip, or a folder of its frames")
    command.add_argument("-s", "--style", action="append", default=[], help=f"{A_STYLE}; repeatable")
    command.add_argument("--painted", type=path_from, action="append", default=[], metavar="FILE",
                         help="the clip as another program painted it, or a folder of frames; repeatable")  # fmt: skip
    command.add_argument("--flow", default=AUTO, metavar="auto|FILE|FOLDER",
                         help="from each frame to the next: found by DIS, or a .flo file for two frames, or a folder "
                              "of them in the order of their names (default: %(default)s)")  # fmt: skip
    command.add_argument("--size", type=positive_from, help="longer side of the frames in pixels (default: the clip's)")
    command.add_argument("--frames", type=positive_from, help="how many, from the first (default: all)")
    command.add_argument("-o", "--output", type=path_from, action=Once, metavar="PLOT.png",
                         help="draw the flicker of each frame")  # fmt: skip
    add_stabilize(command)
    add_device_and_json(command)


def _flicker(options: argparse.Namespace) -> int:
    _check(options)
    failed: list[dict[str, Any]] = []

    def fail(source: object, error: Exception, style: str | None = None) -> None:
        failed.append(print_failure(source, error, style))

    painters = _painters(options, fail)
    found: list[tuple[str, str, Flicker]] = []
    for clip in options.clips:
        try:
            names, results = _measured(clip, painters, options)
        except (ImpastoError, OSError) as error:
            if isinstance(error, UsageError) and len(options.clips) == 1:
                raise
            fail(clip, _naming(clip, error, options))
            continue
        found += [(printable(clip), name, result) for name, result in zip(names, results, strict=True)]
    drawn = None
    if options.output and found:
        from impasto.compare.flicker_plot import draw_flicker

        try:
            labels = dict(zip(map(printable, options.clips), _names(options.clips), strict=True))
            draw_flicker(options.output, {f"{labels[clip]}, {name}": result for clip, name, result in found})
            drawn = options.output
        except OSError as error:  # what was measured is told all the same
            fail(options.output, VideoError(options.output, os_error_reason(error)))
    _show(found, failed, drawn, options)
    return 1 if failed else 0


def _naming(clip: Path, error: Exception, options: argparse.Namespace) -> Exception:
    """Return an error whose message begins with the file that it is about, the clip where it names none."""
    names = tuple(printable(path) for path in (clip, *options.painted, options.flow))
    return VideoError(clip, str(error)) if isinstance(error, VideoError) and not str(error).startswith(names) else error


def failure_report(reason: str) -> dict[str, Any]:
    return {"clips": [], "failed": [{"input": None, "error": reason}]}


def _check(options: argparse.Namespace) -> None:
    if not (options.style or options.painted):
        raise UsageError("nothing is painted: give -s STYLE, or --painted FILE for what is painted already")
    if len(options.clips) > 1 and (options.painted or options.flow != AUTO):
        raise UsageError("--painted and --flow belong to one clip: measure the others on their own")
    if options.frames and options.frames < 2:
        raise UsageError("--frames 1: one frame cannot flicker; give two or more")
    if options.flow != AUTO and not Path(options.flow).exists():
        raise UsageError(options.flow, "no such flow", "give auto, a .flo file or a folder of them")
    if options.output and options.output.suffix.lower() != ".png":
        raise UsageError(options.output, "the plot is a PNG", "choose -o PLOT.png")
    refuse_as_output(options.output, [*options.clips, *options.painted])
    if options.output and importlib.util.find_spec("matplotlib") is None:
        raise UsageError("the plot needs matplotlib: pip install 'impasto[compare]'")


def _painters(options: argparse.Namespace, fail: Callable[..., None]) -> dict[str, Any]:
    """Return the painters under their styles' names."""
    if not options.style:
        return {}
    from impasto.inference.stylizer import Stylizer

    models = steady_models(options.style, fail)
    return {name: Stylizer(model, options.device) for name, model in models.items()}


def _measured(clip: Path, painters: dict[str, Any], options: argparse.Namespace) -> tuple[list[str], Sequence[Flicker]]:
    """Return the names of what was measured, and the results.

    Raises:
        ImpastoError: a clip, a painting or a flow cannot be read.
    """
    from impasto.inference.video.flicker import flickers
    from impasto.inference.video.frames import read_frames
    from impasto.inference.video.stabilize import stabilized

    paints = {name: stabilized(painter, options.stabilize or 0) for name, painter in painters.items()}
    films = [(path, read_frames(path)) for path in options.painted]

    def frames() -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        photographs = itertools.islice(read_frames(clip, options.size), options.frames)
        with film_progress(printable(clip.name)) as show:
            for number, photograph in enumerate(photographs, start=1):
                theirs = [_fitted(next(film, None), photograph, path) for path, film in films]
                yield photograph, [paint(photograph) for paint in paints.values()] + theirs
                show(number, None)

    motions = None if options.flow == AUTO else _motions(clip, Path(options.flow), options)
    return [*paints, *_names(options.painted)], flickers(frames(), motions)


def _names(films: Sequence[Path]) -> list[str]:
    """Return the names of films, with their folders where two have one name."""
    short = [printable(path.name) for path in films]
    return short if len(set(short)) == len(short) else [printable(path) for path in films]


def _fitted(painting: np.ndarray | None, photograph: np.ndarray, path: Path) -> np.ndarray:
    """Return a frame of another program at the photograph's size; without the line that makes a side even."""
    import numpy as np
    from PIL import Image

    if painting is None:
        raise VideoError(path, "has fewer frames than the clip", "give --frames")
    height, width = photograph.shape[:2]
    if painting.shape[0] - height in (0, 1) and painting.shape[1] - width in (0, 1):
        return painting[:height, :width]
    return np.asarray(Image.fromarray(painting).resize((width, height), Image.Resampling.LANCZOS))


def _motions(clip: Path, flow: Path, options: argparse.Namespace) -> Iterator[Motion]:
    """Yield the motions that files hold, from each frame of a clip to the next one."""
    from impasto.inference.video.flow import motion_along, read_flow
    from impasto.inference.video.frames import read_frames

    files = sorted(flow.glob("*.flo")) if flow.is_dir() else [flow]
    if not files:
        raise VideoError(flow, "no .flo file in it", "give one for each pair of frames")
    pairs = itertools.pairwise(itertools.islice(read_frames(clip, options.size), options.frames))
    for file, (frame, following) in zip(files, pairs, strict=False):
        try:
            motion = motion_along(read_flow(file), frame, following)
        except VideoError as error:
            raise error if str(error).startswith(printable(file)) else VideoError(file, str(error)) from error
        yield motion


def _show(
    found: list[tuple[str, str, Flicker]],
    failed: list[dict[str, Any]],
    drawn: Path | None,
    options: argparse.Namespace,
) -> None:
    if options.json:
        held = {"stabilize": options.stabilize} if options.stabilize else {}
        rows = [{"input": clip, "painted": name, **held, **result.to_dict()} for clip, name, result in found]
        print_json({"clips": rows, "failed": failed})
        return
    for clip, name, each in found:
        print_result(
            f"{clip}, {name}: flickers by {each.flicker:.2f} levels of 255 (paintings {each.painting:.2f}, "
            f"photographs {each.photograph:.2f}, over {each.trusted:.0%} of the pixels of {each.frames} frames)"
        )
    if drawn:
        print_result(printable(drawn))
