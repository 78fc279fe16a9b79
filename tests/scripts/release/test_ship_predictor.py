"""A predictor is shipped as it was trained, with what training reaches beyond it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.predictors import small_predictor
from helpers.scripts import load_script
from impasto.any_style.files import load_predictor, save_predictor
from impasto.records import LossRecord
from impasto.tensor_file import read_description


def test_the_predictor_keeps_its_weights_and_learns_how_much_closer_training_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, shipped, starts = (tmp_path / name for name in ("trained.safetensors", "any.safetensors", "starts.json"))
    save_predictor(trained, small_predictor(), LossRecord(name="perceptual"), {"updates": 3}, closer=None)
    rows = [
        {"style": style, "start": start, "seconds": seconds, "style_reached": reached}
        for style, start, seconds, reached in (
            ("a", "predicted", 0, 0.1), ("mean", "base", 0, 0.2), ("mean", "predicted", 0, 0.61),
            ("mean", "predicted", 30, 0.65), ("mean", "predicted", 120, 0.705), ("mean", "base", 120, 0.7),
        )
    ]  # fmt: skip
    starts.write_text(json.dumps({"rows": rows}))
    ship = load_script("release/ship_predictor")
    monkeypatch.setattr(ship, "predictor_path", lambda: shipped)
    for words, closer in (([], None), ([str(starts)], 0.095)):
        monkeypatch.setattr("sys.argv", ["ship_predictor.py", str(trained), *words])
        ship.main()
        load_predictor.cache_clear()
        assert load_predictor(shipped).closer == closer
        assert load_predictor(shipped).digest == load_predictor(trained).digest
    assert read_description(shipped)["training"] == {"updates": 3}
