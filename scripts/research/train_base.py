"""Learn base weights from which a new style needs few updates: first-order meta-learning over many styles at once.

    python scripts/research/train_base.py --photographs DIR --styles DIR... [--minutes 25] [--network brush]

Reptile (Nichol, Achiam and Schulman 2018), as MetaStyle (Zhang, Zhu and Zhu 2019) uses such a start for style networks:
some painters begin at the base, each learns a style of its own for a few updates, and the base moves towards the mean
of what they became. Styles come at many sizes and with their colour channels exchanged. Prints the mean loss at the end
of the episodes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from many_painters import Painter, compact, crop_pool, train_all
from torch import Tensor, nn

from impasto.checkpoint import StyleModel, load_style_model, save_style_model
from impasto.errors import ImageError
from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses.features import MIN_SIDE
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec
from impasto.records import TrainingRecord
from impasto.system.machine import pick_device, provenance

CROP, MARGIN, BATCH = 400, 96, 4
SIZES = (384, 448, 512, 576, 640)


class Styles:
    """Style targets of many pictures, each made once and kept in half precision."""

    def __init__(self, paths: Sequence[Path], loss: PerceptualLoss, device: torch.device):
        self.paths, self.loss, self.device = list(paths), loss, device
        self.kept: dict[tuple[int, int], dict[str, Tensor]] = {}

    def draw(self, random: np.random.Generator) -> dict[str, Tensor]:
        """Targets of a picture, its size and the order of its colour channels drawn;
        each picture comes in two versions.
        """
        number, version = int(random.integers(len(self.paths))), int(random.integers(2))
        if (number, version) not in self.kept:
            self.kept[number, version] = self._targets(self.paths[number], np.random.default_rng([number, version]))
        return self.kept[number, version]

    def _targets(self, path: Path, random: np.random.Generator) -> dict[str, Tensor]:
        order = random.permutation(3) if random.random() < 0.5 else np.arange(3)
        picture = resize(read_image(path), int(random.choice(SIZES)))[torch.from_numpy(order)]
        self.loss.set_style(picture[None].to(self.device))
        return compact(self.loss.style_targets)


class Reptile:
    """`painters` that all begin at `base` again and again, each with a style that is drawn for it."""

    def __init__(
        self, painters: Sequence[Painter], base: Sequence[Tensor], styles: Styles, random: np.random.Generator
    ):
        self.painters, self.base, self.styles, self.random = painters, list(base), styles, random

    def episode(self, updates: int, part: float) -> float:
        """Let every painter take `updates` steps, move the base by `part` of the way to their mean;
        return their mean loss.
        """
        for painter in self.painters:
            painter.restart(self.base)
            painter.loss.exchange_style(self.styles.draw(self.random))
        for _ in train_all(self.painters, updates):
            pass
        learned = [[parameter.detach() for parameter in painter.parameters] for painter in self.painters]
        for own, *others in zip(self.base, *learned, strict=True):
            own.lerp_(torch.stack(others).mean(dim=0), part)
        return float(torch.stack([painter.totals.sum() / (1 - 0.98**updates) for painter in self.painters]).mean())


def make_painters(
    count: int, base: nn.Module, spec: dict[str, Any], weights: str, pool: Tensor, batch: int, rate: float
) -> list[Painter]:
    """`count` painters of the base's network, each with a loss whose style can be exchanged."""
    features, painters = PerceptualLoss.from_spec(weights).to(pool.device).features, []
    for _ in range(count):
        network = build_network(**spec).to(pool.device).to(memory_format=torch.channels_last).train()
        loss = PerceptualLoss(features)
        loss.set_style(torch.rand(1, 3, 256, 256, device=pool.device))
        painters.append(Painter(network, loss, pool, 10**6, batch=batch, rate=rate, margin=MARGIN))
    return painters


def read_styles(folders: Sequence[Path]) -> list[Path]:
    """The pictures below `folders` that have all octaves; what cannot be read is named and left out."""
    readable = []
    for path in find_images(folders):
        try:
            height, width = read_image(path, at_least=max(SIZES)).shape[1:]
            if min(height, width) * SIZES[0] >= 8 * MIN_SIDE * max(height, width):
                readable.append(path)
        except ImageError as error:
            print(error)
    return readable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--styles", type=Path, nargs="+", required=True, help="folders of style pictures")
    parser.add_argument("--network", default="brush")
    parser.add_argument("--weights", default="slim", help="of the loss network: slim, torchvision or a path")
    parser.add_argument("--start", type=Path, help="a style model to start from, its network instead of --network")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--painters", type=int, help="at once (default: 24 on a GPU, else 3)")
    parser.add_argument("--updates", type=int, default=30, help="in an episode")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--crop", type=int, default=CROP)
    parser.add_argument("--rate", type=float, default=5e-3, help="learning rate of the updates")
    parser.add_argument("-o", "--output", type=Path, help="default: checkpoints/base/NETWORK.safetensors")
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    started, device = time.monotonic(), pick_device()
    count = options.painters or (24 if device.type == "cuda" else 3)
    start = load_style_model(options.start) if options.start else None
    if start:
        network, spec = start.network, start.spec
    else:
        network, spec = build_network(options.network), network_spec(options.network)
    pool = crop_pool(find_images([options.photographs]), options.crop, 8, margin=MARGIN, device=str(device))
    painters = make_painters(count, network, spec, options.weights, pool, options.batch, options.rate)
    styles = Styles(read_styles(options.styles), PerceptualLoss(painters[0].loss.features), device)
    base = [parameter.detach().to(device).clone() for parameter in network.parameters()]
    reptile, episodes, gone = Reptile(painters, base, styles, np.random.default_rng(0)), 0, 0.0
    while gone < 1:
        gone = (time.monotonic() - started) / (60 * options.minutes)
        reached = reptile.episode(options.updates, part=1.0 if gone < 0.6 else 0.5)
        episodes += 1
        print(f"{gone:4.0%} {episodes} episodes of {count} styles: {reached:.3f}", flush=True)
    with torch.no_grad():
        for parameter, own in zip(network.parameters(), base, strict=True):
            parameter.copy_(own)
    training = replace(
        TrainingRecord(
            episodes=episodes,
            painters=count,
            updates=options.updates,
            styles=len(styles.paths),
            minutes=options.minutes,
            start=start.name if start else None,
            before=start.training.to_dict() if start else None,
        ),
        **provenance(device),
    )
    output = options.output or Path(f"checkpoints/base/{spec['name']}.safetensors")
    save_style_model(output, StyleModel(network.eval(), spec, "base", training=training))
    print(output)


if __name__ == "__main__":
    main()
