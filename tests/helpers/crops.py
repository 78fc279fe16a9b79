"""The crops of a folder."""

from __future__ import annotations

from pathlib import Path

from impasto.data.crops import CropDataset
from impasto.data.sources import FolderImages
from impasto.images.finding import find_images


def dataset(folder: Path, seed: int = 0) -> CropDataset:
    return CropDataset(FolderImages(find_images([folder])), crop=32, seed=seed)
