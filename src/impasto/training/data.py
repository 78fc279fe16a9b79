"""Content images for training, from a folder, a COCO file or shards, as a stream that is a pure function of (seed, epoch, index)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from impasto.datasets.coco import read_coco
from impasto.errors import DataError, ImageError, printable
from impasto.images.finding import find_images
from impasto.images.geometry import centre_square
from impasto.images.reading import from_pil, read_image
from impasto.images.tensors import to_pil
from impasto.synthetic.contents import procedural_image
from impasto.system.machine import usable_cores
from impasto.training.callbacks import SHEET, rank_zero_print
from impasto.training.shards import open_shards

_SCALES = (1.0, 1.6)  # a crop shows between all and 1/1.6 of the shorter side, but is not magnified
_CACHE_BYTES = 1 << 30
_UNSET = -1


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
    categories, include = _words(categories), _words(include)
    if not root.is_dir():
        raise DataError(f"data.root={root}: no such folder; give one with photographs in it")
    if annotations is None:
        if categories:
            raise DataError("data.categories needs data.annotations=FILE.json, which says what the images show")
        found = _without_runs(find_images([root]), root)
        return [path for path in found if not include or any(path.match(pattern) for pattern in include)]
    names = _coco_file_names(annotations, set(categories))
    return sorted({_located(root, name) for name in names})


def _words(given: str | Sequence[str] | None) -> tuple[str, ...]:
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
        """Return what to name when `index` cannot be read, itself or the shard that it was in, and how many images that holds."""
        ...

    def faults(self) -> list[tuple[str, str, int]]:
        """Return what is known beforehand to be unusable: its name, why, and how many images it holds."""
        ...

    def subset(self, indices: Sequence[int]) -> Source:
        """Return the photographs with these numbers, numbered afresh."""
        ...

    def fingerprint(self) -> str:
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

    def fingerprint(self) -> str:
        return fingerprint(self.paths, self.root)


class BadImages:
    """Remembers the images that could not be used: names the first, counts all, and ends the run when there are too many."""

    named = 10  # of them; then a line each time that their number has doubled

    def __init__(self, total: int, allowed: float):
        self.total, self.allowed = total, allowed
        self.reasons: dict[str, str] = {}
        self.count = 0

    def add(self, name: str, reason: str, count: int = 1) -> None:
        """Set `name`, an image or a shard of `count` images, aside, with a line on stderr if it is among the first."""
        if name in self.reasons:
            return
        self.reasons[name] = reason
        self.count += count
        tens, rest = divmod(len(self.reasons), self.named)
        if len(self.reasons) <= self.named:
            rank_zero_print(f"set aside: {reason}")
        elif rest == 0 and tens.bit_count() == 1:
            rank_zero_print(f"set aside: {len(self.reasons)} by now, the last one {reason}")

    def check(self) -> None:
        """End the run if too many are bad.

        Raises:
            DataError: more than the allowed fraction is bad; the message lists the first of them.
        """
        if self.count > self.allowed * self.total:
            names = "\n  ".join(map(printable, list(self.reasons)[: self.named]))
            more = len(self.reasons) - self.named
            raise DataError(
                f"{self.count} of {self.total} images are bad, more than data.max_bad={self.allowed:g} allows; "
                f"mend or remove them, or raise data.max_bad:\n  {names}" + (f"\n  and {more} more" if more > 0 else "")
            )


class CropDataset(Dataset):
    """Sample number -> a random crop; number n is image `order(epoch)[n % len]` of epoch n // len.

    The images are those of `source`, then `procedural` pictures made by code.

    Order, scale, place and flip depend on (seed, epoch, index) alone, not on workers, ranks or resumption. An image that
    cannot be used is replaced by the next one in the order and named in the sample's `bad`.

    Shape:
        {"image": (3, crop, crop) float32 in [0, 1], "bad": index of the image replaced, or -1}.
    """

    def __init__(self, source: Source, crop: int, seed: int, procedural: int = 0):
        self.source, self.crop, self.seed, self.procedural = source, crop, seed, procedural
        self.cache: dict[int, np.ndarray] = {}
        self.bad: dict[int, str] = {}
        self._order = (_UNSET, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.source) + self.procedural

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
        if index >= len(self.source):
            return procedural_image(index - len(self.source), round(self.crop * _SCALES[1]))
        if index in self.bad:
            raise ImageError(self.bad[index])
        try:
            return self._decode(index)
        except ImageError as error:
            self.bad[index] = str(error)
            raise

    def _decode(self, index: int) -> np.ndarray:
        needed = round(self.crop * _SCALES[1])
        photograph = self.source.read(index, at_least=needed)
        if (shorter := min(photograph.shape[1:])) < self.crop // 4:
            name = printable(self.source.name(index))
            raise ImageError(f"{name}: only {shorter} pixels on its shorter side, too small to train on")
        return np.asarray(reduced(photograph, needed))

    def why(self, index: int) -> str:
        """Say what is wrong with image `index`; a worker, which found it out, tells only the number."""
        try:
            self.decode(index)
        except ImageError as error:
            return str(error)
        return f"{printable(self.source.name(index))}: a worker could not read it"


def reduced(image: Tensor, shorter: int) -> Image.Image:
    """Return `image` (3, H, W) with 8 bits, its shorter side reduced to `shorter` pixels, never enlarged."""
    picture = to_pil(image)
    if min(picture.size) <= shorter:
        return picture
    width, height = (round(side * shorter / min(picture.size)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def random_crop(pixels: np.ndarray, crop: int, random: np.random.Generator) -> Tensor:
    """Cut a random square, flip it half of the time and scale it to (3, crop, crop) float32 in [0, 1].

    It is magnified only where the photograph's shorter side is less than `crop`: what one paints later is sharp.
    """
    height, width = pixels.shape[:2]
    closest = min(_SCALES[1], max(_SCALES[0], min(height, width) / crop))
    side = min(height, width) / random.uniform(_SCALES[0], closest)
    left, top = random.uniform(0, width - side), random.uniform(0, height - side)
    box = (left, top, left + side, top + side)
    picture = Image.fromarray(pixels).resize((crop, crop), Image.Resampling.BICUBIC, box=box)
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return from_pil(picture)


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
    """Training crops from a folder or from shards, and a few whole photographs held out for judging.

    Args:
        root, annotations, categories, include: see `list_images`.
        shards, storage: instead of a folder, see `shards.open_shards`.
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
        root: str | Path | None = None,
        annotations: str | Path | None = None,
        categories: str | Sequence[str] | None = (),
        include: str | Sequence[str] | None = (),
        shards: str | Sequence[str] | None = None,
        storage: Mapping[str, Any] | None = None,
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
        if (root is None) == (shards is None) or (shards is not None and (annotations or categories or include)):
            raise DataError(
                "data.root=DIR or data.shards=…: give one; annotations, categories and include need a folder"
            )
        self.root, self.annotations = Path(root or ""), Path(annotations) if annotations else None
        self.shards, self.storage = shards, dict(storage or {})
        self.categories, self.include = _words(categories), _words(include)
        self.crop, self.batch_size, self.procedural, self.seed = crop, batch_size, procedural, seed
        self.workers, self.max_bad, self.heldout, self.heldout_size = workers, max_bad, heldout, heldout_size
        self.prepared = False

    def setup(self, stage: str | None = None) -> None:
        if self.prepared:
            return
        source = self._source()
        self.fingerprint = source.fingerprint()
        self.bad = BadImages(len(source), self.max_bad)
        for name, reason, count in source.faults():
            self.bad.add(name, reason, count)
        self.heldout_images, rest = self._hold_out(source)
        self.dataset = CropDataset(source.subset(rest), self.crop, self.seed, self.procedural)
        if len(self.dataset) * (self.crop * _SCALES[1]) ** 2 * 4.5 < _CACHE_BYTES:  # 3 bytes a pixel, aspect ratio 3:2
            self._fill_cache()
        self.bad.check()
        self.prepared = True

    def _source(self) -> Source:
        if self.shards is not None:
            return open_shards(self.shards, self.storage)
        paths = list_images(self.root, self.annotations, self.categories, self.include)
        if not paths:
            raise DataError(f"data.root={self.root}: no image there is wanted; loosen data.categories or data.include")
        return FolderImages(paths, self.root)

    def _hold_out(self, source: Source) -> tuple[list[Tensor], list[int]]:
        wanted, kept, rest = min(self.heldout, len(source) // 5), [], []
        for index in np.random.default_rng(self.seed).permutation(len(source)).tolist():
            if len(kept) == wanted:
                rest.append(index)
                continue
            try:
                photograph = source.read(index, at_least=self.heldout_size)
                kept.append(centre_square(photograph, self.heldout_size))
            except ImageError as error:
                name, count = source.blame(index)
                self.bad.add(name, str(error), count)
        return kept, sorted(rest)

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
                self._set_aside(index)
            else:
                self.dataset.cache[index] = pixels

    def _set_aside(self, index: int) -> None:
        reason = self.dataset.why(index)
        name, count = self.dataset.source.blame(index)
        self.bad.add(name, reason, count)

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
                self._set_aside(index)
        self.bad.check()
        return batch["image"]


class _Stack(Dataset):
    def __init__(self, pictures: list[Tensor]):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return self.pictures[index]


def fingerprint(paths: Sequence[Path], root: Path | None = None) -> str:
    """Return twelve hex digits over the names and sizes of all files: tells one data set from another."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size if path.is_file() else 0
        name = path.relative_to(root) if root else path
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:12]
