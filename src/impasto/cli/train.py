"""`impasto train`: translate what was typed into Hydra's overrides and hand over to `python -m impasto.training`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from impasto.cli.options import OneLineParser, add_command, minutes_from
from impasto.cli.output import print_error
from impasto.errors import UsageError, printable
from impasto.system.choices import QUALITIES
from impasto.training.overrides import to_overrides

if TYPE_CHECKING:
    from impasto.dials.picks import Pick


def add(commands: Any) -> None:
    add_command(
        commands, "train", lambda options: run(["--help"]),
        "train a painter: impasto train PICTURE [data.root=DIR] [--minutes N] [--pick N] [--film] [any Hydra override]",
        "Train a painter for one style: impasto train painting.jpg. It takes two minutes and the sample photographs; a "
        "folder of your own is better (data.root=photos), and so is more time (--minutes N, or --quality draft, "
        "good or "
        f"best: {', '.join(f'{minutes:g}' for minutes in QUALITIES.values())} minutes). "
        "--pick N trains what number N of `impasto preview` shows. --film trains a painter that holds still on film. "
        "Every key of configs/train.yaml can be set as KEY=VALUE, among them trainer.max_steps, style.size, "
        "loss=vgg19, init=none, data.batch_size, output, ckpt_path=last, logger=tensorboard. "
        "`impasto train --cfg job` prints them all.",
    )  # fmt: skip


def run(arguments: Sequence[str]) -> int:
    """Hand over to a fresh process: Lightning's multi-GPU launcher runs `sys.argv` again,
    and ours begins with a verb.
    """
    try:
        options, words = _parsed(arguments)
    except UsageError as error:
        print_error(error)
        sys.exit(error.exit_code)
    os.environ["PYTHONSAFEPATH"] = "1"  # `-m` would import whatever lies in the current folder
    if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        # On a busy machine, threads that spin for long keep each other from work.
        os.environ["GOMP_SPINCOUNT"] = "10000"
    if options.debug:
        os.environ["IMPASTO_DEBUG"] = "1"
    try:
        if options.minutes and options.quality:
            raise UsageError("--minutes or --quality: both say how long; give one")
        words = to_overrides(
            options.minutes or QUALITIES.get(options.quality), words, _pick(options), film=options.film
        )
        if importlib.util.find_spec("pytorch_lightning") is None:
            raise UsageError("training needs more packages; pip install 'impasto[train,demo]'")
    except UsageError as error:
        print_error(error)
        return error.exit_code
    if os.name == "nt":
        import subprocess

        return subprocess.call([sys.executable, "-m", "impasto.training", *words])
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "impasto.training", *words])


def _pick(options: argparse.Namespace) -> Pick | None:
    if options.pick is None:
        return None
    from impasto.dials.picks import pick_of

    return pick_of(options.pick)


def _parsed(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return our own options and the words for Hydra; raises UsageError for an option or a value that is none."""
    for word in arguments:
        if word.startswith("--film="):
            weight = word.removeprefix("--film=")
            raise UsageError(
                f"{printable(word)}: --film takes no value; say --film temporal_weight={printable(weight)}"
            )
    return _train_parser().parse_known_args(arguments)


def _train_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="impasto train", add_help=False, allow_abbrev=False)
    parser.add_argument("--minutes", type=minutes_from)
    parser.add_argument("--quality", choices=QUALITIES)
    parser.add_argument("--pick", metavar="N", nargs="?", const="")
    parser.add_argument("--film", action="store_true")
    parser.add_argument("--debug", action="store_true")
    return parser
