"""Painting against plain PyTorch: every network, backend and precision in turn with the reference, picture by picture.

    python scripts/measure/inference.py [--pairs 7] [--sizes 512x512 ...] [--networks swift johnson] [--compile]

The reference is Johnson's network as pytorch/examples defines it (`networks/fast_neural_style.py`, random weights),
eager, float32, batch 1, on floats. Ours is `Stylizer.paint` on bytes, as a file or a frame brings them: it converts,
pads and rounds as well. Prints the ratio of each pair, its median with its spread, and how far memory rises above the
loaded program, each measured in a process of its own. Run it on an idle machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator

import _head
import numpy as np
import torch

from impasto.cli.options import size_from
from impasto.errors import UsageError
from impasto.inference.benchmark import STYLES, peak_memory, picture, timed
from impasto.inference.engine import is_installed
from impasto.inference.stylizer import Stylizer
from impasto.networks import build_network
from impasto.system.choices import BACKENDS, BENCHMARK_SIZES

Choice = tuple[str, str, str]  # network, backend, precision
Run = Callable[[np.ndarray], object]
REFERENCE: Choice = ("reference", "torch", "float32")


def painter(choice: Choice) -> Run:
    """Raises UsageError where the backend has no such precision."""
    name, backend, precision = choice
    if choice != REFERENCE:
        return Stylizer(STYLES[name], "cpu", backend=backend, precision=precision).paint
    torch.manual_seed(0)
    network = build_network("fast_neural_style").eval().requires_grad_(False)
    return torch.no_grad()(lambda floats: network(torch.from_numpy(floats).movedim(-1, -3)))


def input_for(choice: Choice, size: tuple[int, int]) -> np.ndarray:
    levels = picture(*size)
    return levels.astype(np.float32) / 255 if choice == REFERENCE else levels


def painters(networks: list[str], backends: list[str]) -> dict[Choice, Run]:
    made = {REFERENCE: painter(REFERENCE)}
    for choice in [(n, b, p) for n in networks for b in backends for p in ("half", "float32")]:
        try:
            made[choice] = painter(choice)
        except UsageError as error:
            print(f"left out: {' '.join(choice)}: {error}", file=sys.stderr)
    return made


def measure(made: dict[Choice, Run], size: tuple[int, int], pairs: int) -> dict[Choice, list[float]]:
    batches = {choice: input_for(choice, size) for choice in made}
    for choice, run in made.items():
        run(batches[choice])
    seconds: dict[Choice, list[float]] = {choice: [] for choice in made}
    for _ in range(pairs):
        for choice, run in made.items():
            run(batches[choice])  # what painted before leaves threads spinning and its own data in the caches
            seconds[choice].append(timed(run, batches[choice]))
    return seconds  # fmt: skip


def extra_memory(choice: Choice, size: tuple[int, int]) -> str:
    words = [sys.executable, __file__, "--memory", *choice, "--sizes", f"{size[0]}x{size[1]}"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def print_memory(choice: Choice, size: tuple[int, int]) -> None:
    run = painter(choice)
    run(input_for(choice, (64, 64)))  # what is loaded on first use belongs to the program
    batch = input_for(choice, size)
    with peak_memory() as extra:
        run(batch)
    rise = extra()
    print("-" if rise is None else f"{rise:.0f}")


def rows_of(made: dict[Choice, Run], size: tuple[int, int], pairs: int) -> Iterator[_head.Row]:
    """Measure all choices at one size; print and yield a row of each."""
    seconds = measure(made, size, pairs)
    print(f"\n{size[0]}x{size[1]}: {'ms':>41} {'frames/s':>9}   times the reference (from - to)   extra MB")
    for choice, times in seconds.items():
        ratios = sorted(reference / ours for reference, ours in zip(seconds[REFERENCE], times, strict=True))
        middle, spread = statistics.median(times), f"({ratios[0]:.2f} - {ratios[-1]:.2f})"
        extra = extra_memory(choice, size)
        print(f"{choice[0]:10} {choice[1]:12} {choice[2]:9} {1000 * middle:19.1f} {1 / middle:9.2f}   "
              f"{statistics.median(ratios):11.2f} {spread:20} {extra:>8}", flush=True)  # fmt: skip
        figures = {"ms": 1000 * middle, "frames_per_s": 1 / middle, "times_the_reference": statistics.median(ratios),
                   "from": ratios[0], "to": ratios[-1]}  # fmt: skip
        yield {
            **{"size": f"{size[0]}x{size[1]}", "network": choice[0], "backend": choice[1], "precision": choice[2]},
            **{key: _head.rounded(figure) for key, figure in figures.items()},
            "extra_mb": None if extra == "-" else int(extra),
        }


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--sizes", nargs="+", type=size_from, default=BENCHMARK_SIZES, metavar="WxH")
    parser.add_argument("--networks", nargs="+", choices=STYLES, default=list(STYLES))
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes to start")
    parser.add_argument("--memory", nargs=3, metavar=("NETWORK", "BACKEND", "PRECISION"), help="of one choice alone")
    options = parser.parse_args()

    if options.memory:
        print_memory(tuple(options.memory), options.sizes[0])
        return
    backends = [name for name in BACKENDS if is_installed(name) and (name != "compile" or options.compile)]
    made = painters(options.networks, backends)
    print(f"{options.pairs} pairs, {_head.stamp('cpu')}")
    rows = [row for size in options.sizes for row in rows_of(made, size, options.pairs)]
    title = f"Painting against plain PyTorch, in turn, medians of {options.pairs}"
    _head.save(options.results, "inference", title, rows, "cpu")


if __name__ == "__main__":
    main()
