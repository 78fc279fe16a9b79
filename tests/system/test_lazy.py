"""Which modules do without torch, and that painting does, too, from a style's second time on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import impasto
from impasto.inference.engine import is_installed
from impasto.system.choices import BACKENDS

SOURCE = Path(impasto.__file__).parent
ROOMS = ("__init__.py", "errors.py", "checkpoint.py", "any_style", "cli", "images", "inference", "system")
WITH_TORCH = {
    "any_style/predict.py", "any_style/predictor.py",
    "inference/benchmark.py", "inference/receptive_field.py", "inference/tiles.py",
    "inference/engine/onnx_graph.py", "inference/engine/rewrite.py",
}  # fmt: skip
_PAINT = """
import sys
import numpy as np
from PIL import Image
import impasto
paint = impasto.load("oils", "cpu", backend="openvino")
for picture in (np.zeros((20, 30, 3), np.uint8), Image.new("RGB", (30, 20)), Image.open(sys.argv[1])):
    paint(picture)
print("torch" in sys.modules)
"""


def said_by(*words: str) -> str:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout.strip()


def names_in(*rooms: str) -> list[str]:
    files = [
        path for room in rooms for path in ([SOURCE / room] if room.endswith(".py") else (SOURCE / room).rglob("*.py"))
    ]
    return sorted(path.relative_to(SOURCE).as_posix() for path in files)


def module_of(name: str) -> str:
    return f"impasto.{name.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


def test_these_rooms_do_without_torch() -> None:
    """All of them in one fresh interpreter, so that none needs torch; it says which was the first that does."""
    modules = [module_of(name) for name in names_in(*ROOMS) if name not in WITH_TORCH]
    assert len(modules) > 50
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(print(name))"
    )
    assert said_by("-c", code, *modules) == ""


@pytest.mark.parametrize("name", sorted(WITH_TORCH))
def test_these_files_need_torch(name: str) -> None:
    assert said_by("-c", f"import sys, {module_of(name)}; print('torch' in sys.modules)") == "True"


@pytest.mark.skipif(not is_installed("openvino"), reason="openvino is not installed")
def test_painting_in_python_needs_torch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    Image.new("L", (30, 20)).save(tmp_path / "grey.png")
    assert [said_by("-c", _PAINT, str(tmp_path / "grey.png")) for _ in range(2)] == ["True", "False"]


def test_a_backend_is_a_file_of_that_name() -> None:
    folder = SOURCE / "inference" / "engine" / "backends"
    assert {path.stem for path in folder.glob("[!_]*.py")} == set(BACKENDS)


def test_a_mistyped_setting_is_answered_without_torch() -> None:
    words = [sys.executable, "-X", "importtime", "-m", "impasto.training", "style.image=a.jpg", "nonsense=3"]
    run = subprocess.run(words, capture_output=True, text=True)
    *imports, said = run.stderr.strip().splitlines()
    assert run.returncode == 2 and "nonsense" in said
    assert {"hydra", "impasto.training"} <= (names := {line.rpartition("|")[2].strip() for line in imports})
    assert not {"torch", "pytorch_lightning"} & names
