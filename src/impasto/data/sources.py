"""The photographs to train on: those of a folder or of a COCO file, numbered."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Protocol

from torch import Tensor

from impasto.datasets.coco import read_coco
from impasto.errors import DataError, printable
from impasto.images.contact_sheet import SHEET
from impasto.images.finding import find_images
from impasto.images.reading import read_image


def list_images(
    root: Path,
    annotations: Path | None = None,
    categories: str | Sequence[str] | None = (),
    include: str | Sequence[str] | None = (),
) -> list[Path]:
    """Return the images to train on, sorted: every image under `root`, or those of a COCO annotation file.

    Args:
        root: a folder; with `annotations`, the one that its file names are relative to.
        annotations: a COCO instances file.
        categories: with `annotations`, keep only images that show one of these (by name).
        include: without `annotations`, keep only files whose names match one of these patterns.

    Raises:
        DataError: nothing found, an unreadable annotation file or an unknown category.
    """
    categories, include = words_of(categories), words_of(include)
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder; give one with photographs in it")
    if annotations is None:
        if categories:
            raise DataError("data.categories needs data.annotations=FILE.json, which says what the images show")
        found = _without_runs(find_images([root]), root)
        return [path for path in found if not include or any(path.match(pattern) for pattern in include)]
    names = _coco_file_names(annotations, set(categories))
    return sorted({_located(root, name) for name in names})


def words_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return a setting that takes a word or several as several."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _without_runs(paths: Sequence[Path], root: Path) -> list[Path]:
    """Return `paths` without what trainings leave: everything in the folder of a run, and contact sheets anywhere."""
    folders = {folder for path in paths for folder in path.parents if folder == root or root in folder.parents}
    runs = {folder for folder in folders if (folder / "last.ckpt").is_file()}
    return [path for path in paths if path.name != SHEET and runs.isdisjoint(path.parents)]


def _located(root: Path, name: str) -> Path:
    """Return where an image of an annotation file lies; tools on Windows write backslashes between folders."""
    written = PureWindowsPath(name)
    if "\\" in name and ".." not in written.parts and not written.anchor and not (root / name).exists():
        return root.joinpath(*written.parts)
    return root / name


def _coco_file_names(annotations: Path, categories: set[str]) -> list[str]:
    try:
        coco = read_coco(annotations)
    except DataError as error:
        raise DataError(f"data.annotations={error}") from error
    files = {_key(image["id"]): image["file_name"] for image in coco["images"]}
    if not categories:
        return list(files.values())
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for category in coco.get("categories", []):
        ids[category["name"]].add(_key(category["id"]))
    if unknown := categories - ids.keys():
        raise DataError(
            f"data.categories: {', '.join(sorted(unknown))} not in {annotations}; it has {printable(', '.join(ids))}"
        )
    wanted = set().union(*(ids[name] for name in categories))
    shown = {_key(mark["image_id"]) for mark in coco.get("annotations", []) if _key(mark.get("category_id")) in wanted}
    return [name for image, name in files.items() if image in shown]


def _key(identifier: object) -> str:
    """Return an id such that 7, 7.0 and "7" are one."""
    return str(identifier).removesuffix(".0")


class Source(Protocol):
    """Numbered photographs, wherever they lie."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what to call photograph `index`."""
        ...

    def read(self, index: int, at_least: int = 0) -> Tensor:
        """Return photograph `index` as `images.reading.read_image` does.

        Raises:
            ImageError: it cannot be read.
        """
        ...

    def blame(self, index: int) -> tuple[str, int]:
        """Return what to name when `index` cannot be read, itself or the shard that it was in,
        and how many images that holds.
        """
        ...

    def faults(self) -> list[tuple[str, str, int]]:
        """Return what is known beforehand to be unusable: its name, why, and how many images it holds."""
        ...

    def subset(self, indices: Sequence[int]) -> Source:
        """Return the photographs with these numbers, numbered afresh."""
        ...

    def listing_digest(self) -> str:
        """Return twelve hex digits that tell one data set from another."""
        ...


class FolderImages:
    """The files at `paths`, a source; `root` is the folder that their names are told from."""

    def __init__(self, paths: Sequence[Path], root: Path | None = None):
        self.paths, self.root = list(paths), root

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def read(self, index: int, at_least: int = 0) -> Tensor:
        return read_image(self.paths[index], at_least=at_least)

    def blame(self, index: int) -> tuple[str, int]:
        return self.name(index), 1

    def faults(self) -> list[tuple[str, str, int]]:
        return []

    def subset(self, indices: Sequence[int]) -> FolderImages:
        return FolderImages([self.paths[index] for index in indices], self.root)

    def listing_digest(self) -> str:
        return listing_digest(self.paths, self.root)


def listing_digest(paths: Sequence[Path], root: Path | None = None) -> str:
    """Return twelve hex digits over the names and sizes of all files: tells one data set from another."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size if path.is_file() else 0
        name = path.relative_to(root) if root else path
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]
