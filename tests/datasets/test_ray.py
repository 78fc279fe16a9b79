"""What is said where Ray cannot be imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from impasto.datasets.ray import run_on_ray
from impasto.datasets.workers import Worker
from impasto.errors import UsageError


def _worker(device: str) -> Worker:
    raise AssertionError("Ray is not there")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ModuleNotFoundError('no ray')", r"needs Ray; pip install 'impasto\[ray\]'"),
        ("raise ImportError('pyarrow requires NumPy 2')", "pyarrow requires NumPy 2; install another version of that"),
    ],
)
def test_a_ray_that_is_not_there_is_told_from_one_that_does_not_go_together_with_other_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    (tmp_path / "ray.py").write_text(code)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=said):
        next(run_on_ray([], _worker, None, "cpu"))
