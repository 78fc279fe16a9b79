"""Random crops as a stream that is a pure function of (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset

from impasto.data.sources import Source
from impasto.errors import DataError, ImageError, printable
from impasto.images.reading import from_pil
from impasto.images.tensors import to_pil
from impasto.synthetic.contents import procedural_image

SCALES = (1.0, 1.6)  # a crop shows between all and 1/1.6 of the shorter side, but is not magnified
UNSET = -1


class CropDataset(Dataset[dict[str, Any]]):
    """Sample number -> a random crop; number n is image `order(epoch)[n % len]` of epoch n // len.

    The images are those of `source`, then `procedural` pictures made by code.

    Order, scale, place and flip depend on (seed, epoch, index) alone, not on workers, ranks or resumption. An image
    that cannot be used is replaced by the next one in the order and named in the sample's `bad`.

    Shape:
        {"image": (3, crop, crop) float32 in [0, 1], "bad": index of the image replaced, or -1}.
    """

    def __init__(self, source: Source, crop: int, seed: int, procedural: int = 0):
        self.source, self.crop, self.seed, self.procedural = source, crop, seed, procedural
        self.cache: dict[int, np.ndarray] = {}
        self.bad: dict[int, str] = {}
        self._order = (UNSET, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.source) + self.procedural

    def __getitem__(self, number: int) -> dict[str, Any]:
        epoch, position = divmod(number, len(self))
        order, bad = self.order(epoch), UNSET
        for step in range(len(self)):
            index = int(order[(position + step) % len(order)])
            try:
                pixels = self.decode(index)
            except ImageError:
                bad = index if bad == UNSET else bad
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
            return procedural_image(index - len(self.source), round(self.crop * SCALES[1]))
        if index in self.bad:
            raise ImageError(self.bad[index])
        try:
            return self._decode(index)
        except ImageError as error:
            self.bad[index] = str(error)
            raise

    def _decode(self, index: int) -> np.ndarray:
        needed = round(self.crop * SCALES[1])
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
    closest = min(SCALES[1], max(SCALES[0], min(height, width) / crop))
    side = min(height, width) / random.uniform(SCALES[0], closest)
    left, top = random.uniform(0, width - side), random.uniform(0, height - side)
    box = (left, top, left + side, top + side)
    picture = Image.fromarray(pixels).resize((crop, crop), Image.Resampling.BICUBIC, box=box)
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return from_pil(picture)


class StreamSampler(BatchSampler):
    """Endless batches of sample numbers for one rank, from any step on;
    all ranks together read 0, 1, 2, … once each.
    """

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
