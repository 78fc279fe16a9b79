"""The network for large strokes: its canvas is the same everywhere and always, and gives flat areas something to
paint.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.networks import gradients_of
from helpers.pictures import photograph
from impasto.checkpoint import StyleModel, save_style_model
from impasto.images.geometry import padding
from impasto.images.tensors import as_array, as_tensor
from impasto.inference.engine import build_engine, is_installed
from impasto.inference.stylizer import Stylizer
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec
from impasto.networks.brush import Canvas, same_canvas
from impasto.training.module import StyleModule
from impasto.training.plain import inside, painted_whole, surrounded


def canvas_under(height: int, width: int, origin: tuple[int, int] = (0, 0)) -> Tensor:
    canvas = Canvas(8).eval()
    canvas.origin = origin
    return canvas.noise(torch.zeros(1, 8, height, width))


def test_the_canvas_is_noise_of_mean_zero_and_deviation_one() -> None:
    noise = canvas_under(600, 500)
    assert noise.shape == (1, 4, 600, 500)
    assert noise.mean(dim=(0, 2, 3)).abs().max() < 0.02
    torch.testing.assert_close(noise.std(dim=(0, 2, 3)), torch.ones(4), atol=0.05, rtol=0)


def test_its_bands_go_from_fine_to_coarse() -> None:
    steps = canvas_under(300, 300).diff(dim=3).square().mean(dim=(0, 2, 3))
    assert (steps[:-1] > 2 * steps[1:]).all()


@pytest.mark.parametrize("origin", [(3, 5), (100, 0), (4000, 4090), (5000, 9000)])
def test_a_part_of_a_picture_has_its_part_of_the_canvas(origin: tuple[int, int]) -> None:
    top, left = (place % Canvas.period for place in origin)
    whole = canvas_under(top + 8, left + 8)
    torch.testing.assert_close(canvas_under(8, 8, origin), whole[..., top:, left:], atol=1e-5, rtol=0)


def test_crops_lie_where_their_values_say() -> None:
    canvas, crops = Canvas(8).train(), torch.rand(3, 8, 16, 16)
    noise = canvas.noise(crops)
    assert torch.equal(noise, canvas.noise(crops.clone()))
    assert all((noise[i] - noise[j]).abs().max() > 0.5 for i, j in ((0, 1), (0, 2), (1, 2)))
    assert torch.equal(noise[1:2], canvas.noise(crops[1:2]))


def test_frames_of_a_film_lie_where_the_first_one_lies() -> None:
    network, (first, second) = torch.nn.Sequential(Canvas(8)).train(), torch.rand(2, 3, 8, 16, 16)
    (canvas,) = (part for part in network if isinstance(part, Canvas))
    with same_canvas(network):
        assert torch.equal(canvas.noise(first), canvas.noise(second))
    assert not torch.equal(canvas.noise(first), canvas.noise(second))
    with same_canvas(network):
        noise = canvas.noise(second)
    assert torch.equal(noise, canvas.noise(second))


def test_nothing_of_the_canvas_but_its_mixture_is_stored() -> None:
    assert [name for name in build_network("brush").state_dict() if "encoder.5" in name] == ["encoder.5.mix.weight"]


def test_smoothed_changes_of_resolution_follow_a_moved_picture() -> None:
    """A picture moved by half of the coarsest grid's pixels is painted more like its painting, moved."""
    picture, moved = photograph(3, 264)[None, :, :256, :256], photograph(3, 264)[None, :, 4:260, 4:260]
    off = []
    for antialias in (False, True):
        torch.manual_seed(0)  # the same weights
        network = build_network("brush", antialias=antialias).eval()
        *_, canvas = (part for part in network.modules() if isinstance(part, Canvas))
        with torch.no_grad():
            canvas.mix.weight.zero_()  # it stays where it is
            painted, after = network(picture)[..., 4:, 4:], network(moved)[..., :-4, :-4]
        off.append(float((painted - after)[..., 64:-64, 64:-64].square().mean() / painted.var()))
    assert off[1] < 0.3 * off[0]


