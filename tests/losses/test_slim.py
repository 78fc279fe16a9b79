"""The slim loss network: its maps keep VGG-19's distances, and the shipped one agrees with VGG-19."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.pictures import photograph
from helpers.places import REAL_VGG, SHARED
from helpers.scripts import load_script
from impasto.errors import WeightsError
from impasto.losses.features import LAYERS, SLIM_LAYERS, VGGFeatures
from impasto.losses.functional import gram_matrix, relative_feature_loss, relative_gram_loss
from impasto.losses.moments import mean_and_covariance
from impasto.losses.perceptual import PerceptualLoss
from impasto.system.files import asset_dir


@pytest.fixture(scope="module")
def distillation() -> ModuleType:
    return load_script("research/distill_loss_network")


def test_folded_maps_keep_the_distances_of_the_wide_features(distillation: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = distillation.Student()
    state = {key: value.float() for key, value in distillation.folded(student).items()}
    save_file(state, tmp_path / "slim.safetensors")
    slim = VGGFeatures(distillation.NAMED, str(tmp_path / "slim.safetensors"))
    first, second = (torch.stack([photograph(seed, 64)]) for seed in (1, 2))
    with torch.no_grad():
        wide = student(first), student(second)
        narrow = [{name: layer.full() for name, layer in slim(each).items()} for each in (first, second)]
    for name in distillation.NAMED:
        assert wide[0][name].shape[1] == LAYERS[name].channels > narrow[0][name].shape[1]
        for measure in (
            relative_feature_loss,
            lambda a, b: relative_gram_loss(gram_matrix(a), gram_matrix(b)),
        ):
            # The file is in half precision; the wide features are not.
            torch.testing.assert_close(
                measure(narrow[0][name], narrow[1][name]), measure(wide[0][name], wide[1][name]), rtol=0.02, atol=1e-4
            )


def test_the_start_already_resembles_its_teacher(distillation: ModuleType, random_vgg: Path) -> None:
    teacher = VGGFeatures(distillation.NAMED, str(random_vgg))
    pictures = torch.stack([photograph(seed, 64) for seed in range(8)])
    student = distillation.start_from(teacher, pictures)
    with torch.no_grad():
        wanted, had = teacher(pictures), student(pictures)
    for name in distillation.NAMED:
        assert relative_feature_loss(had[name], wanted[name].full()).mean() < 0.5, name


def test_a_students_weights_take_the_place_of_a_slim_networks(distillation: ModuleType) -> None:
    torch.manual_seed(0)
    slim, student, picture = VGGFeatures(SLIM_LAYERS, "slim"), distillation.Student(), photograph(1, 64)[None]
    buffers = {name: buffer.data_ptr() for name, buffer in slim.named_buffers()}
    distillation.replace_weights(slim, student)
    assert {name: buffer.data_ptr() for name, buffer in slim.named_buffers()} == buffers, (
        "a CUDA graph must see them too"
    )
    wide = student(picture)
    for name, layer in slim(picture).items():
        torch.testing.assert_close(layer.full().square().sum(), wide[name].square().sum(), rtol=0.02, atol=0)


def test_means_and_covariances_are_those_of_the_wide_features() -> None:
    slim, picture = VGGFeatures(SLIM_LAYERS, "slim"), photograph(1, 64)[None]
    for layer in slim(picture).values():
        assert layer.narrow.shape[1] < layer.full().shape[1]
        found = layer.mean(), layer.covariance()
        torch.testing.assert_close(found, mean_and_covariance(layer.full()), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.gram(), gram_matrix(layer.full()), rtol=1e-4, atol=1e-5)


def test_a_layer_that_the_slim_network_lacks_is_one_clear_error() -> None:
    with pytest.raises(WeightsError, match="relu1_2, relu2_2, relu3_2, relu3_3, relu3_4, not at relu1_1"):
        VGGFeatures(["relu1_1"], "slim")


@pytest.mark.parametrize("part", ["features.2.weight", "features.2.bias", "maps.relu1_2.weight", "maps.relu1_2.bias"])
def test_altered_weights_are_one_clear_error(part: str, tmp_path: Path) -> None:
    state = load_file(asset_dir("checkpoints") / "loss" / "slim.safetensors")
    save_file({**state, part: torch.zeros(2, 2)}, tmp_path / "altered.safetensors")
    with pytest.raises(WeightsError, match="relu1_2 does not fit"):
        VGGFeatures(["relu1_2"], str(tmp_path / "altered.safetensors"))


@pytest.mark.real
def test_slim_and_vgg_agree_on_what_is_better() -> None:
    from impasto.images.geometry import centre_square, resize
    from impasto.images.reading import read_image

    style = resize(read_image(SHARED / "styles" / "the_scream.jpg"), 256)[None]
    totals = []
    for weights in ("slim", str(REAL_VGG)):
        loss = PerceptualLoss.from_spec(weights)
        loss.set_style(style)
        paths = sorted((SHARED / "data" / "bsds500" / "val").rglob("*.jpg"))[:12]
        photographs = [centre_square(read_image(path), 128)[None] for path in paths]
        with torch.no_grad():
            outputs = [torch.lerp(p, q, 0.5) for p, q in itertools.pairwise(photographs)]
            pairs = zip([*photographs[1:], *outputs], [*photographs[:-1], *photographs[:-1]], strict=True)
            totals.append(torch.tensor([float(loss(output, content).total) for output, content in pairs]))
    ranks = torch.stack([total.argsort().argsort().float() for total in totals])
    assert torch.corrcoef(ranks)[0, 1] > 0.9
