"""Which network, trained for as many updates, paints best? Many candidates and losses at once, on a GPU.

    python scripts/research/search_network.py --styles IMAGE... --photographs DIR [--steps 2000]
        [--candidates brush swift 16x1-3-124 ...] -o DIR

A candidate WIDTHxBEFORE-BLOCKS-DILATIONS has WIDTH channels at half the resolution, BEFORE residual blocks at a quarter
and BLOCKS at an eighth, of these dilations in turn, without the canvas; every other name is a network of the project.
`--loss` changes the loss of all, such as `style_weight=5 grey_content=false`. Prints multiply-adds, parameters and the
last mean of the loss's terms; the output folder gets a contact sheet for each style, a row for each candidate, to be
looked at and judged (`scripts/measure/pictures.py`): the loss alone does not tell.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import torch
from many_painters import Painter, crop_pool, train_all
from omegaconf import OmegaConf
from torch import Tensor, nn

from impasto.images.contact_sheet import contact_sheet
from impasto.images.finding import find_images
from impasto.images.geometry import centre_square, resize
from impasto.images.reading import read_image
from impasto.images.writing import write_image
from impasto.inference.benchmark import macs_per_pixel
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import StagedNetwork, build_network
from impasto.networks.brush import Coarse
from impasto.networks.johnson import ConvLayer, ResidualBlock, upsample
from impasto.system.machine import pick_device, provenance

CROP, MARGIN, SIZE = 400, 96, 512
CANDIDATES = ("swift", "16x1-3-1", "16x1-3-124", "16x0-4-1241", "16x1-4-1242", "20x0-3-12", "brush", "johnson")


class Light(StagedNetwork):
    """A point of the search space."""

    stride = 8

    def __init__(self, width: int, before: int, blocks: int, dilations: list[int]):
        super().__init__()
        inner = 2 * width
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2), ConvLayer(12, width, 3), nn.ReLU(inplace=True), ConvLayer(width, inner, 3, stride=2),
            nn.ReLU(inplace=True),
        )  # fmt: skip
        self.body = nn.Sequential(*(ResidualBlock(inner) for _ in range(before)), Coarse(inner, blocks, dilations))
        self.decoder = nn.Sequential(upsample(inner, width), ConvLayer(width, 12, 3, norm=False), nn.PixelShuffle(2))

    def stages(self) -> tuple[nn.Module, ...]:
        return self.encoder, *self.body, self.decoder


def candidate(name: str) -> nn.Module:
    torch.manual_seed(0)
    if "-" not in name:
        return build_network(name)
    size, blocks, dilations = name.split("-")
    width, before = size.split("x")
    return Light(int(width), int(before), int(blocks), [int(digit) for digit in dilations])


@torch.no_grad()
def paintings(painter: Painter, photographs: list[Tensor]) -> list[Tensor]:
    network = painter.averaged()
    return [network(photograph[None].to(painter.device))[0].cpu() for photograph in photographs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--candidates", nargs="+", default=CANDIDATES)
    parser.add_argument("--loss", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--weights", default="slim", help="of the loss network: slim, torchvision or a path")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    device = pick_device()
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    paths = find_images([options.photographs])
    seen, unseen = paths[6:] or paths, [centre_square(read_image(path), 320) for path in paths[:6]]
    pool = crop_pool(seen, CROP, 8, margin=MARGIN, device=str(device))
    features = PerceptualLoss.from_spec(options.weights).to(device).features
    painters: dict[tuple[str, str], Painter] = {}
    for path in options.styles:
        style = resize(read_image(path), SIZE)[None].to(device)
        for name in options.candidates:
            loss = PerceptualLoss(features, **OmegaConf.to_container(OmegaConf.from_dotlist(options.loss)))  # type: ignore[arg-type]
            loss.set_style(style)
            network = candidate(name).to(device).to(memory_format=torch.channels_last).train()
            painters[path.stem, name] = Painter(network, loss, pool, options.steps, margin=MARGIN, batch=options.batch)
    for number in train_all(list(painters.values()), options.steps, every=100):
        print(number, " ".join(f"{float(painter.totals.sum()):.3f}" for painter in painters.values()), flush=True)
    print(f"\n{date.today()}, {provenance(device)}, {options.steps} updates of {options.batch} crops")
    print(
        "| network | MAC a pixel | parameters | content, style, total variation, each style |\n| --- | --- | --- "
        "| --- |"
    )
    for name in options.candidates:
        network = candidate(name).eval()
        terms = ["{:.3f} {:.3f} {:.3f}".format(*painters[path.stem, name].totals.tolist()) for path in options.styles]
        parameters = sum(parameter.numel() for parameter in network.parameters())
        print(f"| {name} | {macs_per_pixel(network):,} | {parameters:,} | {'; '.join(terms)} |")
    for path in options.styles:
        rows = [paintings(painters[path.stem, name], unseen) for name in options.candidates]
        write_image(options.output / f"{path.stem}.png", contact_sheet([unseen, *rows], tile=320))


if __name__ == "__main__":
    main()
