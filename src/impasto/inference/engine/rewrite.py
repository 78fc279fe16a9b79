"""The same function in less time: exact rewrites of a trained network, made once when it is loaded.

Every rule keeps the result to the last rounding, the border included; `tests/inference/engine/test_engine.py` holds
each network to 1e-5.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from impasto.networks import Blur, InstanceNorm, StagedNetwork


class SpaceToDepth(nn.Module):
    """(N, C, 2H, 2W) -> (N, 4C, H, W), as `nn.PixelUnshuffle(2)` but with the channels ordered (row, column, channel).

    A pixel's channels so stay side by side in a channels-last memory, and ONNX knows no other order.
    """

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


class DepthToSpace(nn.Module):
    """(N, 4C, H, W) -> (N, C, 2H, 2W), the inverse of `SpaceToDepth`."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


class Crop(nn.Module):
    """Take one pixel off every side."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1:-1, 1:-1]


class FromLevels(nn.Module):
    """[0, 255] -> [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 255


def rewritten(network: nn.Module) -> nn.Module:
    """Return a copy of `network` that does the same faster, in evaluation mode, and takes levels from 0 to 255 where
    that takes [0, 1].

    Bfloat16 holds the 256 levels of a photograph exactly, their 255ths it rounds by half a level. Layers are recognised
    inside `nn.Sequential`s; what no rule knows is kept.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    takes_levels = _first_layer_takes_levels(network)
    _rewrite_inside(network)
    return network if takes_levels else nn.Sequential(FromLevels(), network)


def _first_layer_takes_levels(network: nn.Module) -> bool:
    """Give the first convolution a 255th of its weights, where the picture comes to it as it is."""
    if not isinstance(network, StagedNetwork) or type(network).from_pixels is not StagedNetwork.from_pixels:
        return False
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    first.weight.data = first.weight / 255
    return True


def _rewrite_inside(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            setattr(module, name, nn.Sequential(*_rewritten_chain(_flat(child))))
        else:
            _rewrite_inside(child)


def _flat(chain: nn.Sequential) -> list[nn.Module]:
    """The layers of nested sequentials in one list; what stands between them is rewritten on its own."""
    layers: list[nn.Module] = []
    for child in chain:
        if isinstance(child, nn.Sequential):
            layers += _flat(child)
        else:
            _rewrite_inside(child)
            layers.append(child)
    return layers


def _rewritten_chain(layers: list[nn.Module]) -> list[nn.Module]:
    done: list[nn.Module] = []
    while layers:
        first, second = layers[0], layers[1] if len(layers) > 1 else None
        if isinstance(first, nn.Conv2d) and _is_normalised(layers[1:]):
            first.bias = None  # the norm subtracts the mean, and the bias with it
        if _doubles(first) and isinstance(second, nn.Conv2d) and _is_plain(second, 3):
            if _is_normalised(layers[2:]):
                second.bias = None
            done += _upsampling_in_one(second)
            layers = layers[2:]
        elif isinstance(first, nn.PixelUnshuffle) and first.downscale_factor == 2 and isinstance(second, nn.Conv2d):
            second.weight.data = _channels_last_in_block(second.weight.transpose(0, 1)).transpose(0, 1).contiguous()
            done.append(SpaceToDepth())
            layers = layers[1:]
        elif isinstance(first, nn.Conv2d) and isinstance(second, nn.PixelShuffle) and second.upscale_factor == 2:
            first.weight.data = _channels_last_in_block(first.weight)
            if first.bias is not None:
                first.bias.data = _channels_last_in_block(first.bias)
            done += [first, DepthToSpace()]
            layers = layers[2:]
        elif isinstance(first, Blur) and done and isinstance(done[-1], DepthToSpace):
            done[-1:] = [*_blur_of_blocks(first), DepthToSpace()]
            layers = layers[1:]
        elif isinstance(first, nn.Conv2d) and _is_plain(first, 9):
            done += _large_kernel_at_half_resolution(first)
            layers = layers[1:]
        else:
            done.append(first)
            layers = layers[1:]
    return done


def _is_normalised(following: list[nn.Module]) -> bool:
    """Whether an instance norm comes next, be it behind a blur, which keeps constants."""
    return next((isinstance(layer, InstanceNorm) for layer in following if not isinstance(layer, Blur)), False)


def _doubles(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Upsample) and layer.scale_factor == 2 and layer.mode == "nearest"


def _is_plain(conv: nn.Conv2d, kernel: int) -> bool:
    """Whether `conv` is a dense one of that size, stride 1, that mirrors the border and keeps the size."""
    return (
        (conv.kernel_size, conv.stride, conv.dilation) == ((kernel, kernel), (1, 1), (1, 1))
        and (conv.padding, conv.padding_mode, conv.groups) == ((kernel // 2, kernel // 2), "reflect", 1)
    )  # fmt: skip


def _channels_last_in_block(channels: Tensor) -> Tensor:
    """Reorder the first axis from PixelShuffle's (channel, row, column) to (row, column, channel)."""
    return channels.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1).contiguous()


