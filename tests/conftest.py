"""Shared by all tests: a VGG-19 with random weights, small photographs, and the real ones where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from helpers.pictures import photograph
from helpers.places import REAL_VGG
from impasto.checkpoint import StyleModel, save_style_model
from impasto.losses.features import LAYERS
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec
from impasto.records import StyleRecord, TrainingRecord
from impasto.synthetic.contents import procedural_image
from impasto.training.record import loss_record


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REAL_VGG.is_file():
        return
    for item in items:
        if "real" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="../shared is not here"))


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["IMPASTO_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def no_predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the predictor of painters."""
    for module in ("files", "find"):
        monkeypatch.setattr(f"impasto.any_style.{module}.predictor_path", lambda: tmp_path / "gone.safetensors")


@pytest.fixture(scope="session")
def random_vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a whole VGG-19 state dict, torchvision's keys, random weights that keep the activations' scale."""
    generator, state = torch.Generator().manual_seed(0), {}
    for index, inside, outside, _ in LAYERS.values():
        weight = torch.randn(outside, inside, 3, 3, generator=generator) * (2 / (9 * inside)) ** 0.5
        state[f"features.{index}.weight"] = weight.half()
        state[f"features.{index}.bias"] = (torch.randn(outside, generator=generator) * 0.1).half()
    path = tmp_path_factory.mktemp("vgg") / "vgg19_random.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="session")
def loss(random_vgg: Path) -> PerceptualLoss:
    """The default loss on random weights, its style a procedural picture."""
    loss = PerceptualLoss.from_spec(str(random_vgg))
    loss.set_style(photograph(99, 64)[None])
    return loss


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 pictures, some in a folder below."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "below").mkdir()
    for seed in range(12):
        picture = Image.fromarray(procedural_image(seed, 96))
        picture.save(folder / ("below" if seed % 3 == 0 else "") / f"{seed:02}.png")
    return folder


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory, loss: PerceptualLoss) -> Path:
    """The path of a style model with a tiny untrained network."""
    torch.manual_seed(0)
    model = StyleModel(
        build_network("johnson", width=4, blocks=1), network_spec("johnson", width=4, blocks=1), "tiny",
        loss=loss_record(loss), style=StyleRecord(size=64, screen=0.01), training=TrainingRecord(steps=3, seconds=1.5),
        style_targets={loss.features.fingerprint(): loss.style_targets},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_style_model(path, model)
    return path
