"""A style model's file: what it says of itself, and that its tensors are those that were written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from helpers.pictures import photograph
from impasto import cli
from impasto.checkpoint import load_style_model, save_style_model
from impasto.errors import ModelError
from impasto.images.writing import write_image


def metadata_of(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["impasto"])


def first_data_byte(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_style_model_with_any_bit_of_its_tensors_flipped_is_refused(painter: Path, data: st.DataObject) -> None:
    flipped = bytearray(painter.read_bytes())
    bit = data.draw(st.integers(8 * first_data_byte(flipped), 8 * len(flipped) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flipped.safetensors")
        path.write_bytes(flipped)
        with pytest.raises(ModelError, match=r"flipped.safetensors: .*; train or download the model again$") as caught:
            load_style_model(path)
    assert "\n" not in str(caught.value)


def test_the_digest_is_of_the_tensors_alone(painter: Path, tmp_path: Path) -> None:
    tensors, metadata = load_file(painter), metadata_of(painter)
    path = tmp_path / "again.safetensors"
    for state, claim in [
        (dict(reversed(tensors.items())), metadata),
        (tensors, {**metadata, "name": "other", "training": {}, "style": {"title": "another"}}),
        (tensors, {key: value for key, value in metadata.items() if key != "digest"}),  # as older versions wrote it
    ]:
        save_file(state, path, metadata={"impasto": json.dumps(claim)})
        model = load_style_model(path)
        save_style_model(path, model)
        assert metadata_of(path)["digest"] == metadata["digest"]


def test_tensors_renamed_added_or_of_another_type_are_refused(painter: Path, tmp_path: Path) -> None:
    tensors, metadata = load_file(painter), metadata_of(painter)
    weight = next(key for key in tensors if key.startswith("network."))
    twin = next(key for key in tensors if key > weight and tensors[key].shape == tensors[weight].shape)
    altered = {
        "swapped": {**tensors, weight: tensors[twin], twin: tensors[weight]},
        "added": {**tensors, "another": torch.zeros(2)},
        "of odd types": {**tensors, "a": torch.zeros((), dtype=torch.complex64), "b": torch.zeros(2, dtype=torch.float8_e5m2)},
        "another type": {**tensors, weight: tensors[weight].float()},
    }  # fmt: skip
    for label, state in altered.items():
        path = tmp_path / f"{label}.safetensors"
        save_file(state, path, metadata={"impasto": json.dumps(metadata)})
        with pytest.raises(ModelError, match=f"{label}.safetensors: its tensors are damaged; train or download"):
            load_style_model(path)
    for digest in ("", 5, [], {}, "0" * 64, metadata["digest"].upper()):
        save_file(tensors, tmp_path / "m.safetensors", metadata={"impasto": json.dumps({**metadata, "digest": digest})})
        with pytest.raises(ModelError, match="its tensors are damaged"):
            load_style_model(tmp_path / "m.safetensors")


def test_a_damaged_style_model_paints_nothing_and_is_listed(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(painter.read_bytes())
    data[-1] ^= 1
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(data)
    write_image(tmp_path / "a.png", photograph(1, 32))
    assert cli.main(["stylize", str(tmp_path / "a.png"), "-s", str(path), "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "flipped.safetensors: its tensors are damaged; train or download" in error
    monkeypatch.setattr("impasto.checkpoint.shipped_styles", lambda: [path])
    assert cli.main(["styles"]) == 0, "a list reads no tensors"
    assert capsys.readouterr().out.startswith("tiny ")
