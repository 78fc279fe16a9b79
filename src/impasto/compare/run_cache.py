"""The optimiser's finished runs, kept from one comparison to the next."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.losses.perceptual import PerceptualLoss
from impasto.optimize import Optimized, optimize_image
from impasto.system.files import cache_dir, written_whole

_BASELINE = 4  # raised when `optimize_image` would find something else


def cached_run(
    content: Tensor, loss: PerceptualLoss, init: str | Tensor, steps: int, bfloat16: bool, callback: Callable[..., None]
) -> tuple[Optimized, float, bool]:
    """`optimize_image`, or its result from an earlier call with the same arguments; its seconds;
    whether it was earlier.
    """
    path = cache_dir() / "baselines" / f"{_run_key(content, loss, init, steps, bfloat16)}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            known = json.loads(file.metadata()["run"])
            curve = {int(step): terms for step, terms in known["curve"].items()}
            return Optimized(file.get_tensor("image"), known["best_step"], curve), known["seconds"], True
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        pass  # not there, or damaged: do it (again)
    started = time.perf_counter()
    run = optimize_image(content, loss, steps=steps, init=init, bfloat16=bfloat16, callback=callback)
    seconds = time.perf_counter() - started
    known = {"curve": run.curve, "best_step": run.best_step, "seconds": seconds}
    with suppress(OSError, SafetensorError), written_whole(path) as temporary:  # without a cache, only slower
        save_file({"image": run.image.contiguous().cpu()}, temporary, metadata={"run": json.dumps(known)})
    return run, seconds, False


def _run_key(content: Tensor, loss: PerceptualLoss, init: str | Tensor, steps: int, bfloat16: bool) -> str:
    settings = [
        _BASELINE,
        loss.spec(),
        loss.features.fingerprint(),
        steps,
        bfloat16,
        content.device.type,
        torch.__version__,
    ]
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(init.encode() if isinstance(init, str) else init.cpu().contiguous().numpy().tobytes())
    for tensor in (content, *loss.style_targets.values()):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