def test_a_smoothed_painting_has_little_at_the_finest_detail() -> None:
    """Periods below three pixels, a fabric's weave that no style has, hold little of the energy before the sigmoid."""
    window, share = torch.hann_window(192), []
    frequency = torch.fft.fftfreq(192).abs()
    finest = torch.maximum(frequency[:, None], frequency) > 1 / 3
    for antialias in (False, True):
        torch.manual_seed(0)
        network = build_network("brush", antialias=antialias).eval()
        with torch.no_grad():
            made = network(photograph(3, 192)[None]).logit()[0]
        energy = torch.fft.fft2((made - made.mean(dim=(1, 2), keepdim=True)) * window * window[:, None]).abs().square()
        share.append(float(energy[:, finest].sum() / energy.sum()))
    assert share[1] < 0.1 * share[0]


def test_a_flat_picture_is_not_painted_flat() -> None:
    network = build_network("brush").eval()
    with torch.no_grad():
        painted = network(torch.full((1, 3, 256, 256), 0.5))[..., 64:-64, 64:-64]
    assert painted.std() > 0.01
    assert not torch.allclose(painted[..., :64, :], painted[..., 64:, :], atol=0.01)


@pytest.mark.parametrize("backend", [name for name in ("torch", "openvino") if is_installed(name)])
def test_half_precision_has_the_same_canvas_far_from_the_origin(backend: str) -> None:
    network = build_network("brush", width=8).eval()
    wide = torch.full((1, 3, 40, 1600), 0.5)
    with torch.no_grad():
        expected = network(wide)
    painted = as_tensor(build_engine(network, "cpu", backend, "auto")(as_array(wide)))
    assert (painted - expected).abs()[..., 1200:].mean() < 0.01 < expected[..., 1200:].std()


@pytest.mark.parametrize(("side", "margin"), [(64, 8), (64, 0), (60, 8), (9, 20)])
def test_what_is_put_around_a_crop_mirrors_it(side: int, margin: int) -> None:
    crops = torch.stack([photograph(seed, side) for seed in range(2)])
    around = padding(side, side, 8, margin)
    pictures = surrounded(crops, around)
    assert pictures.shape[-1] % 8 == 0 and pictures.shape[-1] >= side + 2 * margin
    assert torch.equal(inside(pictures, around), crops)
    assert np.array_equal(as_array(pictures), around.pad(as_array(crops)))


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (201, 130)])
def test_a_network_is_judged_by_what_its_painter_shows(tmp_path: Path, size: tuple[int, int]) -> None:
    network = build_network("brush", width=4, blocks=1).eval()
    save_style_model(tmp_path / "b.safetensors", StyleModel(network, network_spec("brush", width=4, blocks=1), "b"))
    pictures = torch.rand(2, 3, *size)
    painter = Stylizer(tmp_path / "b.safetensors", "cpu", backend="torch", precision="float32")
    with torch.no_grad():
        torch.testing.assert_close(painted_whole(painter.model.network, pictures), painter(pictures), atol=1e-5, rtol=0)


def test_validation_judges_what_a_painter_shows() -> None:
    """A network that paints how far the border of its input is paints nothing of it in what validation keeps."""
    module = StyleModule(BorderDistance(), PerceptualLoss.from_spec("slim"), torch.optim.SGD)
    module.loss.set_style(torch.rand(1, 3, 64, 64))
    module.log_dict = lambda *arguments, **options: None  # type: ignore[method-assign]
    module.validation_step(torch.rand(1, 3, 64, 64), 0)
    ((_, painted),) = module.painted
    assert painted.min() == 0.32


class BorderDistance(torch.nn.Module):
    """Paints the distance to the nearest border, in hundreds of pixels."""

    surround = 32

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, pictures: Tensor) -> Tensor:
        sides = [torch.minimum(torch.arange(side), torch.arange(side).flip(0)) for side in pictures.shape[-2:]]
        return self.weight * torch.minimum(sides[0][:, None], sides[1]).expand_as(pictures) / 100


@pytest.mark.parametrize("side", [16, 24, 40])
def test_small_crops_can_be_trained_on(side: int) -> None:
    network = build_network("brush")
    network(torch.rand(1, 3, side, side)).sum().backward()
    assert all(torch.isfinite(gradient).all() for gradient in gradients_of(network))
