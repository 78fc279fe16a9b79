"""scripts/research/average_models.py: one painter between others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from helpers.scripts import load_script
from impasto.checkpoint import StyleModel
from impasto.errors import UsageError
from impasto.networks import build_network, network_spec


def model(width: int = 4) -> StyleModel:
    return StyleModel(build_network("swift", width=width, blocks=1), network_spec("swift", width=width, blocks=1), "a")


def test_the_mean_lies_between() -> None:
    script, models = load_script("research/average_models"), [model(), model(), model()]
    states = [{key: value.clone() for key, value in each.network.state_dict().items()} for each in models]
    mean = script.averaged(models).network.state_dict()
    for key, value in mean.items():
        torch.testing.assert_close(value, torch.stack([state[key] for state in states]).mean(dim=0))
    with pytest.raises(UsageError, match=r"one style, one network: a, .*'width': 4.* or a, .*'width': 8"):
        script.averaged([model(), model(width=8)])
    with pytest.raises(UsageError, match="one style"):
        script.averaged([model(), replace(model(), name="b")])
