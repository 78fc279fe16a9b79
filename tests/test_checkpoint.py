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
from helpers.trainings import model_of
from impasto import cli
from impasto.checkpoint import StyleModel, find_style_model, load_style_model, save_style_model
from impasto.errors import ModelError
from impasto.images.writing import write_image
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec
from impasto.records import TrainingRecord


def metadata_of(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["impasto"])


def first_data_byte(data: bytes | bytearray) -> int:
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
        "of odd types": {**tensors, "a": torch.zeros((), dtype=torch.complex64),
                         "b": torch.zeros(2, dtype=torch.float8_e5m2)},
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


def test_a_style_that_is_nearly_a_shipped_one_is_guessed() -> None:
    with pytest.raises(ModelError, match=r"stary_night: neither .*; did you mean starry_night\?"):
        find_style_model("stary_night")
    with pytest.raises(ModelError, match=r"did you mean starry_night\?"):
        find_style_model("models/Stary_night.safetensors")
    with pytest.raises(ModelError, match=r"qqq: neither .* \(.*oils, .*woodcut"):
        find_style_model("qqq")


def test_a_style_model_comes_back_as_it_was(painter: Path, tmp_path: Path, loss: PerceptualLoss) -> None:
    model = load_style_model(painter)
    save_style_model(tmp_path / "again.safetensors", model)
    again = load_style_model(tmp_path / "again.safetensors")
    assert (again.name, again.spec, again.loss, again.style) == (model.name, model.spec, model.loss, model.style)
    for key, value in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[key], value)
    kept, targets = (of.style_targets[loss.features.fingerprint()] for of in (again, model))
    assert kept.keys() == loss.style_targets.keys()
    for name, target in loss.style_targets.items():
        assert torch.equal(kept[name], targets[name])
        # They are kept in bfloat16, those of the colours as they are.
        torch.testing.assert_close(kept[name], target, rtol=0 if name.startswith("rgb") else 2**-8, atol=0)


def test_half_precision_weights_move_no_pixel_by_more_than_a_level(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build_network("johnson")
    save_style_model(tmp_path / "m.safetensors", StyleModel(network, network_spec("johnson"), "m"))
    before, picture = network.eval(), photograph(5, 64)[None]
    after = load_style_model(tmp_path / "m.safetensors").network
    with torch.no_grad():
        levels = [(net(picture) * 255).round() for net in (before, after)]
    assert (levels[0] - levels[1]).abs().max() <= 1


def test_models_that_were_altered_are_refused_in_one_line(painter: Path, tmp_path: Path) -> None:
    tensors = load_file(painter)
    with safe_open(painter, "pt") as file:
        papers = json.loads(file.metadata()["impasto"])
    first = next(key for key in tensors if key.startswith("network."))
    altered = {
        "missing tensor": ({key: value for key, value in tensors.items() if key != first}, papers),
        "wrong shape": ({**tensors, first: torch.zeros(2)}, papers),
        "not a number": ({**tensors, first: torch.full_like(tensors[first], float("nan"))}, papers),
        "newer format": (tensors, {**papers, "format": 99}),
        "huge network": (tensors, {**papers, "network": {"name": "johnson", "width": 10**7}}),
        "spec not a dict": (tensors, {**papers, "network": ["johnson"]}),
        "code for a name": (tensors, {**papers, "network": {"name": "os.system", "_target_": "os.system"}}),
        "name not text": (tensors, {**papers, "name": 5}),
        "name a path": (tensors, {**papers, "name": "x/../../evil"}),
        "name a control": (tensors, {**papers, "name": "a\u001b[2J"}),
        "papers not a dict": (tensors, [1]),
        "gram not triangular": ({**tensors, "style.0123.relu1_2": torch.zeros(7)}, papers),
        "gram not a number": ({**tensors, "style.0123.relu1_2": torch.full((3,), float("inf"))}, papers),
    }
    for label, (state, claim) in altered.items():
        path = tmp_path / f"{label}.safetensors"
        save_file(state, path, metadata={"impasto": json.dumps(claim)})
        with pytest.raises(ModelError, match=label) as caught:
            load_style_model(path)
        assert "\n" not in str(caught.value)
    for label, data in {
        "empty": b"",
        "text": b"hello",
        "pickle": b"\x80\x04K\x01.",
        "cut": painter.read_bytes()[:-9],
    }.items():
        (tmp_path / label).write_bytes(data)
        with pytest.raises(ModelError, match=label):
            load_style_model(tmp_path / label)
    with pytest.raises(ModelError, match="no such"):
        load_style_model(tmp_path / "nowhere.safetensors")


def test_a_failed_write_leaves_the_old_model(painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.safetensors"
    path.write_bytes(painter.read_bytes())

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ModelError, match="No space left"):
        save_style_model(path, load_style_model(path))
    assert path.read_bytes() == painter.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    model = model_of()
    with torch.no_grad():
        next(model.network.parameters()).mul_(1e6)  # before an instance norm: it paints as before
    save_style_model(tmp_path / "large.safetensors", model)
    had, wanted = load_style_model(tmp_path / "large.safetensors").network.state_dict(), model.network.state_dict()
    assert all(torch.allclose(had[key], wanted[key], rtol=1e-3, atol=1e-4) for key in wanted)
    with pytest.raises(ModelError, match=r"long.safetensors: its description is too long"):
        save_style_model(
            tmp_path / "long.safetensors", model_of(training=TrainingRecord.from_dict({"x": "a" * 1_000_000}))
        )
    assert [path.name for path in tmp_path.iterdir()] == ["large.safetensors"]