def _upsampling_in_one(conv: nn.Conv2d) -> list[nn.Module]:
    """Nearest upsampling and a 3x3 convolution as one 2x2 convolution of the small picture: 16 products instead of 36.

    Along one axis the three taps of an even output pixel fall on (x[i - 1], x[i], x[i]), those of the odd pixel before
    it on (x[i - 1], x[i - 1], x[i]). So position i of the small convolution makes the pixels 2i - 1 and 2i; the first
    and the last fall outside and are cropped. Mirroring the large picture's border repeats the small one's.
    """
    odd, even = torch.tensor([[1.0, 1, 0], [0, 0, 1]]), torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    phases = torch.stack([odd, even])  # (phase, small tap, large tap)
    weight = torch.einsum("pyi,qxj,ocij->pqocyx", phases.double(), phases.double(), conv.weight.double())
    bias = None if conv.bias is None else conv.bias.repeat(4)
    small = _convolution(weight.flatten(0, 2).to(conv.weight), bias)
    return [nn.ReplicationPad2d(1), small, DepthToSpace(), Crop()]


def _blur_of_blocks(blur: Blur) -> list[nn.Module]:
    """A blur that follows `DepthToSpace` as a convolution between blocks of 2x2 pixels that precedes it: twelve times
    the products, most of them with zero, but three channels fill no vector register.

    Mirroring the large picture's border repeats the small one's.
    """
    dense = torch.diag_embed(blur.weight[:, 0].movedim(0, -1)).movedim((0, 1), (2, 3))
    weight = _between_blocks(nn.functional.pad(dense, (1, 1, 1, 1)))
    return [nn.ReplicationPad2d(1), _convolution(weight, None)]


def _large_kernel_at_half_resolution(conv: nn.Conv2d) -> list[nn.Module]:
    """A 9x9 convolution as a 5x5 one between blocks of 2x2 pixels:
    so few channels fill no vector register, four times as many do.
    """
    bias = None if conv.bias is None else conv.bias.repeat(4)
    half = _convolution(_between_blocks(conv.weight), bias)
    return [nn.ReflectionPad2d(conv.kernel_size[0] // 2), SpaceToDepth(), half, DepthToSpace()]


def _between_blocks(weight: Tensor) -> Tensor:
    """Weights (O, I, K, K) between pixels as weights (4 O, 4 I, (K + 1) / 2, (K + 1) / 2) between blocks of 2x2 pixels.

    K is 5 or 9: half of it, rounded down, must be even.
    """
    out, inside, size, _ = weight.shape
    blocks = weight.new_zeros(2, 2, out, 2, 2, inside, size // 2 + 1, size // 2 + 1)
    padded = nn.functional.pad(weight, (0, 1, 0, 1))
    for row in range(2):
        for column in range(2):
            # Output pixel (row, column) of a block looks that much further.
            shifted = padded.roll((row, column), (2, 3))
            blocks[row, column] = shifted.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(4 * out, 4 * inside, *blocks.shape[-2:])


def _convolution(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """The convolution with these weights, without padding."""
    out, inside, *kernel = weight.shape
    conv = nn.Conv2d(inside, out, (kernel[0], kernel[1]), bias=bias is not None)
    conv.weight.data = weight.contiguous()
    if bias is not None:
        conv.bias.data = bias  # type: ignore[union-attr]
    return conv.requires_grad_(False)
