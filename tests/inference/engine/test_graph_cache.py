"""The graphs that are kept from one start to the next: torch stays away, the picture stays the same, and nothing is
trusted blindly.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.checkpoint import load_style_model, save_style_model
from impasto.errors import ModelError
from impasto.inference import engine
from impasto.inference.engine import graph_cache, is_installed
from impasto.inference.stylizer import Stylizer
from impasto.synthetic.contents import procedural_image

pytestmark = pytest.mark.skipif(not is_installed("openvino"), reason="openvino is not installed")

_PAINT = """
import sys
from impasto import cli
code = cli.main(sys.argv[1:])
print("torch imported:", "torch" in sys.modules)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engine, "is_without_gpu", lambda: True)
    return tmp_path / "cache"


def graphs(cache: Path) -> list[Path]:
    return sorted((cache / "graphs").glob("*"))


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_second_start_needs_no_torch(painter: Path, tmp_path: Path, backend: str, mode: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    Image.fromarray(procedural_image(3, 96)).convert(mode).crop((0, 0, 90, 61)).save(tmp_path / "a.png")
    painted = []
    for number, imported in enumerate(("True", "False")):
        target = tmp_path / f"{number}.png"
        words = ["stylize", tmp_path / "a.png", "-s", painter, "-o", target, "--backend", backend, "--device", "cpu"]
        run = subprocess.run([sys.executable, "-c", _PAINT, *words], check=True, capture_output=True, text=True)
        assert f"torch imported: {imported}" in run.stdout
        painted.append(target.read_bytes())
    assert painted[0] == painted[1]


def test_bytes_are_the_same_with_and_without_a_kept_graph(painter: Path, cache: Path) -> None:
    picture = procedural_image(1, 64)
    fresh = Stylizer(load_style_model(painter), "cpu")(picture)
    assert not graphs(cache)
    assert np.array_equal(Stylizer(painter, "cpu")(picture), fresh) and len(graphs(cache)) == 1
    again = Stylizer(painter, "cpu")
    assert np.array_equal(again(picture), fresh)
    assert np.abs(again(picture / 255) * 255 - fresh).max() <= 1.1  # floats have a graph of their own
    assert (again.name, again.stride) == (again.model.name, 4)


def test_tiles_know_the_network_of_a_kept_graph(painter: Path) -> None:
    picture = procedural_image(1, 64)
    whole, tiled = (Stylizer(painter, "cpu", precision="float32", max_memory=memory) for memory in (None, 1))
    assert np.abs(tiled(picture).astype(int) - whole(picture)).max() <= 1


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"0" * 64 + b'\n{"name": 1}\n'])
def test_a_damaged_graph_is_made_again(painter: Path, cache: Path, damage: bytes) -> None:
    picture = procedural_image(1, 64)
    expected = Stylizer(painter, "cpu")(picture)
    (path,) = graphs(cache)
    whole = path.read_bytes()
    for content in (damage, whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(content)
        assert np.array_equal(Stylizer(painter, "cpu")(picture), expected)
        assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(painter: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert Stylizer(painter, "cpu")(procedural_image(1, 64)).shape == (64, 64, 3)


def test_a_model_that_changes_gets_another_graph(painter: Path, cache: Path, tmp_path: Path) -> None:
    copy, picture = tmp_path / "copy.safetensors", procedural_image(1, 64)
    shutil.copyfile(painter, copy)
    before = Stylizer(copy, "cpu")(picture)
    model = load_style_model(copy)
    for weight in model.network.parameters():
        weight.data *= 1.2
    save_style_model(copy, model)
    assert not np.array_equal(Stylizer(copy, "cpu")(picture), before) and len(graphs(cache)) == 2
    copy.write_bytes(copy.read_bytes()[:-9])
    with pytest.raises(ModelError, match="not a whole"):
        Stylizer(copy, "cpu")


def test_the_longest_unused_goes_first(painter: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_cache, "_MOST_GRAPHS", 2)
    Stylizer(painter, "cpu")
    (first,) = graphs(cache)
    for age, name in ((20, "old"), (30, "oldest")):
        path = first.with_name(f"{name}.onnx")
        path.write_bytes(b"another")
        written = first.stat().st_mtime - age
        os.utime(path, (written, written))
    first.write_bytes(b"damaged, so that it is written again")
    Stylizer(painter, "cpu")
    assert [path.stem for path in graphs(cache)] == sorted([first.stem, "old"])
