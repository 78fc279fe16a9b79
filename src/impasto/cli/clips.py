"""The clips, cameras and raw frames of `impasto stylize`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.any_style.words import cues_of
from impasto.cli.options import share_from, time_from
from impasto.cli.output import print_note
from impasto.errors import UsageError, printable
from impasto.inference.files import STDOUT, Destination, camera_number
from impasto.system import streams
from impasto.system.choices import DEFAULT_STABILIZE

if TYPE_CHECKING:
    from impasto.inference.changes import ChangingHands
    from impasto.inference.hands import Hands
    from impasto.inference.video.stabilize import Stabilizer

    Painter = Hands | ChangingHands


def add(command: argparse.ArgumentParser) -> None:
    films = command.add_argument_group("films", "times are seconds, MM:SS or HH:MM:SS of the source")
    films.add_argument(
        "--from", dest="start", type=time_from, default=0, metavar="TIME", help="paint a clip from there on"
    )
    films.add_argument("--to", dest="end", type=time_from, metavar="TIME", help="paint a clip up to there")
    films.add_argument("--transition", type=time_from, default=Fraction(1), metavar="SECONDS",
                       help="how long one style fades into the next, where -s wave@0,oils@00:10 changes them "
                            "(default: 1)")  # fmt: skip
    add_stabilize(films)


def add_stabilize(command: argparse._ActionsContainer) -> None:
    command.add_argument("--stabilize", type=share_from, nargs="?", const=DEFAULT_STABILIZE, metavar="SHARE",
                         help="hold the paintings of a clip still where its motion can be followed: the share of a "
                              f"frame that is held, 0 to 1 ({DEFAULT_STABILIZE} without a number)")  # fmt: skip


def paint_clip(
    painter: Painter, source: Path | int, target: Path, options: argparse.Namespace, settings: str | None
) -> dict[str, Any]:
    """Paint one clip, or what a camera sees, with progress on stderr; return its entries of the report.

    `settings` is what `Made` says of them.
    """
    from impasto.inference.video.paint_video import paint_video

    stabilizer = _stabilizer(options)
    name = f"camera {source}" if isinstance(source, int) else printable(source)
    with film_progress(name) as progress, _telling_what_is_kept(name, target):
        report = paint_video(
            painter.frames(source, stabilizer), source, target, size=options.size, keep_metadata=options.keep_metadata,
            progress=progress, max_pixels=options.max_pixels, resume=options.resume, settings=settings,
            start=options.start, end=options.end,
        )  # fmt: skip
    for line in report.notes:
        print_note(f"{name}: {line}")
    summary: dict[str, Any] = {
        "frames": report.frames,
        "seconds": report.seconds,
        "frames_per_second": report.frames_per_second,
    }
    if stabilizer:
        summary["stabilize"] = stabilizer.to_dict()
    return {**summary, "damage": report.damage} if report.damage else summary


def forget_parts(target: Path) -> None:
    """Remove what is left of the painting of a film that is whole."""
    from impasto.inference.video.parts import remove_parts

    remove_parts(target)


@contextmanager
def _telling_what_is_kept(name: str, target: Path) -> Generator[None]:
    from impasto.inference.video.parts import frames_kept

    before = frames_kept(target)  # of another command, maybe
    try:
        yield
    except BaseException as error:
        kept = frames_kept(target)
        if kept and (kept != before or isinstance(error, KeyboardInterrupt)):
            print_note(f"{name}: {kept} painted frames are kept; the same command with --resume goes on behind them")
        raise


def film_settings(options: argparse.Namespace) -> dict[str, str]:
    """Return what of these options decides on a result; nothing where none is given."""
    given = {"start": options.start or None, "end": options.end}
    return {name: str(value) for name, value in given.items() if value is not None}


def settings_of_clip(settings: str, options: argparse.Namespace) -> str:
    """Return the digest of all that decides on a clip: that of pictures, and whether the clip is stabilized."""
    return f"{settings} stabilized {options.stabilize}" if options.stabilize else settings


def check_picture(source: Path, options: argparse.Namespace) -> None:
    """Raise UsageError for a picture and options that only films have."""
    if film_settings(options):
        raise UsageError(source, "a picture, which has no times", "leave --from and --to out")


def check_sources(options: argparse.Namespace, destination: Destination) -> None:
    """Raise UsageError for sources and options that cannot go together, before a painter is loaded."""
    words: list[str] = options.sources
    to_stdout = destination.stream == STDOUT or (words == ["-"] and destination == Destination())
    if len(words) > 1 and ("-" in words or any(camera_number(word) is not None for word in words)):
        raise UsageError("a camera or - is painted alone: name no other source beside it")
    if camera_number(words[0]) is not None and not (destination.file or destination.folder):
        raise UsageError(f"{words[0]} is no file, so it is a camera, which needs -o FILE.mp4; Ctrl-C ends the film")
    if len(options.style) > 1 and (options.frame_size or camera_number(words[0]) is not None):
        raise UsageError("a camera and raw frames are painted as they come, in one style: give one -s")
    if len(options.style) > 1 and (to_stdout or destination.file or destination.stream):
        raise UsageError("several styles make several paintings: name a folder for -o, or give one -s")
    is_span = bool(options.start) or options.end is not None
    if is_span and (options.frame_size or words == ["-"] or camera_number(words[0]) is not None):
        raise UsageError("--from and --to are of a clip: raw frames, stdin and cameras have no times")
    if options.end is not None and options.end <= options.start:
        raise UsageError("--to must be later than --from")
    if words == ["-"] and any(len(cues_of(style)) > 1 for style in options.style):
        raise UsageError("styles that change with time are for clips and cameras: what comes from stdin has no times")
    if options.frame_size and words != ["-"]:
        raise UsageError("--frame-size is that of raw frames on stdin: name - as the source")
    if words == ["-"] and options.frame_size:
        if options.output or options.size or options.json or streams.results().isatty():
            raise UsageError(
                "- with --frame-size writes raw RGB24 frames of the same size to stdout: pipe them on, without "
                "-o, --size, --json"
            )
    elif words == ["-"] and sys.stdin.isatty():
        raise UsageError("- reads a picture from stdin, which is a terminal: pipe one in, or name a file")
    if to_stdout and streams.results().isatty():
        raise UsageError("the picture would go to the terminal: pipe it on, or choose -o FILE")
    if to_stdout and options.json:
        raise UsageError("--json and the picture cannot both go to stdout: choose -o FILE")


def paint_pipe(painter: Painter, options: argparse.Namespace) -> int:
    """Paint raw RGB24 frames from stdin to stdout."""
    from impasto.inference.video.paint_video import paint_raw

    with film_progress("-") as progress:
        paint_raw(
            painter.frames(sys.stdin.buffer, _stabilizer(options)),
            sys.stdin.buffer,
            streams.results().buffer,
            *options.frame_size,
            progress=progress,
        )
    return 0


def _stabilizer(options: argparse.Namespace) -> Stabilizer | None:
    """Return what holds the paintings of one clip still, where that is asked for."""
    if not options.stabilize:
        return None
    from impasto.inference.video.stabilize import Stabilizer

    return Stabilizer(options.stabilize)


@contextmanager
def film_progress(name: str) -> Generator[Callable[[int, int | None], None]]:
    """Show frames, frames per second and the time left on stderr, from the first frame on."""
    from tqdm import tqdm

    with ExitStack() as stack:
        bar: Any = None

        def show(done: int, total: int | None) -> None:
            nonlocal bar
            if bar is None:  # what an earlier run has painted says nothing of the speed
                bar = tqdm(desc=name, total=total, initial=done, unit="frame", file=sys.stderr, mininterval=0.5)
                stack.enter_context(bar)
            bar.total = total
            bar.update(done - bar.n)

        yield show
