"""Masks from COCO annotations: paint the people of a picture, or everything but them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any, NoReturn

import numpy as np
from PIL import Image, ImageDraw

from impasto.datasets.coco import read_coco
from impasto.dials.masks import fitted
from impasto.errors import DataError, UsageError, printable
from impasto.images.reading import orientation_of, stored_size
from impasto.inference.records import absolute
from impasto.system.choices import MAX_PIXELS

_FINE = 4  # subpixels a side, by which the edge of a polygon becomes soft
_FINE_PIXELS = 2**22  # of a picture, above which an edge is fine enough as it is
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

log = logging.getLogger(__name__)


class CocoMasks:
    """The masks of photographs, wherever they lie, by the annotations of an annotation file: what `Masks` says.

    Args:
        annotations: a COCO annotation file.
        categories: names, such as "person".
        invert: everything but these categories.

    Raises:
        DataError: the file is none, or has no such category.
    """

    def __init__(self, annotations: Path, categories: Sequence[str], *, invert: bool = False):
        coco = read_coco(annotations)
        check_categories(coco, categories)
        self.annotations, self.categories, self.invert = annotations, tuple(categories), invert
        self._parts = by_image(coco)
        self._named: defaultdict[str, list[int | str]] = defaultdict(list)
        for number, part in self._parts.items():
            self._named[PurePath(part["images"][0]["file_name"]).name].append(number)

    def of(self, source: object, size: tuple[int, int]) -> np.ndarray:
        part = self._part_for(source)
        assert isinstance(source, Path)
        mask = mask_of(part, part["images"][0]["file_name"], self.categories, invert=self.invert)
        if not mask.any():
            log.info(f"{printable(source)}: nothing of that is in its annotations: it stays as it is")
        turn = _TURNS.get(orientation_of(source))
        if turn is not None and stored_size(source) == mask.shape:  # annotated as it is stored
            mask = np.asarray(Image.fromarray(mask).transpose(turn))
        return fitted(mask, size, source)

    def of_frames(self, source: object) -> NoReturn:
        raise UsageError(f"{printable(source)}: annotations are of pictures, not of clips; give a --mask folder")

    def digest(self, source: object) -> str:
        text = json.dumps([self._part_for(source), self.categories, self.invert], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _part_for(self, source: object) -> dict[str, Any]:
        """Return what the annotation file says of a photograph: the longer the common end of the paths, the better.

        Of ends of one length, that which is a whole `file_name` is better. A name alone is enough only where one of
        the two has no folder: `train/cat.jpg` is `cat.jpg`, and is not `val/cat.jpg`.
        """
        if not isinstance(source, Path):
            raise DataError(source, "annotations are of files; give the photograph's path")
        likeness: defaultdict[tuple[int, bool], list[int | str]] = defaultdict(list)
        for number in self._named.get(source.name, []):
            name = PurePath(self._parts[number]["images"][0]["file_name"])
            common = _common_end(Path(absolute(source)), name)
            if common > 1 or len(name.parts) == 1 or len(source.parts) == 1:
                likeness[common, common == len(name.parts)].append(number)
        numbers = likeness[max(likeness)] if likeness else []
        if len(numbers) != 1:
            raise DataError(source, f"{'several such images' if numbers else 'no such image'} in the annotations")
        return self._parts[numbers[0]]


def _common_end(one: PurePath, other: PurePath) -> int:
    """Return how many parts, counted from the end, two paths have in common."""
    pairs = zip(reversed(one.parts), reversed(other.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def check_categories(coco: dict[str, Any], names: Sequence[str]) -> None:
    """Raise DataError, which names those that there are, for a category that is not in a data set."""
    _ids_of(coco, names)


def by_image(coco: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return for the id of each image the data set of that image alone, which `mask_of` reads quickly."""
    categories = coco.get("categories", [])
    parts = {image["id"]: {"images": [image], "categories": categories, "annotations": []} for image in coco["images"]}
    for annotation in coco.get("annotations", []):
        parts[annotation["image_id"]]["annotations"].append(annotation)
    return parts


def mask_of(coco: dict[str, Any], image_name: str, categories: Sequence[str], *, invert: bool = False) -> np.ndarray:
    """Return where the annotations of some categories lie in an image, as a mask for `dials.masks.compose`.

    Polygons have edges of one soft pixel. Run lengths, compressed or not, are exact. Where there is no segmentation,
    the box counts. The mask is of the annotated size and turned as the annotations are: `coco.read_annotated` reads the
    image in the same way.

    Args:
        coco: what `coco.read_coco` returns.
        image_name: the image's `file_name`, or its last part where that is unique.
        categories: names, such as "person".
        invert: everything but these categories.

    Returns:
        (H, W) float32 in [0, 1]; 0 everywhere where the image shows none of these categories.

    Raises:
        DataError: no such image or category, a size that is not stated or is too large, or a segmentation that cannot
            be read.
    """
    image = _image_of(coco, image_name)
    height, width = _size_of(image)
    wanted = _ids_of(coco, categories)
    mask = np.zeros((height, width), np.float32)
    for annotation in coco.get("annotations", []):
        if annotation.get("image_id") == image["id"] and annotation.get("category_id") in wanted:
            try:
                np.maximum(mask, drawn(_outline(annotation), height, width), out=mask)
            except (ValueError, TypeError, IndexError, OverflowError) as error:
                name = str(annotation.get("id", "without an id"))[:60]
                raise DataError(f"annotation {name}", f"its segmentation cannot be read ({str(error)[:80]})") from error
    return 1 - mask if invert else mask


