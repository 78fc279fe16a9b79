"""`impasto optimize`: the reference, on one image."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli.options import (
    Once,
    add_command,
    add_device_and_json,
    add_precision,
    path_from,
    positive_from,
    seed_from,
    strength_from,
    wants_bfloat16,
)
from impasto.cli.output import print_error, print_json, print_result
from impasto.errors import UsageError
from impasto.system.choices import (
    DEFAULT_INIT,
    DEFAULT_OPTIMIZER,
    DEFAULT_SEED,
    OPTIMIZE_INITS,
    OPTIMIZE_SCALES,
    OPTIMIZE_STEPS,
    OPTIMIZERS,
)

if TYPE_CHECKING:
    from impasto.optimize import Iterate


def add(commands: Any) -> None:
    command = add_command(
        commands, "optimize", _optimize, "the reference: optimise the pixels of one image (Gatys et al. 2016)"
    )
    command.add_argument("content", type=path_from, metavar="CONTENT", help="the photograph")
    command.add_argument(
        "-s", "--style", type=path_from, action=Once, required=True, metavar="IMAGE", help="the style picture"
    )
    command.add_argument("-o", "--output", type=path_from, action=Once, required=True, help="the result")
    command.add_argument("--steps", type=positive_from, default=OPTIMIZE_STEPS)
    command.add_argument("--optimizer", choices=OPTIMIZERS, default=DEFAULT_OPTIMIZER)
    command.add_argument(
        "--init", default=DEFAULT_INIT, help="content, noise, or a style model to polish (default: %(default)s)"
    )
    command.add_argument("--size", type=positive_from, default=512, help="longer side in pixels (default: %(default)s)")
    command.add_argument(
        "--style-size", type=positive_from, default=512, help="the style picture's (default: %(default)s)"
    )
    command.add_argument(
        "--strength", type=strength_from, default=1.0, help="of the style: 0.5 is calmer, 2 wilder (default: 1)"
    )
    command.add_argument(
        "--scales",
        type=positive_from,
        default=OPTIMIZE_SCALES,
        help="coarse to fine, halving the size (default: %(default)s)",
    )
    command.add_argument("--seed", type=seed_from, default=DEFAULT_SEED)
    command.add_argument("--loss-weights", default="slim", help="slim, torchvision or a path (default: %(default)s)")
    add_precision(command)
    add_device_and_json(command)


def _optimize(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from impasto.errors import printable
    from impasto.images.geometry import resize
    from impasto.images.reading import read_image
    from impasto.images.writing import check_writable, write_image
    from impasto.inference.stylizer import Stylizer
    from impasto.losses.perceptual import PerceptualLoss
    from impasto.optimize import Interrupted, optimize_image
    from impasto.system.machine import pick_device

    check_writable(options.output)
    for given in (options.content, options.style, Path(options.init)):
        if options.output.exists() and given.exists() and options.output.samefile(given):
            raise UsageError(f"{printable(options.output)} is one of the inputs; choose another -o")
    device = pick_device(options.device)
    loss = PerceptualLoss.from_spec(options.loss_weights).to(device)
    loss.style_weight *= options.strength
    loss.set_style(resize(read_image(options.style), options.style_size)[None].to(device))
    content = resize(read_image(options.content), options.size)[None].to(device)
    init = options.init
    if init not in OPTIMIZE_INITS:
        init = Stylizer(init, options.device, backend="torch", precision="float32")(content.cpu()).to(device)
    with tqdm(total=options.steps, unit="step", file=sys.stderr) as line, _stopped_like_ctrl_c():

        def show(iterate: Iterate) -> None:
            line.set_postfix(loss=f"{iterate.total:.3f}", refresh=False)
            line.update(iterate.step - line.n)

        code = 0
        try:
            result = optimize_image(
                content, loss, steps=options.steps, optimizer=options.optimizer, init=init, scales=options.scales,
                seed=options.seed, bfloat16=wants_bfloat16(options, device),
                callback=show,
            )  # fmt: skip
        except Interrupted as stop:
            if stop.result.best_step == 0:
                raise  # nothing better than the start, and there may be an earlier result
            result, code = stop.result, 130
    write_image(options.output, result.image[0].cpu())
    if code:
        print_error(f"interrupted; the best so far, of step {result.best_step}, is written")
    if options.json:
        summary = {"output": str(options.output), "best_step": result.best_step, "curve": result.curve}
        print_json({**summary, "failed": []})
    else:
        print_result(printable(options.output))
    return code


@contextmanager
def _stopped_like_ctrl_c() -> Generator[None]:
    """Treat SIGTERM, with which schedulers end a job, like Ctrl-C inside the block."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def failure_report(reason: str) -> dict[str, Any]:
    return {"output": None, "best_step": None, "curve": {}, "failed": [{"input": None, "error": reason}]}
