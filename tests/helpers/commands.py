"""Commands that tests run in a process of their own."""

from __future__ import annotations

import sys
from pathlib import Path


def training_command(folder: Path, photographs: Path, vgg: Path, *overrides: str) -> list[str]:
    """The command of a small training run that leaves everything in `folder`."""
    return [
        sys.executable, "-m", "impasto.training", f"style.image={photographs / '01.png'}", f"data.root={photographs}",
        f"loss.features.weights={vgg}", "network.width=4", "network.blocks=1", "data.crop=32", "data.batch_size=2",
        "data.heldout_size=48", "style.size=64", f"output={folder / 'style.safetensors'}",
        f"paths.run={folder / 'run'}", *overrides,
    ]  # fmt: skip
