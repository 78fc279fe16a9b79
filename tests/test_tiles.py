"""Huge pictures: tiles and the whole agree, and memory stays where it was told to."""

from __future__ import annotations

import pytest
import torch
from conftest import photograph

from impasto.inference import pad_to_multiple
from impasto.networks import build_network, network_names
from impasto.tiles import TiledPainter


def small(name: str) -> torch.nn.Module:
    torch.manual_seed(3)
    options = {"width": 4, "blocks": 2}
    network = build_network(name, **options).eval().requires_grad_(False)
    for parameter in network.parameters():  # norms that do more than nothing
        parameter.add_(0.3 * torch.randn_like(parameter) * parameter.std().nan_to_num(0.5))
    return network


def whole(network: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(pad_to_multiple(image[None], 4))[0, :, : image.shape[1], : image.shape[2]]


def picture(height: int, width: int) -> torch.Tensor:
    side = max(height, width)
    return photograph(7, side)[:, :height, :width] * torch.linspace(0.2, 1, width)


@pytest.mark.parametrize("name", network_names())
@pytest.mark.parametrize("size", [(301, 222), (37, 700), (700, 37), (1, 300), (300, 3), (17, 16), (1, 1)])
def test_tiles_equal_the_whole(name: str, size: tuple[int, int]) -> None:
    network, image = small(name), picture(*size)
    expected = whole(network, image)
    for memory in (0, 3_000_000, 10**9):
        assert (TiledPainter(network, memory)(image) - expected).abs().max() < 1e-4
