"""Training throughput against a plain loop: the same network, loss and crops, step by step in turn.

    python scripts/measure/training.py --vgg WEIGHTS [--pairs 8]

The plain loop is written as pytorch/examples writes it: float32, default memory layout, all layers for the content
image too. Ours is `StyleModule.training_step` under the precision that `trainer.precision=auto` chooses. Prints both
rates and the ratio of each pair of steps with its spread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import _head
import torch
from torch import Tensor, nn
from torchvision.models import vgg19

from impasto.losses import build_loss
from impasto.losses.features import IMAGENET_MEAN, IMAGENET_STD, LAYERS, VGGFeatures
from impasto.losses.functional import gram_matrix, relative_gram_loss, total_variation
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network
from impasto.system.machine import has_fast_bfloat16, pick_device
from impasto.training.module import StyleModule


def torchvision_features(ours: VGGFeatures) -> PlainFeatures:
    """The same weights in torchvision's module, the layers collected as pytorch/examples collects them."""
    depth = max(LAYERS[name].position for name in ours.layers) + 2
    layers = nn.Sequential(*list(vgg19(weights=None).features.children())[:depth])
    module = PlainFeatures(layers, {LAYERS[name].position + 1: name for name in ours.layers})
    for name, layer in LAYERS.items():
        if layer.position < depth:
            module.layers[layer.position].weight.data = ours.get_buffer(f"{name}_weight").detach().contiguous()
            module.layers[layer.position].bias.data = ours.get_buffer(f"{name}_bias").detach()
    return module.requires_grad_(False)


class PlainFeatures(nn.Module):
    def __init__(self, layers: nn.Sequential, names: dict[int, str]):
        super().__init__()
        self.layers, self.names = layers, names

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        x, features = (image - mean) / std, {}
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.names:
                features[self.names[index]] = x
        return features


def plain_step(loss: PerceptualLoss, device: torch.device) -> Callable[[Tensor], None]:
    network = build_network("johnson").to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    features = torchvision_features(loss.features).to(device)

    def step(batch: Tensor) -> None:
        optimizer.zero_grad()
        output = network(batch)
        of_output, of_content = features(output), features(batch)
        content = torch.stack([plain_feature_loss(of_output[k], of_content[k]) for k in loss.content_layers]).mean()
        grams = [relative_gram_loss(gram_matrix(of_output[k]), loss.style_targets[k]) for k in loss.style_layers]
        total = content + 10 * torch.stack(grams).mean() + total_variation(output).mean()
        total.backward()
        optimizer.step()

    return step


def plain_feature_loss(features: Tensor, target: Tensor) -> Tensor:
    """The formula as it stands: `relative_feature_loss` would copy features whose channels do not come last."""
    return (features - target).square().mean(dim=(1, 2, 3)) / target.var(dim=(1, 2, 3), unbiased=False)


def our_step(loss: PerceptualLoss, device: torch.device) -> Callable[[Tensor], None]:
    network = build_network("johnson").to(memory_format=torch.channels_last)
    module = StyleModule(network, loss, torch.optim.Adam, margin=0).to(device)
    module.log_dict = module.log = lambda *args, **kwargs: None  # type: ignore[method-assign]  # no trainer to log to
    optimizer = torch.optim.Adam(module.network.parameters(), lr=2e-3)

    def step(batch: Tensor) -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
            total = module.training_step(batch, 0)
        total.backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), 5.0)
        optimizer.step()
        module.on_train_batch_end(None, batch, 0)

    return step


def seconds(step: Callable[[Tensor], None], batch: Tensor) -> float:
    started = time.perf_counter()
    step(batch)
    if batch.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--vgg", default="torchvision", help="VGG-19's weights: torchvision or a path")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()

    device = pick_device()
    losses = [build_loss(weights=options.vgg, style_weight=10.0).to(device) for _ in range(2)]  # Johnson's: one octave
    for loss in losses:
        loss.set_style(torch.rand(1, 3, 256, 384).to(device))
    plain, ours = plain_step(losses[0], device), our_step(losses[1], device)
    batch = torch.rand(options.batch, 3, options.crop, options.crop, device=device)
    for step in (plain, ours, plain, ours):
        step(batch)
    pairs = [(seconds(plain, batch), seconds(ours, batch)) for _ in range(options.pairs)]

    ratios = sorted(a / b for a, b in pairs)
    rows: list[_head.Row] = []
    for name, times in (("plain", [a for a, _ in pairs]), ("impasto", [b for _, b in pairs])):
        rate = options.batch / statistics.median(times)
        print(f"{name:8} {rate:6.2f} images/s")
        rows.append({"loop": name, "images_per_s": _head.rounded(rate)})
    print(f"ratio    {statistics.median(ratios):6.2f}  (from {ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} pairs)")
    print(f"{options.batch} crops of {options.crop} pixels, {_head.stamp()}")
    figures = {"times_plain": statistics.median(ratios), "from": ratios[0], "to": ratios[-1]}
    rows[-1] |= {key: _head.rounded(figure) for key, figure in figures.items()}
    title = f"A training step against a plain loop, {options.batch} crops of {options.crop} pixels, {len(ratios)} pairs"
    _head.save(options.results, "training", title, rows)


if __name__ == "__main__":
    main()
