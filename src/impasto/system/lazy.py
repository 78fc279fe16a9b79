"""Modules imported on first use: torch takes seconds to import, and painting one photograph does not need it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class lazy:
    """`torch = lazy("torch")` imports torch when the first of its names is used."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, key: str) -> Any:
        return getattr(import_module(self._name), key)
