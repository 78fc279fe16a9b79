"""The predictor: the statistics of a style picture in, a vector, and the weights of a painter out.

Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural artistic stylization network" (BMVC 2017),
predict the scale and the shift of every instance norm (Dumoulin et al., "A Learned Representation for Artistic Style",
ICLR 2017) from a style picture. Here the prediction begins with the very statistics that the style loss compares, and
it changes more: the norms, the canvas and the last kernel, which mixes the colours, freely; every other kernel along
64 learned matrices of rank one (as Hu et al., "LoRA", ICLR 2022, adapt large networks). All of that is linear in the
style's vector, so that vectors blend. What comes out is a plain network: every engine paints with it, and training can
go on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from impasto.networks import build_network

_RANK = 64  # directions in which a kernel may change
_PROJECTED = 12  # directions in which a covariance is looked at
_WIDTH = 64  # numbers that a layer at an octave comes down to
_HIDDEN = 256
_EPSILON = 1e-6


class StatisticsReader(nn.Module):
    """Reads one layer at one octave: its mean, its deviations, and its correlations along a few learned directions.

    Shape:
        mean (N, C) and covariance (N, C, C) -> (N, 64).
    """

    centre: Tensor
    spread: Tensor
    rows: Tensor

    def __init__(self, channels: int):
        super().__init__()
        pairs = _PROJECTED * (_PROJECTED + 1) // 2
        self.directions = nn.Parameter(torch.randn(channels, _PROJECTED) * channels**-0.5)
        self.linear = nn.Linear(2 * channels + pairs, _WIDTH)
        # Of means and deviations over many styles, set once: they differ by orders of magnitude.
        self.register_buffer("centre", torch.zeros(2 * channels))
        self.register_buffer("spread", torch.ones(2 * channels))
        self.register_buffer("rows", torch.triu_indices(_PROJECTED, _PROJECTED), persistent=False)

    def measured(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """Means, then deviations: (N, 2 C)."""
        return torch.cat([mean, covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()], dim=1)

    def forward(self, mean: Tensor, covariance: Tensor) -> Tensor:
        measured = ((self.measured(mean, covariance) - self.centre) / self.spread).clamp(-5, 5)
        usual = self.spread[mean.shape[1] :] + _EPSILON
        projected = self.directions.T @ (covariance / (usual[:, None] * usual)) @ self.directions
        pairs = projected[:, self.rows[0], self.rows[1]] / covariance.shape[1]
        return F.silu(self.linear(torch.cat([measured, _signed_root(pairs)], dim=1)))


def _signed_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs().add(_EPSILON).sqrt()


class StylePredictor(nn.Module):
    """Statistics of a style picture -> its vector -> the weights of a painter.

    Args:
        spec: the painter's network, what `build_network` takes.
        channels: those of each style layer at each octave, under the names of `PerceptualLoss.style_targets`.
        size: of the vector.
    """

    def __init__(self, spec: Mapping[str, Any], channels: Mapping[str, int], size: int = 192):
        super().__init__()
        self.spec, self.channels, self.size = dict(spec), dict(channels), size
        self.painter = build_network(**spec)  # what every prediction is a change of
        self.readers = nn.ModuleList(StatisticsReader(count) for count in channels.values())
        self.trunk = nn.Sequential(nn.Linear(_WIDTH * len(channels), _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, size))
        self.shapes = {name: parameter.shape for name, parameter in self.painter.named_parameters()}
        *self.low_rank, _ = (name for name, shape in self.shapes.items() if len(shape) == 4 and shape[2] > 1)
        self.outward = nn.ParameterList(self._directions(name)[0] for name in self.low_rank)
        self.inward = nn.ParameterList(self._directions(name)[1] for name in self.low_rank)
        self.counts = {name: self._count(name) for name in self.shapes if not self._is_idle(name)}
        self.head = nn.Linear(size, sum(self.counts.values()), bias=False)
        nn.init.zeros_(self.head.weight)

    def vector(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """The vectors of N styles, (N, size), from their `PerceptualLoss.style_targets`."""
        seen = [
            reader(statistics[f"{name}.mean"].float(), statistics[name].float())
            for name, reader in zip(self.channels, self.readers, strict=True)
        ]
        return F.layer_norm(self.trunk(torch.cat(seen, dim=1)), (self.size,))

    def weights(self, vector: Tensor) -> dict[str, Tensor]:
        """The painter's weights for one vector, (size,)."""
        changes = dict(zip(self.counts, self.head(vector).split(list(self.counts.values())), strict=True))
        for name, outward, inward in zip(self.low_rank, self.outward, self.inward, strict=True):
            changes[name] = (outward * changes[name]) @ inward
        own = dict(self.painter.named_parameters())
        return own | {name: own[name] + change.view_as(own[name]) for name, change in changes.items()}

    def forward(self, statistics: Mapping[str, Tensor], photographs: Tensor) -> Tensor:
        """Paint each of the photographs (N, 3, H, W) in the style of its number; the same shape."""
        vectors = self.vector(statistics)
        return torch.cat(
            [
                functional_call(self.painter, self.weights(vector), (photograph[None],))
                for vector, photograph in zip(vectors, photographs, strict=True)
            ]
        )

    def _count(self, name: str) -> int:
        """How many numbers a change of that parameter takes."""
        return min(self.shapes[name][0], _RANK) if name in self.low_rank else self.shapes[name].numel()

    def _directions(self, name: str) -> tuple[nn.Parameter, nn.Parameter]:
        rows, columns, rank = self.shapes[name][0], self.shapes[name][1:].numel(), self._count(name)
        return (
            nn.Parameter(torch.randn(rows, rank) * rank**-0.5),
            nn.Parameter(torch.randn(rank, columns) * columns**-0.5),
        )

    def _is_idle(self, name: str) -> bool:
        """Whether this is the bias of a convolution whose norm takes it away again."""
        stem, _, kind = name.rpartition(".")
        block, _, number = stem.rpartition(".")
        of_convolution = kind == "bias" and len(self.shapes[f"{stem}.weight"]) == 4
        return of_convolution and f"{block}.{int(number) + 1}.weight" in self.shapes
