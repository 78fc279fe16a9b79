"""The orthogonalised step: its singular values, its independence of scale, and Adam for the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.training.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(16, 16), (32, 288), (288, 32)])
def test_orthogonalized_keeps_directions_and_levels_singular_values(shape: tuple[int, int]) -> None:
    u, values, vh = torch.linalg.svd(
        torch.randn(shape, generator=torch.Generator().manual_seed(0)), full_matrices=False
    )
    levelled = orthogonalized(u @ torch.diag(torch.linspace(1, 0.1, len(values))) @ vh)
    assert levelled.shape == shape
    along = u.mT @ levelled @ vh.mT
    assert along.diag().min() > 0.6 and along.diag().max() < 1.3
    assert (along - torch.diag(along.diag())).abs().max() < 0.1


def test_orthogonalized_zero_is_zero() -> None:
    assert not orthogonalized(torch.zeros(8, 12)).any()


def stepped(start: Tensor, gradients: list[Tensor], **options: Any) -> Tensor:
    parameter = nn.Parameter(start.clone())
    optimizer = Muon([parameter], **options)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


def test_the_step_of_a_kernel_has_one_size_whatever_the_gradient() -> None:
    start, gradient = torch.zeros(32, 32, 3, 3), torch.randn(32, 32, 3, 3)
    small, large = (stepped(start, [scale * gradient], lr=0.01) for scale in (1e-4, 1e4))
    assert float((small - large).norm() / large.norm()) < 0.1
    # The singular values of an orthogonal (32, 288) step are 1, so its mean square is 32 / (32 * 288); times 0.2 lr
    # √288.
    assert float(small.square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.15)


def test_kernels_of_one_shape_step_as_each_would_alone() -> None:
    kernels = [nn.Parameter(torch.randn(shape)) for shape in ((8, 6, 3, 3), (16, 8, 1, 1), (8, 6, 3, 3), (16, 8, 1, 1))]
    gradients = [torch.randn_like(kernel) * 10.0**power for power, kernel in enumerate(kernels)]
    alone = [stepped(kernel.detach(), [gradient] * 2) for kernel, gradient in zip(kernels, gradients, strict=True)]
    together = Muon(kernels)
    for _ in range(2):
        for kernel, gradient in zip(kernels, gradients, strict=True):
            kernel.grad = gradient.clone()
        together.step()
    for kernel, expected in zip(kernels, alone, strict=True):
        torch.testing.assert_close(kernel.detach(), expected, rtol=0, atol=1e-4)  # steps are of 1e-3 each


@pytest.mark.parametrize("shape", [(7,), (16, 3, 3, 3), (3, 16, 3, 3), (16, 1, 5, 5)])
def test_everything_else_steps_as_torch_adam_does(shape: tuple[int, ...]) -> None:
    start, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(5)]
    reference = nn.Parameter(start.clone())
    adam = torch.optim.Adam([reference], lr=0.4 * 0.01)
    for gradient in gradients:
        reference.grad = gradient.clone()
        adam.step()
    torch.testing.assert_close(stepped(start, gradients, lr=0.01), reference.detach())


def test_a_reloaded_state_goes_on_to_the_bit() -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))

    def train(module: nn.Module, optimizer: Muon, seeds: range) -> None:
        for seed in seeds:
            image = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
            optimizer.zero_grad()
            module(image).square().mean().backward()
            optimizer.step()

    straight, first, second = network(), network(), network()
    train(straight, Muon(straight.parameters()), range(6))
    optimizer = Muon(first.parameters())
    train(first, optimizer, range(3))
    second.load_state_dict(first.state_dict())
    resumed = Muon(second.parameters(), lr=1.0)
    resumed.load_state_dict(optimizer.state_dict())
    train(second, resumed, range(3, 6))
    for name, value in straight.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
