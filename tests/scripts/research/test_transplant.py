"""scripts/research/transplant.py: Johnson's network takes over what a light one has learned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.pictures import photograph
from helpers.places import ROOT
from helpers.scripts import load_script
from impasto.checkpoint import load_style_model
from impasto.networks.johnson import ConvLayer
from impasto.system.files import asset_dir


@pytest.fixture(scope="module")
def transplant() -> ModuleType:
    return load_script("research/transplant")


@pytest.mark.parametrize("side", [1, 3])
def test_a_kernel_on_blocks_of_pixels_sees_the_same_on_the_picture(transplant: ModuleType, side: int) -> None:
    kernel, picture = torch.randn(5, 12, side, side), torch.randn(1, 3, 24, 24)
    on_blocks = F.conv2d(F.pixel_unshuffle(picture, 2), kernel, padding=side // 2)
    on_pixels = F.conv2d(picture, transplant.from_blocks_of_pixels(kernel), padding=4)[..., ::2, ::2]
    torch.testing.assert_close(on_pixels[..., 2:-2, 2:-2], on_blocks[..., 2:-2, 2:-2], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_planted_channels_do_what_they_did_whatever_the_others_hold(transplant: ModuleType) -> None:
    layer, wider = ConvLayer(4, 6, 3), ConvLayer(9, 11, 3)
    for norm in (layer[1], wider[1]):
        assert isinstance(norm, nn.InstanceNorm2d)
        norm.weight.normal_()
        norm.bias.normal_()
    transplant.plant(layer, wider)
    x = torch.randn(2, 9, 12, 12)
    torch.testing.assert_close(wider(x)[:, :6], layer(x[:, :4]), rtol=1e-4, atol=1e-5)


def test_johnsons_network_paints_as_the_light_one_does(transplant: ModuleType) -> None:
    torch.manual_seed(0)
    swift = load_style_model(asset_dir("checkpoints") / "base" / "swift.safetensors").network
    *seen, unseen = (photograph(seed, 96)[None] for seed in range(9))
    johnson = transplant.transplanted(swift, seen, width=16)
    with torch.no_grad():
        wanted, had = swift(unseen), johnson(unseen)
    own = (wanted - wanted.mean(dim=(2, 3), keepdim=True)).square().mean()
    assert (had - wanted).square().mean() < 0.1 * own


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["starry_night_johnson"], "not swift"),
        (["wave", "--width", "8"], "not swift"),
        (["nothing_like_it"], "nothing_like_it"),
    ],
)
def test_what_cannot_be_planted_is_one_line(words: list[str], said: str, photographs: Path, tmp_path: Path) -> None:
    script = [
        sys.executable,
        str(ROOT / "scripts" / "research" / "transplant.py"),
        *words,
        "--photographs",
        str(photographs),
    ]
    result = subprocess.run(
        [*script, "-o", str(tmp_path / "x.safetensors")], capture_output=True, text=True, timeout=280
    )
    assert result.returncode == 1 and said in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
