"""The optimiser: its steps, its starts, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers.pictures import photograph
from impasto.errors import UsageError
from impasto.images.tensors import to_pil
from impasto.losses.perceptual import PerceptualLoss
from impasto.optimize import Interrupted, Iterate, optimize_image, scored_steps


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
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from impasto.cli import main; raise SystemExit(main({words}))"
    )
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
    """The second step is H g with H = (s·y / y·y) in place of the identity, corrected by the pair (s, y) (Nocedal
    1980). It is shortened where it would move a pixel by more than 0.2.
    """
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
    step *= min(1.0, 0.2 / float(step.abs().max()))
    assert (s * y).sum() > 0 and (seen[1] - seen[0]).abs().max() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(seen[2] - seen[1], step, rtol=1e-2, atol=1e-4 * float(step.abs().max()))


def test_starts_are_what_they_say(loss: PerceptualLoss) -> None:
    content = photograph(2, 32)[None]

    def start(init: str | torch.Tensor, seed: int = 0) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        optimize_image(
            content, loss, steps=1, init=init, seed=seed, callback=lambda iterate: seen.append(iterate.image.clone())
        )
        return seen[0]

    assert torch.equal(start(init="content"), content)
    assert torch.equal(start(init=content.flip(-1)), content.flip(-1))
    assert torch.equal(start(init="noise", seed=1), start(init="noise", seed=1))
    assert not torch.equal(start(init="noise", seed=1), start(init="noise", seed=2))
    with pytest.raises(UsageError, match="unknown init"):
        start(init="nothing")
    assert optimize_image(content, loss, steps=1, scales=2).image.shape == content.shape
