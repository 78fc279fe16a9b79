"""The backends: each takes a network, a device and whether to compute in half precision, and returns what runs it.

The packages are imported where they are used, for none but torch has to be installed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError

Run = Callable[[Tensor], Tensor]


def eager(network: nn.Module, device: torch.device, half: bool) -> Run:
    """torch, layer by layer: always there, and on every device."""
    dtype = torch.bfloat16 if half else torch.float32
    network = network.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def run(batch: Tensor) -> Tensor:
        return network(batch.to(device, dtype, memory_format=torch.channels_last)).float().cpu()

    return run


def compiled(network: nn.Module, device: torch.device, half: bool) -> Run:
    """torch.compile, for any size: fast on a GPU; the first picture waits for the compiler.

    Raises:
        ImpastoError: it cannot compile here, as on a machine without a C++ compiler.
    """
    network.compile(dynamic=True)
    run = eager(network, device, half)
    try:
        run(torch.rand(1, 3, 64, 96))
    except Exception as error:  # whatever goes wrong inside a compiler
        reason = str(error).strip().partition("\n")[0][:200]
        raise ImpastoError(f"torch.compile does not work here ({reason}); take --backend torch") from error
    return run


def onnxruntime(network: nn.Module, device: torch.device, half: bool) -> Run:
    """ONNX Runtime on the CPU, in float32."""
    import onnxruntime

    from impasto.engine.graph import onnx_bytes

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised
    session = onnxruntime.InferenceSession(onnx_bytes(network), options, providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> Tensor:
        (painted,) = session.run(None, {"image": _array(batch)})
        return torch.from_numpy(painted)

    return run


def openvino(network: nn.Module, device: torch.device, half: bool) -> Run:
    """OpenVINO on the CPU: channels-last throughout, bfloat16 where the processor has it."""
    import openvino

    from impasto.engine.graph import onnx_bytes

    core = _openvino_core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # two processes would share one core and leave the others idle
    }
    # Compiled once, for every size: for one size alone it is a few per cent faster, but every new size takes half a second.
    request = core.compile_model(core.read_model(onnx_bytes(network)), "CPU", settings).create_infer_request()
    one_at_a_time = threading.Lock()

    def run(batch: Tensor) -> Tensor:
        image, painted = _array(batch), torch.empty(batch.shape)
        with one_at_a_time:
            request.set_input_tensor(openvino.Tensor(image, shared_memory=True))
            request.set_output_tensor(openvino.Tensor(painted.numpy(), shared_memory=True))
            request.infer()
        return painted

    return run


@cache
def _openvino_core() -> Any:
    """Return the one core of this process.

    Each core puts an alternate signal stack in place and, when it goes, brings back the one before, which may be that of
    a core already gone: the next signal would kill the process.
    """
    import openvino

    return openvino.Core()


def _array(batch: Tensor) -> np.ndarray:
    return batch.detach().float().contiguous().numpy()
