"""Learn base weights from which a new style needs few updates: first-order meta-learning over many styles.

    python scripts/train_base.py --photographs DIR --styles DIR [--minutes 25] [--network swift]

Reptile (Nichol, Achiam and Schulman 2018), as MetaStyle (Zhang, Zhu and Zhu 2019) uses such a start for style networks: fine-tune on one style
for a few updates with the optimizer of a user's training, move the base a part of the way there, take the next style. Every style
comes back at many sizes and with its colour channels exchanged. Prints the loss before the first and the last update of an
episode, averaged over recent ones.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from impasto import images
from impasto.checkpoint import StyleModel, load_style_model, save_style_model
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec
from impasto.runtime import pick_device, provenance
from impasto.training.data import CropDataset, FolderImages, list_images
from impasto.training.muon import Muon
from impasto.training.plain import update

CROP, BATCH = 192, 2
SIZES = (320, 384, 448)


def episode(network: torch.nn.Module, loss: PerceptualLoss, batches: list[torch.Tensor], rate: float) -> list[float]:
    """Fine-tune `network` on the loss's style, one update a batch; return the losses before each."""
    optimizer = Muon(network.parameters(), lr=rate)
    totals = []
    for batch in batches:
        _, terms = update(network, loss, optimizer, batch)
        totals.append(float(terms.total.detach()))
    return totals


def drawn_style(pictures: Sequence[torch.Tensor], random: np.random.Generator) -> torch.Tensor:
    """Return one of the pictures (1, 3, H, W), its size and the order of its colour channels drawn too."""
    picture = pictures[random.integers(len(pictures))]
    return images.resize(picture, int(random.choice(SIZES)))[torch.from_numpy(random.permutation(3))][None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True, help="folder of style pictures")
    parser.add_argument("--network", default="swift")
    parser.add_argument("--weights", default="slim", help="of the loss network: slim, torchvision or a path")
    parser.add_argument("--start", type=Path, help="a style model to start from, its network instead of --network")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--updates", type=int, default=10, help="in an episode")
    parser.add_argument("--rate", type=float, default=4e-3, help="learning rate of the updates")
    parser.add_argument(
        "--step", type=float, default=0.5, help="part of the way that the base moves, falling to a tenth"
    )
    parser.add_argument("-o", "--output", type=Path, help="default: checkpoints/base/NETWORK.safetensors")
    options = parser.parse_args()

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    data = CropDataset(FolderImages(list_images(options.photographs)), CROP, seed=0)
    pictures = {path.stem: images.read_image(path) for path in images.find_images([options.styles])}
    if options.start:
        start = load_style_model(options.start)
        base, spec = start.network, start.spec
    else:
        base, spec = build_network(options.network), network_spec(options.network)
    base = base.to(DEVICE).train().requires_grad_(True).to(memory_format=torch.channels_last)
    loss = PerceptualLoss.from_spec(options.weights).to(DEVICE)
    started, number, gone, recent = time.monotonic(), 0, 0.0, []
    while gone < 1:
        gone = (time.monotonic() - started) / (60 * options.minutes)
        loss.set_style(drawn_style(list(pictures.values()), random).to(DEVICE))
        batches = []
        for _ in range(options.updates):
            crops = [data[number + i]["image"] for i in range(BATCH)]
            batches.append(torch.stack(crops).to(DEVICE).contiguous(memory_format=torch.channels_last))
            number += BATCH
        before = {key: value.clone() for key, value in base.state_dict().items()}
        totals = episode(base, loss, batches, options.rate)
        part = options.step * (0.1 + 0.9 * (1 + math.cos(math.pi * min(1.0, gone))) / 2)
        base.load_state_dict({key: torch.lerp(old, base.state_dict()[key], part) for key, old in before.items()})
        recent = [*recent[-39:], (totals[0], totals[-1])]
        episodes = number // BATCH // options.updates
        if episodes % 20 == 0:
            first, last = np.mean(recent, axis=0)
            print(f"{gone:4.0%} {episodes} episodes: {first:.3f} -> {last:.3f}", flush=True)
    training = {"episodes": episodes, "styles": sorted(pictures), "minutes": options.minutes, **provenance()}
    output = options.output or Path(f"checkpoints/base/{spec['name']}.safetensors")
    output.parent.mkdir(parents=True, exist_ok=True)
    save_style_model(output, StyleModel(base.eval(), spec, "base", training=training))
    print(output)


DEVICE = pick_device()

if __name__ == "__main__":
    main()
