"""Content images for training, from a folder, a COCO file or shards, as Lightning takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from impasto.data.bad_images import BadImages
from impasto.data.crops import SCALES, UNSET, CropDataset, StreamSampler
from impasto.data.shards import open_shards
from impasto.data.sources import FolderImages, Source, list_images, words_of
from impasto.errors import DataError, ImageError
from impasto.images.geometry import centre_square
from impasto.system.machine import usable_cores
from impasto.training.callbacks import rank_zero_print

_CACHE_BYTES = 1 << 30


class ContentDataModule(LightningDataModule):
    """Training crops from a folder or from shards, and a few whole photographs held out for judging.

    Args:
        root, annotations, categories, include: see `list_images`.
        shards, storage: instead of a folder, see `shards.open_shards`.
        crop: side of the training crops in pixels.
        batch_size: crops per step and rank.
        workers: decoding processes, or `auto`: none for a set that fits the cache, else the cores that are free.
        max_bad: fraction of unusable images that ends the run.
        heldout, heldout_size: how many photographs are held out (at most a fifth), and the side of their centre
            squares.
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
        self.categories, self.include = words_of(categories), words_of(include)
        self.crop, self.batch_size, self.procedural, self.seed = crop, batch_size, procedural, seed
        self.workers, self.max_bad, self.heldout, self.heldout_size = workers, max_bad, heldout, heldout_size
        self.prepared = False

    def setup(self, stage: str | None = None) -> None:
        if self.prepared:
            return
        source = self._source()
        self.listing_digest = source.listing_digest()
        self.bad = BadImages(len(source), self.max_bad, rank_zero_print)
        for name, reason, count in source.faults():
            self.bad.add(name, reason, count)
        self.heldout_images, rest = self._hold_out(source)
        self.dataset = CropDataset(source.subset(rest), self.crop, self.seed, self.procedural)
        if len(self.dataset) * (self.crop * SCALES[1]) ** 2 * 4.5 < _CACHE_BYTES:  # 3 bytes a pixel, aspect ratio 3:2
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

    def train_dataloader(self) -> DataLoader[Any]:
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

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Stack(self.heldout_images), batch_size=1)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if not isinstance(batch, dict):
            return batch
        for index in batch["bad"].tolist():
            if index != UNSET:
                self._set_aside(index)
        self.bad.check()
        return batch["image"]


class _Stack(Dataset[Tensor]):
    def __init__(self, pictures: list[Tensor]):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return self.pictures[index]
