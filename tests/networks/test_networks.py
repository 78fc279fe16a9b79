"""Every network keeps size and range and has the stated size; a spec says all of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.networks import gradients_of
from impasto.errors import ModelError
from impasto.networks import Blur, build_network, complete_spec, network_names, network_spec, weights_fit


@pytest.mark.parametrize("name", network_names())
def test_every_network_keeps_size_and_range(name: str) -> None:
    network = build_network(name)
    assert isinstance(network.stride, int)
    size = 5 * network.stride
    output = network(torch.rand(2, 3, size, 2 * size))
    assert output.shape == (2, 3, size, 2 * size)
    assert output.min() >= 0 and output.max() <= 1


@pytest.mark.parametrize("name", network_names())
@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_do_not_depend_on_the_memory_format(name: str, batch: int) -> None:
    torch.manual_seed(0)
    network, image, direction = build_network(name), torch.rand(batch, 3, 32, 32), torch.randn(batch, 3, 32, 32)
    gradients = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        network.to(memory_format=memory_format).zero_grad()
        (network(image.contiguous(memory_format=memory_format)) * direction).sum().backward()
        gradients.append(torch.cat([gradient.flatten() for gradient in gradients_of(network)]))
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


@pytest.mark.parametrize(
    ("name", "parameters", "per_pixel"),
    [("johnson", 1_679_235, 153_792), ("swift", 105_996, 8_064), ("brush", 291_116, 8_495)],
)
def test_networks_have_the_stated_size(name: str, parameters: int, per_pixel: int) -> None:
    network, macs = build_network(name), []

    def count(module: torch.nn.Conv2d, _: object, output: torch.Tensor) -> None:
        macs.append(output[0, 0].numel() * module.weight.numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.rand(1, 3, 64, 64))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert sum(macs) == per_pixel * 64 * 64


def test_a_file_from_before_an_option_means_what_it_meant() -> None:
    older = {"name": "swift", "width": 16, "blocks": 5}
    assert complete_spec(older) == {**older, "reach": 2}
    assert complete_spec(network_spec("swift")) == network_spec("swift") == {**older, "reach": 1}
    assert complete_spec({"name": ["swift"]}) == {"name": ["swift"]}  # refused later, in one line
    assert complete_spec({"name": "brush", "width": 8}) == {**network_spec("brush", width=8), "antialias": False}
    assert network_spec("brush")["antialias"] is True


@pytest.mark.parametrize("spec", [{"name": "nobody"}, {"name": "johnson", "width": 10**9}, {"name": "johnson", "x": 1},
                                  {"name": "johnson", "width": "32"}, {"name": "../johnson"},
                                  {"name": "brush", "antialias": 1}, {"name": "brush", "width": True}])  # fmt: skip
def test_a_spec_out_of_bounds_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        build_network(**spec)


def test_a_specification_is_completed_by_defaults_and_by_what_older_files_meant() -> None:
    assert complete_spec({"name": "johnson"}) == network_spec("johnson")
    assert complete_spec({"name": "swift", "width": 8}) == {**network_spec("swift", width=8), "reach": 2}
    assert complete_spec({"name": "nobody"}) == {"name": "nobody"}


def test_weights_fit_a_network_that_differs_in_nothing_learned() -> None:
    brush = network_spec("brush")
    assert weights_fit(brush, {**brush, "antialias": False})
    assert not weights_fit(brush, {**brush, "blocks": 4})
    assert not weights_fit(brush, network_spec("swift"))
    assert not weights_fit({**brush, "x": 1}, brush)
    states = []
    for antialias in (False, True):
        torch.manual_seed(0)
        states.append(build_network("brush", antialias=antialias).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_blur_keeps_flat_areas_and_takes_away_every_other_pixel() -> None:
    blur, flat = Blur(2), torch.tensor([0.25, 0.75])[None, :, None, None].expand(1, 2, 6, 8)
    torch.testing.assert_close(blur(flat), flat)
    checkers = (torch.arange(6)[:, None] + torch.arange(8)).remainder(2).float().expand(1, 2, 6, 8)
    torch.testing.assert_close(blur(checkers), torch.full((1, 2, 6, 8), 0.5))
    point = torch.zeros(1, 2, 5, 5)
    point[0, 1, 2, 2] = 16
    spread = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    torch.testing.assert_close(blur(point)[0, 1, 1:4, 1:4], spread)
    assert not blur(point)[0, 0].any() and not blur.state_dict() and not list(blur.parameters())
