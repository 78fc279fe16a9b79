"""The data that painters learn from: photographs of a folder, a COCO file or shards, cut into crops.

`module` is what Lightning takes, `sources` and `shards` say where photographs come from, `crops` what becomes of them.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Configurations, also those of runs to be resumed, say `impasto.training.data.ContentDataModule`.
    if name == "ContentDataModule":
        from impasto.training.data.module import ContentDataModule

        return ContentDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
