"""The loss network agrees with torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from helpers.pictures import photograph
from impasto.errors import WeightsError
from impasto.losses.features import VGGFeatures


def test_layers_have_torchvisions_indices_and_values(random_vgg: Path) -> None:
    from torchvision.models import vgg19

    reference = vgg19(weights=None).features.eval()
    assert isinstance(reference, nn.Sequential)
    state = {key.removeprefix("features."): value.float() for key, value in load_file(random_vgg).items()}
    reference.load_state_dict(state)
    image = photograph(1, 48)[None]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    features = VGGFeatures(["relu1_1", "relu2_2", "relu3_4", "relu5_1"], str(random_vgg))(image)
    for index, layer in enumerate(reference):
        x = layer(x)
        name = {1: "relu1_1", 8: "relu2_2", 17: "relu3_4", 29: "relu5_1"}.get(index)
        if name:
            torch.testing.assert_close(features[name].full(), x, rtol=1e-3, atol=1e-3)


def test_nothing_is_computed_beyond_the_deepest_layer(random_vgg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, convolve = [], F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **kwargs: calls.append(1) or convolve(*args, **kwargs))
    VGGFeatures(["relu2_1", "relu1_1"], str(random_vgg))(torch.rand(1, 3, 16, 16))
    assert len(calls) == 3  # conv1_1, conv1_2, conv2_1
    calls.clear()
    features = VGGFeatures(["relu2_1", "relu1_1"], str(random_vgg))(torch.rand(1, 3, 16, 16), ["relu1_1"])
    assert len(calls) == 1 and set(features) == {"relu1_1"}


def test_the_loss_network_is_frozen_and_stays_out_of_checkpoints(random_vgg: Path) -> None:
    features = VGGFeatures(["relu1_2"], str(random_vgg))
    image = torch.rand(1, 3, 16, 16)
    before = features(image)["relu1_2"].full()
    features.train()
    assert torch.equal(features(image)["relu1_2"].full(), before)
    assert not list(features.parameters()) and not features.state_dict()


def test_unknown_and_missing_layers_are_named(random_vgg: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="relu9_9"):
        VGGFeatures(["relu9_9"], str(random_vgg))
    shallow = {key: value for key, value in load_file(random_vgg).items() if int(key.split(".")[1]) < 10}
    save_file(shallow, tmp_path / "shallow.safetensors")
    with pytest.raises(WeightsError, match=r"relu3_1.*torchvision"):
        VGGFeatures(["relu3_1"], str(tmp_path / "shallow.safetensors"))
    with pytest.raises(WeightsError, match="no such file"):
        VGGFeatures(["relu1_1"], str(tmp_path / "none.safetensors"))
    (tmp_path / "bad.pth").write_bytes(b"not a pickle")
    with pytest.raises(WeightsError, match=r"bad\.pth"):
        VGGFeatures(["relu1_1"], str(tmp_path / "bad.pth"))


def test_a_pth_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"features.0.weight": Attack()}, tmp_path / "attack.pth")
    with pytest.raises(WeightsError):
        VGGFeatures(["relu1_1"], str(tmp_path / "attack.pth"))
    assert not (tmp_path / "ran").exists()


def test_offline_is_one_sentence_with_the_remedies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(WeightsError, match=r"no route to host.*loss\.features\.weights=PATH") as caught:
        VGGFeatures(["relu1_1"], "torchvision")
    assert "\n" not in str(caught.value)
