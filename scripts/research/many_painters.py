"""Many painters trained at once on one GPU: each one's whole training step is a CUDA graph on a stream of its own.

A light painter on a batch of a few crops leaves a GPU idle most of the time, waiting for Python to start the next small
operation. A graph starts them all in one call, and graphs on different streams share the GPU. On a CPU the same steps
run one after the other. Used by `on_gpu.py`, `train_base.py` and `search_network.py`.
"""

# pyright: reportPrivateImportUsage=false
# torch.optim itself is built on the _foreach functions.

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from impasto.data.crops import CropDataset, random_crop
from impasto.data.sources import FolderImages
from impasto.images.geometry import Padding
from impasto.images.tensors import to_pil
from impasto.losses.defects import grid_energy
from impasto.losses.perceptual import PerceptualLoss, layers_among
from impasto.system.machine import has_fast_bfloat16, usable_cores
from impasto.training.muon import Muon
from impasto.training.plain import inside
from impasto.training.schedule import WARMUP_STEPS

_WARM_UP = 3  # steps before the graph is recorded: libraries choose their algorithms in them


def crop_pool(
    paths: Sequence[Path], crop: int, each: int, procedural: int = 0, *, margin: int, device: str = "cpu"
) -> Tensor:
    """`each` random crops of every photograph and procedural picture, with `margin` mirrored pixels around, (M, side,
    side, 3) uint8 on `device`.
    """
    data = CropDataset(FolderImages(paths), crop, seed=0, procedural=procedural)

    def crops_of(index: int) -> np.ndarray:
        pixels = data.decode(index)
        crops = [random_crop(pixels, crop, np.random.default_rng([turn, index])) for turn in range(each)]
        return np.stack([np.asarray(to_pil(picture)) for picture in crops])

    with ThreadPoolExecutor(usable_cores()) as threads:
        pieces = list(threads.map(crops_of, range(len(data))))
    return torch.from_numpy(surroundings(margin).pad(np.concatenate(pieces))).to(device)


def surroundings(margin: int) -> Padding:
    """What `crop_pool` puts around crops."""
    return Padding(margin, margin, margin, margin, mirror=True)


