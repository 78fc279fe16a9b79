"""Which light network learns most in a given time: the frontier of arithmetic against the loss that it reaches.

    python scripts/search_network.py --styles IMAGE... --photographs DIR --images DIR --vgg WEIGHTS [--seconds 150] -o DIR
        [--candidates johnson 16x5-dense-5-half ...]

A candidate WIDTHxBLOCKS-BLOCK-ENDS-STEM has WIDTH channels at half the resolution, twice as many in its BLOCKS residual blocks at a
quarter, of kind dense, separable or reparam (a 1x1 convolution beside each 3x3, of which one 3x3 can be made afterwards); ENDS is the
kernel of the first and last convolution and STEM the resolution at which they work, half or quarter. Every other name is a network of the
project; `swift` is 16x5-dense-3-half. All are trained from scratch on the slim loss network for the same processor time of one thread, and
judged by VGG-19 on photographs that they have not seen. Prints one line a candidate, from little arithmetic to much, those on the
frontier marked; --output keeps a contact sheet for each style and every painter's loss, and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto import images
from impasto.benchmark import macs_per_pixel
from impasto.losses.functional import screen_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import StagedNetwork, build_network
from impasto.networks.johnson import ConvLayer, InstanceNorm, ResidualBlock, upsample
from impasto.runtime import provenance, written_whole
from impasto.training.data import CropDataset, FolderImages
from impasto.training.muon import Muon
from impasto.training.plain import update
from impasto.training.schedule import scheduled

CROP, BATCH, SIZE = 192, 2, 256
CANDIDATES = (
    "johnson", "16x5-dense-5-half", "12x5-dense-5-half", "24x5-dense-5-half", "16x3-dense-5-half", "16x8-dense-5-half", "24x3-dense-3-half",
    "16x5-dense-3-half", "16x4-dense-3-half", "16x3-dense-3-half", "20x3-dense-3-half", "16x5-dense-7-half", "16x5-reparam-5-half", "16x5-separable-5-half", "24x8-separable-5-half", "16x5-dense-3-quarter",
    "20x5-dense-5-quarter",
)  # fmt: skip


class Separable(nn.Sequential):
    """A 3x3 convolution of each channel alone, then one that mixes them."""

    def __init__(self, channels: int):
        each = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", groups=channels)
        super().__init__(each, nn.Conv2d(channels, channels, 1), InstanceNorm(channels, affine=True))


class Reparam(nn.Module):
    """A 3x3 and a 1x1 convolution beside each other: one 3x3 when trained."""

    def __init__(self, channels: int):
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.narrow = nn.Conv2d(channels, channels, 1)
        self.norm = InstanceNorm(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.wide(x) + self.narrow(x))


class Block(nn.Module):
    def __init__(self, kind: type[nn.Module], channels: int):
        super().__init__()
        self.body = nn.Sequential(kind(channels), nn.ReLU(inplace=True), kind(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Light(StagedNetwork):
    """A point of the search space."""

    stride = 4

    def __init__(self, width: int, blocks: int, block: str, ends: int, stem: str):
        super().__init__()
        inner = 2 * width
        if stem == "half":
            self.encoder = nn.Sequential(
                nn.PixelUnshuffle(2), ConvLayer(12, width, ends), nn.ReLU(inplace=True), ConvLayer(width, inner, 3, stride=2),
                nn.ReLU(inplace=True),
            )  # fmt: skip
            self.decoder = nn.Sequential(
                upsample(inner, width), ConvLayer(width, 12, ends, norm=False), nn.PixelShuffle(2)
            )
        else:
            self.encoder = nn.Sequential(nn.PixelUnshuffle(4), ConvLayer(48, inner, ends), nn.ReLU(inplace=True))
            self.decoder = nn.Sequential(ConvLayer(inner, 48, ends, norm=False), nn.PixelShuffle(4))
        kinds = {"separable": Separable, "reparam": Reparam}
        self.body = nn.Sequential(
            *(ResidualBlock(inner) if block == "dense" else Block(kinds[block], inner) for _ in range(blocks))
        )

    def stages(self) -> tuple[nn.Module, ...]:
        return self.encoder, *self.body, self.decoder


def candidate(name: str) -> nn.Module:
    if "-" not in name:
        return build_network(name)
    size, block, ends, stem = name.split("-")
    width, blocks = size.split("x")
    return Light(int(width), int(blocks), block, int(ends), stem)


@dataclass
class Result:
    """What one candidate reached on one style."""

    total: float
    screen: float
    steps: int
    painted: Tensor


def trained(name: str, style: Tensor, data: CropDataset, seconds: float) -> tuple[nn.Module, int]:
    """Train for so many seconds of this process's time; return the network and its number of updates."""
    torch.manual_seed(0)
    network = candidate(name).to(memory_format=torch.channels_last).train()
    loss = PerceptualLoss.from_spec("slim")
    loss.set_style(style)
    optimizer, step = Muon(network.parameters()), 0
    for step, _ in scheduled(optimizer, seconds, time.process_time):
        batch = torch.stack([data[BATCH * step + i]["image"] for i in range(BATCH)])
        update(network, loss, optimizer, batch.contiguous(memory_format=torch.channels_last))
    return network.eval(), step


