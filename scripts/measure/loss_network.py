"""How faithful is the slim loss network to VGG-19? Errors, ranks, what painters make of it, and its cost.

    python scripts/measure/loss_network.py --photographs DIR --style IMAGE --vgg WEIGHTS [--painters MODEL=PICTURE...]

For photographs and for what the painters made of them: the relative error of features and Gram matrices, layer by
layer. Over all pairs (output, content) of both kinds: the rank correlation of the two total losses. For each painter:
VGG-19's loss over slim's own, both on its paintings. And the time of slim over VGG-19's, forward and backward, in turn.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import _head
import torch
from torch import Tensor

from impasto.images.finding import find_images
from impasto.images.geometry import centre_square, resize
from impasto.images.reading import read_image
from impasto.inference.stylizer import Stylizer
from impasto.losses.features import SLIM_LAYERS, VGGFeatures
from impasto.losses.functional import relative_feature_loss, relative_gram_loss
from impasto.losses.perceptual import PerceptualLoss


def distances(network: VGGFeatures, pictures: Sequence[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Per layer, between each picture and the next: relative feature errors and relative Gram distances.

    Distances, because the slim network's maps keep those and not the coordinates.
    """
    found = {name: ([], []) for name in SLIM_LAYERS}
    for picture, following in itertools.pairwise(pictures):
        here, there = network(picture[None]), network(following[None])
        for name in SLIM_LAYERS:
            found[name][0].append(relative_feature_loss(here[name].full(), there[name].full()))
            found[name][1].append(relative_gram_loss(here[name].gram(), there[name].gram()))
    return {name: (torch.cat(features), torch.cat(grams)) for name, (features, grams) in found.items()}


def totals(loss: PerceptualLoss, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.tensor([float(loss(output[None], content[None]).total) for output, content in pairs])


def rank_correlation(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([x.argsort().argsort().float() for x in (a, b)]))[0, 1].item()


def cost(losses: Sequence[PerceptualLoss], repeats: int = 8) -> list[float]:
    """Seconds of each loss, forward and backward on one 256-pixel image, in turn; then the median of the ratios."""
    output, content = torch.rand(1, 3, 256, 256, requires_grad=True), torch.rand(1, 3, 256, 256)
    times: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for loss, spent in zip(losses, times, strict=True):
            started = time.perf_counter()
            torch.autograd.grad(loss(output, content).total, output)
            spent.append(time.perf_counter() - started)
    ratios = [a / b for a, b in zip(times[0][1:], times[1][1:], strict=True)]
    return [*(statistics.median(spent[1:]) for spent in times), statistics.median(ratios)]


def _figures(**values: float | Tensor) -> _head.Row:
    return {name: _head.rounded(float(value)) for name, value in values.items()}


def model_and_picture(word: str) -> tuple[str, Path]:
    model, equals, picture = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{word}: write MODEL=PICTURE")
    return model, Path(picture)


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--vgg", default="torchvision", help="VGG-19's weights: torchvision or a path")
    parser.add_argument("--slim", default="slim", help="the slim network, if not the one in checkpoints/")
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True, help="the style of the rank correlation")
    parser.add_argument(
        "--painters",
        type=model_and_picture,
        nargs="*",
        default=[],
        metavar="MODEL=PICTURE",
        help="painters and their styles",
    )
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--size", type=int, default=192)
    options = parser.parse_args()

    paths = find_images([options.photographs])[: options.limit]
    photographs = [centre_square(read_image(path), options.size) for path in paths]
    slim, vgg = (PerceptualLoss(VGGFeatures(SLIM_LAYERS, weights)) for weights in (options.slim, options.vgg))
    painted: list[tuple[Tensor, Tensor]] = []
    painters: list[_head.Row] = []
    layers: list[_head.Row] = []
    with torch.no_grad():
        for model, picture in options.painters:
            painter = Stylizer(model)
            outputs = [painter(photograph) for photograph in photographs[:40]]
            painted += zip(outputs, photographs, strict=False)
            for loss in (slim, vgg):
                loss.set_style(resize(read_image(picture), 384)[None])
            own, judged = (totals(loss, list(zip(outputs, photographs, strict=False))).mean() for loss in (slim, vgg))
            print(f"{painter.model.name:16} slim {own:.3f}  VGG-19 {judged:.3f}  ratio {judged / own:.3f}", flush=True)
            painters.append({"painter": painter.model.name, **_figures(slim=own, vgg19=judged, ratio=judged / own)})
        for kind, pictures in (("photographs", photographs), ("painted", [output for output, _ in painted])):
            if len(pictures) > 1:
                narrow, wide = distances(slim.features, pictures), distances(vgg.features, pictures)
                for name in SLIM_LAYERS:
                    off = [((a - b).abs() / b).median().item() for a, b in zip(narrow[name], wide[name], strict=True)]
                    print(f"{kind:12} {name}: off by {off[0]:.1%} in feature distances, {off[1]:.1%} in Gram distances")
                    layers.append(
                        {"pictures": kind, "layer": name, **_figures(features_off_by=off[0], grams_off_by=off[1])}
                    )
        for loss in (slim, vgg):
            loss.set_style(resize(read_image(options.style), 384)[None])
        pairs = [*painted, *zip(photographs[1:], photographs, strict=False)]
        ranks = rank_correlation(totals(slim, pairs), totals(vgg, pairs))
        print(f"rank correlation {ranks:.4f} over {len(pairs)} pairs")
    seconds = cost((slim, vgg))
    print(f"cost {seconds[0]:.3f} s against {seconds[1]:.3f} s, ratio {seconds[2]:.3f}")
    print(_head.stamp())
    summary: _head.Row = {"pairs": len(pairs), **_figures(rank_correlation=ranks)}
    summary |= _figures(slim_s=seconds[0], vgg19_s=seconds[1], cost_ratio=seconds[2])
    _head.save(options.results, "loss_network", "The slim loss network against VGG-19: ranks and cost", [summary])
    _head.save(options.results, "loss_network_layers", "The slim loss network's distances against VGG-19's", layers)
    if painters:
        title = "VGG-19's loss over the slim network's own, on what painters made"
        _head.save(options.results, "loss_network_painters", title, painters)


if __name__ == "__main__":
    main()
