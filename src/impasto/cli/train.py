"""`impasto train`: translate what was typed into Hydra's overrides and hand over to `python -m impasto.training`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from impasto.cli.options import add_command, minutes_from
from impasto.cli.output import print_error
from impasto.errors import UsageError
from impasto.system.choices import QUALITIES
from impasto.training.quoting import quoted, without_interpolation


def add(commands: Any) -> None:
    add_command(
        commands, "train", lambda options: run(["--help"]),
        "train a painter: impasto train PICTURE [data.root=DIR] [--minutes N] [any Hydra override]",
        "Train a painter for one style: impasto train painting.jpg. It takes two minutes and the sample photographs; a "
        "folder of your own is better (data.root=photos), and so is more time (--minutes N, or --quality draft, good or "
        f"best: {', '.join(f'{minutes:g}' for minutes in QUALITIES.values())} minutes). "
        "Every key of configs/train.yaml can be set as KEY=VALUE, among them trainer.max_steps, style.size, "
        "loss=vgg19, init=none, data.batch_size, output, ckpt_path=last, logger=tensorboard. "
        "`impasto train --cfg job` prints them all.",
    )  # fmt: skip


def run(arguments: Sequence[str]) -> int:
    """Hand over to a fresh process: Lightning's multi-GPU launcher runs `sys.argv` again, and ours begins with a verb."""
    options, words = _train_parser().parse_known_args(arguments)
    os.environ["PYTHONSAFEPATH"] = "1"  # `-m` would import whatever lies in the current folder
    if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        # On a busy machine, threads that spin for long keep each other from work.
        os.environ["GOMP_SPINCOUNT"] = "10000"
    if options.debug:
        os.environ["IMPASTO_DEBUG"] = "1"
    try:
        if options.minutes and options.quality:
            raise UsageError("--minutes or --quality: both say how long; give one")
        words = _overrides(options.minutes or QUALITIES.get(options.quality), words)
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


def _train_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="impasto train", add_help=False, allow_abbrev=False)
    parser.add_argument("--minutes", type=minutes_from)
    parser.add_argument("--quality", choices=QUALITIES)
    parser.add_argument("--debug", action="store_true")
    return parser


def _overrides(minutes: float | None, words: Sequence[str]) -> list[str]:
    """Return the words as Hydra's overrides: picture and duration get their keys; `data=demo` is added if no data are named."""
    pictures = [i for i, word in enumerate(words) if _is_picture(word, words[i - 1] if i else "")]
    if unknown := [word for word in words if word.startswith("-") and word not in _HYDRA_OPTIONS | _HYDRA_FLAGS]:
        raise UsageError(
            f"no option {unknown[0]}; train takes --minutes, --quality and settings such as output=PATH, "
            "trainer.max_steps=N, style.size=N"
        )
    given = [words[i] for i in pictures] + [word for word in words if word.startswith("style.image=")]
    if len(given) > 1:
        first, second = given[:2]
        raise UsageError(f"one picture a run: {first} or {second}? A painter has one style")
    options, settings = [], []  # Hydra's parser wants all settings in a row
    for i, word in enumerate(words):
        if _is_option(word, words[i - 1] if i else ""):
            options.append(word)
        else:
            settings.append(_quoted("style.image", word) if i in pictures else _plain_path(word))
    if minutes is not None:
        settings.append(f"trainer.max_minutes={minutes:g}")
    if any(word.startswith("data.shards=") for word in words) and not any(word.startswith("data=") for word in words):
        return [*options, "data=shards", *settings]
    if any(word.startswith(("data=", "data.root=", "data.annotations=", "experiment=")) for word in words):
        return [*options, *settings]
    return [*options, "data=demo", *settings]


def _is_option(word: str, before: str) -> bool:
    """Whether a word is an option of Hydra or its value."""
    return word.startswith("-") or before in _HYDRA_OPTIONS


def _is_picture(word: str, before: str) -> bool:
    """Whether a word names the style picture: it is no option of Hydra or its value, no override and no deletion."""
    if word.startswith("~") or _is_option(word, before):
        return False
    return "=" not in word or os.path.isfile(word)  # noqa: PTH113 - Path.is_file raises for long words


_HYDRA_FLAGS = {"-h", "--help", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
                "--shell-completion", "-sc"}  # fmt: skip
_HYDRA_OPTIONS = {"--cfg", "-c", "--package", "-p", "--info", "-i", "--config-name", "-cn", "--config-path", "-cp",
                  "--config-dir", "-cd", "--experimental-rerun"}  # fmt: skip


_PATH_KEYS = {"style.image", "data.root", "data.annotations", "loss.features.weights", "init", "output", "paths.run",
              "ckpt_path"}  # fmt: skip


_NOT_TEXT = re.compile(r"[-+]?[\d._]+(e[-+]?\d+)?|true|false|nan|[-+]?inf", re.IGNORECASE)  # to Hydra, unless quoted


def _plain_path(word: str) -> str:
    """Return an override with its path quoted if Hydra would misread it, its tilde expanded; else unchanged."""
    key, _, path = word.partition("=")
    if key == "data.shards" and path and path[0] not in "'\"[$":
        return _quoted(key, os.path.expanduser(path))  # noqa: PTH111 - as below; braces would be a dictionary
    meant = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for a user who is not there
    plain = re.fullmatch(r"[\w./-]*", meant, re.ASCII)  # nothing to quote; null stays null
    if key in _PATH_KEYS and _NOT_TEXT.fullmatch(meant):
        return _quoted(key, meant)
    if key not in _PATH_KEYS or "$" in path or plain or not os.path.exists(meant):  # noqa: PTH110 - nor this for long names
        return f"{key}={meant}" if key in _PATH_KEYS and plain else word
    return _quoted(key, meant)


def _quoted(key: str, path: str) -> str:
    return f"{key}={quoted(without_interpolation(path))}"
