"""Pictures that tests paint."""

from __future__ import annotations

import numpy as np
import torch

from impasto.synthetic.contents import procedural_image


def photograph(seed: int, size: int) -> torch.Tensor:
    """A procedural picture (3, size, size) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(procedural_image(seed, size).transpose(2, 0, 1))).float() / 255
