"""`impasto live`: a camera painted in a window, its style and its dials changed by keys."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli import dials
from impasto.cli.named_styles import steady_models
from impasto.cli.options import A_STYLE, add_backend, add_command, add_device_and_json, folder_from, positive_from
from impasto.cli.output import failure_line, print_error, print_json, print_result
from impasto.errors import ImpastoError, UsageError, counted, printable
from impasto.inference.files import camera_number, result_name
from impasto.system.choices import LIVE_SIZE

if TYPE_CHECKING:
    import numpy as np

    from impasto.inference.live.stage import LiveReport, Stage
    from impasto.inference.stylizer import Stylizer


def add(commands: Any) -> None:
    command = add_command(commands, "live", _live, "paint a camera in a window; keys change style and strength")
    command.add_argument(
        "source", nargs="?", default="0", metavar="SOURCE",
        help="a camera's number, or a clip in its place (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("-s", "--style", action="append", required=True, help=f"{A_STYLE}; repeatable")
    command.add_argument("-o", "--output", type=folder_from, metavar="DIR", default=Path(),
                         help="folder for saved paintings (default: this one)")  # fmt: skip
    command.add_argument("--size", type=positive_from,
                         help=f"longer side of frames in pixels (default: theirs, at most {LIVE_SIZE})")  # fmt: skip
    command.add_argument("--loop", action="store_true", help="begin a clip again at its end")
    command.add_argument("--mirror", action="store_true", help="show left on the left, as a mirror does")
    command.add_argument("--full-screen", action="store_true", help="fill the screen")
    command.add_argument("--virtual-camera", action="store_true",
                         help="be a camera for other programs, too (needs pyvirtualcam)")  # fmt: skip
    group = command.add_argument_group("dials", "by default as the style says; keys change them")
    dials.add_strength(group)
    dials.add_stroke_and_color(group)
    add_backend(command)
    add_device_and_json(command)


def _live(options: argparse.Namespace) -> int:
    from impasto.inference.live.newest import frames
    from impasto.inference.live.virtual_camera import VirtualCamera
    from impasto.inference.live.window import opencv

    source = _source(options)
    opencv()  # says at once what is missing
    with closing(VirtualCamera()) if options.virtual_camera else nullcontext() as camera:
        report = _Report(options)
        stage = _stage(options, report, camera)
        with suppress(KeyboardInterrupt):
            stage.run(lambda over: frames(source, over, size=options.size, loop=options.loop))
    report.show(stage.report)
    return report.code


def _source(options: argparse.Namespace) -> Path | int:
    """Return the clip, or the number of the camera.

    Raises:
        UsageError: there is no such clip, or a camera shall begin again.
    """
    number = camera_number(options.source)
    if number is None and not Path(options.source).is_file():
        raise UsageError(f"{printable(options.source)}: no such clip; give a camera's number, such as 0, or a clip")
    if number is not None and options.loop:
        raise UsageError("--loop begins a clip again: a camera has no end")
    return Path(options.source) if number is None else number


def _stage(options: argparse.Namespace, report: _Report, camera: Any) -> Stage:
    from impasto.inference.live.palette import Palette
    from impasto.inference.live.show import Show
    from impasto.inference.live.stage import Stage
    from impasto.inference.live.window import Window

    models = steady_models(options.style, lambda source, error, style: report.fail(error, style))
    names = tuple(models)
    loaders = [partial(_painter, model, options) for model in models.values()]
    palette = Palette(loaders, lambda number, error: report.fail(error, names[number]))
    print(f"painting with {palette[palette.first].engine}; h shows the keys", file=sys.stderr)
    show = Show(
        names, palette.first, options.strength, options.stroke, options.color, is_mirrored=options.mirror,
        is_full_screen=options.full_screen,
    )  # fmt: skip
    send = {"send": camera.send} if camera else {}
    return Stage(show, palette, Window, report.save, **send)


def _painter(model: Path, options: argparse.Namespace) -> Stylizer:
    from impasto.inference.stylizer import Stylizer

    return Stylizer(model, options.device, backend=options.backend, precision=options.precision)


class _Report:
    """What was saved and shown, what failed, and the exit code."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.code = options, 0
        self.saved: list[str] = []
        self.failed: list[dict[str, Any]] = []

    def fail(self, error: Exception, style: str | None = None) -> None:
        line = failure_line(style, error)
        print_error(line)
        self.failed.append({"style": style and printable(style), "error": printable(line)})
        self.code = 1

    def save(self, painting: np.ndarray, style: str) -> str:
        """Write a painting into a new file, named after the time and its style; return a line on it."""
        from impasto.images.writing import write_image

        path = _new_file(self.options.output, time.strftime("live-%Y%m%d-%H%M%S"), style)
        try:
            write_image(path, painting)
        except (ImpastoError, OSError) as error:  # the show goes on
            self.fail(error, style)
            return f"not saved: {printable(str(error))}"
        self.saved.append(str(path))
        if not self.options.json:
            print_result(printable(path))
        return f"saved {printable(path.name)}"

    def show(self, report: LiveReport) -> None:
        if report.failure:
            self.fail(report.failure)
        latency = None if report.latency is None else round(1000 * report.latency, 1)
        if self.options.json:
            print_json({
                "source": self.options.source, "styles": self.options.style, "frames": report.frames,
                "seconds": report.seconds, "frames_per_second": report.frames_per_second, "latency_ms": latency,
                "passed_over": report.passed_over, "saved": self.saved, "failed": self.failed,
            })  # fmt: skip
        elif latency is not None:
            print(
                f"{counted(report.frames, 'frame')} shown, {report.frames_per_second:.1f} frames/s, "
                f"{latency:.0f} ms from a frame to the window (median); "
                f"{counted(report.passed_over, 'frame')} passed over",
                file=sys.stderr,
            )


def failure_report(reason: str) -> dict[str, Any]:
    nothing = {"frames": 0, "seconds": 0.0, "frames_per_second": 0.0, "latency_ms": None, "passed_over": 0}
    return {"source": None, "styles": [], **nothing, "saved": [], "failed": [{"style": None, "error": reason}]}


def _new_file(folder: Path, stem: str, style: str) -> Path:
    number = 1
    while (path := folder / result_name(stem, style, ".png", number)).exists():
        number += 1
    return path
