"""Transformer networks: one architecture a file; the file's name is its name in configs and model files.

A network module defines `Network`, an `nn.Module` whose constructor takes plain numbers, with two class attributes:
`stride`, the multiple that both sides of its input must have, and `limits`, the inclusive bounds of each constructor
argument (False and True for one that is either). `surround`, where it is there, is how many mirrored pixels a painter
puts around a picture and cuts off again, for a network whose training never judged what it paints along the border.
Where arguments came later, `unsaid` has what older files mean by leaving them out; those of them that change no
weight are named in `weightless`. Input and output are (N, 3, H, W) float images in [0, 1]. A `StagedNetwork` also
paints pictures larger than memory, and engines know `InstanceNorm` and `Blur`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from impasto.errors import ModelError


class StagedNetwork(nn.Module):
    """A network that is a chain of stages, so that a huge picture can go through it stage by stage, tile by tile.

    What passes from one stage to the next is kept whole, so cut where it is small. Inside, a stage holds its layers in
    the order in which they run: convolutions that pad by half their kernel, pixel (un)shuffles, upsampling by a whole
    factor, `nn.InstanceNorm2d`, and layers that work on each pixel alone. Nothing else may look beyond a pixel.
    """

    def stages(self) -> Iterable[nn.Module]:
        raise NotImplementedError

    def from_pixels(self, image: Tensor) -> Tensor:
        """Bring pixels in [0, 1] to the range that the first stage sees."""
        return image

    def to_pixels(self, x: Tensor) -> Tensor:
        """Bring what the last stage makes to [0, 1]."""
        return x.sigmoid()

    def forward(self, image: Tensor) -> Tensor:
        x = self.from_pixels(image)
        for stage in self.stages():
            x = stage(x)
        return self.to_pixels(x)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation whose output keeps the input's memory format.

    PyTorch's leaves channels_last behind, and every layer after it then converts back and forth.
    """

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(input.contiguous())
        if len(input) == 1 and output.requires_grad:
            # PyTorch 2.15 on the CPU gives a batch of one wrong gradients where they arrive in channels_last.
            output.register_hook(Tensor.contiguous)
        if input.is_contiguous(memory_format=torch.channels_last):
            return output.contiguous(memory_format=torch.channels_last)
        return output


class Blur(nn.Conv2d):
    """The binomial filter [1, 2, 1] / 4 along both axes of each channel, which leaves what a grid of half the
    resolution can hold.

    Before a strided convolution, and after that of an enlarged picture, it keeps fine structure from folding into
    coarse one, which would change with every pixel that a picture moves (Zhang, "Making Convolutional Networks
    Shift-Invariant Again", ICML 2019). Behind pixels shuffled out of channels it weakens the finest periods, images of
    coarser ones, which do not move with the picture either. Nothing in it is learned or stored.
    """

    weight: Tensor  # type: ignore[assignment]

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=False, padding_mode="reflect")
        del self.weight
        taps = torch.tensor([1.0, 2.0, 1.0], device="cpu") / 4  # numbers on the meta device, too: no file holds them
        self.register_buffer("weight", (taps[:, None] * taps).repeat(channels, 1, 1, 1), persistent=False)

    def reset_parameters(self) -> None:
        """Draw no random numbers: there are no parameters."""


def normal_parameter(deviation: float, *shape: int) -> nn.Parameter:
    """Return a parameter of normal random numbers; on the meta device, where files are checked, one of no numbers.

    There, torch imports its compiler for `nn.init.normal_` and for arithmetic, which takes seconds.
    """
    values = torch.empty(shape)
    return nn.Parameter(values if values.is_meta else values.normal_(0, deviation))


def stride_and_surround(network: nn.Module) -> tuple[int, int]:
    """Return the multiple that the sides of a network's input must be, and how many mirrored pixels it wants around."""
    return getattr(network, "stride", 1), getattr(network, "surround", 0)


def network_names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build_network(name: str, **options: Any) -> nn.Module:
    """Build the architecture called `name` with freshly initialised weights.

    Raises:
        ModelError: the name is unknown, or an option is unknown or out of its bounds.
    """
    if name not in network_names():
        raise ModelError(f"unknown network {str(name)[:40]!r}; this version knows: {', '.join(network_names())}")
    constructor = _constructor(name)
    for option, value in options.items():
        _check_option(name, constructor.limits, option, value)
    return constructor(**options)


def complete_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's description of a network with the options that were not known yet when it was written."""
    if spec.get("name") not in network_names():
        return dict(spec)
    return {**network_spec(spec["name"]), **getattr(_constructor(spec["name"]), "unsaid", {}), **spec}


def network_spec(name: str, **options: Any) -> dict[str, Any]:
    """Return the full description of a network, defaults filled in: what `build_network` takes, what a file stores."""
    defaults = {key: value.default for key, value in inspect.signature(_constructor(name)).parameters.items()}
    return {"name": name, **defaults, **options}


def weights_fit(spec: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a network of this version and `other`, described in full, differ in nothing but options that have no
    weights.
    """
    older = weightless(spec)
    return {**spec, **older} == {**other, **older}


def weightless(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a network that have no weights, with what files meant that left them out."""
    constructor = _constructor(spec["name"])
    return {option: constructor.unsaid[option] for option in getattr(constructor, "weightless", ())}


def option_limits(name: str) -> Mapping[str, tuple[int, int]]:
    """Return the inclusive bounds of each option of a network."""
    return _constructor(name).limits


def _constructor(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}").Network


def _check_option(name: str, limits: Mapping[str, tuple[int, int]], option: str, value: Any) -> None:
    if option not in limits:
        raise ModelError(f"network {name} has no option {str(option)[:40]!r}; it takes: {', '.join(limits)}")
    low, high = limits[option]
    if type(value) is not type(low) or not low <= value <= high:
        kind = "true or false" if low is False else f"a whole number from {low} to {high}"
        raise ModelError(f"network {name}: {option} must be {kind}, not {str(value)[:40]!r}")
