"""Masks from COCO's annotations, compared with pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from helpers.places import SHARED
from impasto.datasets.coco import read_coco
from impasto.datasets.coco_masks import CocoMasks, decompressed, drawn, mask_of
from impasto.errors import DataError

QUICK = settings(max_examples=50, deadline=None)
HEIGHT, WIDTH = 30, 50
SQUARE = [[10, 5, 20, 5, 20, 15, 10, 15]]


def run_lengths(grid: np.ndarray) -> list[int]:
    """COCO's uncompressed counts: by columns, zeros first."""
    values = grid.T.ravel()
    edges = np.flatnonzero(np.diff(values)) + 1
    counts = np.diff([0, *edges.tolist(), len(values)]).tolist()
    return [0, *counts] if values[0] else counts


def compressed_lengths(grid: np.ndarray) -> bytes:
    """COCO's compressed counts, which pycocotools declares as text and returns as bytes."""
    return cast(bytes, reference.encode(np.asfortranarray(grid))["counts"])


def coco(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [
            {"id": 1, "file_name": "a/cat.jpg", "width": WIDTH, "height": HEIGHT},
            {"id": 2, "file_name": "b/dog.jpg", "width": None, "height": None},
        ],
        "categories": [{"id": 7, "name": "person"}, {"id": 8, "name": "dog"}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 7, **each} for n, each in enumerate(annotations)],
    }


@QUICK
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_run_lengths_are_exact_compressed_or_not(seed: int, height: int, width: int, share: float) -> None:
    grid = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    compressed = compressed_lengths(grid)
    for counts in (run_lengths(grid), compressed, compressed.decode()):
        assert np.array_equal(drawn({"size": [height, width], "counts": counts}, height, width), grid)
    assert decompressed(compressed).tolist() == run_lengths(grid)


def test_large_run_lengths_are_decompressed() -> None:
    grid = np.zeros((3000, 2000), np.uint8)
    grid[100:2900, 500:1500] = 1
    counts = compressed_lengths(grid)
    assert np.array_equal(drawn({"size": [3000, 2000], "counts": counts}, 3000, 2000), grid)


def test_a_polygon_covers_its_own_area_with_soft_edges() -> None:
    square = drawn(SQUARE, HEIGHT, WIDTH)
    assert (square[6:14, 11:19] == 1).all() and square.sum() == pytest.approx(100, rel=0.06)
    half = drawn([[10.5, 5.5, 20.5, 5.5, 20.5, 15.5, 10.5, 15.5]], HEIGHT, WIDTH)
    assert 0.3 < half[10, 10] < 0.8 and 0.3 < half[10, 20] < 0.8
    assert drawn([[-100, -100, 500, -100, 500, 500, -100, 500]], HEIGHT, WIDTH).min() == 1


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_real_annotations_are_drawn_as_the_reference_draws_them() -> None:
    folder = SHARED / "data" / "coco_tiny"
    known = read_coco(folder / "annotations" / "instances_val2017.json", folder / "val2017")
    sizes = {image["id"]: (image["height"], image["width"]) for image in known["images"]}
    for annotation in known["annotations"]:
        height, width = sizes[annotation["image_id"]]
        ours = drawn(annotation["segmentation"], height, width)
        packed = reference.frPyObjects(annotation["segmentation"], height, width)
        theirs = reference.decode(reference.merge(packed) if isinstance(packed, list) else packed)
        apart = np.abs((ours > 0.5) - theirs.astype(float)).sum()
        assert apart <= (5 * theirs.sum() ** 0.5 if isinstance(packed, list) else 0)


def test_categories_are_joined_and_everything_but_them_is_the_rest() -> None:
    dog = {"category_id": 8, "segmentation": [[30, 5, 40, 5, 40, 15, 30, 15]]}
    known = coco({"segmentation": SQUARE}, dog, {"segmentation": SQUARE, "image_id": 2})
    person, both = mask_of(known, "a/cat.jpg", ["person"]), mask_of(known, "cat.jpg", ["person", "dog"])
    assert person.shape == (HEIGHT, WIDTH) and person.dtype == np.float32
    assert np.array_equal(person, drawn(SQUARE, HEIGHT, WIDTH))
    assert both[10, 35] == 1 and person[10, 35] == 0
    assert np.array_equal(mask_of(known, "cat.jpg", ["person"], invert=True), 1 - person)
    assert not mask_of(coco(dog), "cat.jpg", ["person"]).any()


