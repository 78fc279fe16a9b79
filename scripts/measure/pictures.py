"""Paintings against the published ones, by a judge that trained neither: how near the style, how much structure lost.

    python scripts/measure/pictures.py --judge DIR --anchors DIR --styles DIR [--models NAME=DIR...]
        [--photographs DIR] [--others DIR]

JUDGE holds `picture_judge.py` and its weights (VGG-19 to relu5_1, distilled; nothing here is trained on it); ANCHORS
the photograph `chicago.jpg` in folders that hold what others made of it, `chicago_STYLE.jpg`; STYLES the style
pictures. Every `--models NAME=DIR` is a row, of the style models in DIR. With PHOTOGRAPHS, means over the first twelve
of them, of the models and of the pictures `PHOTOGRAPH.STYLE.png` in OTHERS, which another program made. Lower is better
for all figures, but structure trades against style.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import _head

from impasto.images.finding import find_images
from impasto.images.reading import read_image
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer

FIGURES = "Deep style distance, structure lost and colour distance"
KEYS = ("deep", "structure", "colour")  # as the judge calls them
STYLES = ("starry_night", "wave", "the_scream", "composition_vii")
Figures = dict[str, float]  # "deep" and "structure" among them
Table = dict[str, dict[str, Figures]]  # by the pictures' name and the style
Judge = Callable[[Path, Path, Sequence[Path]], list[Figures]]


def load_judge(folder: Path) -> Judge:
    """Style picture, photograph and its paintings -> figures of each painting."""
    module = _module(folder / "picture_judge.py")
    weights = module.load(next(folder.glob("*.pth")))

    def judge(style: Path, photograph: Path, paintings: Sequence[Path]) -> list[Figures]:
        wanted, (seen, size) = module.picture(style)[0], module.picture(photograph)
        return [module.judge(weights, wanted, seen, module.picture(painting, size)[0]) for painting in paintings]

    return judge


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def painted(photograph: Path, model: Path, folder: Path) -> Path:
    """Where `folder` has the painting, made if it is not there."""
    path = folder / model.parent.name / f"{photograph.stem}.{model.stem}.png"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, Stylizer(model)(read_image(photograph)))
    return path


def cell(figures: Figures) -> str:
    return " / ".join(f"{figures[key]:.2f}" for key in KEYS)


def mean(figures: Sequence[Figures]) -> Figures:
    return {key: sum(each[key] for each in figures) / len(figures) for key in figures[0]}


def show(title: str, rows: Table) -> None:
    print(f"\n| {title} | {' | '.join(STYLES)} |\n| --- |{' --- |' * len(STYLES)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cell(cells[style]) if style in cells else '' for style in STYLES)} |")


def flat(rows: Table) -> list[_head.Row]:
    made: list[_head.Row] = []
    for name, cells in rows.items():
        made.append({"pictures": name})
        for style, each in cells.items():
            made[-1] |= {f"{style}_{key}": _head.rounded(each[key]) for key in KEYS}
    return made


def anchors(options: argparse.Namespace, judge: Judge, folder: Path) -> Table:
    """Rows of the photograph itself, of each folder of anchors and of each folder of models."""
    photograph = next(options.anchors.rglob("chicago.jpg"))
    rows: Table = {}
    for style in STYLES:
        paintings = {"the photograph itself": photograph}
        paintings |= {found.parent.name: found for found in sorted(options.anchors.rglob(f"chicago_{style}.*"))}
        for name, models in options.models.items():
            if (model := models / f"{style}.safetensors").is_file():
                paintings[name] = painted(photograph, model, folder / name)
        figures = judge(picture_of(style, options), photograph, list(paintings.values()))
        for name, each in zip(paintings, figures, strict=True):
            rows.setdefault(name, {})[style] = each
    return rows


def means(options: argparse.Namespace, judge: Judge, folder: Path) -> Table:
    photographs = find_images([options.photographs])[: options.limit]
    rows: Table = {}
    for style in STYLES:
        found: dict[str, list[Figures]] = {}
        for photograph in photographs:
            paintings = {
                name: painted(photograph, models / f"{style}.safetensors", folder / name)
                for name, models in options.models.items()
                if (models / f"{style}.safetensors").is_file()
            }
            if options.others:
                paintings["the other program"] = options.others / f"{photograph.stem}.{style}.png"
            for name, each in zip(
                paintings, judge(picture_of(style, options), photograph, list(paintings.values())), strict=True
            ):
                found.setdefault(name, []).append(each)
        for name, each in found.items():
            rows.setdefault(name, {})[style] = mean(each)
    return rows


def picture_of(style: str, options: argparse.Namespace) -> Path:
    return next(path for path in find_images([options.styles]) if path.stem == style)


def named_folder(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: write NAME=DIR, DIR a folder")
    return name, Path(folder)


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--anchors", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument(
        "--models", type=named_folder, nargs="*", default=[("shipped", Path("checkpoints"))], metavar="NAME=DIR"
    )
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--others", type=Path, help="paintings of the same photographs by another program")
    parser.add_argument("--limit", type=int, default=12, help="of the photographs")
    parser.add_argument("-o", "--output", type=Path, help="keep the paintings there")
    parser.add_argument("--name", default="pictures", help="of the tables (default: %(default)s)")
    options = parser.parse_args()
    options.models = dict(options.models)
    judge = load_judge(options.judge)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        print(f"{_head.stamp()}; deep style distance / structure lost")
        found = anchors(options, judge, folder)
        show("chicago.jpg", found)
        _head.save(options.results, options.name, f"{FIGURES}, chicago.jpg", flat(found))
        if options.photographs:
            found, title = means(options, judge, folder), f"means over {options.limit} photographs"
            show(title, found)
            _head.save(options.results, f"{options.name}_means", f"{FIGURES}, {title}", flat(found))


if __name__ == "__main__":
    sys.exit(main())
