"""The real command in a real window: keys are pressed, and the screen is read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.clips import make_clip
from helpers.display import PATIENCE, Display, display, wait_for, what_is_missing
from impasto.checkpoint import load_style_model, save_style_model
from impasto.inference.live.newest import frames
from impasto.inference.live.overlay import put_table
from impasto.inference.live.show import KEYS
from impasto.inference.stylizer import Stylizer

MISSING = what_is_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
SIDES = (192, 256)
AS_HERE = ("--device", "cpu", "--backend", "torch")


@pytest.fixture(scope="module")
def styles(painter: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two painters that paint differently."""
    folder = tmp_path_factory.mktemp("styles")
    one, two = folder / "one.safetensors", folder / "two.safetensors"
    shutil.copy(painter, one)
    model = load_style_model(painter)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    save_style_model(two, model)
    return [one, two]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", size=(SIDES[1], SIDES[0]), times=list(range(12)))


@contextmanager
def live(screen: Display, folder: Path, *words: object) -> Generator[subprocess.Popen[str]]:
    """Run `impasto live` on a screen; it is killed at the end of the block, if it is still there."""
    command = [sys.executable, "-m", "impasto", "live", *map(str, words), *AS_HERE]
    process = subprocess.Popen(
        command, cwd=folder, env={**screen.environment, "OMP_NUM_THREADS": "1"}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_it_shows(screen: Display, wanted: Callable[[np.ndarray], bool], what: str) -> np.ndarray:
    wait_for(what, lambda: wanted(screen.grab(SIDES)))
    return screen.grab(SIDES)


def after_a_while(screen: Display) -> np.ndarray:
    time.sleep(1)
    return screen.grab(SIDES)


def test_keys_change_what_the_window_shows(tmp_path: Path, styles: list[Path], clip: Path) -> None:
    one, two = (Stylizer(style, "cpu", backend="torch") for style in styles)
    photographs = [seen.pixels for seen in frames(clip, Event())]
    paintings = [one(photograph) for photograph in photographs]

    def number_of(shown: np.ndarray) -> int | None:
        return next((at for at, painting in enumerate(paintings) if np.array_equal(shown, painting)), None)

    with display() as screen, live(screen, tmp_path, clip, "--loop", "-s", styles[0], "-s", styles[1]) as process:
        screen.find_window("impasto")
        screen.press("i")
        wait_until_it_shows(screen, lambda shown: number_of(shown) is not None, "a painting without words")
        screen.press("space")
        wait_until_it_shows(screen, lambda shown: bool(np.array_equal(shown, after_a_while(screen))), "a still picture")
        number = number_of(screen.grab(SIDES))
        assert number is not None
        screen.press("s")
        assert process.stdout
        name = process.stdout.readline().strip()
        assert re.fullmatch(r"live-\d{8}-\d{6}\.one\.png", name)
        assert np.array_equal(np.asarray(Image.open(tmp_path / name)), paintings[number])

        def shows(wanted: np.ndarray, what: str) -> None:
            wait_until_it_shows(
                screen, lambda shown: np.array_equal(shown[:150], wanted[:150]), what
            )  # "saved" is below

        photograph = photographs[number]
        screen.press("n")
        shows(two(photograph), "the other style")
        screen.press("Down")
        shows(two(photograph, strength=0.9), "a painting that is a little calmer")
        screen.press("minus")
        shows(two(photograph, strength=0.8), "a calmer painting")
        screen.press("c")
        shows(two(photograph, strength=0.8, color="photo"), "a painting in the photograph's colours")
        screen.press("m")
        mirrored = np.ascontiguousarray(photograph[:, ::-1])
        shows(two(mirrored, strength=0.8, color="photo"), "a mirrored painting")
        screen.press("1")
        shows(one(mirrored, strength=0.8, color="photo"), "the first style")
        screen.press("h")
        helpful = one(mirrored, strength=0.8, color="photo").copy()
        put_table(helpful, KEYS)
        shows(helpful, "the help")
        screen.press("Escape")
        rest, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and rest == ""
        assert re.search(r"frames shown, [\d.]+ frames/s, \d+ ms from a frame to the window", told)


def test_the_close_button_ends_it_and_json_tells_of_it(tmp_path: Path, styles: list[Path], clip: Path) -> None:
    words = (clip, "--loop", "-s", styles[0], "--json", "--mirror", "--full-screen", "-o", "paintings")
    with display() as screen, live(screen, tmp_path, *words) as process:
        screen.find_window("impasto")
        for count in (1, 2):
            screen.press("s")
            wait_for("a file", lambda count=count: len(list((tmp_path / "paintings").glob("*.png"))) == count)
        screen.close_window()
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        report = json.loads(out)
        assert report["frames"] > 0 and report["latency_ms"] > 0 and report["failed"] == []
        assert [Path(path).is_file() for path in map(tmp_path.joinpath, report["saved"])] == [True] * 2


def test_a_clip_ends_by_itself(tmp_path: Path, styles: list[Path], clip: Path) -> None:
    with display() as screen, live(screen, tmp_path, clip, "-s", styles[0]) as process:
        out, told = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (0, "") and "frames shown" in told


def test_without_a_display_one_line_says_so(tmp_path: Path, styles: list[Path], clip: Path) -> None:
    for world in ({}, {"DISPLAY": ":987"}):
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | world
        command = [sys.executable, "-m", "impasto", "live", str(clip), "-s", str(styles[0])]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "no display can be opened for a window" in done.stderr
