"""From the configuration to what it stands for: style, photographs, loss, network, loggers and trainer."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn

from impasto.checkpoint import load_style_model
from impasto.errors import ImageError, ImpastoError, UsageError, WeightsError, printable
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses import build_loss
from impasto.losses.features import MIN_SIDE
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, weights_fit
from impasto.system.machine import has_fast_bfloat16, pick_device
from impasto.training.callbacks import StyleModelWriter
from impasto.training.module import StyleModule
from impasto.training.plan import Duration, RunPlan
from impasto.training.record import Style, history_of, style_targets_of, trained_style_model
from impasto.training.resuming import ResumeAtStep
from impasto.training.run_folder import BeginRun, begin, check_checkpoint, made_for
from impasto.training.tracking import last_wandb_id, wandb_offline

_SET_ELSEWHERE = {"logger": "logger=…", "callbacks": "callbacks.NAME", "max_time": "trainer.max_minutes"}


class Parts(NamedTuple):
    """All that a training is made of.

    Attributes:
        data: the photographs, a data module.
        module: the training step, with the network and the loss.
        beginning: the callback with which the run begins.
        writer: the callback that writes the style model.
    """

    style: Style
    data: Any
    module: StyleModule
    beginning: BeginRun
    writer: StyleModelWriter
    trainer: Trainer


def make_parts(config: DictConfig, plan: RunPlan) -> Parts:
    """Make all that a training is made of. Nothing is written before the training begins.

    Raises:
        UsageError: settings do not go together, with the plan or with this machine.
        ImpastoError: a file cannot be used.
    """
    style = read_style(config)
    data = make_data(config)
    loss = make_loss(config, style)
    module = make_module(config, make_network(config, plan), loss, style)
    belongs = belongs_to(config, loss, data.listing_digest, plan.spec)
    check_start(plan, module, belongs)
    writer = make_writer(config, plan, style, loss, data)
    beginning = BeginRun(lambda: begin(plan), make_loggers(config, plan), belongs)
    trainer = make_trainer(config, plan.duration, beginning, writer, ResumeAtStep())
    return Parts(style, data, module, beginning, writer, trainer)


@contextmanager
def naming(group: str) -> Generator[None]:
    """Name a group of settings in what its constructor says of them.

    Raises:
        UsageError: they do not go together, or with this machine.
    """
    try:
        yield
    except (OmegaConfBaseException, OSError):
        raise
    except Exception as error:  # each constructor has its own
        reason: BaseException = error
        while isinstance(reason, InstantiationException) and reason.__cause__:
            reason = reason.__cause__
        if isinstance(reason, ImpastoError):
            raise reason from None
        said = (str(reason).splitlines() or [type(reason).__name__])[0]
        raise UsageError(f"{group}: {said}; `impasto train --cfg job` prints its settings") from error


def built(config: DictConfig, group: str, **options: Any) -> Any:
    """Return what a group of settings stands for."""
    with naming(group):
        return instantiate(config[group], **options)


def read_style(config: DictConfig) -> Style:
    """Return the style, its picture's longer side `style.size` pixels.

    Raises:
        UsageError: an address, or too narrow a picture.
        ImageError: it cannot be read.
    """
    read = _read_picture(config.style.image, config.style.size)
    picture = resize(read, config.style.size)
    if min(picture.shape[1:]) < MIN_SIDE:
        raise UsageError(
            f"{config.style.image}: too narrow, {picture.shape[2]} x {picture.shape[1]} pixels at "
            f"style.size={config.style.size}; "
            f"both sides need {MIN_SIDE}"
        )
    return Style.of(Path(config.style.image), picture, config.style)


def _read_picture(path: str, size: int) -> Tensor:
    """Return a picture; a JPEG with more pixels than are allowed is read reduced to at least `size`."""
    if re.match(r"\w+://|https?:", path):
        raise UsageError(f"style.image={printable(path)}: addresses are not fetched; download the picture first")
    with suppress(ImageError):
        return read_image(path)
    try:
        return read_image(path, at_least=size)
    except ImageError as error:
        raise ImageError(f"style.image={error}") from error


def make_data(config: DictConfig) -> Any:
    """Return the photographs, found and looked at."""
    data = built(config, "data")
    data.setup()
    return data


def make_loss(config: DictConfig, style: Style) -> PerceptualLoss:
    """Return the loss, its style set."""
    spec = loss_spec(config)
    try:
        loss = build_loss(**spec)
    except WeightsError as error:
        weights = config.loss.features.weights
        named = f"loss.features.weights={weights}" if str(weights) in str(error) else "loss"
        raise WeightsError(f"{named}: {error}") from error
    loss.set_style(style.picture[None])
    return loss


def loss_spec(config: DictConfig) -> dict[str, Any]:
    """Return the arguments of `build_loss`, the style's weight scaled by `style.strength`."""
    spec: dict[str, Any] = OmegaConf.to_container(config.loss, resolve=True)  # type: ignore[assignment]
    return {**spec.pop("features"), **spec, "style_weight": spec["style_weight"] * config.style.strength}


