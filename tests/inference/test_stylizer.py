"""A painter: padding, kinds of pictures in and out, other processes, and what it refuses."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import impasto
from helpers.pictures import photograph
from impasto.checkpoint import StyleModel, load_style_model, save_style_model
from impasto.errors import UsageError
from impasto.images.geometry import padding
from impasto.inference.engine import is_installed
from impasto.inference.stylizer import Stylizer
from impasto.networks import build_network, network_spec
from impasto.networks.brush import BrushNet
from impasto.synthetic.contents import procedural_image


@cache
def painter_to_be_altered() -> Stylizer:
    """One for all examples: each sets its stride, surround and engine."""
    return Stylizer("starry_night", "cpu", max_memory=2**40)


def padded_and_cropped(batch: np.ndarray, stride: int, surround: int) -> tuple[np.ndarray, np.ndarray]:
    """What a painter hands to its engine, and what it returns when the engine paints nothing."""
    painter, seen = painter_to_be_altered(), []
    painter.stride, painter.surround = stride, surround
    painter.engine = replace(painter.engine, run=lambda larger: seen.append(larger) or larger)
    painted = painter.paint(batch).pixels
    return seen[0], painted


@given(st.integers(1, 64), st.integers(1, 64), st.sampled_from([0, 8, 64]))
@settings(max_examples=60, deadline=None)
def test_padding_reaches_the_multiple_and_keeps_the_picture(height: int, width: int, surround: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    around = padding(height, width, 4, surround)
    larger, cropped = padded_and_cropped(levels, 4, surround)
    floats, cropped_floats = padded_and_cropped(levels.astype(np.float32) / 255, 4, surround)
    assert larger.shape[1:3] == around.size(height, width)
    assert larger.shape[1] % 4 == 0 == larger.shape[2] % 4 and min(larger.shape[1:3]) >= 16
    assert np.array_equal(cropped, levels) and np.array_equal(cropped_floats, levels.astype(np.float32) / 255)
    assert np.array_equal(floats, larger.astype(np.float32) / 255)
    # By coordinates, as tiles ask for it, the padded picture is the same.
    rows, columns = around.rows(height, 0, larger.shape[1]), around.columns(width, 0, larger.shape[2])
    assert np.array_equal(levels[:, rows][:, :, columns], larger)


@pytest.mark.parametrize("levels", [True, False])
def test_what_surrounds_a_picture_is_its_mirror_image(levels: bool) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (1, 100, 80, 3), dtype=np.uint8)
    batch = picture if levels else picture.astype(np.float32) / 255
    larger, _ = padded_and_cropped(batch, 8, 64)
    larger = larger if levels else np.rint(larger * 255).astype(np.uint8)
    assert np.array_equal(larger[0, 63], larger[0, 65]) and np.array_equal(
        larger[0, :, 64 + 79 + 5], larger[0, :, 64 + 79 - 5]
    )


def test_a_painter_does_not_see_the_border(tmp_path: Path) -> None:
    """What a network paints along the border of what it gets is cut off, where it asks for surroundings."""
    torch.manual_seed(0)
    network = build_network("brush", width=4, blocks=1).eval()
    save_style_model(
        tmp_path / "brush.safetensors", StyleModel(network, network_spec("brush", width=4, blocks=1), "brush")
    )
    painter = Stylizer(tmp_path / "brush.safetensors", "cpu", backend="torch", precision="float32")
    edge = BrushNet.surround
    image = torch.rand(1, 3, 126, 130)
    surrounded = torch.nn.functional.pad(image, (edge, edge + 6, edge, edge + 2), mode="reflect")
    with torch.inference_mode():
        expected = painter.model.network(surrounded)[..., edge : edge + 126, edge : edge + 130]
    torch.testing.assert_close(painter(image), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (7, 9), (16, 16), (17, 31), (64, 33), (30, 300)])
def test_the_output_has_the_inputs_size(painter: Path, size: tuple[int, int]) -> None:
    assert Stylizer(painter, "cpu")(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_each_kind_of_picture_comes_back_as_the_same_kind(painter: Path) -> None:
    paint = impasto.load(painter, "cpu")
    tensor = photograph(1, 20)
    painted = paint(tensor)
    assert painted.shape == tensor.shape and painted.dtype == torch.float32
    assert paint(tensor[None].double()).dtype == torch.float64
    pixels = (tensor.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    expected = (painted * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
    from_array, from_pil = paint(pixels), paint(Image.fromarray(pixels))
    assert from_array.dtype == np.uint8 and isinstance(from_pil, Image.Image)
    np.testing.assert_array_equal(from_array, expected)
    np.testing.assert_array_equal(np.asarray(from_pil), expected)
    with pytest.raises(UsageError, match="cannot paint str"):
        paint("photo.jpg")  # type: ignore[call-overload]  # a path is what people try first


def test_painting_needs_neither_trainer_nor_config_nor_torchvision(painter: Path) -> None:
    code = (
        f"import sys, torch, impasto; impasto.load({str(painter)!r}, 'cpu')(torch.rand(3, 8, 8)); "
        "heavy = ('torchvision', 'pytorch_lightning', 'hydra', 'omegaconf', 'wandb', 'matplotlib'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_a_painter_is_pickled_by_its_path_and_choices(painter: Path, backend: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    stylizer = Stylizer(painter, "cpu", backend=backend, max_memory=2**32, statistics="thumbnail")
    data = pickle.dumps(stylizer)
    again, copied, pixels = pickle.loads(data), copy.deepcopy(stylizer), procedural_image(1, 40)
    assert len(data) < 2000
    for other in (again, copied):
        assert (other.engine.backend, other.max_memory, other.statistics) == (backend, 2**32, "thumbnail")
        np.testing.assert_array_equal(other(pixels), stylizer(pixels))
    model = load_style_model(painter)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(Stylizer(model, "cpu")))(pixels), Stylizer(model, "cpu")(pixels)
    )


def test_a_pickled_painter_is_found_from_another_folder(
    painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(painter.parent)
    data = pickle.dumps(Stylizer("tiny", "cpu"))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(data).name == "tiny"
    assert b"checkpoints" not in pickle.dumps(Stylizer("wave", "cpu"))  # a shipped one is each machine's own


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_a_painter_works_in_another_process(painter: Path, backend: str, method: str, tmp_path: Path) -> None:
    if not is_installed(backend) or method not in multiprocessing.get_all_start_methods():
        pytest.skip("not here")
    script = tmp_path / "script.py"
    script.write_text(f"""
