"""How much memory and time `impasto stylize` takes for a huge picture, and whether its tiles agree with the whole.

    python scripts/measure/huge.py [--style starry_night] [--size 12000x8333] [--max-memory 1.5G] [--statistics exact]

Paints a JPEG made by code, in a process of its own, and prints that process's peak of resident memory. Then paints a
picture that fits in one piece and in tiles, and prints by how many of 255 levels they differ.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _head
import numpy as np
from PIL import Image

from impasto.synthetic.contents import procedural_image


def main() -> None:
    options = _options()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "huge.jpg"), Path(folder, f"painted{options.suffix}")
        huge_picture(width, height).save(source, quality=92)
        words = ["-s", options.style, "-o", str(target), "--device", "cpu", "--statistics", options.statistics]
        words += ["--max-memory", options.max_memory] if options.max_memory else []
        seconds, peak = measured([sys.executable, "-m", "impasto", "stylize", str(source), *words])
        Image.MAX_IMAGE_PIXELS = None
        assert Image.open(target).size == (width, height)
    print(
        f"{options.style}, {width} x {height} ({width * height / 1e6:.1f} megapixels), {options.statistics} statistics"
    )
    print(f"peak of resident memory: {peak / 1e9:.2f} GB (limit asked for: {options.max_memory}); {seconds:.0f} s")
    mean, most = difference_of_tiles(options.style, *map(int, options.check.split("x")))
    print(f"tiles against the whole at {options.check}: {mean:.2g} levels on average, {most:.2g} at most")
    print(_head.stamp("cpu"))
    row: _head.Row = {
        "style": options.style,
        "width": width,
        "height": height,
        "statistics": options.statistics,
        "max_memory": options.max_memory or None,
        "seconds": _head.rounded(seconds),
        "peak_gb": _head.rounded(peak / 1e9),
        "checked_at": options.check,
        "tiles_off_by_levels": _head.rounded(mean, 2),
        "at_most": _head.rounded(most, 2),
    }
    title = "impasto stylize on a huge picture, and its tiles against a picture painted whole"
    _head.save(options.results, "huge", title, [row], "cpu")


def measured(command: list[str]) -> tuple[float, int]:
    """Run `command`; return its seconds and its peak of resident memory in bytes."""
    start = time.monotonic()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def difference_of_tiles(style: str, width: int, height: int) -> tuple[float, float]:
    """Mean and maximum, in levels, between a picture painted whole and in tiles of 64 MB."""
    # torch is not imported before the command was measured: a child's peak is at least what its parent held.
    from impasto.checkpoint import find_style_model, load_style_model
    from impasto.inference.stylizer import Stylizer
    from impasto.inference.tiles import TiledPainter
    from impasto.networks import StagedNetwork

    image = np.array(huge_picture(width, height), np.float32) / 255
    network = load_style_model(find_style_model(style)).network
    assert isinstance(network, StagedNetwork)
    whole = Stylizer(style, "cpu", precision="float32", max_memory=2**40)(image)
    tiled, _ = TiledPainter(network, 64 * 2**20)(image)
    apart = abs(tiled - whole) * 255
    return float(apart.mean()), float(apart.max())


def huge_picture(width: int, height: int) -> Image.Image:
    """Pictures made by code, side by side, each in another light, so that no part stands for the whole."""
    side, picture = 1024, Image.new("RGB", (width, height))
    motifs = [procedural_image(seed, side) for seed in range(6)]
    for number, (top, left) in enumerate((y, x) for y in range(0, height, side) for x in range(0, width, side)):
        light = 0.4 + 0.6 * (left + top) / (width + height)
        picture.paste(Image.fromarray((motifs[number % len(motifs)] * light).astype(np.uint8)), (left, top))
    return picture


def _options() -> argparse.Namespace:
    parser = _head.parser(__doc__)
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--size", default="12000x8333")
    parser.add_argument("--check", default="2000x1500", help="size of the picture painted both ways")
    parser.add_argument("--max-memory", default="1.5G", help="empty for none")
    parser.add_argument("--statistics", default="exact", choices=("exact", "thumbnail"))
    parser.add_argument("--suffix", default=".jpg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
