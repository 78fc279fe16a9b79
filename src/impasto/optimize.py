"""The reference: optimise the pixels themselves (Gatys, Ecker and Bethge, "Image Style Transfer Using CNNs",
CVPR 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.losses.perceptual import PerceptualLoss
from impasto.system.choices import (
    DEFAULT_INIT,
    DEFAULT_OPTIMIZER,
    DEFAULT_SEED,
    OPTIMIZE_SCALES,
    OPTIMIZE_STEPS,
    OPTIMIZERS,
)

_ADAM_LEARNING_RATE = 0.02
_LONGEST_STEP = 0.2  # how far an update of L-BFGS moves the pixel that it moves most
_FIRST_STEP = 0.01  # how far L-BFGS moves the pixel that it moves most, to measure the curvature by


class Iterate(NamedTuple):
    """One update: its number, the live pixels (1, 3, H, W), not yet clamped (clone to keep),
    and the total before it.
    """

    step: int
    image: Tensor
    total: float


@dataclass
class Optimized:
    """What an optimisation found.

    image: the best iterate, (1, 3, H, W) in [0, 1].
    best_step: the update that made it.
    curve: scored step -> content, style, tv and total of that iterate clamped to [0, 1].
    """

    image: Tensor
    best_step: int = 0
    curve: dict[int, dict[str, float]] = field(default_factory=dict)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in an optimisation; `result` is the best that it had found, of the full size."""

    def __init__(self, result: Optimized):
        super().__init__()
        self.result = result


def scored_steps(steps: int) -> list[int]:
    """Updates after which an iterate is clamped and scored: every second up to 50, where the curve is steep, fewer
    later.
    """
    dense, middle, sparse = range(0, 51, 2), range(55, 101, 5), range(125, steps + 1, 25)
    return sorted({step for step in (*dense, *middle, 25, *sparse, steps) if step <= steps})


def optimize_image(
    content: Tensor,
    loss: PerceptualLoss,
    *,
    steps: int = OPTIMIZE_STEPS,
    optimizer: str = DEFAULT_OPTIMIZER,
    init: str | Tensor = DEFAULT_INIT,
    scales: int = OPTIMIZE_SCALES,
    seed: int = DEFAULT_SEED,
    bfloat16: bool = False,
    callback: Callable[[Iterate], None] | None = None,
) -> Optimized:
    """Paint `content` by minimising `loss` over its pixels; every iterate counts one update of all pixels.

    Args:
        content: (1, 3, H, W) in [0, 1].
        loss: with its style set; on the same device as `content`.
        steps: updates at full size.
        optimizer: `lbfgs` as neural-style sets it (learning rate 1, history 100, no line search, tolerances 0), its
            first step so long that some pixel moves by 0.01, or `adam`.
        init: `content`, `noise` (mid-grey with normal noise of deviation 0.1, from `seed`), or an image of `content`'s
            shape, such as a network's output.
        scales: coarse-to-fine; before the full size, `steps` updates at each of 1/2, 1/4 … of it, the style's own size
            kept.
        bfloat16: compute the gradients (not the scores) in bfloat16; twice as fast where the hardware has it.
        callback: called after every update.

    The iterates are free to leave [0, 1], as in neural-style; those in `scored_steps` are clamped and scored in
    float32, and the best of them is returned. A diverged run (a loss that is not finite) ends early and keeps its best.

    Raises:
        UsageError: unknown optimizer or init.
        Interrupted: a KeyboardInterrupt came; what was found so far is in it.
    """
    if optimizer not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {optimizer!r}; choose one of {', '.join(OPTIMIZERS)}")
    start = _initial_image(content, init, seed)
    for scale in range(scales - 1, 0, -1):
        size = [max(16, side >> scale) for side in content.shape[-2:]]
        try:
            coarse = _optimize(_resized(start, size), _resized(content, size), loss, steps, optimizer, bfloat16, None)
        except Interrupted as stop:
            stop.result.image = _resized(stop.result.image, content.shape[-2:])
            raise
        start = _resized(coarse.image, content.shape[-2:])
    return _optimize(start, content, loss, steps, optimizer, bfloat16, callback)


