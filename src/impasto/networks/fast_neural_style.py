"""Johnson's network as pytorch/examples' fast_neural_style ends it, for models that were trained there."""

from __future__ import annotations

from torch import Tensor

from impasto.networks.johnson import TransformerNet


class FastNeuralStyleNet(TransformerNet):
    """`TransformerNet` whose layers see and make pixels from 0 to 255, cut off at the ends.

    To paint with, by way of `impasto import`. New styles are better trained with the others: where a pixel is cut off,
    no gradient flows.

    Shape:
        input (N, 3, H, W) in [0, 1], H and W multiples of 4 and at least 8; output the same shape, in [0, 1].
    """

    def from_pixels(self, image: Tensor) -> Tensor:
        return 255 * image

    def to_pixels(self, x: Tensor) -> Tensor:
        return (x / 255).clamp(0, 1)


Network = FastNeuralStyleNet
