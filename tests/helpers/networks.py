"""What tests ask of networks."""

from __future__ import annotations

from torch import Tensor, nn


def gradients_of(network: nn.Module) -> list[Tensor]:
    """The gradient of every parameter; all of them must have one."""
    gradients = [parameter.grad for parameter in network.parameters()]
    found = [gradient for gradient in gradients if gradient is not None]
    assert len(found) == len(gradients)
    return found
