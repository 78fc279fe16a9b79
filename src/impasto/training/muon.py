"""Muon: momentum whose step is orthogonalised, for convolution kernels (Jordan et al. 2024)."""

# pyright: reportPrivateImportUsage=false
# torch.optim itself is built on the _foreach functions.

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

# Of the quintic iteration in Jordan et al.: steep at zero, so that five rounds bring all but tiny singular values near
# 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Orthogonalised momentum for kernels between layers, Adam (Kingma and Ba 2015) for everything else.

    A kernel (O, I, H, W) counts as the matrix (O, I·H·W). All of its directions learn equally fast, where Adam follows
    the few that dominate the gradient.

    Args:
        params: parameters. Adam's are biases, norms and kernels with three or fewer channels on either side: those from
            or to an RGB image and depthwise ones.
        lr: of the kernels. Steps are scaled to the root mean square of Adam's (Liu et al. 2025): 0.2 lr.
        momentum: of the kernels, Nesterov's.
        adam_part: learning rate of everything else, as a part of `lr`.
        betas: Adam's.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 5e-3,
        momentum: float = 0.9,
        adam_part: float = 0.4,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        kernels: list[Parameter] = []
        others: list[Parameter] = []
        for parameter in params:
            hidden = parameter.ndim > 1 and min(parameter.shape[:2]) > 3
            (kernels if hidden else others).append(parameter)
        groups = [
            {"params": kernels, "lr": lr, "momentum": momentum},
            {"params": others, "lr": adam_part * lr, "betas": tuple(betas)},
        ]
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            learned: list[Tensor] = [parameter for parameter in group["params"] if parameter.grad is not None]
            if learned and "momentum" in group:
                self._orthogonal_steps(learned, group["lr"], group["momentum"])
            elif learned:
                self._adam_steps(learned, group["lr"], group["betas"])
        return loss

    def _orthogonal_steps(self, kernels: list[Tensor], lr: float | Tensor, momentum: float) -> None:
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for kernel in kernels:
            alike[kernel.shape].append((kernel, self._moved(kernel, momentum)))
        for shape, same in alike.items():  # together: many small products take longer than a few large ones
            matrices = torch.stack([moved.flatten(1) for _, moved in same])
            steps = orthogonalized(matrices) * (-0.2 * math.sqrt(max(matrices.shape[1:])) * lr)
            torch._foreach_add_([kernel for kernel, _ in same], [step.view(shape) for step in steps])

    def _moved(self, kernel: Tensor, momentum: float) -> Tensor:
        """Update the kernel's mean gradient and return Nesterov's look-ahead."""
        state, gradient = self.state[kernel], kernel.grad
        assert gradient is not None
        if not state:
            state["average"] = torch.zeros_like(gradient)
        average = state["average"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)

    def _adam_steps(self, parameters: list[Tensor], lr: float | Tensor, betas: tuple[float, float]) -> None:
        # All parameters in a few calls: on a GPU, to start a thousand small operations takes longer than to do them.
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter].update(
                    step=0, average=torch.zeros_like(parameter), square=torch.zeros_like(parameter)
                )
        states = [self.state[parameter] for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        averages, squares = ([state[name] for state in states] for name in ("average", "square"))
        torch._foreach_lerp_(averages, gradients, 1 - betas[0])
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - betas[1])
        for state in states:
            state["step"] += 1
        step = states[0]["step"]
        deviations = torch._foreach_sqrt(torch._foreach_div(squares, 1 - betas[1] ** step))
        torch._foreach_add_(deviations, 1e-8)
        moves = torch._foreach_div(averages, deviations)
        torch._foreach_mul_(moves, -lr / (1 - betas[0] ** step))
        torch._foreach_add_(parameters, moves)


def orthogonalized(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Return the (..., rows, columns) matrices with singular values of about 1 in place of their own.

    Newton and Schulz's iteration, in bfloat16: values above about a hundredth of the norm come to 0.7 to 1.2, smaller
    ones part of the way, rounding noise among them. A zero matrix stays zero.
    """
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = (matrix.mT if tall else matrix).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrix.dtype)
