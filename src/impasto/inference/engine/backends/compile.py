"""torch.compile, for any size: fast on a GPU; the first picture waits for the compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from impasto.errors import ImpastoError
from impasto.inference.engine.backends import Run
from impasto.inference.engine.backends import torch as eagerly

if TYPE_CHECKING:
    from torch import nn

NEEDS: tuple[str, ...] = ()
TAKES_GRAPH = False
KNOWS_HALF = True


def start(network: nn.Module, device: str, half: bool) -> Run:
    """torch.compile, for any size: fast on a GPU; the first picture waits for the compiler.

    Raises:
        ImpastoError: it cannot compile here, as on a machine without a C++ compiler.
    """
    network.compile(dynamic=True)
    run = eagerly.start(network, device, half)
    try:
        run(np.zeros((1, 64, 96, 3), np.float32))
    except Exception as error:  # whatever goes wrong inside a compiler
        reason = str(error).strip().partition("\n")[0][:200]
        raise ImpastoError(f"torch.compile does not work here ({reason}); take --backend torch") from error
    return run
