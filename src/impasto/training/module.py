"""The training step: paint the batch, score it with the perceptual loss, follow the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from impasto.losses.defects import find_defects, grid_energy, screen_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.losses.temporal import second_view, temporal_loss
from impasto.networks import stride_and_surround
from impasto.networks.brush import same_canvas
from impasto.training.callbacks import callbacks_of
from impasto.training.plain import painted_whole, painted_within
from impasto.training.schedule import WARMUP_STEPS, averaging, rate_factor


class StyleModule(LightningModule):
    """Trains `network` to minimise `loss`, whose style is set.

    Args:
        network: (N, 3, H, W) in [0, 1] -> the same.
        loss: `forward(output, content) -> LossTerms`.
        make_optimizer: parameters -> optimizer.
        warmup_steps: updates over which the learning rate rises; then it falls along a cosine until the run's end,
            be that a number of steps or of minutes.
        style: (3, H, W) in [0, 1], the style picture, to measure defects by; without it they are not measured.
        margin: mirrored pixels around each training crop that the painter sees and the loss does not, as many as
            `brush` gets when it paints.
        grid_weight: of `grid_energy` at the network's stride, added to the loss in training alone: it belongs to the
            network, not to what paintings are judged by.
        temporal_weight: of `temporal_loss`, added in training alone, too; above 0 each crop is painted twice.
        seed: of the motions that the temporal loss draws.
        ema_decay: of the averaged weights, `ema`, which are what is judged and kept; less at the start, so that the
            average forgets its random beginning.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: PerceptualLoss,
        make_optimizer: Callable[[Iterable[Parameter]], Optimizer],
        warmup_steps: int = WARMUP_STEPS,
        style: Tensor | None = None,
        margin: int = 96,
        grid_weight: float = 10.0,
        temporal_weight: float = 0.0,
        seed: int = 0,
        ema_decay: float = 0.99,
    ):
        super().__init__()
        self.network, self.loss, self.make_optimizer = network, loss, make_optimizer
        self.warmup_steps, self.style, self.margin = warmup_steps, style, margin
        self.grid_weight, self.temporal_weight, self.seed = grid_weight, temporal_weight, seed
        self.stride, _ = stride_and_surround(network)
        self.ema = AveragedModel(network, avg_fn=averaging(ema_decay)).requires_grad_(False)
        # Every rank reads the loss network itself; DDP need not send it around.
        self._ddp_params_and_buffers_to_ignore = [f"loss.{name}" for name, _ in loss.named_buffers()]
        self.painted: list[tuple[Tensor, Tensor]] = []
        self.report: dict[str, float] = {}
        self.defects: dict[str, float] = {}

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        batch = batch.contiguous(memory_format=torch.channels_last)
        painter = partial(painted_within, self.network, margin=self.margin)
        with same_canvas(self.network):
            output = painter(batch)
            temporal = self._temporal_terms(painter, batch, output, self._motion_seed(batch_index))
        terms, grid = self.loss(output, batch), self.grid_weight * grid_energy(output, self.stride).mean()
        own = {"grid": grid, **temporal}
        self.log_dict({f"train/{name}": term.detach() for name, term in {**terms._asdict(), **own}.items()})
        self.log("train/total", terms.total.detach())
        return terms.total + sum(own.values())

    def _temporal_terms(
        self, painter: Callable[[Tensor], Tensor], pictures: Tensor, paintings: Tensor, seed: Sequence[int]
    ) -> dict[str, Tensor]:
        """Paint a second view, drawn by `seed`, and return how far its paintings are from the first ones, weighted;
        nothing without a weight.
        """
        if not self.temporal_weight:
            return {}
        generator = torch.Generator(pictures.device)
        generator.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        view = second_view(pictures, generator)
        loss = temporal_loss(paintings, painter(view.images), view)
        return {"temporal": self.temporal_weight * loss.mean()}

    def _motion_seed(self, batch_index: int) -> tuple[int, ...]:
        """What the motions of a batch depend on, as its crops do: not on workers or resumption."""
        trainer = self._trainer
        if trainer is None:
            return (self.seed, batch_index)
        part = batch_index % trainer.accumulate_grad_batches
        return (self.seed, trainer.global_step, part, trainer.global_rank)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        # Here, not at the end of the batch: checkpoints are written before that, and would miss one update.
        self.ema.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        self.painted.clear()

    def validation_step(self, photograph: Tensor, batch_index: int) -> None:
        # In float32: where output and content are alike, bfloat16's rounding is most of the content loss.
        with torch.autocast(self.device.type, enabled=False):
            painter = partial(painted_whole, self.ema.module)
            output = painter(photograph).float()
            temporal = self._temporal_terms(painter, photograph, output, (batch_index,))
            terms = self.loss(output, photograph)
        figures = {**terms._asdict(), **temporal, "total": terms.total, "screen": screen_energy(output).mean()}
        self.log_dict({f"val/{name}": value for name, value in figures.items()}, on_epoch=True, sync_dist=True)
        self.painted.append((photograph[0].cpu(), output[0].clamp(0, 1).cpu()))

    def on_validation_epoch_end(self) -> None:
        metrics = self.trainer.callback_metrics
        self.report = {name.removeprefix("val/"): float(metrics[name]) for name in metrics if name.startswith("val/")}
        if self.style is not None and self.painted:
            photographs, painted = (torch.stack(pictures) for pictures in zip(*self.painted, strict=True))
            self.defects = find_defects(painted, photographs, self.style, self.stride)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = self.make_optimizer(self.network.parameters())
        schedule = LambdaLR(optimizer, lambda step: rate_factor(step, self.progress(step), self.warmup_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def progress(self, step: int) -> float:
        """How much of the run is over after `step` updates, from 0 to 1, by steps or by the clock,
        whichever is further.
        """
        trainer = self._trainer
        if trainer is None:
            return 0.0
        by_steps = step / trainer.max_steps if trainer.max_steps > 0 else 0.0
        timers = callbacks_of(trainer, Timer)
        by_clock = max((_elapsed(timer) for timer in timers), default=0.0)
        if timers and trainer.world_size > 1:
            # Clocks differ between ranks, and so would the learning rates and in the end the weights.
            by_clock = trainer.strategy.broadcast(by_clock)
        return min(1.0, max(by_steps, by_clock))


def _elapsed(timer: Timer) -> float:
    elapsed, left = timer.time_elapsed(), timer.time_remaining()
    return elapsed / (elapsed + left) if left is not None and elapsed + left > 0 else 0.0
