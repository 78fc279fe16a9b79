"""COCO data sets: annotation files are read and validated, images are read in the orientation that was annotated."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from impasto.errors import DataError, ImageError, counted, printable
from impasto.images.geometry import size_of
from impasto.images.reading import read_levels, stored_size
from impasto.system.files import is_address

if TYPE_CHECKING:
    import numpy as np

_MAX_BYTES = 2**31  # four times the largest file that COCO has

log = logging.getLogger(__name__)


def read_coco(path: Path, folder: Path | None = None) -> dict[str, Any]:
    """Read a COCO annotation file; validate these parts and bring them into one form, and keep everything else as it
    is.

    `images`: objects with an `id` that no other has and a `file_name` that stays inside its folder. `annotations`,
    where there are any: objects whose `image_id` is the id of an image; `bbox`, if there is one, of four numbers.
    `categories`, where there are any: objects with an `id` of their own and a `name`. No number is infinite or NaN.

    Tools differ: "7" and 7.0 mean 7, and a side of -1 means that the size is not stated. `folder` is where the images
    lie. With it, an image that is not at its path is searched by the end of that path, which finds paths of Windows, of
    another computer and LVIS's addresses; and a size that is not stated is read from the file. A line is logged for
    each such change.

    Raises:
        DataError: the file cannot be read, or is not a COCO instances file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no regular file")
        if status.st_size > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES >> 30} GiB; split it")
        coco = json.loads(path.read_bytes(), parse_float=_finite, parse_constant=_finite)
        _normalise(coco)
        if folder:
            _locate_images(coco["images"], folder)
        _check(coco)
        _drop_orphans(coco)
        if folder:
            _fill_sizes(coco["images"], folder)
    except OSError as error:
        raise DataError(path, f"{error.strerror}", "give a COCO instances file") from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = printable(str(error))[:200] or "more than fits in memory"
        raise DataError(path, f"not a COCO instances file ({reason})") from error
    return coco


def read_annotated(path: Path, width: Any, height: Any) -> np.ndarray:
    """Read an image whose annotations were made for `width` x `height` pixels, as `images.reading.read_levels` does.

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
        path, f"{' x '.join(map(str, reversed(size_of(image))))} pixels, but {stated} in its annotations", "mend either"
    )


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


# Normalisation: tools write the same thing in several forms.


def _normalise(coco: Any) -> None:
    if not isinstance(coco, dict) or "images" not in coco:
        raise ValueError("no images in it")
    for key, word in (("images", "image"), ("annotations", "annotation"), ("categories", "category")):
        if coco.get(key) is None:
            coco.pop(key, None)
        items = coco.get(key, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError(f"what should be a list of {word} objects is none")
        for item in items:
            for name in ("id", "image_id", "category_id"):
                if isinstance(item.get(name), float):
                    item[name] = _as_int(item[name])
    for image in coco.get("images", []):
        for side in ("width", "height"):
            image[side] = _stated_side(image.get(side))
    for category in coco.get("categories", []):
        if type(category.get("name")) is int:
            category["name"] = str(category["name"])
    for key, those in (("image_id", "images"), ("category_id", "categories")):
        _resolve_ids(coco.get("annotations", []), key, [item.get("id") for item in coco.get(those, [])])


def _as_int(value: Any) -> Any:
    """Return a whole number, or the text of one, as an int; return anything else unchanged."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"0|-?[1-9]\d{0,17}", value, re.ASCII) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _stated_side(value: Any) -> Any:
    """Return a side of an image, or None if it is not stated: missing, or not above 0 as VIA writes it."""
    number = _as_int(value)
    if type(number) is not int:
        return value
    return number if number > 0 else (value if isinstance(value, str) else None)


def _resolve_ids(annotations: Sequence[dict[str, Any]], key: str, ids: Sequence[Any]) -> None:
    """Replace the ids in `annotations` by the equal ids of their targets (7 for "7"),
    where exactly one target matches.
    """
    known = {number for number in ids if isinstance(number, Hashable)}
    counts = Counter(map(_as_int, known))
    meant = {_as_int(number): number for number in known if counts[_as_int(number)] == 1}
    for annotation in annotations:
        number = annotation.get(key)
        if _is_id(number) and number not in known:
            annotation[key] = meant.get(_as_int(number), number)


