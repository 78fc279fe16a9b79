"""From what people type as a style to the file of its painter; a painter of a picture is predicted and kept."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.any_style.files import StyleVector, is_style_vector, load_predictor, predictor_path
from impasto.any_style.words import Part, parts_of
from impasto.checkpoint import SUFFIX, find_style_model, plain_name, save_style_model
from impasto.errors import ModelError, printable
from impasto.images.formats import IMAGE_SUFFIXES
from impasto.system.choices import STYLE_SIZE
from impasto.system.files import cache_dir
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from impasto.any_style import predict
else:
    predict = lazy("impasto.any_style.predict")

_MOST_PREDICTED = 64


def find_painter(style: str | Path, size: int = STYLE_SIZE) -> Path:
    """Return the style model's file for a shipped style's name, a style model, a picture, a style vector or a blend.

    A painter that had to be predicted lies in the user's cache folder, so that the next time needs no torch.

    Args:
        style: such as `wave`, `mine.safetensors`, `painting.jpg` or `a.jpg:0.7,wave:0.3`.
        size: longer side, in pixels, at which pictures are read: larger gives broader strokes.

    Raises:
        UsageError: weights that make no blend.
        ImageError, ModelError: a part cannot be used.
    """
    parts = parts_of(style)
    paths = [_file_of(part) for part in parts]
    if len(paths) == 1 and not _is_to_predict(paths[0]):
        return paths[0]
    name = plain_name("+".join(path.stem for path in paths))
    place = _place_for(parts, paths, size) / f"{name}{SUFFIX}"
    if not place.is_file():
        save_style_model(place, predict.predicted_style_model(_vector(parts, paths, name, size)))
        _forget_oldest()
    return place


def find_vector(style: str | Path, size: int = STYLE_SIZE) -> StyleVector:
    """Return the vector of what `find_painter` finds a painter for; arguments and errors as there."""
    parts = parts_of(style)
    paths = [_file_of(part) for part in parts]
    return _vector(parts, paths, plain_name("+".join(path.stem for path in paths)), size)


def _vector(parts: list[Part], paths: list[Path], name: str, size: int) -> StyleVector:
    vectors = [predict.vector_of(path, size) for path in paths]
    return predict.blended(vectors, [part.weight for part in parts], name)


def is_predicted(model: Path) -> bool:
    """Whether `find_painter` predicted that style model."""
    return model.is_relative_to(_folder())


def how_much_closer() -> str:
    """Say how much closer to its picture a trained painter comes than a predicted one."""
    closer = load_predictor().closer
    return "comes closer" if closer is None else f"comes closer: style reached +{100 * closer:.0f} points on average"


def _file_of(part: Part) -> Path:
    path = Path(os.path.expanduser(part.word))  # noqa: PTH111 - Path.expanduser raises for a user who is not there
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        if not predictor_path().is_file():
            raise ModelError(path, "a picture, not a painter", f"train one first: impasto train {printable(path)}")
        return path
    return find_style_model(part.word)


def _is_to_predict(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES or is_style_vector(path)


def _folder() -> Path:
    return cache_dir() / "predicted"


def _place_for(parts: list[Part], paths: list[Path], size: int) -> Path:
    """Return the folder whose name is a digest of all that decides on the painter."""
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (predictor_path(), *paths)]
    code = [hashlib.sha256(source.read_bytes()).hexdigest() for source in sorted(Path(__file__).parent.glob("*.py"))]
    said = json.dumps([files, [part.weight for part in parts], size, code])
    return _folder() / hashlib.sha256(said.encode()).hexdigest()[:32]


def _forget_oldest() -> None:
    kept = sorted(_folder().glob(f"*/*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-_MOST_PREDICTED]:
        path.unlink(missing_ok=True)
        path.parent.rmdir()
