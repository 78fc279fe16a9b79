"""What painting a data set and training a style cost on this machine, and what limits them: the tables of
docs/results.md.

    python scripts/measure/scaling.py PHOTOGRAPHS [--style starry_night] [--price 0.05] [--seconds 20]

Reads, paints and writes the same photographs in turn, on one thread (or the GPU, if there is one), so that the shares
hold whatever else the machine does. --price is that of one core (or GPU) for an hour; what is printed for a million and
a billion images follows from the rates.
"""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _head
import torch
from torch import Tensor, nn

from impasto.data.crops import CropDataset
from impasto.data.sources import FolderImages
from impasto.images.finding import find_images
from impasto.images.geometry import resize, size_of
from impasto.images.reading import read_image, read_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network
from impasto.system.machine import has_fast_bfloat16, pick_device
from impasto.training.muon import Muon


def painting_seconds(paths: list[Path], painter: Stylizer, seconds: float) -> tuple[dict[str, float], float]:
    """Return the seconds per image of each stage, and the megapixels of the mean image."""
    spent: dict[str, float] = {"decode": 0.0, "paint": 0.0, "encode": 0.0}
    pixels, count, began = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for path in itertools.cycle(paths):
            picture = timed(spent, "decode", lambda path=path: read_levels(path))
            painted = timed(spent, "paint", lambda picture=picture: painter(picture))
            timed(spent, "encode", lambda painted=painted: write_image(Path(folder) / "painted.jpg", painted))
            pixels, count = pixels + math.prod(size_of(picture)), count + 1
            if time.monotonic() - began > seconds:
                return {stage: total / count for stage, total in spent.items()}, pixels / count / 1e6
    raise AssertionError("cycle() has no end")


def timed(spent: dict[str, float], stage: str, work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = work()
    spent[stage] += time.perf_counter() - began
    return result


def training_seconds(paths: list[Path], loss_network: str, seconds: float) -> float:
    """Return the seconds per crop of 192 pixels of a training step of `swift`, two crops a step."""
    device = pick_device()
    loss = PerceptualLoss.from_spec(loss_network).to(device)
    loss.set_style(resize(read_image(paths[0]), 384)[None].to(device))
    network = build_network("swift").to(device).to(memory_format=torch.channels_last)
    optimizer, data = Muon(network.parameters(), lr=5e-3), CropDataset(FolderImages(paths), 192, seed=0)
    steps, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        batch = torch.stack([data[2 * steps + i]["image"] for i in range(2)])
        batch = batch.to(device).contiguous(memory_format=torch.channels_last)
        update(network, loss, optimizer, batch)
        steps += 1
    return (time.monotonic() - began) / (2 * steps)


def update(network: nn.Module, loss: PerceptualLoss, optimizer: torch.optim.Optimizer, batch: Tensor) -> None:
    """Take one training step, without what Lightning adds."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=has_fast_bfloat16(batch.device)):
        total = loss(network(batch), batch).total
    optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--price", type=float, default=0.05, help="of a core or GPU for an hour")
    parser.add_argument("--seconds", type=float, default=20, help="for each of the measurements")
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = find_images([options.photographs])
    stages, megapixels = painting_seconds(paths, Stylizer(options.style), options.seconds)
    each = sum(stages.values())
    training = training_seconds(paths, "slim", options.seconds)

    print(_head.stamp())
    print(f"painting {megapixels:.2f} megapixels: {1 / each:.1f} images/s; " + ", ".join(
        f"{stage} {seconds * 1e3:.1f} ms ({seconds / each:.0%})" for stage, seconds in stages.items()
    ))  # fmt: skip
    print(f"training: {1 / training:.1f} crops/s")
    print("| images | core or GPU hours | price | on 100 of them |")
    print("| --- | --- | --- | --- |")
    costs: list[_head.Row] = []
    for count, name in ((10**6, "1 million"), (10**9, "1 billion")):
        hours = count * each / 3600
        print(f"| {name} | {hours:,.0f} | {hours * options.price:,.2f} | {hours / 100:,.1f} h |")
        costs.append({"work": f"painting {name} images", "hours": hours, "price": hours * options.price})
    crops = 40_000 * 4
    hours = crops * training / 3600
    print(
        f"one style of 40,000 steps of 4 crops: {hours:.1f} h on one, {hours / 8:.1f} h on 8 at the same "
        f"efficiency, price {hours * options.price:.2f}"
    )
    costs.append({"work": "one style, 40,000 steps of 4 crops", "hours": hours, "price": hours * options.price})
    rates: list[_head.Row] = [
        {"work": f"painting an image of {megapixels:.2f} megapixels", "per_s": 1 / each, "ms": each * 1e3},
        *(
            {"work": f"of it, {stage}", "ms": seconds * 1e3, "share": seconds / each}
            for stage, seconds in stages.items()
        ),
        {"work": "training on a crop of 192 pixels", "per_s": 1 / training, "ms": training * 1e3},
    ]
    one = "one thread, or one GPU"
    _head.save(options.results, "scaling", f"Rates of {one}, {options.style}", _short(rates))
    _head.save(options.results, "scaling_costs", f"Hours of {one}, at {options.price} an hour", _short(costs))


def _short(rows: list[_head.Row]) -> list[_head.Row]:
    return [
        {key: _head.rounded(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows
    ]


if __name__ == "__main__":
    main()
