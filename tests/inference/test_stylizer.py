"""Network, style model, Stylizer and optimiser, with real parts and small pictures."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import impasto
from helpers.pictures import photograph
from impasto.checkpoint import StyleModel, load_style_model, save_style_model, shipped_styles
from impasto.compare.compare import compare
from impasto.compare.curves import best_so_far, first_at_or_below, mean_curve, median_step
from impasto.compare.judge import judging_loss
from impasto.compare.output import write_report
from impasto.compare.report import read_report
from impasto.errors import ModelError, UsageError
from impasto.images.geometry import padding
from impasto.images.tensors import to_pil
from impasto.inference.engine import is_installed
from impasto.inference.stylizer import Stylizer
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, complete_spec, network_names, network_spec
from impasto.optimize import Interrupted, Iterate, optimize_image, scored_steps
from impasto.synthetic.contents import procedural_image


@pytest.mark.parametrize("name", network_names())
def test_every_network_keeps_size_and_range(name: str) -> None:
    network = build_network(name)
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
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


@pytest.mark.parametrize(
    ("name", "parameters", "per_pixel"),
    [("johnson", 1_679_235, 153_792), ("swift", 105_996, 8_064), ("brush", 291_116, 8_360)],
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


@pytest.mark.parametrize("spec", [{"name": "nobody"}, {"name": "johnson", "width": 10**9}, {"name": "johnson", "x": 1},
                                  {"name": "johnson", "width": "32"}, {"name": "../johnson"}])  # fmt: skip
def test_a_spec_out_of_bounds_is_refused(spec: dict) -> None:
    with pytest.raises(ModelError):
        build_network(**spec)


def test_a_style_model_comes_back_as_it_was(painter: Path, tmp_path: Path, loss: PerceptualLoss) -> None:
    model = load_style_model(painter)
    save_style_model(tmp_path / "again.safetensors", model)
    again = load_style_model(tmp_path / "again.safetensors")
    assert (again.name, again.spec, again.loss, again.style) == (model.name, model.spec, model.loss, model.style)
    for key, value in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[key], value)
    kept, targets = (of.style_targets[loss.features.fingerprint()] for of in (again, model))
    assert kept.keys() == loss.style_targets.keys()
    for name, target in loss.style_targets.items():
        assert torch.equal(kept[name], targets[name])
        torch.testing.assert_close(kept[name], target, rtol=2**-8, atol=0)  # they are kept in bfloat16


def test_half_precision_weights_move_no_pixel_by_more_than_a_level(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build_network("johnson")
    save_style_model(tmp_path / "m.safetensors", StyleModel(network, network_spec("johnson"), "m"))
    before, picture = network.eval(), photograph(5, 64)[None]
    after = load_style_model(tmp_path / "m.safetensors").network
    with torch.no_grad():
        levels = [(net(picture) * 255).round() for net in (before, after)]
    assert (levels[0] - levels[1]).abs().max() <= 1


def test_models_that_were_altered_are_refused_in_one_line(painter: Path, tmp_path: Path) -> None:
    tensors = load_file(painter)
    with safe_open(painter, "pt") as file:
        papers = json.loads(file.metadata()["impasto"])
    first = next(key for key in tensors if key.startswith("network."))
    altered = {
        "missing tensor": ({key: value for key, value in tensors.items() if key != first}, papers),
        "wrong shape": ({**tensors, first: torch.zeros(2)}, papers),
        "not a number": ({**tensors, first: torch.full_like(tensors[first], float("nan"))}, papers),
        "newer format": (tensors, {**papers, "format": 99}),
        "huge network": (tensors, {**papers, "network": {"name": "johnson", "width": 10**7}}),
        "spec not a dict": (tensors, {**papers, "network": ["johnson"]}),
        "code for a name": (tensors, {**papers, "network": {"name": "os.system", "_target_": "os.system"}}),
        "name not text": (tensors, {**papers, "name": 5}),
        "name a path": (tensors, {**papers, "name": "x/../../evil"}),
        "name a control": (tensors, {**papers, "name": "a\u001b[2J"}),
        "papers not a dict": (tensors, [1]),
        "gram not triangular": ({**tensors, "style.0123.relu1_2": torch.zeros(7)}, papers),
        "gram not a number": ({**tensors, "style.0123.relu1_2": torch.full((3,), float("inf"))}, papers),
    }
    for label, (state, claim) in altered.items():
        path = tmp_path / f"{label}.safetensors"
        save_file(state, path, metadata={"impasto": json.dumps(claim)})
        with pytest.raises(ModelError, match=label) as caught:
            load_style_model(path)
        assert "\n" not in str(caught.value)
    for label, data in {
        "empty": b"",
        "text": b"hello",
        "pickle": b"\x80\x04K\x01.",
        "cut": painter.read_bytes()[:-9],
    }.items():
        (tmp_path / label).write_bytes(data)
        with pytest.raises(ModelError, match=label):
            load_style_model(tmp_path / label)
    with pytest.raises(ModelError, match="no such"):
        load_style_model(tmp_path / "nowhere.safetensors")


def test_a_failed_write_leaves_the_old_model(painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.safetensors"
    path.write_bytes(painter.read_bytes())

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ModelError, match="No space left"):
        save_style_model(path, load_style_model(path))
    assert path.read_bytes() == painter.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def padded_and_cropped(batch: np.ndarray, stride: int, surround: int) -> tuple[np.ndarray, np.ndarray]:
    """What a painter hands to its engine, and what it returns when the engine paints nothing."""
    painter, seen = Stylizer("starry_night", "cpu", max_memory=2**40), []
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
    image = torch.rand(1, 3, 70, 90)
    surrounded = torch.nn.functional.pad(image, (64, 64 + 6, 64, 64 + 2), mode="reflect")
    with torch.inference_mode():
        expected = painter.model.network(surrounded)[..., 64 : 64 + 70, 64 : 64 + 90]
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
        paint("photo.jpg")


def test_painting_needs_neither_trainer_nor_config_nor_torchvision(painter: Path) -> None:
    code = (
        f"import sys, torch, impasto; impasto.load({str(painter)!r}, 'cpu')(torch.rand(3, 8, 8)); "
        "print([m for m in ('torchvision', 'pytorch_lightning', 'hydra', 'omegaconf', 'wandb', 'matplotlib') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("init", ["noise", "content"])
def test_the_optimiser_lowers_the_loss_and_keeps_its_best(loss: PerceptualLoss, optimizer: str, init: str) -> None:
    content, steps = photograph(2, 48)[None], []
    result = optimize_image(
        content, loss, steps=12, optimizer=optimizer, init=init, callback=lambda it: steps.append(it.step)
    )
    totals = {step: terms["total"] for step, terms in result.curve.items()}
    assert steps == list(range(13)) and sorted(totals) == scored_steps(12)
    assert totals[result.best_step] == min(totals.values()) < totals[0]
    assert result.image.shape == content.shape and result.image.min() >= 0 and result.image.max() <= 1
    with torch.no_grad():
        assert float(loss(result.image, content).total) == pytest.approx(min(totals.values()), rel=1e-4)


@pytest.mark.parametrize("scales", [1, 2])
def test_ctrl_c_yields_the_best_so_far(loss: PerceptualLoss, scales: int) -> None:
    content = photograph(2, 48)[None]

    def stop(iterate: Iterate) -> None:
        if iterate.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        optimize_image(content, loss, steps=12, scales=scales, callback=stop)
    assert isinstance(interrupted.value, Interrupted)
    result = interrupted.value.result
    assert result.best_step == 6 and list(result.curve) == [0, 2, 4, 6]
    assert result.image.shape == content.shape and not torch.equal(result.image, content)


@pytest.mark.skipif(os.name == "nt", reason="POSIX's signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_optimize_writes_its_picture(number: int, tmp_path: Path) -> None:
    for seed, name in enumerate(("photo.png", "style.png")):
        to_pil(photograph(seed, 64)).save(tmp_path / name)
    words = ["optimize", "photo.png", "-s", "style.png", "-o", "out.png", "--steps", "100000", "--size", "64", "--json"]
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from impasto.cli import main; raise SystemExit(main({words}))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert process.stderr
    seen = b""
    while not re.search(rb"\b[1-9]\d+/100000", seen) and process.poll() is None:  # ten steps and more
        seen += process.stderr.read(20)
    process.send_signal(number)
    out, errors = process.communicate(timeout=100)
    assert process.returncode == 130, seen + errors
    assert Image.open(tmp_path / "out.png").size == (64, 64) and json.loads(out)["best_step"] > 0
    assert b"the best so far" in errors and b"Traceback" not in errors


def test_one_iteration_is_one_update(loss: PerceptualLoss) -> None:
    """The first L-BFGS step is along the gradient and moves the pixel that it moves most by 0.01."""
    content, seen = photograph(2, 32)[None], []
    optimize_image(content, loss, steps=1, callback=lambda iterate: seen.append(iterate.image.clone()))
    pixels = seen[0].clone().requires_grad_()
    loss(pixels, content).total.backward()
    gradient = pixels.grad
    expected = seen[0] - gradient * (0.01 / gradient.abs().max())
    torch.testing.assert_close(seen[1], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_later_steps_are_those_of_lbfgs_with_learning_rate_1(loss: PerceptualLoss, bfloat16: bool) -> None:
    """The second step is H g with H = (s·y / y·y) in place of the identity, corrected by the pair (s, y) (Nocedal 1980)."""
    content, seen, gradients = photograph(2, 32)[None], [], []
    target = loss.content_features(content)
    optimize_image(
        content, loss, steps=2, bfloat16=bfloat16, callback=lambda iterate: seen.append(iterate.image.clone())
    )
    for image in seen[:2]:
        pixels = image.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            total = loss.compare(pixels, target).total
        gradients.append(torch.autograd.grad(total, pixels)[0])
    s, y, g = seen[1] - seen[0], gradients[1] - gradients[0], gradients[1]
    rho = 1 / (s * y).sum()
    q = g - rho * (s * g).sum() * y
    r = q * (s * y).sum() / (y * y).sum()
    step = -(r + rho * ((s * g).sum() - (y * r).sum()) * s)
    assert (s * y).sum() > 0 and (seen[1] - seen[0]).abs().max() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(seen[2] - seen[1], step, rtol=1e-2, atol=1e-4 * float(step.abs().max()))


def test_starts_are_what_they_say(loss: PerceptualLoss) -> None:
    content = photograph(2, 32)[None]

    def start(**options: object) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        optimize_image(content, loss, steps=1, callback=lambda iterate: seen.append(iterate.image.clone()), **options)
        return seen[0]

    assert torch.equal(start(init="content"), content)
    assert torch.equal(start(init=content.flip(-1)), content.flip(-1))
    assert torch.equal(start(init="noise", seed=1), start(init="noise", seed=1))
    assert not torch.equal(start(init="noise", seed=1), start(init="noise", seed=2))
    with pytest.raises(UsageError, match="unknown init"):
        start(init="nothing")
    assert optimize_image(content, loss, steps=1, scales=2).image.shape == content.shape


def test_reading_the_curve() -> None:
    curve = {0: {"total": 9.0}, 2: {"total": 4.0}, 4: {"total": 5.0}, 6: {"total": 3.0}}
    curve = {step: {**terms, "content": 0.0, "style": terms["total"], "tv": 0.0} for step, terms in curve.items()}
    best = best_so_far(curve)
    assert [best[step]["total"] for step in best] == [9, 4, 4, 3]
    assert (
        first_at_or_below(best, 4.0) == 2 and first_at_or_below(best, 3.5) == 6 and first_at_or_below(best, 1.0) is None
    )
    assert mean_curve([best, {0: best[0], 4: best[6]}])[4]["total"] == 3.5
    assert median_step([26, None, 16]) == 26 and median_step([None, 20, 16, None]) == 20
    assert median_step([None]) is None and median_step([0]) == 0


def test_comparison_scores_network_and_optimiser_with_one_loss(
    painter: Path, photographs: Path, tmp_path: Path
) -> None:
    paths, stylizer = sorted(photographs.glob("*.png"))[:2], Stylizer(painter, "cpu")
    loss, updates = judging_loss(stylizer.model), []
    options = {"steps": 6, "size": 48}
    report, results = compare(paths, stylizer, loss, **options, progress=lambda *call: updates.append(call))
    assert len(updates) == 2 * 3 * 7
    for result, entry in zip(results, report.images, strict=True):
        with torch.no_grad():
            expected = loss(result.painted[None], result.photograph[None]).numbers()
        assert entry.loss.network == pytest.approx(expected)
    mean = sum(entry.loss.network["total"] for entry in report.images) / 2
    assert report.loss.network["total"] == pytest.approx(mean)
    assert report.gap == pytest.approx(mean / report.loss.converged - 1)
    written = report.to_dict()
    assert set(written["equal_iterations"]) == set(written["median_iterations"]) == {"noise", "content"}
    assert report.judge.fingerprint == loss.features.fingerprint()
    again, _ = compare(paths, stylizer, loss, **options, progress=lambda *call: pytest.fail("not taken from the cache"))
    assert again.loss == report.loss
    short, _ = compare(paths, stylizer, loss, **options, polish=False)
    assert "polish" not in short.to_dict()["loss"] and short.gap == report.gap
    for path in write_report(tmp_path / "report", report, results):
        assert path.stat().st_size > 500
    assert json.loads((tmp_path / "report" / "report.json").read_text())["gap"] == report.gap
    assert read_report(tmp_path / "report" / "report.json") == report
    assert list(written) == [
        "style", "network", "optimiser", "judge", "equal_iterations", "median_iterations", "polish_iterations", "gap",
        "screen", "loss", "seconds", "steps", "size", "gradients", "machine", "images",
    ]  # fmt: skip
    assert "polish_iterations" not in short.to_dict()


def test_another_judge_needs_the_style_picture(painter: Path, random_vgg: Path, tmp_path: Path) -> None:
    other = {key: value * 2 for key, value in load_file(random_vgg).items()}
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="--style-image"):
        judging_loss(load_style_model(painter), str(tmp_path / "other.safetensors"))
    without_style = load_style_model(painter)
    without_style.loss["style_weight"] = 0
    with pytest.raises(ModelError, match="without a style term"):
        judging_loss(without_style)


@pytest.mark.parametrize("path", shipped_styles(), ids=lambda path: path.stem)
def test_every_shipped_style_can_be_judged_with_nothing_to_download(path: Path) -> None:
    model = load_style_model(path)
    loss = judging_loss(model, "slim")
    assert model.name == path.stem and "thumbnail" not in model.style
    assert loss(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)).total > 0


def test_a_model_whose_papers_make_no_sense_is_one_line(painter: Path, random_vgg: Path, photographs: Path) -> None:
    model = load_style_model(painter)
    for loss in ({**model.loss, "gamma": 1}, {**model.loss, "name": "functional"}):
        with pytest.raises(UsageError):
            judging_loss(replace(model, loss=loss), str(random_vgg))
    with pytest.raises(ModelError, match="at what size"):
        judging_loss(replace(model, style={"size": "big"}), str(random_vgg), photographs / "01.png")


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
