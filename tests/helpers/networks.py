"""What tests ask of networks."""

from __future__ import annotations

from torch import Tensor, nn

from impasto.networks import StagedNetwork, build_network, network_names, network_spec


def gradients_of(network: nn.Module) -> list[Tensor]:
    """The gradient of every parameter; all of them must have one."""
    gradients = [parameter.grad for parameter in network.parameters()]
    found = [gradient for gradient in gradients if gradient is not None]
    assert len(found) == len(gradients)
    return found


def known_options(name: str, **options: int) -> dict[str, int]:
    """Those of the options that a network takes."""
    return {option: value for option, value in options.items() if option in network_spec(name)}


def staged_names() -> list[str]:
    """The names of the networks that return their stages."""
    return [name for name in network_names() if isinstance(build_network(name), StagedNetwork)]
