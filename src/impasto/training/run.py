"""A training run from its configuration to the style model: decided, built, trained, written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning import seed_everything

from impasto.training.announce import announce, warn_of_defects
from impasto.training.build import Parts, are_samples, make_parts
from impasto.training.callbacks import KeepBest, callbacks_of, rank_zero_print
from impasto.training.plan import RunPlan, make_plan, places_of, refuse_sweep_over_ranks, with_style_name
from impasto.training.run_folder import alone, refuse_needed
from impasto.training.setting_rules import check_devices, check_settings
from impasto.training.signals import LAUNCHER, say_goodbye, signal_received
from impasto.training.stages import Stage, is_finished, mark_finished, stages_of


def train(config: DictConfig) -> Path:
    """Run the training that `config` describes and return the path of the style model.

    What can be refused is built and checked before the run begins, which it does with its first step.
    """
    check_settings(config)
    check_devices(config)
    refuse_sweep_over_ranks(config)
    config = with_style_name(config)
    stages = stages_of(config)
    with alone(*places_of(config)):
        return train_stages(stages)


def train_stages(stages: Sequence[Stage]) -> Path:
    """Train one stage after the other, until the last one ends or a signal comes; return the newest painter's path."""
    for number, stage in enumerate(stages, start=1):
        if is_finished(stage):
            rank_zero_print(f"stage {stage.name}: finished already, passed over")
            continue
        if stage.name:
            rank_zero_print(f"stage {stage.name}, {number} of {len(stages)}")
        if not train_alone(stage.config, stage.name):
            return stage.output
        mark_finished(stage, stages[number:])
    return stages[-1].output


def train_alone(config: DictConfig, stage: str | None = None) -> bool:
    """Train where no other process does; return whether it went to its end, and no signal came."""
    plan = make_plan(config, stage)
    refuse_needed(plan, Path(config.style.image))
    seed_everything(plan.seed, verbose=False)
    parts = make_parts(config, plan)
    photographs = parts.data.shards or parts.data.root
    announce(
        plan,
        parts.style,
        loss_network=parts.module.loss.features.weights,
        photographs=photographs,
        are_samples=are_samples(photographs),
        heldout=len(parts.data.heldout_images),
    )
    fit(parts, plan)
    if stopped := signal_received(parts.trainer):
        say_goodbye(stopped, parts.trainer.global_step)
    else:
        finish(parts, plan)
    return not stopped


def fit(parts: Parts, plan: RunPlan) -> None:
    """Train until the plan's end or until a signal comes, after which the checkpoint is written."""
    os.environ[LAUNCHER] = str(os.getpid())  # for the ranks that Lightning starts
    checkpoint, trainer = str(plan.checkpoint) if plan.checkpoint else None, parts.trainer
    trainer.fit(parts.module, datamodule=parts.data, ckpt_path=checkpoint, weights_only=True)
    parts.beginning.now(trainer)  # where no step was left to be taken
    if signal_received(trainer):
        trainer.save_checkpoint(plan.folder / "last.ckpt")


def finish(parts: Parts, plan: RunPlan) -> None:
    """Judge the painter, write it, and write it again with the best weights where those were not the last."""
    trainer, module = parts.trainer, parts.module
    trainer.validate(module, parts.data, verbose=False, weights_only=True)
    trainer.save_checkpoint(plan.folder / "last.ckpt")  # and with it the style model
    if any(callback.restore(trainer, module) for callback in callbacks_of(trainer, KeepBest)):
        trainer.validate(module, parts.data, verbose=False, weights_only=True)
        parts.writer.write(trainer, module)
    if trainer.is_global_zero:
        warn_of_defects(module.defects)