def _optimize(
    start: Tensor,
    content: Tensor,
    loss: PerceptualLoss,
    steps: int,
    optimizer: str,
    bfloat16: bool,
    callback: Callable[[Iterate], None] | None,
) -> Optimized:
    target, scored = loss.content_features(content), set(scored_steps(steps))
    result = Optimized(start.clamp(0, 1))
    try:
        for iterate in _iterates(start, target, loss, steps, optimizer, bfloat16):
            if not math.isfinite(iterate.total):
                break
            if iterate.step in scored:
                _score(result, iterate, target, loss)
            if callback:
                callback(iterate)
    except KeyboardInterrupt as stop:
        raise Interrupted(result) from stop
    return result


def _iterates(
    start: Tensor, target: dict[str, Tensor], loss: PerceptualLoss, steps: int, optimizer: str, bfloat16: bool
) -> Iterator[Iterate]:
    image = start.clone(memory_format=torch.contiguous_format).requires_grad_()
    update = _make_optimizer(optimizer, image)

    def closure() -> float:
        with torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16):
            total = loss.compare(image, target).total
        # L-BFGS flattens the gradient with view(), which a channels_last gradient refuses.
        (gradient,) = torch.autograd.grad(total, image)
        image.grad = gradient.contiguous()
        return total.item()

    yield Iterate(0, image.detach(), closure())
    for step in range(1, steps + 1):
        total: float = update.step(closure)  # of the pixels before this update
        yield Iterate(step, image.detach(), total)


def _make_optimizer(name: str, image: Tensor) -> torch.optim.Optimizer:
    return torch.optim.Adam([image], lr=_ADAM_LEARNING_RATE) if name == "adam" else _LBFGS(image)


class _LBFGS(torch.optim.LBFGS):
    """As neural-style sets it, one iteration at a time, except for the length of the first step.

    torch's own moves no pixel by more than some 1e-4. The change of the gradient over so little drowns in the rounding
    of bfloat16, and the second step, which is scaled by it, then throws some pictures far out of range.
    """

    def __init__(self, image: Tensor) -> None:
        # The default tolerances can stop before a pixel moves.
        super().__init__([image], lr=1, max_iter=1, history_size=100, tolerance_grad=0, tolerance_change=0)
        self.image = image

    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        total = closure()
        self.param_groups[0]["lr"] = 1 if self.state else self._first_rate()
        super().step(lambda: total)  # type: ignore[arg-type]
        return total

    def _add_grad(self, step_size: float, update: Tensor) -> None:
        # Without a line search some steps leap far out of range. Shortened in place: the next step takes its curvature
        # from this one.
        longest = abs(step_size) * update.abs().max()
        update.mul_((_LONGEST_STEP / longest).clamp(max=1))
        super()._add_grad(step_size, update)  # type: ignore[misc]

    def _first_rate(self) -> float:
        assert self.image.grad is not None
        slope = self.image.grad.abs()
        own_rate = (1 / slope.sum()).clamp(max=1)  # what torch multiplies the first step's learning rate by
        return (_FIRST_STEP / (own_rate * slope.max())).item()


@torch.no_grad()
def _score(result: Optimized, iterate: Iterate, target: dict[str, Tensor], loss: PerceptualLoss) -> None:
    image = iterate.image.clamp(0, 1)
    terms = loss.compare(image, target).numbers()
    if not result.curve or terms["total"] < result.curve[result.best_step]["total"]:
        result.image, result.best_step = image.clone(), iterate.step
    result.curve[iterate.step] = terms


def _initial_image(content: Tensor, init: str | Tensor, seed: int) -> Tensor:
    if isinstance(init, Tensor):
        return init.to(content)
    if init == "content":
        return content
    if init == "noise":
        # Drawn on the CPU, so that every device starts from the same noise.
        noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(seed))
        return (0.5 + 0.1 * noise).to(content)
    raise UsageError(f"unknown init {init!r}; choose content, noise or a style model")


def _resized(image: Tensor, size: list[int] | torch.Size) -> Tensor:
    return F.interpolate(image, size=tuple(size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