import impasto, multiprocessing, numpy as np
if __name__ == "__main__":
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    painter = impasto.load({str(painter)!r}, "cpu", backend={backend!r})
    painted = painter(pixels)
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        again = pool.apply_async(painter, (pixels,)).get(60)
    assert np.abs(again.astype(int) - painted).max() <= 1
""")
    subprocess.run([sys.executable, script], check=True, timeout=100)


@pytest.mark.parametrize(
    "shape",
    [(48, 64, 3), (48, 64), (1, 48, 64), (4, 48, 64), (2, 1, 48, 64), (3, 0, 64), (1, 1, 3, 8, 8), (0, 3, 8, 8), ()],
)
@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_wrong_shapes_are_told_by_the_shape_wanted(painter: Path, backend: str, shape: tuple[int, ...]) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    with pytest.raises(UsageError, match=r"\(3, H, W\)"):
        Stylizer(painter, "cpu", backend=backend)(torch.rand(shape))


@pytest.mark.parametrize("array", [
    np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 2), np.uint8), np.zeros((0, 8, 3), np.uint8), np.zeros((3, 8, 8)),
    np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.int64), np.full((8, 8, 3), 200.0), np.zeros(8, np.uint8),
], ids=str)  # fmt: skip
def test_wrong_arrays_are_told_by_what_is_wanted(painter: Path, array: np.ndarray) -> None:
    with pytest.raises(UsageError):
        Stylizer(painter, "cpu")(array)
    with pytest.raises(UsageError):
        Stylizer(painter, "cpu")(torch.zeros(3, 8, 8, dtype=torch.int64))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_a_pil_picture_keeps_its_transparency(painter: Path, mode: str) -> None:
    picture = Image.new("RGBA", (32, 24), (200, 30, 30, 255))
    picture.paste((9, 9, 200, 0), (0, 0, 16, 24))
    picture = picture.quantize(16) if mode == "P" else picture.convert(mode)
    painted = Stylizer(painter, "cpu")(picture)
    assert painted.mode == "RGBA" and painted.size == (32, 24)
    alpha = np.asarray(painted.getchannel("A"))
    assert alpha[:, :16].max() == 0 and alpha[:, 16:].min() == 255
    assert Stylizer(painter, "cpu")(picture.convert("RGB")).mode == "RGB"
