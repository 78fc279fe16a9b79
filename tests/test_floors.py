"""Imports go down the floors, and the command line imports nothing heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.places import ROOT

SOURCE = ROOT / "src" / "impasto"
TRAINING_ONLY = {"pytorch_lightning", "hydra", "omegaconf", "wandb"}


def floors() -> dict[str, int]:
    """Room -> floor, as the table in CONTRIBUTING.md says."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(number) for number, rooms in rows for name in re.findall(r"`(\w+)`", rooms)}


FLOORS = floors()


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every imported module with whether it stands at the top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [f"impasto.{name}" for name in names] if node.module == "impasto" else [node.module or ""]
        found += [(name, node.col_offset == 0) for name in names]
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_strictly_down(path: Path) -> None:
    here = room(path)
    for module, _ in imports(path):
        if module.startswith("impasto."):
            there = module.split(".")[1]
            assert there == here or FLOORS[there] < FLOORS[here], f"{here} imports {there}, which is not below it"
        assert here == "training" or module.split(".")[0] not in TRAINING_ONLY, f"{module} belongs in training/"


def test_the_table_of_floors_names_every_room_and_no_other() -> None:
    rooms = {room(path) for path in SOURCE.rglob("*.py")}
    assert rooms == FLOORS.keys()


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = "[m for m in ('torch', 'numpy', 'PIL', 'hydra') if m in sys.modules]"
    code = f"import sys; from impasto.cli import _parser; _parser(); import impasto; print({heavy})"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
