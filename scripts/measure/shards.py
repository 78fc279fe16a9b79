"""Shards against the folder that they were written from: completeness, images per second, and what losses do.

    python scripts/measure/shards.py FOLDER -o DIR [--shards 8] [--crop 192] [--images 256] [--rounds 3] [--workers 1]

Writes the shards with `impasto shards` if they are not there. Checks that ranks and workers together see each
image once, times both sources in turn through the DataLoader, decoding each image anew, and then looks at a copy in
which one shard is cut short and one is missing.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import _head
from torch.utils.data import DataLoader

from impasto.data.crops import CropDataset, StreamSampler
from impasto.data.shards import open_shards
from impasto.data.sources import FolderImages, Source, list_images
from impasto.training.data_module import ContentDataModule


class Numbered(CropDataset):
    """Tells with each crop which image it is of."""

    def __getitem__(self, number: int) -> dict[str, Any]:
        epoch, position = divmod(number, len(self))
        return {**super().__getitem__(number), "index": int(self.order(epoch)[position])}


def is_complete(source: Source, crop: int, ranks: int, workers: int) -> bool:
    """Whether the first epoch shows each image once over all ranks and workers."""
    seen: Counter[int] = Counter()
    steps = -(-len(source) // (4 * ranks))
    for rank in range(ranks):
        sampler = StreamSampler(4, 0, rank, ranks)
        loader = DataLoader(Numbered(source, crop, 0), batch_sampler=sampler, num_workers=workers)
        for step, batch in enumerate(islice(loader, steps)):
            first = (step * ranks + rank) * 4
            seen.update(i for n, i in enumerate(batch["index"].tolist()) if first + n < len(source))
    return seen == Counter(range(len(source)))


def rate(source: Source, crop: int, images: int, workers: int) -> float:
    """Images per second through a DataLoader, its start not counted."""
    loader = DataLoader(CropDataset(source, crop, 0), batch_sampler=StreamSampler(4), num_workers=workers)
    batches = iter(loader)
    next(batches)
    started = time.perf_counter()
    for _ in islice(batches, images // 4):
        pass
    return images / (time.perf_counter() - started)


def losses(shards: Path, crop: int) -> str:
    """What a run meets whose first shard is cut short and whose second is missing."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(shards, Path(folder) / "shards"))
        first, second, *_ = sorted(copy.glob("*.tar"))
        first.write_bytes(first.read_bytes()[: first.stat().st_size // 2])
        second.unlink()
        data = ContentDataModule(shards=str(copy), crop=crop, max_bad=0.5)
        data.setup()
        shown = sum(data.dataset[number]["image"].shape[-1] == crop for number in range(len(data.dataset)))
        return f"{data.bad.count} of {data.bad.total} images set aside, {shown} samples of an epoch shown"


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--crop", type=int, default=192)
    parser.add_argument("--images", type=int, default=256, help="in a timing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    command = [sys.executable, "-m", "impasto", "shards", options.folder, "-o", options.output]
    words = [*command, "--shards", options.shards, "--size", options.size]
    subprocess.run(list(map(str, words)), stdout=subprocess.DEVNULL)
    folder, shards = FolderImages(list_images(options.folder), options.folder), open_shards(str(options.output))

    print(_head.stamp())
    print(f"{len(folder)} images in the folder, {len(shards)} in {len(shards.shards)} shards")
    cases: list[_head.Row] = []

    def tell(case: str, outcome: str) -> None:
        print(f"{case}: {outcome}")
        cases.append({"case": case, "outcome": outcome})

    for ranks, workers in ((1, 0), (2, 2), (3, 1)):
        complete = is_complete(shards, options.crop, ranks, workers)
        tell(f"{ranks} ranks, {workers} workers", f"each image once: {complete}")
    timed = {"folder": [], "shards": []}
    for _ in range(options.rounds):
        for name, source in (("folder", folder), ("shards", shards)):
            timed[name].append(rate(source, options.crop, options.images, options.workers))
    rows: list[_head.Row] = []
    for name, rates in timed.items():
        print(f"{name}: {statistics.median(rates):.0f} images/s ({min(rates):.0f} to {max(rates):.0f})")
        figures = {"images_per_s": statistics.median(rates), "from": min(rates), "to": max(rates)}
        rows.append({"source": name, **{key: _head.rounded(figure) for key, figure in figures.items()}})
    tell("one shard cut short, one missing", losses(options.output, options.crop))
    title = f"Crops of {options.crop} pixels read by the training, {options.workers} workers"
    _head.save(options.results, "shards", title, rows)
    _head.save(options.results, "shards_completeness", f"What is read of {len(shards)} images in shards", cases)


if __name__ == "__main__":
    main()
