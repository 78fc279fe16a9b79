"""Importing what stands in `scripts/`, which no package holds."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from helpers.places import ROOT


def load_script(name: str) -> ModuleType:
    """Import `scripts/NAME.py`, such as release/make_model_cards, which no package holds."""
    path = ROOT / "scripts" / f"{name}.py"
    if str(path.parent) not in sys.path:  # as for a script that is run: its neighbours can be imported
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
