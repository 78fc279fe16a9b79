"""COCO data sets: annotation files read with mistrust, images read as their annotations see them."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from impasto.errors import DataError, ImageError, printable
from impasto.images.geometry import size_of
from impasto.images.reading import read_levels, stored_size
from impasto.system.files import is_address

if TYPE_CHECKING:
    import numpy as np

_MAX_BYTES = 2**31  # four times the largest file that COCO has

Tell = Callable[[str], None]


def read_coco(path: Path, folder: Path | None = None, tell: Tell = lambda line: None) -> dict[str, Any]:
    """Return what a COCO annotation file holds, whatever else is in it, with these parts checked and put into one form.

    `images`: objects with an `id` that no other has and a `file_name` that stays inside its folder. `annotations`, where
    there are any: objects whose `image_id` is the id of an image; `bbox`, if there is one, of four numbers.
    `categories`, where there are any: objects with an `id` of their own and a `name`. No number is infinite or NaN.

    Tools differ: "7" and 7.0 are taken for 7, a side of -1 for one that is not stated. With `folder`, where the images
    lie, a name that is not there is looked for by its end, so that those of Windows and of another computer are found, and
    LVIS's addresses; and a size that is not stated is the file's. `tell` is called with a line for each thing of that kind.

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
        _bring_into_form(coco)
        if folder:
            _place(coco["images"], folder, tell)
        _check(coco)
        _drop_orphans(coco, tell)
        if folder:
            _fill_sizes(coco["images"], folder, tell)
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


# One form for what tools write in several.


def _bring_into_form(coco: Any) -> None:
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
                    item[name] = _whole(item[name])
    for image in coco.get("images", []):
        for side in ("width", "height"):
            image[side] = _side(image.get(side))
    for category in coco.get("categories", []):
        if type(category.get("name")) is int:
            category["name"] = str(category["name"])
    for key, those in (("image_id", "images"), ("category_id", "categories")):
        _resolve(coco.get("annotations", []), key, [item.get("id") for item in coco.get(those, [])])


def _whole(value: Any) -> Any:
    """Return a number that is a whole one, or the text of one, as an int; anything else as it is."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"0|-?[1-9]\d{0,17}", value, re.ASCII) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _side(value: Any) -> Any:
    """Return a side of an image, None where it is not stated: missing, or not above 0 as VIA writes it."""
    number = _whole(value)
    if type(number) is not int:
        return value
    return number if number > 0 else (value if isinstance(value, str) else None)


def _resolve(annotations: Sequence[dict[str, Any]], key: str, ids: Sequence[Any]) -> None:
    """Write the ids in `annotations` as the things that they mean have them, where that leaves no doubt."""
    known = {number for number in ids if isinstance(number, Hashable)}
    times = Counter(map(_whole, known))
    meant = {_whole(number): number for number in known if times[_whole(number)] == 1}
    for annotation in annotations:
        number = annotation.get(key)
        if _is_id(number) and number not in known:
            annotation[key] = meant.get(_whole(number), number)


def _drop_orphans(coco: dict[str, Any], tell: Tell) -> None:
    """Leave out the annotations of images that the file does not have, and say so."""
    if "annotations" not in coco:
        return
    known = {image["id"] for image in coco["images"]}
    orphans = [mark.get("image_id") for mark in coco["annotations"] if mark.get("image_id") not in known]
    if orphans:
        first = ", ".join(dict.fromkeys(str(number)[:20] for number in orphans[:50]))
        tell(
            f"{len(orphans)} annotations left out, of images that are not in the file: image_id {printable(first)[:80]}"
        )
        coco["annotations"] = [mark for mark in coco["annotations"] if mark.get("image_id") in known]


def _place(images: Sequence[dict[str, Any]], folder: Path, tell: Tell) -> None:
    """Name the images as they lie in `folder`, where their own names lead elsewhere."""
    names = {name for image in images if isinstance(name := _name(image), str)}
    there = {name for name in names if _is_inside(name) and os.path.lexists(folder / name)}
    moved = {name: place for name in names - there if (place := _by_its_end(name, folder))}
    times = Counter([*moved.values(), *there])  # two images that would be one file: neither is certain
    moved = {name: place for name, place in moved.items() if times[place] == 1}
    for image in images:
        if (name := _name(image)) in moved:
            image["file_name"] = moved[name]
    if moved:
        name, place = min(moved.items())
        tell(
            f"{len(moved)} images found by the end of their names, such as {printable(place)} for {printable(name)[:120]}"
        )


def _name(image: dict[str, Any]) -> Any:
    name = image.get("file_name", image.get("coco_url"))
    return name if isinstance(name, str) else None


def _by_its_end(name: str, folder: Path) -> str:
    """Return the longest end of a path, of any system, or of an address that lies in `folder`; "" if none does."""
    if not name.isprintable() or len(name) > 1000:
        return ""
    path = urlsplit(name).path if is_address(name) and "//" in name else name
    parts = [part for part in PureWindowsPath(path).parts if part not in ("..", PureWindowsPath(path).anchor)]
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if _is_inside(end) and os.path.isfile(folder / end)), "")  # noqa: PTH113


def _fill_sizes(images: Sequence[dict[str, Any]], folder: Path, tell: Tell) -> None:
    """Give images whose size is not stated the one that their files have, as they are stored."""
    filled = 0
    for image in images:
        if image["width"] is image["height"] is None and (size := stored_size(folder / image["file_name"])):
            image["height"], image["width"] = size
            filled += 1
    if filled:
        tell(f"{filled} images whose size is not stated: taken from the files")


# What is checked.


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
    """Refuse what is none; its own id may be another's, too, for those of a result are given anew."""
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
    """Whether a file name from a stranger's annotations is one below the folder that it belongs to."""
    plain = isinstance(name, str) and len(name.encode("utf-8", "replace")) < 1000 and name.isprintable()
    return plain and Path(name).name != "" and not Path(name).is_absolute() and ".." not in Path(name).parts
