"""Every backend paints what the plain network paints in float32, and the rewrites change nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.networks import known_options
from helpers.pictures import photograph
from impasto import cli
from impasto.checkpoint import load_style_model, shipped_styles
from impasto.errors import UsageError
from impasto.images.tensors import as_array, as_tensor, to_levels
from impasto.inference import engine
from impasto.inference.engine import Engine, build_engine, is_installed
from impasto.inference.engine.rewrite import DepthToSpace, rewritten
from impasto.inference.stylizer import Stylizer
from impasto.networks import build_network, network_names
from impasto.networks.johnson import ConvLayer
from impasto.synthetic.contents import procedural_image
from impasto.system.choices import BACKENDS
from impasto.system.machine import has_fast_bfloat16

HALF = has_fast_bfloat16(torch.device("cpu"))
SIZES = [(16, 16), (24, 40), (56, 32), (104, 64)]
SHIPPED = {path.stem: path for path in shipped_styles()}


def contrasting(name: str) -> nn.Module:
    """A network with weights of its own, in the norms too, whose output uses the whole range."""
    torch.manual_seed(0)
    network = build_network(name, **known_options(name, width=8, blocks=2)).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    if name == "fast_neural_style":  # its last convolution makes pixels up to 255
        *_, last = (module for module in network.modules() if isinstance(module, nn.Conv2d))
        assert last.bias is not None
        last.weight.mul_(100)
        last.bias.add_(100)
    return network


def on_tensors(engine: Engine) -> Callable[[torch.Tensor], torch.Tensor]:
    """`engine` for batches (N, 3, H, W)."""
    return lambda batch: as_tensor(engine(as_array(batch)))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", network_names())
def test_rewrites_are_exact_to_the_border(name: str, size: tuple[int, int]) -> None:
    network, picture = contrasting(name), torch.rand(2, 3, *size)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    expected = network(picture)
    assert expected.std() > 0.05
    assert (rewritten(network)(255 * picture) - expected).abs().max() < 1e-5
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_rewrites_take_effect() -> None:
    for name in network_names():
        layers = [type(module) for module in rewritten(build_network(name, **known_options(name, width=4))).modules()]
        assert nn.Upsample not in layers and nn.PixelUnshuffle not in layers and nn.PixelShuffle not in layers
        assert all(module.kernel_size[0] < 9 for module in rewritten(build_network(name)).modules()
                   if isinstance(module, nn.Conv2d))  # fmt: skip
    assert isinstance(list(rewritten(build_network("brush")).modules())[-1], DepthToSpace)  # the blur comes before it


@pytest.mark.parametrize("style", ["starry_night", "starry_night_johnson"])
@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "compile"])
def test_every_backend_paints_the_same(backend: str, style: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    network, picture = load_style_model(SHIPPED[style]).network, photograph(3, 96)[None, :, :72]
    with torch.no_grad():
        expected = network(picture)
    engine = build_engine(network, "cpu", backend, "float32")
    assert (engine.backend, engine.precision) == (backend, "float32")
    run = on_tensors(engine)
    for batch, result in ((picture, expected), (picture[..., :64], network(picture[..., :64]))):
        assert (run(batch) - result).abs().max() <= 1 / 255
        assert torch.equal(run(batch), run(batch))


@pytest.mark.parametrize("style", ["starry_night", "starry_night_johnson"])
@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "compile"])
def test_bytes_are_the_rounded_floats(backend: str, style: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    levels = to_levels(torch.stack([photograph(3, 96), photograph(4, 96)]))[..., :72]
    for precision in ("float32", "half") if HALF and backend != "onnxruntime" else ("float32",):
        run = on_tensors(build_engine(load_style_model(SHIPPED[style]).network, "cpu", backend, precision))
        painted = run(levels)
        assert painted.dtype == torch.uint8 and painted.shape == levels.shape
        expected = to_levels(run(levels / 255))
        # Where a value lies between two levels, the last bit of the input's 255ths may decide.
        assert (painted != expected).float().mean() < 0.01 and (painted.int() - expected.int()).abs().max() <= 1
        assert torch.equal(painted, run(levels.contiguous(memory_format=torch.channels_last)))


def test_compiled_layers_do_the_same_at_every_size() -> None:
    """One layer only: a whole network keeps the compiler busy for a minute."""
    torch.manual_seed(0)
    network = nn.Sequential(ConvLayer(3, 3, 3, norm=False), nn.Sigmoid()).eval()
    run = on_tensors(build_engine(network, "cpu", "compile", "float32"))
    for size in SIZES[:2]:
        picture = torch.rand(2, 3, *size)
        with torch.no_grad():
            assert (run(picture) - network(picture)).abs().max() < 1e-5


HARD_EDGED = ("oils", "tesserae", "woodcut")


@pytest.mark.skipif(not HALF, reason="this processor has no bfloat16")
@pytest.mark.parametrize("style", SHIPPED)
@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_half_precision_is_hard_to_see(backend: str, style: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    network, picture = load_style_model(SHIPPED[style]).network, photograph(3, 128)[None]
    with torch.no_grad():
        difference = (on_tensors(build_engine(network, "cpu", backend, "half"))(picture) - network(picture)).abs() * 255
    allowed = 5 if style in HARD_EDGED else 3  # levels; docs/results.md has the figures
    assert difference.quantile(0.999) <= allowed, (
        f"{difference.quantile(0.999):.2f} levels, mean {difference.mean():.2f}"
    )


def test_auto_takes_the_fastest_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = contrasting("swift")
    for missing, taken in (((), "openvino"), (("openvino",), "onnxruntime"), (("openvino", "onnxruntime"), "torch")):
        if not is_installed(taken):
            continue
        monkeypatch.setattr(engine, "is_installed", lambda name, missing=missing: name not in missing)
        assert build_engine(network, "cpu").backend == taken
    with pytest.raises(UsageError, match=r"impasto\[fast\]"):
        build_engine(network, "cpu", "openvino")


def test_a_network_that_onnx_does_not_know_is_painted_by_torch() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU()).eval()
    assert build_engine(network, "cpu").backend == "torch"
    if is_installed("onnxruntime"):
        with pytest.raises(UsageError, match="GELU"):
            build_engine(network, "cpu", "onnxruntime")


@pytest.mark.parametrize(
    "choice", [("cpu", "tensorrt", "auto"), ("cpu", "torch", "int4"), ("cpu", "onnxruntime", "half")]
)
def test_what_cannot_be_had_is_one_line(choice: tuple[str, str, str]) -> None:
    if not is_installed(choice[1]):
        pytest.skip(f"{choice[1]} is not installed")
    with pytest.raises(UsageError) as caught:
        build_engine(contrasting("swift"), *choice)
    assert "\n" not in str(caught.value)


def test_benchmark_measures_what_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["benchmark", "--sizes", "70x33", "--runs", "1", "--backends", "torch"]
    assert cli.main([*words, "--json", "--device", "cpu"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["network"], row["macs_per_pixel"]) for row in rows} == {("brush", 8_495), ("johnson", 153_792)}
    assert all(row["milliseconds"] > 0 and row["peak"] > 0 for row in rows)
    with pytest.raises(SystemExit):
        cli.main(["benchmark", "--sizes", "0x5"])


def test_stylize_says_what_it_paints_with(painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (30, 21), "teal").save(tmp_path / "a.png")
    words = ["stylize", str(tmp_path / "a.png"), "-s", str(painter), "--device", "cpu"]
    assert cli.main([*words, "--backend", "torch", "--precision", "float32"]) == 0
    assert "painting with torch, float32, cpu" in capsys.readouterr().err


def test_the_same_picture_is_painted_the_same_by_another_process(painter: Path, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (45, 70, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "impasto", "stylize", tmp_path / "a.png", "-s", painter, "--device", "cpu", "-o"]
    results = []
    for name in ("one.png", "two.png"):
        subprocess.run([*command, tmp_path / name], check=True, capture_output=True)
        results.append((tmp_path / name).read_bytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "compile"])
def test_arrays_of_any_layout_are_painted(painter: Path, backend: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    paint, picture = Stylizer(painter, "cpu", backend=backend), procedural_image(2, 40)
    fixed, expected = picture.copy(), paint(picture)
    fixed.flags.writeable = False
    for layout in (fixed, picture[::-1, ::-1].copy()[::-1, ::-1], np.asfortranarray(picture)):
        assert np.array_equal(paint(layout), expected)
    assert np.array_equal(picture, procedural_image(2, 40))


def test_batches_and_sizes_follow_one_another(painter: Path) -> None:
    stylizer = Stylizer(painter, "cpu")
    alone = stylizer(photograph(1, 40)[None])
    stylizer(torch.rand(3, 3, 17, 90))
    together = stylizer(torch.stack([photograph(1, 40), photograph(2, 40)]))
    assert (together[0] - alone[0]).abs().max() <= 1 / 255
    assert torch.equal(stylizer(photograph(1, 40)[None]), alone)


_TWO_ENGINES_AND_A_SIGNAL = """
import faulthandler, gc, os, signal
faulthandler.enable()  # its alternate stack is what Python's handlers run on
from impasto.inference.engine import build_engine
from impasto.networks import build_network
engines = [build_engine(build_network("swift"), "cpu", "openvino") for _ in range(2)]
while engines:
    engines.pop(0)
    gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_signals_are_handled_after_engines_are_gone() -> None:
    """OpenVINO brings a signal stack of its own with each core, and takes the wrong one away in the end."""
    run = subprocess.run([sys.executable, "-c", _TWO_ENGINES_AND_A_SIGNAL], capture_output=True, text=True, timeout=100)
    assert (run.returncode, run.stdout) == (0, "handled\n"), run.stderr
