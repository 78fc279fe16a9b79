"""How fast this machine paints: networks x sizes x backends, in turn, against what its processor could do at most."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from impasto.any_style.find import find_painter
from impasto.checkpoint import load_style_model
from impasto.errors import ImpastoError
from impasto.images.geometry import padding
from impasto.inference.engine import build_engine, is_installed
from impasto.networks import stride_and_surround
from impasto.system.choices import BACKENDS, BENCHMARK_RUNS, BENCHMARK_SIZES, DEFAULT_DEVICE
from impasto.system.machine import has_fast_bfloat16, pick_device, provenance, used_memory

STYLES = {"brush": "starry_night", "johnson": "starry_night_johnson"}


@dataclass(frozen=True)
class Row:
    """What one engine did at one size; `peak` is the share of the measured convolution peak that the plain network's
    arithmetic amounts to, so that an engine that needs less of it can exceed 1. `extra_mb` is the peak above the
    program with the network loaded and the two pictures, None where the system does not tell."""

    network: str
    width: int
    height: int
    backend: str
    precision: str
    milliseconds: float
    frames: float
    macs_per_pixel: int
    peak: float
    extra_mb: float | None


def benchmark(
    sizes: Sequence[tuple[int, int]] = BENCHMARK_SIZES,
    backends: Sequence[str] = (),
    runs: int = BENCHMARK_RUNS,
    device: str = DEFAULT_DEVICE,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure every network, size (width, height) and backend; `backends` are by default all that are installed but
    compile.

    Returns:
        `{"machine": ..., "peak_gflops": {"float32": ..., "half": ...}, "rows": [...], "failed": [...]}`, plain values.
    """
    place = pick_device(device)
    peaks = {"float32": convolution_peak(place, torch.float32)}
    if has_fast_bfloat16(place):
        peaks["half"] = convolution_peak(place, torch.bfloat16)
    report: dict[str, Any] = {"machine": provenance(place), "peak_gflops": peaks, "rows": [], "failed": []}
    for name, style in STYLES.items():
        network = load_style_model(find_painter(style)).network
        for backend in backends or [known for known in BACKENDS if known != "compile" and is_installed(known)]:
            for precision in peaks:
                try:
                    rows = _rows(name, network, sizes, (device, backend, precision), runs, peaks[precision])
                    report["rows"] += [asdict(row) for row in rows]
                except ImpastoError as error:
                    report["failed"].append(
                        {"network": name, "backend": backend, "precision": precision, "error": str(error)}
                    )
                    continue
                progress(f"{name}, {backend}, {precision}")
    return report  # fmt: skip


def _rows(
    name: str,
    network: nn.Module,
    sizes: Sequence[tuple[int, int]],
    choice: tuple[str, str, str],
    runs: int,
    peak: float,
) -> list[Row]:
    engine, macs = build_engine(network, *choice), macs_per_pixel(network)
    rows, around = [], stride_and_surround(network)
    for width, height in sizes:
        painted_height, painted_width = padding(height, width, *around).size(height, width)
        batch = picture(painted_width, painted_height)
        with peak_memory() as extra:
            engine(batch)
        seconds = statistics.median(timed(engine, batch) for _ in range(runs))
        share = 2 * macs * painted_width * painted_height / seconds / peak / 1e9
        rows.append(
            Row(
                name, width, height, engine.backend, engine.precision, 1000 * seconds, 1 / seconds, macs, share, extra()
            )
        )
    return rows  # fmt: skip


def picture(width: int, height: int) -> np.ndarray:
    """Noise as a file or a frame brings it, (1, H, W, 3) uint8."""
    return np.random.default_rng(0).integers(256, size=(1, height, width, 3), dtype=np.uint8)


def timed(run: Callable[[np.ndarray], object], batch: np.ndarray) -> float:
    """Seconds for one picture; an engine's result is on the CPU, so nothing is left running."""
    started = time.perf_counter()
    run(batch)
    return time.perf_counter() - started


def macs_per_pixel(network: nn.Module) -> int:
    """Multiply-adds of all convolutions as the network is written, per pixel of the picture."""
    macs: list[int] = []

    def count(module: nn.Conv2d, _: object, output: Tensor) -> None:
        macs.append(output[0, 0].numel() * module.weight.numel())

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]  # type: ignore[arg-type]
    side = 64
    with torch.no_grad():
        network(torch.rand(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return sum(macs) // side**2


@torch.no_grad()
def convolution_peak(device: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """GFLOP/s of a 3x3 convolution of 128 channels at 128x128, the best of what fits into `seconds`."""
    conv = nn.Conv2d(128, 128, 3, padding=1).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = torch.rand(1, 128, 128, 128).to(device, dtype, memory_format=torch.channels_last)
    best, ends = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < ends:
        started = time.perf_counter()
        conv(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * 9 * 128 * 128 * 128 * 128 / best / 1e9


@contextmanager
def peak_memory() -> Generator[Callable[[], float | None]]:
    """Measure how far resident memory rises inside the block; the function it yields tells in MB, on Linux."""
    before, highest, ended = used_memory(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not ended.wait(0.002):
            highest = max(highest, used_memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: (max(highest, used_memory()) - before) / 1e6 if before else None
    finally:
        ended.set()
        watcher.join()
