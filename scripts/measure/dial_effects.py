"""What the dials do: style reached and structure kept by strength and stroke, sizes of strokes, chroma, edges of masks.

    python scripts/measure/dial_effects.py --judge DIR --styles DIR --photographs DIR --large IMAGE [--names wave ...]

The judge is that of pictures.py; both of its figures are lower for the better. STYLES holds the style pictures of the
NAMES, shipped painters; LARGE is a photograph whose strokes are measured at several sizes, enlarged where it is small.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import _head
import numpy as np
from pictures import STYLES, Figures, Judge, load_judge, mean

from impasto.dials.strokes import resized, stroke_length
from impasto.images.finding import find_images
from impasto.images.oklab import to_oklab
from impasto.images.reading import read_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
STROKES = (0.5, 0.71, 1.0, 1.41, 2.0)
SIDES = (256, 512, 1024, 2048)
COLORS = ("style", "photo", "match")
SIZE = 640  # longer side of the photographs


def photographs_of(options: argparse.Namespace) -> dict[Path, np.ndarray]:
    found = find_images([options.photographs])[: options.limit]
    return {path: _sized(read_levels(path), SIZE) for path in found}


def _sized(picture: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(picture.shape[:2])
    return np.ascontiguousarray(resized(picture, (round(picture.shape[0] * scale), round(picture.shape[1] * scale))))


def judged(
    judge: Judge, style: Path, painter: Stylizer, photographs: Mapping[Path, np.ndarray], settings: Sequence[Any]
) -> Iterator[tuple[Figures, list[np.ndarray]]]:
    """For each of the settings, mean figures over the photographs, and their paintings."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for setting in settings:
            figures, paintings = [], []
            for photograph in photographs.values():
                paintings.append(painter(photograph, **setting))
                write_image(folder / "photograph.png", photograph)
                write_image(folder / "painting.png", paintings[-1])
                figures += judge(style, folder / "photograph.png", [folder / "painting.png"])
            yield mean(figures), paintings


def effects(
    judge: Judge, style: Path, photographs: Mapping[Path, np.ndarray]
) -> Iterator[tuple[str, float | str, Figures, list[np.ndarray]]]:
    painter = Stylizer(style.stem)
    settings = [("strength", value) for value in STRENGTHS]
    settings += [("stroke", value) for value in STROKES] + [("color", value) for value in COLORS]
    for (dial, value), (figures, paintings) in zip(
        settings, judged(judge, style, painter, photographs, [{dial: value} for dial, value in settings]), strict=True
    ):
        yield dial, value, figures, paintings


def chroma(picture: np.ndarray) -> float:
    lab = to_oklab(picture)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def row(
    style: str, dial: str, value: float | str, figures: Figures, photographs: Sequence[np.ndarray],
    paintings: Sequence[np.ndarray],
) -> _head.Row:  # fmt: skip
    pairs = list(zip(photographs, paintings, strict=True))
    return {
        "style": style, "dial": dial, "value": str(value),
        "deep": _head.rounded(figures["deep"]), "structure": _head.rounded(figures["structure"]),
        "strokes": _head.rounded(1000 * statistics.mean(map(stroke_length, paintings)), 3),
        "chroma": _head.rounded(statistics.mean(chroma(after) / chroma(before) for before, after in pairs), 3),
        "levels_from_the_photograph": max(int(np.abs(np.subtract(*pair, dtype=int)).max()) for pair in pairs),
    }  # fmt: skip


def stroke_sizes(names: Sequence[str], large: Path) -> list[_head.Row]:
    """Length of the strokes, in thousandths of the longer side, of one photograph at several sizes."""
    picture = read_levels(large)
    rows: list[_head.Row] = []
    for name in names:
        painter = Stylizer(name)
        for stroke in (0.5, 1.0, 2.0):
            made: _head.Row = {"style": name, "stroke": stroke}
            for side in SIDES:
                made[f"{side}_pixels"] = _head.rounded(
                    1000 * stroke_length(painter(_sized(picture, side), stroke=stroke)), 3
                )
            rows.append(made)
            print(made, flush=True)
    return rows


def edges(names: Sequence[str], photographs: Mapping[Path, np.ndarray]) -> list[_head.Row]:
    """Pixels that changed outside a mask, and the mean step of lightness along its edge and elsewhere."""
    rows: list[_head.Row] = []
    for name in names:
        painter = Stylizer(name)
        changed, along, inside, outside = 0, [], [], []
        for photograph in photographs.values():
            mask = _disc(photograph.shape[0], photograph.shape[1])
            painted = painter(photograph, mask=mask)
            changed += int((painted != photograph)[mask == 0].any(axis=-1).sum())
            step = np.hypot(*np.gradient(to_oklab(painted)[..., 0]))
            along.append(float(step[(mask > 0) & (mask < 1)].mean()))
            inside.append(float(step[mask == 1].mean()))
            outside.append(float(step[mask == 0].mean()))
        rows.append({
            "style": name, "pixels_changed_outside": changed,
            "step_along_the_edge": _head.rounded(statistics.mean(along), 3),
            "step_inside": _head.rounded(statistics.mean(inside), 3),
            "step_outside": _head.rounded(statistics.mean(outside), 3),
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def _disc(height: int, width: int) -> np.ndarray:
    """A disc in the middle with a soft edge of some 16 pixels."""
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.clip((0.35 * min(height, width) - distance) / 16 + 0.5, 0, 1).astype(np.float32)


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--large", type=Path, required=True)
    parser.add_argument("--names", nargs="+", default=list(STYLES))
    parser.add_argument("--limit", type=int, default=6, help="of the photographs")
    options = parser.parse_args()
    judge, photographs = load_judge(options.judge), photographs_of(options)
    pictures = {path.stem: path for path in find_images([options.styles])}
    rows: list[_head.Row] = []
    for name in options.names:
        for dial, value, figures, paintings in effects(judge, pictures[name], photographs):
            rows.append(row(name, dial, value, figures, list(photographs.values()), paintings))
            print(rows[-1], flush=True)
    title = f"What dials do to {len(photographs)} photographs of {SIZE} pixels"
    _head.save(options.results, "dial_effects", title, rows)
    title = "Length of the strokes by the picture's size, in thousandths of its longer side"
    _head.save(options.results, "dial_effects_sizes", title, stroke_sizes(options.names, options.large))
    title = "Edges of masks: mean step of Oklab's lightness from pixel to pixel"
    _head.save(options.results, "dial_effects_masks", title, edges(options.names, photographs))


if __name__ == "__main__":
    main()