def drawn(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return one `segmentation` of COCO, polygons or run lengths, as a mask (H, W), float32 in [0, 1].

    Raises:
        ValueError, TypeError: neither of these, or run lengths for another size.
    """
    if not isinstance(segmentation, dict):
        return _polygons(segmentation, height, width)
    if list(segmentation.get("size", [])) != [height, width]:
        raise ValueError(f"run lengths for {segmentation.get('size')}, not for {[height, width]}")
    counts = segmentation.get("counts")
    lengths = decompressed(counts) if isinstance(counts, (str, bytes)) else np.array(counts)
    if lengths.size and not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError("run lengths that are no whole numbers")
    # Each one first: a sum of huge ones wraps around.
    is_of_picture = lengths.ndim == 1 and not ((lengths < 0) | (lengths > height * width)).any()
    if not is_of_picture or lengths.sum() != height * width:
        raise ValueError("run lengths that do not fill the picture")
    values = (np.arange(len(lengths)) % 2).astype(np.float32)
    return np.ascontiguousarray(np.repeat(values, lengths).reshape(width, height).T)  # by columns


def decompressed(counts: str | bytes) -> np.ndarray:
    """Return COCO's compressed run lengths as numbers (n,).

    A number is written in groups of five bits, lowest first, the sixth bit saying that more follow and the last group's
    highest bit being the sign. From the fourth number on, the difference to the last but one is written.

    Raises:
        ValueError: not of this kind, or cut short.
    """
    text = counts if isinstance(counts, bytes) else counts.encode("ascii")
    if not re.fullmatch(rb"(?:[P-o]{0,7}[0-O])*", text):
        raise ValueError("damaged run lengths")
    lengths: list[int] = []
    for group in re.findall(rb"[P-o]*[0-O]", text):
        number = sum(((code - 48) & 31) << 5 * place for place, code in enumerate(group))
        number -= ((group[-1] - 48) & 16) << 5 * (len(group) - 1) + 1  # two's complement
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
    return np.array(lengths, dtype=np.int64)


def _outline(annotation: dict[str, Any]) -> Any:
    """Return the segmentation of an annotation, or its box as a polygon."""
    if annotation.get("segmentation") or not annotation.get("bbox"):
        return annotation.get("segmentation") or []
    left, top, width, height = annotation["bbox"]
    return [[left, top, left + width, top, left + width, top + height, left, top + height]]


def _polygons(polygons: Any, height: int, width: int) -> np.ndarray:
    """Draw polygons [x, y, x, y, ...], in pixels from the upper left corner."""
    if not isinstance(polygons, list):
        raise ValueError("neither polygons nor run lengths")
    fine = _FINE if height * width <= _FINE_PIXELS else 1
    canvas = Image.new("L", (width * fine, height * fine))
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        points = np.array(polygon, dtype=np.float64)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            raise ValueError("a polygon of fewer than three points")
        # Pillow fills to the pixels that its corners lie in.
        pen.polygon((points.clip(-width - height, 2 * (width + height)) * fine - 0.5).tolist(), fill=255)
    return np.asarray(canvas.reduce(fine)) / np.float32(255)


def _image_of(coco: dict[str, Any], name: str) -> dict[str, Any]:
    images = coco["images"]
    found = [image for image in images if image["file_name"] == name]
    found = found or [image for image in images if PurePath(image["file_name"]).name == PurePath(name).name]
    if len(found) != 1:
        raise DataError(name, f"{'several such images' if found else 'no such image'} in the annotations")
    return found[0]


def _size_of(image: dict[str, Any]) -> tuple[int, int]:
    height, width = image.get("height"), image.get("width")
    if type(height) is not int or type(width) is not int or min(height, width) < 1 or height * width > MAX_PIXELS:
        raise DataError(image["file_name"], "its size is not stated in the annotations, or is too large")
    return height, width


def _ids_of(coco: dict[str, Any], names: Iterable[str]) -> set[int | str]:
    known: dict[str, set[int | str]] = {}
    for category in coco.get("categories", []):
        known.setdefault(category["name"], set()).add(category["id"])
    for name in names:
        if name not in known:
            some = printable(", ".join(sorted(known)))[:200] or "none"
            raise DataError(f"category {printable(name)}: not in the annotations", remedy=f"choose from {some}")
    return {number for name in names for number in known[name]}
