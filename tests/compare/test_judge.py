"""The loss that judges, and what it needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from impasto.checkpoint import load_style_model
from impasto.compare.judge import judging_loss
from impasto.errors import ModelError, UsageError
from impasto.records import LossRecord, StyleRecord


def test_another_judge_needs_the_style_picture(painter: Path, random_vgg: Path, tmp_path: Path) -> None:
    other = {key: value * 2 for key, value in load_file(random_vgg).items()}
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="--style-image"):
        judging_loss(load_style_model(painter), str(tmp_path / "other.safetensors"))
    without_style = load_style_model(painter)
    without_style.loss.other["style_weight"] = 0
    with pytest.raises(ModelError, match="without a style term"):
        judging_loss(without_style)


def test_statistics_that_lack_what_the_loss_compares_need_the_style_picture(painter: Path) -> None:
    for lost in ("rgb", "rgb.mean", "relu1_2.mean"):
        model = load_style_model(painter)
        for targets in model.style_targets.values():
            del targets[lost]
        with pytest.raises(UsageError, match="--style-image"):
            judging_loss(model)
    older = load_style_model(painter)
    older.loss.other["color_weight"] = 0.0
    assert judging_loss(older).color_weight == 0


def test_a_model_whose_papers_make_no_sense_is_one_line(painter: Path, random_vgg: Path, photographs: Path) -> None:
    model = load_style_model(painter)
    for altered in ({"gamma": 1}, {"name": "functional"}):
        with pytest.raises(UsageError):
            judging_loss(
                replace(model, loss=LossRecord.from_dict({**model.loss.to_dict(), **altered})), str(random_vgg)
            )
    with pytest.raises(ModelError, match="at what size"):
        judging_loss(
            replace(model, style=StyleRecord.from_dict({"size": "big"})), str(random_vgg), photographs / "01.png"
        )
