"""Content images for training: any folder or COCO file, as a stream that is a pure function of (seed, epoch, index)."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from impasto import images
from impasto.coco import read_coco
from impasto.errors import DataError, ImageError
from impasto.runtime import usable_cores
from impasto.training.procedural import procedural_image

_SCALES = (1.0, 1.6)  # a crop shows between all and 1/1.6 of the shorter side
_CACHE_BYTES = 1 << 30
_UNSET = -1


def list_images(
    root: Path, annotations: Path | None = None, categories: Sequence[str] = (), include: Sequence[str] = ()
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
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder; give one with photographs in it")
    if annotations is None:
        if categories:
            raise DataError("data.categories needs data.annotations=FILE.json, which says what the images show")
        found = images.find_images([root])
        return [path for path in found if not include or any(path.match(pattern) for pattern in include)]
    names = _coco_file_names(annotations, set(categories))
    return sorted(root / name for name in names)


def _coco_file_names(annotations: Path, categories: set[str]) -> list[str]:
    try:
        coco = read_coco(annotations)
    except DataError as error:
        raise DataError(f"data.annotations={error}") from error
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    if not categories:
        return list(files.values())
    ids = {category["name"]: category["id"] for category in coco.get("categories", [])}
    if unknown := categories - ids.keys():
        raise DataError(
            f"data.categories: {', '.join(sorted(unknown))} not in {annotations}; it has {images.printable(', '.join(ids))}"
        )
    wanted = {ids[name] for name in categories}
    shown = {mark["image_id"] for mark in coco.get("annotations", []) if mark.get("category_id") in wanted}
    return sorted({name for image, name in files.items() if image in shown})


class BadImages:
    """Remembers the images that could not be used: names each once and ends the run when there are too many."""

    def __init__(self, total: int, allowed: float):
        self.total, self.allowed, self.reasons = total, allowed, {}

    def add(self, path: Path, reason: str) -> None:
        """Set `path` aside, with one line on stderr the first time."""
        if path not in self.reasons:
            self.reasons[path] = reason
            print(f"set aside: {reason}", file=sys.stderr)

    def check(self) -> None:
        """End the run if too many are bad.

        Raises:
            DataError: more than the allowed fraction is bad; the message lists them.
        """
        if len(self.reasons) > self.allowed * self.total:
            names = "\n  ".join(images.printable(path) for path in self.reasons)
            raise DataError(
                f"{len(self.reasons)} of {self.total} images are bad, more than data.max_bad={self.allowed:g} allows; "
                f"mend or remove them, or raise data.max_bad:\n  {names}"
            )


class CropDataset(Dataset):
    """Sample number -> a random crop; number n is image `order(epoch)[n % len]` of epoch n // len.

    The images are the files at `paths`, then `procedural` pictures made by code.

    Order, scale, place and flip depend on (seed, epoch, index) alone, not on workers, ranks or resumption. An image that
    cannot be used is replaced by the next one in the order and named in the sample's `bad`.

    Shape:
        {"image": (3, crop, crop) float32 in [0, 1], "bad": index of the image replaced, or -1}.
    """

    def __init__(self, paths: Sequence[Path], crop: int, seed: int, procedural: int = 0):
        self.paths, self.crop, self.seed, self.procedural = list(paths), crop, seed, procedural
        self.cache: dict[int, np.ndarray] = {}
        self.bad: dict[int, str] = {}
        self._order = (_UNSET, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.paths) + self.procedural

    def __getitem__(self, number: int) -> dict[str, Any]:
        epoch, position = divmod(number, len(self))
        order, bad = self.order(epoch), _UNSET
        for step in range(len(self)):
            index = int(order[(position + step) % len(order)])
            try:
                pixels = self.decode(index)
            except ImageError:
                bad = index if bad == _UNSET else bad
                continue
            random = np.random.default_rng([self.seed, epoch, index])
            return {"image": random_crop(pixels, self.crop, random), "bad": bad}
        raise DataError("none of the training images can be read")

    def order(self, epoch: int) -> np.ndarray:
        """Return the permutation of all images for `epoch`."""
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return self._order[1]

    def decode(self, index: int) -> np.ndarray:
        """Return image `index` as (H, W, 3) uint8, its shorter side reduced to what crops need.

        Raises:
            ImageError: it cannot be read, or is so small that a crop would be mostly interpolation.
        """
        if index in self.cache:
            return self.cache[index]
        if index >= len(self.paths):
            return procedural_image(index - len(self.paths), round(self.crop * _SCALES[1]))
        if index in self.bad:
            raise ImageError(self.bad[index])
        try:
            return _decode(self.paths[index], self.crop)
        except ImageError as error:
            self.bad[index] = str(error)
            raise


def _decode(path: Path, crop: int) -> np.ndarray:
    needed = round(crop * _SCALES[1])
    picture = images.to_pil(images.read_image(path, at_least=needed))
    shorter = min(picture.size)
    if shorter < crop // 4:
        raise ImageError(f"{images.printable(path)}: only {shorter} pixels on its shorter side, too small to train on")
    if shorter > needed:
        size = tuple(round(side * needed / shorter) for side in picture.size)
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def random_crop(pixels: np.ndarray, crop: int, random: np.random.Generator) -> Tensor:
    """Cut a random square, flip it half of the time and scale it to (3, crop, crop) float32 in [0, 1]."""
    height, width = pixels.shape[:2]
    side = min(height, width) / random.uniform(*_SCALES)
    left, top = random.uniform(0, width - side), random.uniform(0, height - side)
    box = (left, top, left + side, top + side)
    picture = Image.fromarray(pixels).resize((crop, crop), Image.Resampling.BICUBIC, box=box)
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return images.from_pil(picture)


class StreamSampler(BatchSampler):
    """Endless batches of sample numbers for one rank, from any step on; all ranks together read 0, 1, 2, … once each."""

    def __init__(self, batch_size: int, start: int = 0, rank: int = 0, ranks: int = 1):
        self.batch_size, self.start, self.rank, self.ranks = batch_size, start, rank, ranks

    def __iter__(self) -> Iterator[list[int]]:
        step = self.start
        while True:
            first = (step * self.ranks + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))
            step += 1

    def __len__(self) -> int:
        raise TypeError("the stream of training batches has no end")


class ContentDataModule(LightningDataModule):
    """Training crops from a folder of photographs, and a few whole photographs held out for judging.

    Args:
        root, annotations, categories, include: see `list_images`.
        crop: side of the training crops in pixels.
        batch_size: crops per step and rank.
        workers: decoding processes, or `auto`: none for a set that fits the cache, else the cores that are free.
        max_bad: fraction of unusable images that ends the run.
        heldout, heldout_size: how many photographs are held out (at most a fifth), and the side of their centre squares.
        procedural: pictures made by code that are mixed in, for those who have few photographs.
        seed: of order and augmentation.
    """

    def __init__(
        self,
        root: str | Path,
        annotations: str | Path | None = None,
        categories: Sequence[str] = (),
        include: Sequence[str] = (),
        crop: int = 192,
        batch_size: int = 4,
        workers: int | str = "auto",
        max_bad: float = 0.05,
        heldout: int = 8,
        heldout_size: int = 256,
        procedural: int = 0,
        seed: int = 0,
    ):
        super().__init__()
        if min(crop, heldout_size) < 16 or batch_size < 1 or min(heldout, procedural) < 0:
            raise DataError(
                "data.crop and data.heldout_size must be 16 or more, data.batch_size 1, the others not negative"
            )
        self.root, self.annotations = Path(root), Path(annotations) if annotations else None
        self.categories, self.include = tuple(categories), tuple(include)
        self.crop, self.batch_size, self.procedural, self.seed = crop, batch_size, procedural, seed
        self.workers, self.max_bad, self.heldout, self.heldout_size = workers, max_bad, heldout, heldout_size
        self.prepared = False

    def setup(self, stage: str | None = None) -> None:
        if self.prepared:
            return
        paths = list_images(self.root, self.annotations, self.categories, self.include)
        if not paths:
            raise DataError(f"data.root={self.root}: no image there is wanted; loosen data.categories or data.include")
        self.fingerprint = _fingerprint(paths, self.root)
        self.bad = BadImages(len(paths), self.max_bad)
        shuffled = [paths[i] for i in np.random.default_rng(self.seed).permutation(len(paths))]
        self.heldout_images, rest = self._hold_out(shuffled)
        self.dataset = CropDataset(sorted(rest), self.crop, self.seed, self.procedural)
        if len(self.dataset) * (self.crop * _SCALES[1]) ** 2 * 4.5 < _CACHE_BYTES:  # 3 bytes a pixel, aspect ratio 3:2
            self._fill_cache()
        self.bad.check()
        self.prepared = True

    def _hold_out(self, paths: list[Path]) -> tuple[list[Tensor], list[Path]]:
        wanted, kept, rest = min(self.heldout, len(paths) // 5), [], []
        for path in paths:
            if len(kept) == wanted:
                rest.append(path)
                continue
            try:
                photograph = images.read_image(path, at_least=self.heldout_size)
                kept.append(images.centre_square(photograph, self.heldout_size))
            except ImageError as error:
                self.bad.add(path, str(error))
        return kept, rest

    def _fill_cache(self) -> None:
        def decode(index: int) -> np.ndarray | None:
            try:
                return self.dataset.decode(index)
            except ImageError:
                return None

        with ThreadPoolExecutor(usable_cores()) as pool:
            decoded = list(pool.map(decode, range(len(self.dataset))))
        for index, pixels in enumerate(decoded):
            if pixels is None:
                self.bad.add(self.dataset.paths[index], self.dataset.bad[index])
            else:
                self.dataset.cache[index] = pixels

    def train_dataloader(self) -> DataLoader:
        trainer = self.trainer
        assert trainer is not None
        start = trainer.global_step * trainer.accumulate_grad_batches
        sampler = StreamSampler(self.batch_size, start, trainer.global_rank, trainer.world_size)
        workers = self._worker_count(trainer.num_devices)
        return DataLoader(
            self.dataset, batch_sampler=sampler, num_workers=workers, persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )  # fmt: skip

    def _worker_count(self, devices: int) -> int:
        if self.workers != "auto":
            return int(self.workers)
        if self.dataset.cache and not torch.cuda.is_available():
            return 0  # a cached crop takes a few milliseconds; a worker would take its core from the network
        return max(1, min(8, usable_cores() // devices - 1))

    def val_dataloader(self) -> DataLoader:
        return DataLoader(_Stack(self.heldout_images), batch_size=1)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if not isinstance(batch, dict):
            return batch
        for index in batch["bad"].tolist():
            if index != _UNSET:
                path = self.dataset.paths[index]
                self.bad.add(path, self.dataset.bad.get(index, f"{images.printable(path)}: unreadable or too small"))
        self.bad.check()
        return batch["image"]


class _Stack(Dataset):
    def __init__(self, pictures: list[Tensor]):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return self.pictures[index]


def _fingerprint(paths: Sequence[Path], root: Path) -> str:
    """Twelve hex digits over the names and sizes of all files: tells one data set from another."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size if path.is_file() else 0
        digest.update(f"{path.relative_to(root)}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]
