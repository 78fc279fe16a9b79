"""A painter for any picture at once: how good on pictures it never saw, beside another program and beside training.

    python scripts/measure/any_style.py --judge DIR --styles DIR... --photographs DIR [--others DIR] [--trained DIR]

Of the STYLES it takes those that the predictor was not trained on, the first twelve by the hash of their names, and the
first twelve PHOTOGRAPHS. OTHERS holds `PHOTOGRAPH.STYLE.png`, made by another program of the same pairs; TRAINED holds
`STYLE.safetensors`, painters that were trained on some of the pictures. Deep style distance and structure lost by the
judge, as in pictures.py, lower is better; style reached by VGG-19's small copy, higher is better. `--list` prints the
pairs, one a line, and ends.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import _head
from pictures import Figures, Judge, load_judge

from impasto.any_style.files import is_held_out
from impasto.any_style.find import find_painter
from impasto.images.finding import find_images
from impasto.images.reading import read_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer


def unseen(folders: Sequence[Path], count: int) -> list[Path]:
    """The style pictures that the predictor was not trained on, in an order that only their names decide."""
    found = [path for path in find_images(folders) if is_held_out(path)]
    return sorted(found, key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())[:count]


def painted(style: str | Path, photographs: Sequence[Path], folder: Path) -> tuple[list[Path], float, float]:
    """Paint the photographs; return where the paintings are, and the seconds of the first and of each later one."""
    paths = [folder / f"{photograph.stem}.png" for photograph in photographs]
    started = time.perf_counter()
    painter, seconds = Stylizer(find_painter(style)), []
    for photograph, path in zip(photographs, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, painter(read_levels(photograph)))
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    return paths, seconds[0], statistics.median(seconds[1:])


def judged(judge: Judge, style: Path, photographs: Sequence[Path], paintings: Sequence[Path]) -> list[Figures]:
    return [judge(style, *pair)[0] for pair in zip(photographs, ([path] for path in paintings), strict=True)]


def row(name: str, styles: int, found: Sequence[Figures], ours: Sequence[Figures]) -> _head.Row:
    """Means over all pairs, and in how many of them ours is lower."""
    made: _head.Row = {"paintings": name, "styles": styles, "pairs": len(found)}
    for key in ("deep", "structure"):
        made[key] = _head.rounded(statistics.mean(each[key] for each in found))
        made[f"{key}_ours_is_lower"] = sum(own[key] < other[key] for own, other in zip(ours, found, strict=True))
    return made


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--others", type=Path, help="paintings by another program")
    parser.add_argument("--trained", type=Path, help="painters trained on some of the pictures")
    parser.add_argument("--count", type=int, default=12, help="of the styles")
    parser.add_argument("--limit", type=int, default=12, help="of the photographs")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-o", "--output", type=Path, help="keep the paintings there")
    options = parser.parse_args()
    styles, photographs = unseen(options.styles, options.count), find_images([options.photographs])[: options.limit]
    if options.list:
        for style in styles:
            for photograph in photographs:
                print(photograph, style, sep="\t")
        return
    if not options.judge:
        parser.error("--judge is wanted")
    judge = load_judge(options.judge)
    with tempfile.TemporaryDirectory() as temporary:
        rows, seconds = measured(styles, photographs, judge, options, options.output or Path(temporary))
    print(_head.stamp())
    for each in rows:
        print(each)
    print(seconds)
    _head.save(options.results, "any_style", "Painted at once with pictures that the predictor never saw", rows)


def measured(
    styles: Sequence[Path], photographs: Sequence[Path], judge: Judge, options: argparse.Namespace, folder: Path
) -> tuple[list[_head.Row], dict[str, float]]:
    """Return the table, and our seconds for the first picture in a new style and for each later one."""
    ours: list[Figures] = []
    themselves: list[Figures] = []
    others: list[Figures] = []
    trained: list[tuple[Figures, Figures]] = []
    first, later = [], []
    for style in styles:
        paths, *seconds = painted(style, photographs, folder / style.stem)
        first.append(seconds[0])
        later.append(seconds[1])
        own = judged(judge, style, photographs, paths)
        ours += own
        themselves += judged(judge, style, photographs, photographs)
        if options.others:
            made = [options.others / f"{photograph.stem}.{style.stem}.png" for photograph in photographs]
            others += judged(judge, style, photographs, made)
        if options.trained and (model := options.trained / f"{style.stem}.safetensors").is_file():
            paths, *_ = painted(model, photographs, folder / f"{style.stem}-trained")
            trained += zip(judged(judge, style, photographs, paths), own, strict=True)
        print(f"{style.stem}: {statistics.mean(each['deep'] for each in own):.2f} / "
              f"{statistics.mean(each['structure'] for each in own):.2f}", flush=True)  # fmt: skip
    rows = [row("the photograph itself", len(styles), themselves, ours), row("predicted", len(styles), ours, ours)]
    if others:
        rows.append(row("the other program", len(styles), others, ours))
    if trained:
        found, own = zip(*trained, strict=True)
        rows.append(row("trained", len(trained) // len(photographs), found, own))
    return rows, {"first": statistics.median(first), "later": statistics.median(later)}


if __name__ == "__main__":
    main()