@torch.no_grad()
def judged(network: nn.Module, steps: int, style: Tensor, photographs: Tensor, vgg: str) -> Result:
    loss = PerceptualLoss.from_spec(vgg)
    loss.set_style(style)
    painted = torch.cat([network(photograph[None]) for photograph in photographs])
    totals = [
        loss(output[None], photograph[None]).total for output, photograph in zip(painted, photographs, strict=True)
    ]
    screen = float((screen_energy(painted).mean() / screen_energy(style).mean()).item())
    return Result(float(torch.stack(totals).mean()), screen, steps, painted)  # fmt: skip


def kept(folder: Path, name: str, style: Path, measure) -> Result:  # noqa: ANN001
    """Return what an earlier run left in `folder`, or measure and leave it there."""
    path = folder / f"{style.stem}-{name}.json"
    if path.is_file():
        known = json.loads(path.read_text())
        return Result(**known, painted=images.read_image(path.with_suffix(".png")))
    result = measure()
    sheet = images.contact_sheet([list(result.painted)], tile=SIZE)
    images.write_image(path.with_suffix(".png"), sheet)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps({"total": result.total, "screen": result.screen, "steps": result.steps}))
    return Result(result.total, result.screen, result.steps, sheet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True, help="to train on")
    parser.add_argument("--images", type=Path, required=True, help="to judge on")
    parser.add_argument("--vgg", required=True, help="VGG-19's weights: torchvision or a path")
    parser.add_argument("--candidates", nargs="+", default=CANDIDATES)
    parser.add_argument("--seconds", type=float, default=150, help="of processor time for each training")
    parser.add_argument("--limit", type=int, default=12, help="of the images to judge on")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    data = CropDataset(FolderImages(images.find_images([options.photographs])), CROP, seed=0)
    photographs = torch.stack(
        [
            images.centre_square(images.read_image(path), SIZE)
            for path in images.find_images([options.images])[: options.limit]
        ]
    )
    macs = {name: macs_per_pixel(candidate(name).eval()) for name in options.candidates}
    results: dict[str, list[Result]] = {name: [] for name in options.candidates}
    for path in options.styles:
        style = images.resize(images.read_image(path), 384)[None]
        for name in options.candidates:

            def measure(name: str = name, style: Tensor = style) -> Result:
                return judged(*trained(name, style, data, options.seconds), style, photographs, options.vgg)

            result = kept(options.output, f"{name}-{options.seconds:g}s", path, measure)
            results[name].append(result)
            print(
                f"{path.stem}: {name}: {result.total:.3f}, screen {result.screen:.2f}, {result.steps} steps", flush=True
            )
    for number, path in enumerate(options.styles):
        rows = [[result[number].painted] for result in results.values()]
        sheet = images.contact_sheet(rows, titles=[path.stem], tile=SIZE * 6)
        images.write_image(options.output / f"{path.stem}.png", sheet)

    print(f"\n{date.today()}, {provenance()}, {options.seconds:g} s of one thread, {len(photographs)} photographs")
    print(
        "| network | MAC a pixel | parameters | updates | VGG-19's loss, each style "
        f"| mean over {options.candidates[0]} | worst screen | frontier |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    best = float("inf")
    for name in sorted(macs, key=lambda name: macs[name]):
        totals = [result.total for result in results[name]]
        over = geometric_mean(
            [total / own.total for total, own in zip(totals, results[options.candidates[0]], strict=True)]
        )
        parameters = sum(parameter.numel() for parameter in candidate(name).parameters())
        steps = round(sum(result.steps for result in results[name]) / len(totals))
        frontier, best = over < best, min(best, over)
        print(
            f"| {name} | {macs[name]:,} | {parameters:,} | {steps} | {' '.join(f'{total:.3f}' for total in totals)} | {over:.3f} | "
            f"{max(result.screen for result in results[name]):.2f} | {'*' if frontier else ''} |"
        )


def geometric_mean(ratios: Sequence[float]) -> float:
    return float(torch.tensor(ratios).log().mean().exp())


if __name__ == "__main__":
    main()
