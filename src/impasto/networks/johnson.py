"""The transformer network of Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer" (ECCV 2016).

A 9x9 convolution, two strided ones, residual blocks at a quarter of the resolution, two upsampling steps and a 9x9
convolution back to RGB. The departures from the paper stand where they happen.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn

from impasto.networks import Blur, InstanceNorm, StagedNetwork


class ConvLayer(nn.Sequential):
    """Reflection padding, convolution, and unless `norm` is off, instance normalisation.

    With `antialias` the input of a strided convolution is blurred, or the output of any other one, see `Blur`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        dilation: int = 1,
        norm: bool = True,
        antialias: bool = False,
    ):
        # Zero padding (the paper's) leaves a band along the border of every picture. To mirror far, a picture must be
        # large.
        border = "reflect" if dilation == 1 else "replicate"
        reach = dilation * (kernel_size // 2)
        layers: dict[str, nn.Module] = {}
        # The blur has a name, so that the learned layers are called the same with and without.
        if antialias and stride > 1:
            layers["blur"] = Blur(in_channels)
        layers["0"] = nn.Conv2d(in_channels, out_channels, kernel_size, stride, reach, dilation, padding_mode=border)
        if antialias and stride == 1:
            layers["blur"] = Blur(out_channels)
        if norm:
            # Instead of batch norm: Ulyanov et al., "Instance Normalization" (2016).
            layers["1"] = InstanceNorm(out_channels, affine=True)
        super().__init__(OrderedDict(layers))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection, no ReLU after the sum (Gross and Wilber 2016)."""

    def __init__(self, channels: int, dilation: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            ConvLayer(channels, channels, 3, dilation=dilation), nn.ReLU(inplace=True), ConvLayer(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def upsample(in_channels: int, out_channels: int, *, antialias: bool = False) -> nn.Sequential:
    # Instead of a transposed convolution, which draws checkerboards: Odena et al., Distill 2016.
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        ConvLayer(in_channels, out_channels, 3, antialias=antialias),
        nn.ReLU(inplace=True),
    )


class TransformerNet(StagedNetwork):
    """An image in, the same image painted out.

    Args:
        width: channels at full resolution; twice as many at half and four times at quarter resolution.
        blocks: residual blocks at quarter resolution.

    The paper's size, width 32 and 5 blocks, has 1,679,235 parameters and takes 153,792 multiply-adds per pixel.

    Shape:
        input (N, 3, H, W) in [0, 1], H and W multiples of 4 and at least 8; output the same shape, in (0, 1).
    """

    stride: ClassVar[int] = 4
    limits: ClassVar[dict[str, tuple[int, int]]] = {"width": (4, 128), "blocks": (1, 32)}

    def __init__(self, width: int = 32, blocks: int = 5):
        super().__init__()
        self.encoder = nn.Sequential(
            ConvLayer(3, width, 9), nn.ReLU(inplace=True),
            ConvLayer(width, 2 * width, 3, stride=2), nn.ReLU(inplace=True),
            ConvLayer(2 * width, 4 * width, 3, stride=2), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.body = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            upsample(4 * width, 2 * width), upsample(2 * width, width), ConvLayer(width, 3, 9, norm=False)
        )

    # The first instance norm cancels any shift and scale of the input, so [0, 1] goes in as it is. A sigmoid ends in
    # [0, 1]; the paper scales a tanh, later code clips and lets pixels saturate.

    def stages(self) -> tuple[nn.Module, ...]:
        return self.encoder, *self.body, self.decoder


Network = TransformerNet
