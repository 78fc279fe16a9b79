"""Network and optimiser are scored by one loss."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from impasto.compare.compare import compare
from impasto.compare.judge import judging_loss
from impasto.compare.output import write_report
from impasto.compare.report import read_report
from impasto.inference.stylizer import Stylizer


def test_comparison_scores_network_and_optimiser_with_one_loss(
    painter: Path, photographs: Path, tmp_path: Path
) -> None:
    paths, stylizer = sorted(photographs.glob("*.png"))[:2], Stylizer(painter, "cpu")
    loss, updates = judging_loss(stylizer.model), []
    compared = partial(compare, paths, stylizer, loss, steps=6, size=48)
    report, results = compared(progress=lambda *call: updates.append(call))
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
    again, _ = compared(progress=lambda *call: pytest.fail("not taken from the cache"))
    assert again.loss == report.loss
    short, _ = compared(polish=False)
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
