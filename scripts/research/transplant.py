"""Give Johnson's network what a painter of the light network has learned, so that it need not begin from scratch.

    python scripts/research/transplant.py MODEL --photographs DIR -o OUT.safetensors [--width 32]

`swift` does at half and quarter resolution what Johnson's network can do, too: its layers become a part of the channels
of Johnson's, whose other channels are random and heard by none of these (function-preserving growth, as in Chen,
Goodfellow and Shlens, "Net2Net", ICLR 2016). Two of Johnson's layers have no counterpart; they hand on what they get,
their norms set to keep it as it is on photographs. Pixel-shuffle becomes the last 9x9 convolution, which hears all
channels, fitted by least squares to what `swift` paints. Prints how far the two differ on photographs that the fit has
not seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.checkpoint import StyleModel, find_style_model, load_style_model, save_style_model
from impasto.errors import ImpastoError, UsageError
from impasto.images.finding import find_images
from impasto.images.geometry import centre_square
from impasto.images.reading import read_image
from impasto.networks import build_network, network_spec
from impasto.networks.johnson import ConvLayer, ResidualBlock, TransformerNet
from impasto.networks.swift import SwiftNet

SIZE, SEEN, UNSEEN = 256, 40, 8
WINDOW = 40  # side of the part of each photograph on which the last layer is fitted


@torch.no_grad()
def transplanted(swift: SwiftNet, photographs: Sequence[Tensor], width: int) -> TransformerNet:
    """Return a Johnson network that paints as `swift` does, fitted on photographs (1, 3, H, W)."""
    johnson = build_network("johnson", width=width, blocks=len(swift.body))
    assert isinstance(johnson, TransformerNet)
    first, up = layer_at(swift.encoder, 1), layer_at(swift.decoder, 0, 1)
    down, last_up = layer_at(johnson.encoder, 2), layer_at(johnson.decoder, 1, 1)
    plant(first, layer_at(johnson.encoder, 0), kernel=from_blocks_of_pixels(weights_of(first).kernel))
    pass_on(down, len(weights_of(first).kernel))
    plant(layer_at(swift.encoder, 3), layer_at(johnson.encoder, 4))
    for block, wider in zip(swift.body, johnson.body, strict=True):
        assert isinstance(block, ResidualBlock) and isinstance(wider, ResidualBlock)
        plant(layer_at(block.body, 0), layer_at(wider.body, 0))
        plant(layer_at(block.body, 2), layer_at(wider.body, 2))
    plant(up, layer_at(johnson.decoder, 0, 1))
    pass_on(last_up, len(weights_of(up).kernel))
    keep_statistics(johnson, down, photographs)
    keep_statistics(johnson, last_up, photographs)
    fit_last_layer(johnson, swift, photographs)
    return johnson


class Weights(NamedTuple):
    """Of a convolution and of the instance norm behind it; to write into them changes the network."""

    kernel: Tensor
    bias: Tensor
    norm_weight: Tensor
    norm_bias: Tensor


def layer_at(module: nn.Module, *path: int) -> ConvLayer:
    """The convolution layer at that path through nested sequences."""
    for index in path:
        assert isinstance(module, nn.Sequential)
        module = module[index]
    assert isinstance(module, ConvLayer)
    return module


def weights_of(layer: ConvLayer) -> Weights:
    convolution, norm = layer
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    assert isinstance(norm, nn.InstanceNorm2d)
    return Weights(convolution.weight, convolution.bias, norm.weight, norm.bias)


def plant(layer: ConvLayer, wider: ConvLayer, kernel: Tensor | None = None) -> None:
    """Make the first channels of `wider` do what `layer` does, deaf to the channels that `layer` has not."""
    own, there = weights_of(layer), weights_of(wider)
    kernel = own.kernel if kernel is None else kernel
    rows, columns = kernel.shape[:2]
    there.kernel[:rows] = 0
    there.kernel[:rows, :columns] = kernel
    there.bias[:rows] = own.bias
    there.norm_weight[:rows], there.norm_bias[:rows] = own.norm_weight, own.norm_bias


def pass_on(layer: ConvLayer, channels: int) -> None:
    """Make the first channels of `layer` repeat those that come in."""
    kernel, bias, *_ = weights_of(layer)
    kernel[:channels] = 0
    kernel[range(channels), range(channels), kernel.shape[2] // 2, kernel.shape[3] // 2] = 1
    bias[:channels] = 0


def from_blocks_of_pixels(kernel: Tensor) -> Tensor:
    """(O, 12, K, K) on a picture whose 2x2 blocks of pixels became channels -> (O, 3, 9, 9) on the picture itself;
    K at most 3.
    """
    on_pixels = F.pixel_shuffle(kernel, 2)  # places a block's pixels where they were
    before = 4 - 2 * (kernel.shape[-1] // 2)  # Johnson's kernel is centred on the first pixel of the middle block
    after = 9 - before - on_pixels.shape[-1]
    return F.pad(on_pixels, (before, after, before, after))


def keep_statistics(network: nn.Module, layer: ConvLayer, photographs: Sequence[Tensor]) -> None:
    """Set the norm of `layer` so that, on average over the photographs,
    it keeps mean and deviation of what comes in.
    """
    seen = outputs_of(layer[0], network, photographs)
    weights = weights_of(layer)
    weights.norm_weight.copy_(torch.stack([x.std(dim=(0, 2, 3)) for x in seen]).mean(dim=0))
    weights.norm_bias.copy_(torch.stack([x.mean(dim=(0, 2, 3)) for x in seen]).mean(dim=0))


def fit_last_layer(johnson: TransformerNet, swift: SwiftNet, photographs: Sequence[Tensor]) -> None:
    """Choose the last convolution by least squares, so that its outputs are those of `swift` before the sigmoid."""
    last = layer_at(johnson.decoder, 2)[0]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    reach = last.kernel_size[0] // 2
    products, targets = torch.zeros(()), torch.zeros(())
    features = outputs_of(johnson.decoder[1], johnson, photographs)
    wanted = outputs_of(swift.decoder, swift, photographs)
    for x, y in zip(features, wanted, strict=True):
        top, left = (int(torch.randint(side - WINDOW + 1, ())) for side in y.shape[-2:])
        around = F.pad(x, [reach] * 4, mode="reflect")[..., top:, left:]
        around = around[..., : WINDOW + 2 * reach, : WINDOW + 2 * reach]
        windows = F.unfold(around, last.kernel_size)[0]
        windows = torch.cat([windows, torch.ones_like(windows[:1])])  # the bias
        wanted_here = y[0, :, top : top + WINDOW, left : left + WINDOW].flatten(1)
        products = products + (windows @ windows.mT).double()
        targets = targets + (windows @ wanted_here.mT).double()
    ridge = 1e-5 * products.diagonal().mean() * torch.eye(len(products), dtype=products.dtype)
    solution = torch.linalg.solve(products + ridge, targets).mT.float()
    last.weight.copy_(solution[:, :-1].view_as(last.weight))
    last.bias.copy_(solution[:, -1])


def outputs_of(layer: nn.Module, network: nn.Module, photographs: Sequence[Tensor]) -> list[Tensor]:
    """Return what `layer` makes while `network` paints each photograph."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda module, args, output: seen.append(output.clone()))
    for photograph in photographs:
        network(photograph)
    hook.remove()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a style model of the network swift, or the name of a shipped one")
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--width", type=int, default=32, help="of Johnson's network")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(0)
    paths = find_images([options.photographs])[: SEEN + UNSEEN]
    if len(paths) <= UNSEEN:
        raise UsageError(f"{options.photographs}: {len(paths)} photographs; more than {UNSEEN} are needed")
    photographs = [centre_square(read_image(path), SIZE)[None] for path in paths]
    model = load_style_model(find_style_model(options.model))
    if not isinstance(model.network, SwiftNet) or model.spec["reach"] > 1 or model.spec["width"] > options.width:
        raise UsageError(
            f"{options.model}: not swift with a reach of 1 at most and a width of --width at most: {model.spec}"
        )
    network = transplanted(model.network, photographs[:-UNSEEN], options.width).eval()
    with torch.no_grad():
        pairs = [(network(photograph), model.network(photograph)) for photograph in photographs[-UNSEEN:]]
    error = torch.stack([(ours - theirs).square().mean().sqrt() for ours, theirs in pairs]).mean()
    if not error.isfinite():
        raise UsageError(f"{options.model}: what it paints is not finite; train or download the model again")
    print(f"{model.name}: {255 * error:.1f} of 255 levels apart, root mean square over {UNSEEN} unseen photographs")
    spec = network_spec("johnson", width=options.width, blocks=len(model.network.body))
    training = replace(model.training, transplanted=model.spec)
    save_style_model(options.output, StyleModel(network, spec, model.name, model.loss, model.style, training))
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except ImpastoError as error:
        sys.exit(str(error))
