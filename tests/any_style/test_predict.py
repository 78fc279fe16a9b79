"""From pictures, vectors and style models to painters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.func import functional_call

from helpers.pictures import photograph
from helpers.predictors import style_picture
from impasto.any_style.files import StyleVector, load_predictor
from impasto.any_style.predict import (
    blended,
    picture_statistics,
    predicted_style_model,
    predicted_vector,
    vector_of,
)
from impasto.checkpoint import load_style_model, save_style_model, shipped_styles
from impasto.errors import ImageError, ModelError
from impasto.inference.engine import is_installed
from impasto.inference.stylizer import Stylizer

SIZE = 128


def vectors() -> list[StyleVector]:
    torch.manual_seed(0)
    digest = load_predictor().digest
    return [StyleVector(name, torch.randn(load_predictor().network.size), digest) for name in "ab"]


def test_the_painter_of_a_blend_has_the_weighted_mean_of_the_painters_weights() -> None:
    one, other = vectors()
    mixed = predicted_style_model(blended([one, other], [0.7, 0.3], "mixed"))
    first, second = (predicted_style_model(vector).network.state_dict() for vector in (one, other))
    assert mixed.name == "mixed"
    for name, value in mixed.network.state_dict().items():
        torch.testing.assert_close(value, 0.7 * first[name] + 0.3 * second[name], rtol=1e-3, atol=1e-4)


def test_a_blend_of_one_style_is_that_style_and_of_equal_ones_too() -> None:
    one, _ = vectors()
    assert torch.equal(blended([one], [1.0], "c").values, one.values)
    torch.testing.assert_close(blended([one, one], [0.2, 0.8], "c").values, one.values)
    assert blended([one], [1.0], "c").name == "c"


def test_a_blends_statistics_are_the_mean_where_all_parts_have_them(tmp_path: Path) -> None:
    pictures = [vector_of(style_picture(tmp_path / f"{seed}.png", seed), SIZE) for seed in (1, 2)]
    mixed = blended(pictures, [0.25, 0.75], "mixed")
    assert mixed.targets.keys() == pictures[0].targets.keys()
    for name, value in mixed.targets.items():
        torch.testing.assert_close(value, 0.25 * pictures[0].targets[name] + 0.75 * pictures[1].targets[name])
    assert blended([pictures[0], vectors()[0]], [0.5, 0.5], "mixed").targets == {}


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_every_backend_paints_what_the_predictor_predicts(tmp_path: Path, backend: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    predictor = load_predictor()
    vector = vector_of(style_picture(tmp_path / "a.png"), SIZE)
    save_style_model(tmp_path / "a.safetensors", predicted_style_model(vector))
    surround = getattr(predictor.network.painter, "surround", 0)
    side = surround + 8  # a multiple of the stride, and larger than what is mirrored
    picture = photograph(3, side)
    padded = torch.nn.functional.pad(picture[None], [surround] * 4, mode="reflect")
    with torch.no_grad():
        wanted = functional_call(predictor.network.painter, predictor.network.weights(vector.values), (padded,))
    wanted = wanted[0, :, surround : surround + side, surround : surround + side]
    painted = Stylizer(tmp_path / "a.safetensors", "cpu", backend=backend, precision="float32")(picture)
    assert (painted - wanted).abs().max() < 1.5 / 255, "weights are kept in half precision"


def test_a_pictures_painter_says_what_it_is_and_carries_its_statistics(tmp_path: Path) -> None:
    model = predicted_style_model(vector_of(style_picture(tmp_path / "a.png"), SIZE))
    predictor = load_predictor()
    assert (model.name, model.training.start, model.style.size) == ("a", "predicted", SIZE)
    assert model.loss.fingerprint == predictor.loss.fingerprint and not model.network.training
    assert model.style_targets.keys() == {predictor.loss.fingerprint}
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


@pytest.mark.parametrize(
    "path",
    [path for path in shipped_styles() if path.stem != "starry_night_johnson"],  # it is older than these statistics
    ids=lambda path: path.stem,
)
def test_every_shipped_style_can_be_part_of_a_blend(path: Path) -> None:
    vector = vector_of(path, SIZE)
    assert vector.values.shape == (load_predictor().network.size,) and vector.values.isfinite().all()


def test_a_style_models_statistics_give_the_vector_of_its_picture(tmp_path: Path) -> None:
    vector = vector_of(style_picture(tmp_path / "a.png"), SIZE)
    save_style_model(tmp_path / "a.safetensors", predicted_style_model(vector))
    again = vector_of(tmp_path / "a.safetensors", SIZE)
    torch.testing.assert_close(again.values, vector.values, rtol=0.02, atol=0.02)  # they are kept in bfloat16


def test_a_style_model_without_the_statistics_or_with_others_is_refused(painter: Path, tmp_path: Path) -> None:
    model, predictor = load_style_model(painter), load_predictor()
    whole = picture_statistics(style_picture(tmp_path / "a.png"), SIZE, predictor)
    name = next(iter(predictor.network.channels))
    for targets in (
        {}, {key: value for key, value in whole.items() if key != f"{name}.mean"},
        {key: value for key, value in whole.items() if key != name},
        whole | {name: torch.eye(3)[None]}, whole | {f"{name}.mean": torch.zeros(1, 3)},
    ):  # fmt: skip
        model.style_targets = {str(predictor.loss.fingerprint): targets}
        save_style_model(tmp_path / "odd.safetensors", model)
        with pytest.raises(ModelError, match=r"odd.safetensors: lacks the statistics .*; blend its style picture ins"):
            vector_of(tmp_path / "odd.safetensors", SIZE)


def plain(path: Path, mode: str, size: tuple[int, int], colour: object) -> Path:
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("mode", "size", "colour", "said"),
    [
        ("RGB", (200, 100), (200, 30, 40), "one colour only, which is no style; give a picture with strokes or shapes"),
        ("L", (16, 16), 0, "one colour only"),
        ("RGBA", (64, 64), (200, 30, 40, 0), "one colour only"),
        ("RGB", (1, 1), 0, "1 x 1 pixels are too few for a style; both sides need 16"),
        ("RGB", (15, 4000), 0, "15 x 4000 pixels are too few"),
    ],
)
def test_what_has_no_style_is_refused(
    tmp_path: Path, mode: str, size: tuple[int, int], colour: object, said: str
) -> None:
    with pytest.raises(ImageError) as caught:
        vector_of(plain(tmp_path / "a.png", mode, size, colour), SIZE)
    assert str(caught.value).startswith(f"{tmp_path}/a.png: {said}")


def test_single_pixels_in_turn_are_grey_from_as_far_as_a_style_is_seen(tmp_path: Path) -> None:
    checked = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checked).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="one colour only"):
        vector_of(tmp_path / "a.png", SIZE)


def test_colours_under_full_transparency_are_not_seen(tmp_path: Path) -> None:
    picture = Image.open(style_picture(tmp_path / "a.png")).convert("RGBA")
    picture.putalpha(0)
    picture.save(tmp_path / "hidden.png")
    with pytest.raises(ImageError, match="one colour only"):
        vector_of(tmp_path / "hidden.png", SIZE)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 2000), (2000, 16), (16, 20_000), (300, 17)])
def test_small_and_narrow_pictures_have_a_style_at_all_octaves(tmp_path: Path, width: int, height: int) -> None:
    predictor = load_predictor()
    targets = picture_statistics(style_picture(tmp_path / "a.png", 3, width, height), SIZE, predictor)
    assert set(predictor.network.channels) <= targets.keys()
    assert predicted_vector(targets, predictor).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_picture_of_60_megapixels_has_the_style_of_its_small_copy(tmp_path: Path, name: str) -> None:
    tile = Image.open(style_picture(tmp_path / "tile.png"))
    tile.resize((10_000, 6_000), Image.Resampling.BICUBIC).save(tmp_path / name)
    tile.resize((1_000, 600), Image.Resampling.BICUBIC).save(tmp_path / "small.png")
    large, small = (vector_of(tmp_path / each, 512).values for each in (name, "small.png"))
    assert (large - small).norm() < 0.25 * small.norm()
    (tmp_path / name).unlink()