def compact(targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a style's statistics to be kept in numbers: covariances of layers in bfloat16, the rest as it is."""
    in_layers = set(layers_among(targets))
    return {name: target.bfloat16() if name in in_layers else target for name, target in targets.items()}


class Painter:
    """One painter being trained.

    Args:
        network: in training mode, on the device.
        loss: its style set; painters may share one loss network.
        pool: what `crop_pool` made, with that margin.
        steps: how many `step()` will be called; the learning rate warms up, then falls along a cosine to zero.
        batch: crops in a step.
        rate: Muon's learning rate.
        margin, grid_weight: as in `impasto train`.
        ema_decay: of the averaged weights, `average`.
    """

    def __init__(
        self, network: nn.Module, loss: PerceptualLoss, pool: Tensor, steps: int, *,
        margin: int, batch: int = 4, rate: float = 5e-3, grid_weight: float = 10.0, ema_decay: float = 0.99,
    ):  # fmt: skip
        self.network, self.loss, self.pool, self.steps, self.batch = network, loss, pool, steps, batch
        self.grid_weight, self.peak, self.margin, self.around = grid_weight, rate, margin, surroundings(margin)
        assert isinstance(network.stride, int)
        self.stride = network.stride
        self.device = pool.device
        self.done = torch.zeros((), device=self.device)  # steps
        self.planned = torch.tensor(float(steps), device=self.device)
        self._decay = torch.tensor(ema_decay, device=self.device)
        self.rate = torch.zeros((), device=self.device)
        self.parameters = list(network.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.totals = torch.zeros(3, device=self.device)  # running means of the loss's terms
        self.optimizer = Muon(self.parameters, lr=rate)
        self._shares = [group["lr"] / rate for group in self.optimizer.param_groups]
        # The axes of colours are found on the CPU at each step, which no recording can do.
        can_be_recorded = self.device.type == "cuda" and not (loss.whitened and loss.color_weight)
        self.stream = torch.cuda.Stream() if can_be_recorded else None
        self.graph: torch.cuda.CUDAGraph | None = None

    def plan(self, steps: int) -> None:
        """Let the learning rate reach zero after `steps` in all."""
        self.steps = steps
        self.planned.fill_(steps)

    def step(self) -> None:
        """Take one step; on a GPU it is only queued."""
        if self.stream is None:
            self._step()
            return
        with torch.cuda.stream(self.stream):
            if self.graph is None:
                self.graph = self._record()
            self.graph.replay()

    def _record(self) -> torch.cuda.CUDAGraph:
        """Return the step recorded as a graph, and leave everything as if no step had been taken."""
        kept = [parameter.detach().clone() for parameter in self.parameters]
        for _ in range(_WARM_UP):
            self._step()
        for state in self.optimizer.state.values():  # a number would be recorded as it is
            if "step" in state:
                state["step"] = torch.zeros((), device=self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self._step()
        self.restart(kept)
        return graph

    @torch.no_grad()
    def restart(self, weights: Sequence[Tensor]) -> None:
        """Begin anew from `weights`, one for each parameter."""
        for own, given, average in zip(self.parameters, weights, self.average, strict=True):
            own.copy_(given)
            average.copy_(given)
        for state in self.optimizer.state.values():
            for name, value in state.items():
                state[name] = value.zero_() if isinstance(value, Tensor) else 0
        self.done.zero_()
        self.totals.zero_()

    def _step(self) -> None:
        self._set_rate()
        batch = self.draw()
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=has_fast_bfloat16(self.device), cache_enabled=False
        ):
            output, content = (inside(pictures, self.around) for pictures in (self.network(batch), batch))
            terms = self.loss(output, content)
        grid = self.grid_weight * grid_energy(output, self.stride).mean()
        self.optimizer.zero_grad(set_to_none=True)
        (terms.total + grid).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 5.0, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            keep = torch.minimum(self._decay, (1 + self.done) / (10 + self.done))
            now = torch._foreach_mul([p.detach() for p in self.parameters], 1 - keep)
            torch._foreach_mul_(self.average, keep)
            torch._foreach_add_(self.average, now)
            self.totals.lerp_(torch.stack([*terms]).detach(), 1.0 - 0.98)
            self.done += 1

    def _set_rate(self) -> None:
        gone = (self.done / self.planned).clamp(max=1)
        warmup = ((self.done + 1) / WARMUP_STEPS).clamp(max=1)
        self.rate.copy_(self.peak * warmup * (1 + torch.cos(math.pi * gone)) / 2)
        for group, share in zip(self.optimizer.param_groups, self._shares, strict=True):
            group["lr"] = self.rate * share

    def draw(self) -> Tensor:
        """Draw crops of the pool at random: (batch, 3, side, side) in [0, 1]."""
        chosen = torch.randint(len(self.pool), (self.batch,), device=self.device)
        return self.pool[chosen].permute(0, 3, 1, 2).float() / 255  # channels last, as the pool is

    def averaged(self) -> nn.Module:
        """The network with its averaged weights, in evaluation mode."""
        with torch.no_grad():
            for own, average in zip(self.parameters, self.average, strict=True):
                own.copy_(average)
        return self.network.eval()


def train_all(painters: Sequence[Painter], rounds: int, every: int = 50, threads: int = 1) -> Iterator[int]:
    """Let every painter take `rounds` steps, turn by turn; yields how many are done now and then, the GPU having caught
    up.

    On a GPU several threads may start the graphs, once they are recorded.
    """
    with ThreadPoolExecutor(threads) as pool:
        for number in range(1, rounds + 1):
            if threads > 1:
                list(pool.map(Painter.step, painters))
            else:
                for painter in painters:
                    painter.step()
            if number % every == 0 or number == rounds:
                if painters[0].stream is not None:
                    torch.cuda.synchronize()
                yield number