def _drop_orphans(coco: dict[str, Any]) -> None:
    """Remove annotations whose image is not in the file, and log how many."""
    if "annotations" not in coco:
        return
    known = {image["id"] for image in coco["images"]}
    orphans = [
        annotation.get("image_id") for annotation in coco["annotations"] if annotation.get("image_id") not in known
    ]
    if orphans:
        first = ", ".join(dict.fromkeys(str(number)[:20] for number in orphans[:50]))
        log.info(
            f"{counted(len(orphans), 'annotation')} left out, of images that are not in the file: "
            f"image_id {printable(first)[:80]}"
        )
        coco["annotations"] = [annotation for annotation in coco["annotations"] if annotation.get("image_id") in known]


def _locate_images(images: Sequence[dict[str, Any]], folder: Path) -> None:
    """Replace each file name that is not in `folder` by the path where the image lies there."""
    names = {name for image in images if isinstance(name := _image_name(image), str)}
    there = {name for name in names if _is_inside(name) and os.path.lexists(folder / name)}
    moved = {name: place for name in names - there if (place := _longest_suffix_in(name, folder))}
    counts = Counter([*moved.values(), *there])  # if two images match one file, neither is certain
    moved = {name: place for name, place in moved.items() if counts[place] == 1}
    for image in images:
        if (name := _image_name(image)) in moved:
            image["file_name"] = moved[name]
    if moved:
        name, place = min(moved.items())
        log.info(
            f"{counted(len(moved), 'image')} found by the end of the name, such as {printable(place)} for "
            f"{printable(name)[:120]}"
        )


def _image_name(image: dict[str, Any]) -> Any:
    name = image.get("file_name", image.get("coco_url"))
    return name if isinstance(name, str) else None


def _longest_suffix_in(name: str, folder: Path) -> str:
    """Return the longest end of `name`, a path of any system or an address, that is a file in `folder`;
    "" if there is none.
    """
    if not name.isprintable() or len(name) > 1000:
        return ""
    path = urlsplit(name).path if is_address(name) and "//" in name else name
    parts = [part for part in PureWindowsPath(path).parts if part not in ("..", PureWindowsPath(path).anchor)]
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if _is_inside(end) and os.path.isfile(folder / end)), "")  # noqa: PTH113


def _fill_sizes(images: Sequence[dict[str, Any]], folder: Path) -> None:
    """Read sizes that are not stated from the files, as the pixels are stored."""
    filled = 0
    for image in images:
        if image["width"] is image["height"] is None and (size := stored_size(folder / image["file_name"])):
            image["height"], image["width"] = size
            filled += 1
    if filled:
        log.info(
            f"{counted(filled, 'image')} whose size is not stated: taken from the file{'' if filled == 1 else 's'}"
        )


# Validation.


def _check(coco: dict[str, Any]) -> None:
    for key, word in (("images", "image"), ("categories", "category")):
        _check_ids(coco.get(key, []), word)
    for image in coco["images"]:
        if not _is_inside(image.get("file_name")):
            raise ValueError(f"file_name {str(image.get('file_name'))[:60]!r} is none inside the images' folder")
    for category in coco.get("categories", []):
        if not isinstance(category.get("name"), str):
            raise ValueError(f"category {category['id']} has no name")
    for annotation in coco.get("annotations", []):
        _check_annotation(annotation)


def _check_ids(items: Sequence[dict[str, Any]], word: str) -> None:
    seen = set()
    for number in (item.get("id") for item in items):
        if not _is_id(number):
            raise ValueError(f"{str(number)[:60]!r} is no {word} id")
        if number in seen:
            raise ValueError(f"{word} id {str(number)[:60]} appears twice")
        seen.add(number)


def _check_annotation(annotation: dict[str, Any]) -> None:
    """Raise ValueError for a bad annotation. Its own id need not be unique, because results get new ids."""
    name = f"annotation {str(annotation.get('id', 'without an id'))[:60]}"
    for key in ("image_id", "category_id"):
        if annotation.get(key) is not None and not _is_id(annotation[key]):
            raise ValueError(f"{name} does not say its image, or its category, by an id")
    box = annotation.get("bbox") or [0, 0, 0, 0]  # some have none
    if not isinstance(box, list) or [type(side) in (int, float) for side in box] != [True] * 4:
        raise ValueError(f"the bbox of {name} is not four numbers")


def _is_id(value: Any) -> bool:
    return type(value) in (int, str)


def _is_inside(name: Any) -> bool:
    """Whether an untrusted file name is a path below the folder that it belongs to."""
    plain = isinstance(name, str) and len(name.encode("utf-8", "replace")) < 1000 and name.isprintable()
    return plain and Path(name).name != "" and not Path(name).is_absolute() and ".." not in Path(name).parts
