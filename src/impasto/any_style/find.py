"""From what people type as a style to the file of its painter; a painter of a picture is predicted and kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.any_style.files import StyleVector, installed_predictor, is_style_vector, predictor_path
from impasto.any_style.words import Part, joined_name, parts_of
from impasto.checkpoint import SUFFIX, find_style_model, plain_name, read_metadata, save_style_model
from impasto.errors import ModelError, printable
from impasto.images.formats import is_picture
from impasto.system.choices import STYLE_SIZE
from impasto.system.files import cache_dir, file_digest, temporary_cache_dir
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from impasto.any_style import predict
    from impasto.checkpoint import StyleModel
else:
    predict = lazy("impasto.any_style.predict")

_MOST_PREDICTED = 64
_FOLDER = "predicted"  # of the cache
_given: set[Path] = set()


def find_painter(style: str | Path, size: int = STYLE_SIZE) -> Path:
    """Return the style model's file for a shipped style's name, a style model, a picture, a style vector or a blend.

    A painter that had to be predicted lies in the user's cache folder, so that the next time needs no torch; where
    nothing can be written there, in a temporary one.

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
    name = _name_of(parts, paths)
    painter = cache_dir() / _FOLDER / _digest_of(parts, paths, size) / f"{name}{SUFFIX}"
    if not _is_whole(painter):
        painter = _kept(painter, predict.predicted_style_model(_vector(parts, paths, name, size)))
    with suppress(OSError):  # it may lie where only others write
        painter.touch()  # the longest unused goes first
    _given.add(painter)
    _forget_oldest(painter.parents[1])
    return painter


def find_vector(style: str | Path, size: int = STYLE_SIZE) -> StyleVector:
    """Return the vector of what `find_painter` finds a painter for; arguments and errors as there."""
    parts = parts_of(style)
    paths = [_file_of(part) for part in parts]
    return _vector(parts, paths, _name_of(parts, paths), size)


def _vector(parts: list[Part], paths: list[Path], name: str, size: int) -> StyleVector:
    vectors = [predict.vector_of(path, size) for path in paths]
    return predict.blended(vectors, [part.weight for part in parts], name)


def is_predicted(model: Path) -> bool:
    """Whether `find_painter` returned that style model as one of a picture, a vector or a blend."""
    return model in _given


def is_kept(model: Path) -> bool:
    """Whether the next process will find a predicted painter, too."""
    return model.is_relative_to(cache_dir())


def _name_of(parts: Sequence[Part], paths: Sequence[Path]) -> str:
    return plain_name(joined_name(parts, [path.stem.removesuffix(".vector") for path in paths]))


def _file_of(part: Part) -> Path:
    path = Path(os.path.expanduser(part.word))  # noqa: PTH111 - Path.expanduser raises for a user who is not there
    if is_picture(path) and path.is_file():
        if not predictor_path().is_file():
            raise ModelError(path, "a picture, not a painter", f"train one first: impasto train {printable(path)}")
        return path
    return find_style_model(part.word)


def _is_to_predict(path: Path) -> bool:
    return is_picture(path) or is_style_vector(path)


def _digest_of(parts: Sequence[Part], paths: Sequence[Path], size: int) -> str:
    """Return a digest of all that decides on the painter."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    files = [_file_digest(path) for path in (installed_predictor(), *paths, *code)]
    said = json.dumps([files, [part.weight for part in parts], size])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _file_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise ModelError(path, f"cannot be read ({error.strerror})", "choose another file") from error


def _is_whole(model: Path) -> bool:
    with suppress(ModelError, OSError):
        return bool(read_metadata(model))
    return False


def _kept(path: Path, model: StyleModel) -> Path:
    """Write a predicted painter; return where it is."""
    try:
        save_style_model(path, model)
    except ModelError:  # the cache folder cannot be written
        path = temporary_cache_dir() / _FOLDER / path.relative_to(path.parents[1])
        save_style_model(path, model)
    return path


def _forget_oldest(folder: Path) -> None:
    """Keep so many painters, and those that this process has given out."""
    with suppress(OSError):  # another process does the same
        kept = sorted(folder.glob(f"*/*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST_PREDICTED]:
            if path not in _given:
                path.unlink(missing_ok=True)
                with suppress(OSError):  # the same picture lies there under another name
                    path.parent.rmdir()
