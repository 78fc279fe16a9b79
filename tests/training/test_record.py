"""What a style model says of the start of its training."""

from __future__ import annotations

from pathlib import Path

from helpers.trainings import model_of
from impasto.checkpoint import save_style_model
from impasto.records import TrainingRecord
from impasto.training.record import history_of


def test_a_start_with_much_to_say_is_named_only(tmp_path: Path) -> None:
    save_style_model(tmp_path / "long.safetensors", model_of(training=TrainingRecord.from_dict({"x": "a" * 500_000})))
    assert history_of(tmp_path / "long.safetensors") == {"start": "long"}
    save_style_model(tmp_path / "short.safetensors", model_of(training=TrainingRecord.from_dict({"steps": 3})))
    assert history_of(tmp_path / "short.safetensors") == {"start": "short", "before": {"steps": 3}}
