"""Two ways to paint less strongly: mix painting and photograph, or blend the vectors of style and photograph.

    python scripts/measure/strength_by_vector.py --judge DIR --styles DIR... --photographs FILE... [--count 4]

Of the STYLES it takes those that the predictor was not trained on. `dial` is `--strength`, a mixture in Oklab; `vector`
is the painter of the blended vectors. Deep style distance and structure lost by the judge, as in pictures.py, and the
mean difference to the photograph in levels of 255; means over all pairs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import _head
import numpy as np
from pictures import Figures, Judge, load_judge, mean

from any_style import unseen
from impasto.any_style.predict import blended, predicted_style_model, vector_of
from impasto.dials.dials import Dials
from impasto.images.reading import read_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.system.choices import STYLE_SIZE

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def paintings(style: Path, path: Path, photograph: np.ndarray) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield the way, the strength and the painting."""
    vectors = [vector_of(each, STYLE_SIZE) for each in (path, style)]
    full = Stylizer(predicted_style_model(vectors[1]), backend="torch", precision="float32")(photograph)
    for strength in STRENGTHS:
        yield "dial", strength, Dials(strength=strength).mix(photograph, full)
        model = predicted_style_model(blended(vectors, [1 - strength, strength], style.stem))
        yield "vector", strength, Stylizer(model, backend="torch", precision="float32")(photograph)


def judged(style: Path, path: Path, judge: Judge) -> Iterator[tuple[tuple[str, float], Figures]]:
    """Yield the way with the strength, and the figures of that painting."""
    photograph = read_levels(path)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "photograph.png"), Path(folder, "painting.png")
        write_image(before, photograph)
        for way, strength, painting in paintings(style, path, photograph):
            write_image(after, painting)
            (figures,) = judge(style, before, [after])
            off = float(np.abs(painting.astype(float) - photograph).mean())
            yield (way, strength), {"levels": off, "deep": figures["deep"], "structure": figures["structure"]}


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--count", type=int, default=4, help="of the styles")
    options = parser.parse_args()
    judge = load_judge(options.judge)
    styles = unseen(options.styles, options.count)
    found: dict[tuple[str, float], list[Figures]] = {}
    for style in styles:
        for path in options.photographs:
            for key, figures in judged(style, path, judge):
                found.setdefault(key, []).append(figures)
    rows: list[_head.Row] = []
    for (way, strength), each in sorted(found.items()):
        means = {key: _head.rounded(value, 3) for key, value in mean(each).items()}
        rows.append({"way": way, "strength": strength, "pairs": len(each), **means})
        print(rows[-1], flush=True)
    _head.save(options.results, "strength_by_vector", "Painting less strongly, by mixing and by vectors", rows)


if __name__ == "__main__":
    main()
