"""Data as a pure function of seed, epoch and index."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.crops import dataset
from impasto.data.crops import StreamSampler, random_crop


def test_a_sample_is_a_pure_function_of_seed_epoch_and_index(photographs: Path) -> None:
    first, second = dataset(photographs), dataset(photographs)
    numbers = [0, 5, 12, 100]
    forward = [first[number]["image"] for number in numbers]
    backward = [second[number]["image"] for number in reversed(numbers)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert not torch.equal(dataset(photographs, seed=1)[0]["image"], forward[0])


def test_each_epoch_shows_each_image_once_in_another_order_and_crop(photographs: Path) -> None:
    data = dataset(photographs)
    orders = [data.order(epoch).tolist() for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12)) and orders[0] != orders[1]
    again = orders[1].index(orders[0][0])
    assert not torch.equal(data[0]["image"], data[12 + again]["image"])


@pytest.mark.parametrize(("ranks", "start"), [(1, 0), (2, 0), (3, 4)])
def test_ranks_share_the_stream_without_gap_or_overlap(ranks: int, start: int) -> None:
    batches = [list(islice(StreamSampler(2, start, rank, ranks), 5)) for rank in range(ranks)]
    numbers = sorted(number for rank in batches for batch in rank for number in batch)
    assert numbers == list(range(start * 2 * ranks, (start + 5) * 2 * ranks))


def test_crops_keep_range_and_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    for seed in range(5):
        crop = random_crop(pixels, 24, np.random.default_rng(seed))
        assert crop.shape == (3, 24, 24) and crop.dtype == torch.float32 and 0 <= crop.min() <= crop.max() <= 1


def test_crops_show_a_part_of_the_shorter_side_and_are_not_magnified() -> None:
    ramp = np.broadcast_to(np.arange(70, dtype=np.uint8)[None, :, None], (40, 70, 3))

    def sides(crop: int) -> list[float]:
        crops = [random_crop(np.ascontiguousarray(ramp), crop, np.random.default_rng(seed)) for seed in range(100)]
        return [float(255 * crop * picture[0].diff(dim=-1).abs().mean()) for picture in crops]

    for crop, smallest in ((16, 40 / 1.6), (32, 32), (80, 40)):
        assert smallest - 2 < min(sides(crop)) < smallest + 1 and 38 < max(sides(crop)) < 41