def test_a_box_counts_where_there_is_no_segmentation() -> None:
    assert np.array_equal(mask_of(coco({"bbox": [10, 5, 10, 10]}), "cat.jpg", ["person"]), drawn(SQUARE, HEIGHT, WIDTH))


@pytest.mark.parametrize(
    "image, categories, words",
    [
        ("bird.jpg", ["person"], "bird.jpg: no such image"),
        ("cat.jpg", ["bird"], "category bird: .*choose from dog, person"),
        ("dog.jpg", ["person"], "its size is not stated"),
    ],
)
def test_what_is_not_there_is_named(image: str, categories: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        mask_of(coco(), image, categories)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, "x"]],
        [["a"]],
        "polygon",
        {"size": [HEIGHT, WIDTH]},
        {"size": [1, 1], "counts": [1]},
        {"size": [HEIGHT, WIDTH], "counts": [1, 2, 3]},
        {"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]},
        {"size": [HEIGHT, WIDTH], "counts": [2**62, 2**62, 2**62, 2**62, HEIGHT * WIDTH]},  # the sum wraps around
        {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH + 0.5]},
        {"size": [HEIGHT, WIDTH], "counts": "\xff"},
        {"size": [HEIGHT, WIDTH], "counts": "ooooo"},
        {"size": 7, "counts": [1]},
        [[1, 2, 1e308, 4, 5, float("inf")]],
    ],
)
def test_a_damaged_segmentation_is_refused_in_one_line(segmentation: object) -> None:
    with pytest.raises(DataError, match="annotation 0: its segmentation cannot be read") as caught:
        mask_of(coco({"segmentation": segmentation}), "cat.jpg", ["person"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "photograph", "meant"),
    [
        (["cat.jpg", "train/cat.jpg"], "train/cat.jpg", "train/cat.jpg"),
        (["cat.jpg", "train/cat.jpg"], "val/cat.jpg", "cat.jpg"),
        (["a/train/cat.jpg", "b/train/cat.jpg"], "b/train/cat.jpg", "b/train/cat.jpg"),
        (["a/train/cat.jpg", "b/train/cat.jpg"], "c/train/cat.jpg", "several such images"),
        (["train/cat.jpg"], "val/cat.jpg", "no such image"),
        (["train/cat.jpg"], "cat.jpg", "train/cat.jpg"),
        (["a/train/cat.jpg"], "b/train/cat.jpg", "a/train/cat.jpg"),
        (["cat.jpg"], "anywhere/cat.jpg", "cat.jpg"),
        (["cat.jpg", "cat.jpg"], "cat.jpg", "several such images"),
    ],
)
def test_a_photograph_is_the_image_whose_path_ends_most_alike(
    names: list[str], photograph: str, meant: str, tmp_path: Path
) -> None:
    images = [{"id": n, "file_name": name, "width": 4, "height": 4} for n, name in enumerate(names)]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "person"}]}))
    masks = CocoMasks(path, ["person"])
    if meant in names:
        assert masks._part_for(Path(photograph))["images"][0]["file_name"] == meant
        return
    with pytest.raises(DataError, match=f"{photograph}: {meant}"):
        masks.digest(Path(photograph))


def test_paint_only_the_people(tmp_path: Path) -> None:
    from impasto.dials.masks import compose

    photograph = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    mask = mask_of(coco({"segmentation": SQUARE}), "cat.jpg", ["person"])
    result = compose(photograph, 255 - photograph, mask)
    assert np.array_equal(result[6:14, 11:19], 255 - photograph[6:14, 11:19])
    assert np.array_equal(result[20:], photograph[20:])
