"""What a run says before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers.trainings import configured, planned
from impasto.training.announce import announce
from impasto.training.record import Style


def test_where_nothing_can_be_held_out_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style = Style.of(Path("x.png"), torch.zeros(3, 8, 8), configured(tmp_path, "style.name=x").style)
    for heldout, said, unsaid in ((0, "held out      nothing", "watch it"), (1, "watch it", "held out")):
        announce(planned(tmp_path), style, loss_network="slim", photographs=".", are_samples=False, heldout=heldout)
        told = capsys.readouterr().err
        assert said in told and unsaid not in told
