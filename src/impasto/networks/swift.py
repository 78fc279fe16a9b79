"""A light network for real time: it works at half and quarter resolution only, in a nineteenth of Johnson's arithmetic.

Pixel-unshuffle and pixel-shuffle (Shi et al., CVPR 2016) at its ends replace Johnson's 9x9 convolutions at full
resolution; between them stand the same residual blocks at a quarter of the resolution.
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from impasto.networks import StagedNetwork
from impasto.networks.johnson import ConvLayer, ResidualBlock, upsample


class SwiftNet(StagedNetwork):
    """An image in, the same image painted out.

    Args:
        width: channels at half resolution; twice as many at a quarter.
        blocks: residual blocks at quarter resolution.
        reach: of the first and the last convolution, how far they see to each side, at half resolution: 1 is 3x3.

    Width 16, 5 blocks and reach 1 have 105,996 parameters and take 8,064 multiply-adds per pixel.

    Shape:
        input (N, 3, H, W) in [0, 1], H and W multiples of 4 and at least 8; output the same shape, in (0, 1).
    """

    stride: ClassVar[int] = 4
    limits: ClassVar[dict[str, tuple[int, int]]] = {"width": (4, 128), "blocks": (1, 32), "reach": (0, 4)}
    unsaid: ClassVar[dict[str, int]] = {"reach": 2}

    def __init__(self, width: int = 16, blocks: int = 5, reach: int = 1):
        super().__init__()
        ends = 2 * reach + 1
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            ConvLayer(12, width, ends), nn.ReLU(inplace=True),
            ConvLayer(width, 2 * width, 3, stride=2), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.body = nn.Sequential(*(ResidualBlock(2 * width) for _ in range(blocks)))
        # No skip from the input to the output: it would keep the photograph's own colours.
        self.decoder = nn.Sequential(
            upsample(2 * width, width), ConvLayer(width, 12, ends, norm=False), nn.PixelShuffle(2)
        )

    def stages(self) -> tuple[nn.Module, ...]:
        return self.encoder, *self.body, self.decoder


Network = SwiftNet
