"""The backends, one a module whose name is the backend's: each makes what runs a rewritten network, or its graph.

A backend defines `start(network or graph, device, half) -> Run`, which works on arrays as `Engine` says; `NEEDS`, the
packages that have to be installed; `TAKES_GRAPH`, whether it takes a `Graph` in place of a network and paints on the
CPU alone; and `KNOWS_HALF`, whether it computes in bfloat16. Packages are imported where they are used, for none but
torch has to be installed, and the others paint without it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]
Graph = Callable[[bool], bytes]  # whether it takes levels -> an ONNX file's bytes