def make_network(config: DictConfig, plan: RunPlan) -> nn.Module:
    """Build the network, with random weights or those of the style model that the run starts from.

    Raises:
        UsageError: that has another network.
    """
    network = build_network(**plan.spec)
    if plan.start is not None:
        model = load_style_model(plan.start)
        if not weights_fit(plan.spec, model.spec):
            raise UsageError(
                f"init={config.init} has another network than {plan.spec}; name one that has it, or init=none"
            )
        network.load_state_dict(model.network.state_dict())
    network.to(memory_format=torch.channels_last)
    if config.compile:
        network.compile()
    return network


def make_module(config: DictConfig, network: nn.Module, loss: PerceptualLoss, style: Style) -> StyleModule:
    """Return the training step."""
    make_optimizer, make = built(config, "optimizer"), built(config, "module")
    with naming("module"):
        return make(network, loss, make_optimizer, style=style.picture)


def check_start(plan: RunPlan, module: StyleModule, belongs: dict[str, str]) -> None:
    """Find out whether the optimizer can be made, and whether the run can go on from its checkpoint.

    Raises:
        UsageError: it cannot.
    """
    with naming("optimizer"):
        optimizer = module.make_optimizer(module.network.parameters())  # the module makes its own when training begins
    if plan.checkpoint:
        check_checkpoint(plan.checkpoint, module.network, plan.spec, optimizer, belongs)


def belongs_to(config: DictConfig, loss: PerceptualLoss, photographs: str, spec: dict[str, Any]) -> dict[str, str]:
    """Return what the run's checkpoints belong to, see `made_for`."""
    optimizer = config.optimizer._target_.rpartition(".")[2]
    return made_for(Path(config.style.image), config.style.size, loss, photographs, optimizer, spec)


def make_writer(config: DictConfig, plan: RunPlan, style: Style, loss: PerceptualLoss, data: Any) -> StyleModelWriter:
    """Return the callback that writes the style model."""
    targets = style_targets_of(loss, style.picture)
    training = {"data": data.listing_digest, "seed": plan.seed, "crop": config.data.crop, "stage": plan.stage}
    return StyleModelWriter(
        plan.output,
        history_of(plan.start),
        lambda module: trained_style_model(module, plan.spec, style, targets, training),
    )


def make_loggers(config: DictConfig, plan: RunPlan) -> list[Logger]:
    """Return the loggers; a W&B run that goes on keeps its id."""
    if not isinstance(config.get("logger"), DictConfig):
        return []
    options = {}
    if config.logger._target_.endswith("WandbLogger") and plan.resumes_in_place:
        options["id"] = config.logger.get("id") or last_wandb_id(plan.folder)
    return [built(config, "logger", **options)]


def make_trainer(config: DictConfig, duration: Duration, *own: Callback) -> Trainer:
    """Build Lightning's trainer, without loggers, which join when the run begins.

    Args:
        own: callbacks that go before those of the configuration.

    Raises:
        UsageError: its settings do not go together, or with this machine.
    """
    limits = ("max_steps", "max_minutes", "default_minutes")
    options = {key: value for key, value in config.trainer.items() if key not in limits}
    for key, remedy in _SET_ELSEWHERE.items():
        if key in options:
            raise UsageError(f"trainer.{key}: not set here; choose {remedy}")
    options["precision"] = _precision(options["precision"])
    callbacks = built(config, "callbacks").values() if config.get("callbacks") else ()
    interval = options.pop("val_check_interval")
    with naming("trainer"):
        trainer = instantiate(OmegaConf.create(options), _partial_=True)(
            max_steps=-1 if duration.steps is None else duration.steps,
            max_time=None if duration.minutes is None else timedelta(minutes=duration.minutes),
            val_check_interval=_validation_interval(options) if interval == "auto" else interval,
            callbacks=[*own, *(callback for callback in callbacks if callback)],
            logger=False,
        )
    _refuse_lone_node(trainer)
    return trainer


def _precision(chosen: str | int) -> str | int:
    if chosen != "auto":
        return chosen
    return "bf16-mixed" if has_fast_bfloat16(pick_device()) else "32-true"


def _validation_interval(options: dict[Any, Any]) -> timedelta | int:
    """By the clock on one device; the clocks of several differ, and they must validate together."""
    alone = str(options["devices"]) == "1" and options.get("num_nodes", 1) == 1
    return timedelta(seconds=60) if alone else 200


def _refuse_lone_node(trainer: Trainer) -> None:
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if trainer.num_nodes > 1 and isinstance(environment, LightningEnvironment) and "MASTER_ADDR" not in os.environ:
        raise UsageError(
            f"trainer.num_nodes={trainer.num_nodes}: nothing has started the other nodes; use torchrun "
            "(trainer=torchrun) "
            "or srun (trainer=slurm)"
        )


def demo_photographs() -> str:
    """Return the folder of the sample photographs that come in scikit-image's wheel."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise UsageError("data=demo needs scikit-image; pip install 'impasto[demo]', or give data.root=DIR")
    return str(Path(package.origin).parent / "data")


def are_samples(photographs: Any) -> bool:
    """Whether these are the sample photographs, not a folder of somebody's own."""
    package = importlib.util.find_spec("skimage")
    return bool(package and package.origin) and str(photographs) == demo_photographs()


OmegaConf.register_new_resolver("demo_photographs", demo_photographs)
OmegaConf.register_new_resolver("wandb_offline", wandb_offline, use_cache=True)
