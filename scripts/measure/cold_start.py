"""How long `impasto stylize` takes for one photograph, from the start of the process to its end, and how much memory.

    python scripts/measure/cold_start.py [--style starry_night] [--size 640x480] [--starts 7]

For every backend that is installed: the first start, which makes the network's graph and keeps it in the cache folder
(empty at first), and the median of those after it with its spread. A program that only imports torch is timed in turn
with them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _head
from PIL import Image

from impasto.cli.options import size_from
from impasto.inference.engine import is_installed
from impasto.synthetic.contents import procedural_image
from impasto.system.choices import BACKENDS

_STYLIZE = "import sys; from impasto import cli; cli.main(sys.argv[1:]); print('torch' in sys.modules)"


def started(code: str, *words: object) -> tuple[float, float, bool]:
    """Run Python on `code` in a new process; return its seconds, its peak of resident memory in MB,
    and whether it imported torch.
    """
    began = time.perf_counter()
    command = [sys.executable, "-c", code, *map(str, words)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3), said.endswith("True\n")


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("-s", "--style", default="starry_night")
    parser.add_argument("--size", type=size_from, default=(640, 480), metavar="WxH")
    parser.add_argument("--starts", type=int, default=7)
    options = parser.parse_args()
    width, height = options.size
    names = [name for name in BACKENDS if is_installed(name) and name != "compile"]
    with tempfile.TemporaryDirectory() as folder:
        photograph = Path(folder, "photo.jpg")
        Image.fromarray(procedural_image(7, max(width, height))[:height, :width]).save(photograph)
        words = ["stylize", photograph, "-s", options.style, "--overwrite", "--backend"]
        first = {}
        for name in reversed(names):
            os.environ["IMPASTO_CACHE"] = f"{folder}/{name}"  # an empty one
            first[name] = started(_STYLIZE, *words, name)
        again: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in [*names, "import torch alone"]}
        for _ in range(options.starts):
            for name, runs in again.items():
                runs.append(started(_STYLIZE, *words, name) if name in names else started("import torch"))
    print(
        f"{width}x{height}, {options.style}: {'first s':>15} {'later s (from - to)':>24} {'peak MB':>8}   torch "
        "imported"
    )
    rows = []
    for name, runs in again.items():
        seconds, peak = sorted(run[0] for run in runs), max(run[1] for run in runs)
        start = f"{first[name][0]:.2f}" if name in first else ""
        later = f"{statistics.median(seconds):.2f} ({seconds[0]:.2f} - {seconds[-1]:.2f})"
        print(f"{name:28} {start:>14} {later:>24} {peak:8.0f}   {runs[-1][2] if name in first else ''}")
        rows.append(
            {
                "backend": name,
                "first_s": _head.rounded(first[name][0]) if name in first else None,
                "later_s": _head.rounded(statistics.median(seconds)),
                "later_from_s": _head.rounded(seconds[0]),
                "later_to_s": _head.rounded(seconds[-1]),
                "peak_mb": round(peak),
                "imports_torch": runs[-1][2] if name in first else None,
            }
        )
    print(f"{options.starts} starts each, in turn, {_head.stamp('cpu')}")
    title = (
        f"impasto stylize from start to end, one picture of {width}x{height}, {options.style}, medians of "
        f"{options.starts}"
    )
    _head.save(options.results, "cold_start", title, rows, "cpu")


if __name__ == "__main__":
    main()
