"""A default that the command line and the Python interface both have is one and the same."""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

import impasto
from impasto import cli
from impasto.any_style.find import find_vector
from impasto.cli.options import wants_bfloat16
from impasto.compare.compare import compare
from impasto.data.write_shards import write_shards
from impasto.datasets.augment import augment
from impasto.exchange.pytorch_examples import import_model
from impasto.images.reading import read_picture
from impasto.inference.benchmark import benchmark
from impasto.inference.engine import build_engine
from impasto.inference.live.newest import frames
from impasto.inference.stylizer import Stylizer
from impasto.inference.video.paint_video import paint_video
from impasto.optimize import optimize_image
from impasto.synthetic.styles import make_style
from impasto.system import choices
from impasto.system.machine import pick_device

CALLS: dict[str, list[Callable[..., Any]]] = {
    "stylize": [Stylizer, impasto.load, build_engine, read_picture, paint_video],
    "live": [Stylizer, frames],
    "sheet": [Stylizer],
    "preview": [Stylizer],
    "train": [],  # its defaults are those of configs/
    "optimize": [optimize_image, pick_device],
    "compare": [compare, Stylizer.__init__],
    "augment": [augment],
    "import": [import_model],
    "styles": [],
    "embed": [find_vector],
    "flicker": [Stylizer],
    "benchmark": [benchmark],
    "sample-style": [make_style],
    "shards": [write_shards],
}
# What no function offers under that name.
COMMAND_LINE_ONLY = {
    "stylize": {"transition"},
    "flicker": {"flow", "painted", "style"},
    "live": {"output"},
    "sheet": {"output", "size"},
    "preview": {"output", "size"},
    "optimize": {"size", "style_size", "strength", "loss_weights", "precision"},
    "compare": {"precision"},
}
# What the command decides itself, whatever the function's default: the painter that is compared is torch's, in float32.
DECIDED = {"compare": {"precision"}}


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = cli._parser()._actions
    (subparsers,) = (action for action in actions if isinstance(action, argparse._SubParsersAction))
    return subparsers.choices


def defaults(command: argparse.ArgumentParser) -> dict[str, Any]:
    optional = [action for action in command._actions if action.option_strings]
    return {action.dest: action.default for action in optional if action.default is not argparse.SUPPRESS}


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    found = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in found if parameter.default is not parameter.empty}


@pytest.mark.parametrize("name", commands())
def test_the_defaults_of_a_command_are_those_of_the_functions_that_it_calls(name: str) -> None:
    stated = defaults(commands()[name])
    offered = [(function, parameters(function)) for function in CALLS[name]]
    for option, default in stated.items():
        for function, known in offered:
            if option in known and option not in DECIDED.get(name, ()):
                assert known[option] == default, f"--{option} of {name} and {function.__qualname__}"
    set_here = {option for option, default in stated.items() if default not in (None, False)}
    known_names = {option for _, known in offered for option in known} | {"device"}
    assert set_here - known_names <= COMMAND_LINE_ONLY.get(name, set())


def test_every_command_is_compared() -> None:
    assert CALLS.keys() == commands().keys()


@pytest.mark.parametrize(("name", "function"), [("optimize", optimize_image), ("compare", compare)])
def test_gradients_are_computed_in_float32_by_default(name: str, function: Callable[..., Any]) -> None:
    options = argparse.Namespace(**defaults(commands()[name]))
    assert wants_bfloat16(options, torch.device("cpu")) == parameters(function)["bfloat16"]


def test_the_choices_import_nothing() -> None:
    tree = ast.parse(inspect.getsource(choices))
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [getattr(node, "module", None) for node in imported] == ["__future__"]
