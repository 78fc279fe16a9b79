"""The worked examples of CONTRIBUTING.md work, and the files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from helpers.places import ROOT
from impasto.losses.perceptual import PerceptualLoss

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(heading: str, language: str) -> str:
    """Return the code block in that language below a heading."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return block


def module(heading: str) -> Any:
    made = ModuleType("foo")
    exec(compile(example(heading, "python"), "CONTRIBUTING.md", "exec"), made.__dict__)
    return made


def test_the_network_paints_and_its_yaml_states_its_arguments() -> None:
    options = yaml.safe_load(example("A network", "yaml"))
    assert options.pop("name") == "foo"
    network = module("A network").Network
    assert options.keys() == network.limits.keys()
    painted = network(**options)(torch.rand(2, 3, 16, 24))
    assert painted.shape == (2, 3, 16, 24) and painted.min() >= 0 and painted.max() <= 1


def test_the_loss_adds_its_term_and_is_built_again_from_its_spec(random_vgg: Path) -> None:
    values = yaml.safe_load(example("A loss", "yaml"))
    made = module("A loss").Loss.from_spec(str(random_vgg), grey_weight=values["grey_weight"])
    plain = PerceptualLoss.from_spec(str(random_vgg))
    style, output, content = torch.rand(3, 1, 3, 32, 32)
    for loss in (made, plain):
        loss.set_style(style)
    terms, expected = made(output, content), plain(output, content)
    assert terms.style == pytest.approx(expected.style + (output - 0.5).square().mean())
    spec = made.spec()
    assert spec.pop("name") == values["name"] == "foo"
    assert module("A loss").Loss.from_spec(str(random_vgg), **spec).spec() == made.spec()


def test_the_experiment_states_its_command() -> None:
    block = example("A style", "yaml")
    assert "impasto train experiment=foo" in block and yaml.safe_load(block)["style"]["name"] == "foo"


def test_every_file_in_the_table_of_questions_is_there() -> None:
    section = TEXT.split("\n## Where is what?\n")[1].split("\n## ")[0]
    names = re.findall(r"`([\w/]+\.(?:py|yaml))`", section)
    assert len(names) > 10
    for name in names:
        assert (ROOT / name).is_file() or (ROOT / "src" / "impasto" / name).is_file(), name
