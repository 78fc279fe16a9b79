"""COCO data sets: annotation files read with mistrust, images read as their annotations see them."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import DataError, ImageError
from impasto.images import printable, read_levels, size_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_MAX_BYTES = 2**31  # four times the largest file that COCO has


def read_coco(path: Path) -> dict[str, Any]:
    """Return what a COCO annotation file holds, whatever else is in it, with these parts checked.

    `images`: objects with an `id` that no other has and a `file_name` that stays inside its folder. `annotations`, where
    there are any: objects with an `image_id`; `id`, if given, of its own; `bbox`, if given, of four numbers.
    `categories`, where there are any: objects with an `id` of their own and a `name`. No number is infinite or NaN.

    Raises:
        DataError: the file cannot be read or is none such, in one line.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no regular file")
        if status.st_size > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES >> 30} GiB; split it")
        coco = json.loads(path.read_bytes(), parse_float=_finite, parse_constant=_finite)
        _check(coco)
    except OSError as error:
        raise DataError(f"{printable(path)}: {error.strerror}; give a COCO instances file") from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = printable(str(error))[:200] or "more than fits in memory"
        raise DataError(f"{printable(path)}: not a COCO instances file ({reason})") from error
    return coco


def read_annotated(path: Path, width: Any, height: Any) -> Tensor | np.ndarray:
    """Read an image whose annotations were made for `width` x `height` pixels, as `images.read_levels` does.

    COCO's annotations refer to the pixels as stored, before a viewer turns them as the EXIF says, so that is how the
    image is read. Some tools annotate the upright picture instead; where only that has the annotated size, it is read.

    Raises:
        ImageError: it cannot be read, or has another size either way.
    """
    for upright in (False, True):
        image = read_levels(path, upright=upright)
        if size_of(image) == (height, width):
            return image
    stated = printable(f"{width} x {height}")[:40]
    raise ImageError(
        f"{printable(path)}: {' x '.join(map(str, reversed(size_of(image))))} pixels, but {stated} in its annotations; mend either"
    )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _check(coco: Any) -> None:
    if not isinstance(coco, dict) or "images" not in coco:
        raise ValueError("no images in it")
    for key, word in (("images", "image"), ("annotations", "annotation"), ("categories", "category")):
        _check_ids(coco.get(key, []), word, needed=key != "annotations")
    for image in coco["images"]:
        if not _is_inside(image.get("file_name")):
            raise ValueError(f"file_name {str(image.get('file_name'))[:60]!r} is none inside the images' folder")
    for category in coco.get("categories", []):
        if not isinstance(category.get("name"), str):
            raise ValueError(f"category {category['id']} has no name")
    for annotation in coco.get("annotations", []):
        _check_annotation(annotation)


def _check_ids(items: Any, word: str, needed: bool) -> None:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"what should be a list of {word} objects is none")
    ids = [item.get("id") for item in items if needed or "id" in item]
    seen = set()
    for number in ids:
        if not _is_id(number):
            raise ValueError(f"{str(number)[:60]!r} is no {word} id")
        if number in seen:
            raise ValueError(f"{word} id {str(number)[:60]} appears twice")
        seen.add(number)


def _check_annotation(annotation: dict[str, Any]) -> None:
    name = f"annotation {str(annotation.get('id', 'without an id'))[:60]}"
    if not _is_id(annotation.get("image_id")) or not _is_id(annotation.get("category_id", 0)):
        raise ValueError(f"{name} does not say its image, or its category, by an id")
    box = annotation.get("bbox", [0, 0, 0, 0])
    if not isinstance(box, list) or [type(side) in (int, float) for side in box] != [True] * 4:
        raise ValueError(f"the bbox of {name} is not four numbers")


def _is_id(value: Any) -> bool:
    return type(value) in (int, str)


def _is_inside(name: Any) -> bool:
    """Whether a file name from a stranger's annotations is one below the folder that it belongs to."""
    plain = isinstance(name, str) and len(name.encode("utf-8", "replace")) < 1000 and name.isprintable()
    return plain and Path(name).name != "" and not Path(name).is_absolute() and ".." not in Path(name).parts
