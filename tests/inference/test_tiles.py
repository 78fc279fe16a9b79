"""Huge pictures: tiles and the whole agree, bytes stay bytes, and the command line says what it did."""

from __future__ import annotations

import argparse
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from helpers.networks import known_options, staged_names
from helpers.pictures import photograph
from impasto import cli
from impasto.cli.options import memory_from
from impasto.errors import ImpastoError, UsageError
from impasto.images.geometry import padding
from impasto.images.reading import read_image, read_picture
from impasto.images.tensors import as_array, as_tensor, from_levels, to_levels, to_pil
from impasto.images.writing import write_image
from impasto.inference.receptive_field import reach, working_memory
from impasto.inference.stylizer import Stylizer
from impasto.inference.tiles import TiledPainter
from impasto.networks import StagedNetwork, build_network
from impasto.networks.swift import SwiftNet


def small(name: str) -> StagedNetwork:
    torch.manual_seed(3)
    network = build_network(name, **known_options(name, width=4, blocks=2)).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm2d):  # that does more than normalise
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
    assert isinstance(network, StagedNetwork)
    return network


def whole(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    assert isinstance(network.stride, int)
    _, height, width = image.shape
    around = padding(height, width, network.stride, getattr(network, "surround", 0))
    with torch.inference_mode():
        sides = ((0, 0), (around.top, around.bottom), (around.left, around.right))
        larger = torch.from_numpy(np.pad(image.numpy(), sides, "reflect" if around.mirror else "edge"))
        return network(larger[None])[0, :, around.top :, around.left :][:, :height, :width]


def tiled(network: StagedNetwork, memory: int, image: torch.Tensor) -> torch.Tensor:
    painted, deviation = TiledPainter(network, memory)(as_array(image))
    assert deviation == (0, 0)
    return as_tensor(painted)


def picture(height: int, width: int) -> torch.Tensor:
    """A photograph (3, height, width) that grows lighter to the right, so that no part stands for the whole."""
    side = max(height, width, 32)
    return photograph(7, side)[:, :height, :width] * torch.linspace(0.2, 1, width)


@pytest.mark.parametrize("name", staged_names())
@pytest.mark.parametrize("size", [(301, 222), (37, 700), (700, 37), (1, 300), (300, 3), (17, 16), (1, 1)])
def test_tiles_equal_the_whole(name: str, size: tuple[int, int]) -> None:
    network, image = small(name), picture(*size)
    expected = whole(network, image)
    for memory in (0, 3_000_000, 10**9):
        assert (tiled(network, memory, image) - expected).abs().max() < 1e-4


@given(st.integers(1, 170), st.integers(1, 170), st.integers(16, 40), st.integers(0, 2**21))
@settings(max_examples=10, deadline=None)
def test_tiles_of_any_size_equal_the_whole(height: int, width: int, least: int, memory: int) -> None:
    network, image = small("swift"), picture(height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.inference.tiles._LEAST_SIDE", least)
        assert (tiled(network, memory, image) - whole(network, image)).abs().max() < 1e-4


def test_a_shipped_style_paints_the_same_in_tiles() -> None:
    image = picture(300, 420)
    painted, apart = (
        Stylizer("starry_night", "cpu", precision="float32", max_memory=memory)(image) for memory in (2**40, 1)
    )
    assert (painted - apart).abs().max() < 1e-4


def test_reach_follows_the_layers() -> None:
    # Pixels of the input: 3x3 (or 5x5) at half size sees 2 (or 4), 3x3 from half to quarter 2 more, rounded up to 4.
    for ends, seen, drawn in ((1, 4, 1), (2, 8, 2)):
        network = build_network("swift", width=4, blocks=1, reach=ends)
        assert isinstance(network, SwiftNet)
        assert reach(network.encoder)[:3] == (seen, 4, Fraction(1, 4))
        assert reach(network.body[0])[:3] == (2, 1, 1)
        assert reach(network.decoder)[:3] == (drawn, 1, 4)


def test_a_halo_too_narrow_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    network, image = small("swift"), picture(301, 222)
    monkeypatch.setattr("impasto.inference.tiles.reach", lambda stage: reach(stage)._replace(halo=0))
    assert (tiled(network, 0, image) - whole(network, image)).abs().max() > 1e-3


def test_bytes_come_back_as_bytes_and_agree_with_floats() -> None:
    levels = to_levels(picture(120, 201))
    for memory in (2**40, 1):
        painter = Stylizer("oils", "cpu", max_memory=memory)
        painted = painter(levels)
        floats = painter(levels.float() / 255)
        assert painted.dtype == torch.uint8 and painted.shape == levels.shape
        assert torch.equal(painted, to_levels(floats))
        batch = torch.stack([levels, levels.flip(2)])
        assert painter(batch).shape == batch.shape


def test_a_huge_array_is_never_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    array = to_levels(picture(90, 110)).permute(1, 2, 0).numpy()
    painter = Stylizer("oils", "cpu", max_memory=1)
    expected = painter(array)
    for place in ("images.tensors.from_array", "images.tensors.from_levels", "images.convert.as_floats"):
        monkeypatch.setattr(f"impasto.{place}", None)
    assert np.array_equal(painter(array), expected) and expected.dtype == np.uint8


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "I;16"])
def test_a_picture_read_as_bytes_is_the_picture(mode: str, tmp_path: Path) -> None:
    suffix = "tiff" if mode == "CMYK" else "png"
    levels = np.array(to_pil(picture(300, 40)))
    image = Image.fromarray(levels[..., 0].astype(np.uint16) * 256) if mode == "I;16" else Image.fromarray(levels)
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / f"p.{suffix}")
    lean = read_picture(tmp_path / f"p.{suffix}")
    usual = read_image(tmp_path / f"p.{suffix}")
    assert usual.dtype == torch.float32 and (lean.pixels.dtype == np.uint8) == (mode != "I;16")
    assert torch.equal(to_levels(usual), to_levels(from_levels(lean.pixels)))
    write_image(tmp_path / "again.png", lean.pixels)
    assert torch.equal(to_levels(read_image(tmp_path / "again.png")), to_levels(usual))


