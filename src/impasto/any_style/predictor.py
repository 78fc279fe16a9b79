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

from impasto.networks import build_network, network_spec, normal_parameter

_RANK = 64  # directions in which a kernel may change
_BEND = 4  # times as many hidden units as the vector has numbers
_PROJECTED = 8  # directions in which a covariance is looked at
_FARTHEST = 4.0  # standard deviations from the mean of all styles
_EPSILON = 1e-6


class StatisticsReader(nn.Module):
    """Statistics of the style loss -> the principal components in which styles differ most, of mean 0 and deviation 1.

    Of each layer at each octave it takes the means, the logarithms of the deviations, and the correlations along a few
    fixed directions. Nothing in it is learned by gradients: `fit` sets it once, over many styles.

    Args:
        channels: those of each style layer at each octave, under the names of `PerceptualLoss.style_targets`.
        size: how many components.
    """

    centre: Tensor
    spread: Tensor
    basis: Tensor

    def __init__(self, channels: Mapping[str, int], size: int):
        super().__init__()
        self.channels = dict(channels)
        pairs = _PROJECTED * (_PROJECTED + 1) // 2
        count = sum(2 * each + pairs for each in channels.values())
        self.register_buffer("centre", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.register_buffer("basis", torch.zeros(count, size))

    def forward(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """(N, ...) each -> (N, size)."""
        scaled = (self.measured(statistics) - self.centre) / self.spread
        return (scaled.clamp(-_FARTHEST, _FARTHEST) @ self.basis).clamp(-_FARTHEST, _FARTHEST)

    def measured(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """All numbers that are looked at, side by side."""
        found: list[Tensor] = []
        for name, channels in self.channels.items():
            covariance = statistics[name].float()
            deviations = covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
            directions = _directions(channels).to(covariance) / (deviations + _EPSILON)[:, :, None]
            correlations = directions.mT @ covariance @ directions
            rows, columns = torch.triu_indices(_PROJECTED, _PROJECTED)
            found += [statistics[f"{name}.mean"].float(), (deviations + 1e-4).log(), correlations[:, rows, columns]]
        return torch.cat(found, dim=1)

    @torch.no_grad()
    def fit(self, statistics: Mapping[str, Tensor]) -> None:
        """Set centre, spread and basis over the styles given."""
        measured = self.measured(statistics)
        self.centre.copy_(measured.mean(dim=0))
        self.spread.copy_(measured.std(dim=0).clamp_min(_EPSILON))
        scaled = ((measured - self.centre) / self.spread).clamp(-_FARTHEST, _FARTHEST)
        _, values, axes = torch.linalg.svd(scaled - scaled.mean(dim=0), full_matrices=False)
        size = self.basis.shape[1]
        deviations = values[:size] / len(measured) ** 0.5
        # The last components are little more than noise: they are brought to less than 1.
        self.basis.copy_(axes[:size].T / (deviations.square() + deviations[-1].square()).sqrt())


def _directions(channels: int) -> Tensor:
    """Fixed directions, (channels, 8), that look random and hang on no random generator."""
    number = torch.arange(channels * _PROJECTED, dtype=torch.float64).view(channels, _PROJECTED)
    angle = ((number + 1) * 12.9898).sin() * 43758.5453 % 1 * 2 - 1
    return (angle * (3 / channels) ** 0.5).float()


class StylePredictor(nn.Module):
    """Statistics of a style picture -> its vector -> the weights of a painter.

    Args:
        spec: the painter's network, what `build_network` takes.
        channels: those of each style layer at each octave, under the names of `PerceptualLoss.style_targets`.
        size: of the vector.
    """

    def __init__(self, spec: Mapping[str, Any], channels: Mapping[str, int], size: int = 192):
        super().__init__()
        self.painter = build_network(**spec)  # what every prediction is a change of
        self.spec, self.channels, self.size = network_spec(**spec), dict(channels), size
        self.reader = StatisticsReader(channels, size)
        unbent = nn.Linear(_BEND * size, size)
        nn.init.zeros_(unbent.weight)
        self.bend = nn.Sequential(nn.Linear(size, _BEND * size), nn.SiLU(), unbent)
        self.shapes = {name: parameter.shape for name, parameter in self.painter.named_parameters()}
        *self.low_rank, self.last = (name for name, shape in self.shapes.items() if len(shape) == 4 and shape[2] > 1)
        self.outward = nn.ParameterList(self._change_of(name)[0] for name in self.low_rank)
        self.inward = nn.ParameterList(self._change_of(name)[1] for name in self.low_rank)
        self.counts = {name: self._count(name) for name in self.shapes if not self._is_idle(name)}
        self.head = nn.Linear(size, sum(self.counts.values()), bias=False)
        nn.init.zeros_(self.head.weight)

    def vector(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """The vectors of N styles, (N, size), from their `PerceptualLoss.style_targets`."""
        seen = self.reader(statistics)
        return seen + self.bend(seen)

    def weights(self, vector: Tensor) -> dict[str, Tensor]:
        """The painter's weights for one vector, (size,)."""
        pieces = self.head(vector).split(list(self.counts.values()))
        changes: dict[str, Tensor] = {
            name: piece * self._reach(name) for name, piece in zip(self.counts, pieces, strict=True)
        }
        for name, outward, inward in zip(self.low_rank, self.outward, self.inward, strict=True):
            changes[name] = (outward * changes[name]) @ inward
        own: dict[str, Tensor] = dict(self.painter.named_parameters())
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

    def _reach(self, name: str) -> float:
        """How large a usual change is, beside which the head's weights are of one size: about that of the parameter."""
        if name in self.low_rank:
            return 0.5
        return 1.0 if len(self.shapes[name]) == 1 and f"{name.rpartition('.')[0]}.weight" != self.last else 0.1

    def _change_of(self, name: str) -> tuple[nn.Parameter, nn.Parameter]:
        rows, columns, rank = self.shapes[name][0], self.shapes[name][1:].numel(), self._count(name)
        return normal_parameter(rank**-0.5, rows, rank), normal_parameter(columns**-0.5, rank, columns)

    def _is_idle(self, name: str) -> bool:
        """Whether this is the bias of a convolution whose norm takes it away again."""
        stem, _, kind = name.rpartition(".")
        block, _, number = stem.rpartition(".")
        of_convolution = kind == "bias" and len(self.shapes[f"{stem}.weight"]) == 4
        return of_convolution and number.isdigit() and f"{block}.{int(number) + 1}.weight" in self.shapes
