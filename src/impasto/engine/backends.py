"""The backends: each takes a rewritten network, a device and whether to compute in half precision, and returns what runs it.

That takes and returns floats or bytes, as `Engine` says. The packages are imported where they are used, for none but torch
has to be installed.
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
from impasto.images import to_levels

Run = Callable[[Tensor], Tensor]


def eager(network: nn.Module, device: torch.device, half: bool) -> Run:
    """torch, layer by layer: always there, and on every device."""
    dtype = torch.bfloat16 if half else torch.float32
    network = network.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def run(batch: Tensor) -> Tensor:
        levels = batch if batch.dtype == torch.uint8 else 255 * batch.float()
        painted = network(levels.to(device, dtype, memory_format=torch.channels_last)).float()
        return (to_levels(painted) if batch.dtype == torch.uint8 else painted).cpu()

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

    @cache
    def session(levels: bool) -> Any:
        graph = onnx_bytes(network, levels=levels)
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> Tensor:
        (painted,) = session(batch.dtype == torch.uint8).run(None, {"image": _array(batch)})
        return _tensor(painted)

    session(True)

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
    @cache
    def compiled_for(levels: bool) -> Any:
        model = core.read_model(onnx_bytes(network, levels=levels))
        return core.compile_model(model, "CPU", settings).create_infer_request()

    one_at_a_time = threading.Lock()

    def run(batch: Tensor) -> Tensor:
        image = _array(batch)
        painted = np.empty_like(image)
        with one_at_a_time:
            request = compiled_for(batch.dtype == torch.uint8)
            request.set_input_tensor(openvino.Tensor(image, shared_memory=True))
            request.set_output_tensor(openvino.Tensor(painted, shared_memory=True))
            request.infer()
        return _tensor(painted)

    compiled_for(True)
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
    """(N, 3, H, W) as the graphs take it: bytes with the channels last."""
    bytes_or_floats = batch.permute(0, 2, 3, 1) if batch.dtype == torch.uint8 else batch.float()
    return bytes_or_floats.detach().contiguous().numpy()


def _tensor(array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.permute(0, 3, 1, 2) if array.dtype == np.uint8 else tensor