def test_the_estimate_of_the_whole_pass_is_near_what_was_measured() -> None:
    johnson = build_network("johnson")
    assert isinstance(johnson, StagedNetwork)
    assert 700 < working_memory(johnson) < 1200  # 916 bytes a pixel were measured


def test_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("impasto.inference.tiles._Spill.write", full)
    with pytest.raises(ImpastoError, match="No space left on device; let TMPDIR"):
        tiled(small("swift"), 0, picture(40, 40))


@pytest.mark.parametrize(("text", "size"), [
    ("1G", 2**30), ("1.5GB", 3 * 2**29), ("500M", 500 * 2**20), ("64 MiB", 2**26), ("2048k", 2**21), ("7", 7),
])  # fmt: skip
def test_amounts_of_memory(text: str, size: int) -> None:
    assert memory_from(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "1X", "1e3", "nan", "999999999T"])
def test_what_is_no_amount_of_memory(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        memory_from(text)
    with pytest.raises(SystemExit) as ended:
        cli.main(["stylize", "x.png", "-s", "oils", f"--max-memory={text}"])
    assert ended.value.code == 2 and "500M" in capsys.readouterr().err


def test_statistics_of_another_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="exact, thumbnail"):
        Stylizer("oils", "cpu", statistics="guessed")


def stylized(source: Path, target: Path, *words: str) -> np.ndarray:
    assert cli.main(["stylize", str(source), "-s", "starry_night", "-o", str(target), "--device", "cpu", *words]) == 0
    return np.array(Image.open(target)).astype(int)


def test_the_command_paints_the_same_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "p.jpg"
    write_image(source, picture(420, 655))
    unlimited = stylized(source, tmp_path / "whole.png", "--max-memory", "1T", "--precision", "float32")
    tiled = stylized(source, tmp_path / "tiled.png", "--max-memory", "1M")
    assert unlimited.shape == (420, 655, 3) and abs(unlimited - tiled).max() <= 1
    half = stylized(source, tmp_path / "half.png", "--max-memory", "1M", "--size", "300")
    assert half.shape == (192, 300, 3) and "thumbnail" not in capsys.readouterr().err


def test_quick_statistics_say_how_far_they_are_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, words = tmp_path / "p.png", ("--max-memory", "1M", "--statistics", "thumbnail")
    write_image(source, picture(160, 240))
    exact, said, off = stylized(source, tmp_path / "exact.png", "--max-memory", "1M"), [], []
    for side in (240, 80):
        monkeypatch.setattr("impasto.inference.tiles._THUMBNAIL", side)
        off.append(abs(stylized(source, tmp_path / "quick.png", *words) - exact).mean())
        said += [float(number) for number in re.findall(r"off by ([\d.]+)", capsys.readouterr().err)]
    assert off[0] < 0.01 < off[1] < 60  # a thumbnail as large as the picture is the picture
    assert said[0] == 0 < said[1] < 2


def test_paint_tells_how_far_a_thumbnail_was_off(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = np.stack([as_array(to_levels(picture(130, 200)))] * 2)
    monkeypatch.setattr("impasto.inference.tiles._THUMBNAIL", 50)
    whole, exact, quick = (
        Stylizer("oils", "cpu", max_memory=memory, statistics=statistics).paint(batch)
        for memory, statistics in ((2**40, "exact"), (1, "exact"), (1, "thumbnail"))
    )
    assert whole.deviation == exact.deviation == (0, 0) and 0 < quick.deviation[0] <= quick.deviation[1]
    assert whole.pixels.shape == exact.pixels.shape == quick.pixels.shape == batch.shape
    with pytest.raises(UsageError, match="call the painter itself"):
        Stylizer("oils", "cpu").paint(torch.zeros(1, 3, 16, 16))  # type: ignore[arg-type]
