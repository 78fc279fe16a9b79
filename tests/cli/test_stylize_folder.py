"""A folder of a hundred photographs, twenty of them bad, through a kill in the middle and a resumption."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.images.reading import read_image
from impasto.synthetic.contents import procedural_image


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hundred")
    for number in range(100):
        path = folder / f"{number:03}.jpg"
        Image.fromarray(procedural_image(number % 7, 200)).save(path, quality=90)
        if number % 5 == 0:
            whole = path.read_bytes()
            path.write_bytes((b"", whole[: len(whole) // 2], b"not a picture", whole[20:])[number // 5 % 4])
    return folder


def stylize(hundred: Path, painter: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "impasto", "stylize", hundred, "-s", painter, "-o", out, "--device", "cpu", *words]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_over_a_folder_is_taken_up_again(hundred: Path, painter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = stylize(hundred, painter, out)
    deadline = time.monotonic() + 120
    while len(list(out.glob("*.jpg"))) < 15:
        assert time.monotonic() < deadline and first.poll() is None, "ended, or painted nothing, before it was killed"
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    done = sorted(out.glob("*.jpg"))
    assert 15 <= len(done) < 80
    for path in done:
        assert read_image(path).shape == (3, 200, 200)
    torn = done[3]
    torn.write_bytes(torn.read_bytes()[:900])  # as a copy that was cut off
    stamps = {path: path.stat().st_mtime_ns for path in done if path != torn}

    second = stylize(hundred, painter, out, "--resume")
    _, errors = second.communicate(timeout=280)
    assert second.returncode == 1 and "Traceback" not in errors
    for number in range(0, 100, 5):
        assert sum(f"{number:03}.jpg" in line for line in errors.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert sorted(path.name[:3] for path in out.glob("[0-9]*")) == [f"{n:03}" for n in range(100) if n % 5]

    fresh = tmp_path / "fresh"
    stylize(hundred, painter, fresh).communicate(timeout=280)
    for path in fresh.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()


def test_every_small_size_comes_back_with_its_size(painter: Path) -> None:
    from impasto.inference.stylizer import Stylizer

    stylizer, random = Stylizer(painter, "cpu"), np.random.default_rng(0)
    pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for height, width in itertools.product(range(1, 65), range(1, 65)):
        assert stylizer(pixels[:height, :width]).shape == (height, width, 3)
    for height, width in ((1, 3000), (3000, 1), (33, 2001), (300, 8000), (8000, 300)):
        assert stylizer(np.resize(pixels, (height, width, 3))).shape == (height, width, 3)
