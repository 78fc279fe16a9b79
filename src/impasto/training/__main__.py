"""The training run from its configuration: `python -m impasto.training style.image=… data.root=…`.

The only file that sees a DictConfig.
"""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # During the imports that follow, Ctrl-C ends the process without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import base64
import hashlib
import importlib.util
import io
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from PIL.Image import DecompressionBombWarning
from pytorch_lightning import Callback, LightningDataModule, Trainer, seed_everything
from pytorch_lightning.loggers import Logger
from torch.optim import Optimizer

from impasto.checkpoint import (
    SUFFIX,
    StyleModel,
    check_name,
    find_style_model,
    load_style_model,
    read_metadata,
)
from impasto.errors import ImageError, ImpastoError, ModelError, UsageError, WeightsError, printable
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.images.tensors import to_pil
from impasto.losses import build_loss
from impasto.losses.defects import DEFECTS, visible_defects
from impasto.losses.features import MIN_SIDE, SLIM, SLIM_LAYERS
from impasto.losses.functional import screen_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, complete_spec, network_spec
from impasto.system import streams
from impasto.system.files import asset_dir, written_whole
from impasto.system.machine import has_fast_bfloat16, pick_device, provenance
from impasto.training.beginning import BeginRun
from impasto.training.callbacks import KeepBest, StyleModelWriter, callbacks_of, rank_zero_print
from impasto.training.checkpoint_io import checkpoints_at, is_whole
from impasto.training.folders import check_places, keep_earlier_painter, keep_earlier_run, refuse_needed, set_aside
from impasto.training.lock import locked
from impasto.training.module import StyleModule
from impasto.training.resuming import check_belongs, check_resumes, made_for, read_checkpoint
from impasto.training.setting_mistakes import explain
from impasto.training.setting_rules import check_devices, check_settings
from impasto.training.signals import LAUNCHER, StopOnSignal, end_with_launcher, say_goodbye
from impasto.training.tracking import last_wandb_id, wandb_offline

_DEFAULT_MINUTES = 2
_MAX_HISTORY = 100_000  # characters: what a painter that one goes on from says of its own training
_THUMBNAIL = 128


def train(config: DictConfig) -> Path:
    """Run the training that `config` describes and return the path of the style model.

    What can be refused is built and checked before the run begins, which it does with its first step.
    """
    check_settings(config)
    check_devices(config)
    seed_everything(config.seed, verbose=False)
    name_style(config)
    refuse_sweep_over_ranks(config)
    with alone(Path(config.paths.run), output_path(config)):
        return train_alone(config, read_style(config))


def train_alone(config: DictConfig, style: torch.Tensor) -> Path:
    """Train where no other process does."""
    run, output = Path(config.paths.run), output_path(config)
    checkpoint = find_checkpoint(config, run)
    if checkpoint:
        take_duration_from(config, Path(checkpoint).parent)
    start = find_start(config)
    check_needed(config, start, checkpoint)
    data = build_data(config)
    loss = make_loss(config, style)
    network = start_network(config, start)
    check_sizes(config, network)
    make_optimizer = built(config, "optimizer")
    belongs = made_for(
        Path(config.style.image),
        config.style.size,
        loss,
        data.fingerprint,
        config.optimizer._target_.rpartition(".")[2],
    )
    with naming("optimizer"):
        optimizer = make_optimizer(network.parameters())  # to try it: the module makes its own
    if checkpoint:
        check_checkpoint(checkpoint, network, network_spec(**config.network), optimizer, belongs)
    module = StyleModule(
        network,
        loss,
        make_optimizer,
        style=style,
        margin=config.margin,
        grid_weight=config.grid_weight,
    )

    targets, history = style_targets_of(loss, style), history_of(start)
    writer = StyleModelWriter(
        output, history, lambda trained: describe(config, trained, style, data.fingerprint, targets)
    )
    beginning = BeginRun(lambda: begin_run(config, checkpoint), make_loggers(config, checkpoint), belongs)
    trainer = make_trainer(config, beginning, writer)
    for callback in callbacks_of(trainer, KeepBest):
        callback.judge = judge_of(loss, style, data.heldout_images)
    announce(config, start, checkpoint, output, len(data.heldout_images))
    os.environ[LAUNCHER] = str(os.getpid())  # for the ranks that Lightning starts
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    beginning.now(trainer)  # where no step was left to be taken
    if stopped := signal_received(trainer):
        trainer.save_checkpoint(run / "last.ckpt")
        say_goodbye(stopped, trainer.global_step)
        return output
    trainer.validate(module, data, verbose=False, weights_only=True)
    trainer.save_checkpoint(run / "last.ckpt")  # and with it the style model
    keep_the_best(trainer, module, data, writer)
    if trainer.is_global_zero:
        warn_of_defects(module.defects)
    return output


@contextmanager
def alone(run: Path, output: Path) -> Iterator[None]:
    """Keep other trainings from the run's folder and from the style model; rank 0 does so for all.

    Raises:
        UsageError: another one is at work there, or nothing can be written there.
    """
    if rank_zero_only.rank != 0:
        yield
        return
    check_places(run, output)
    with ExitStack() as held:
        for path, setting in ((output, "output"), (run, "paths.run")):
            try:
                held.enter_context(locked(path, setting))
            except OSError as error:
                if not path.is_dir():  # a mounted folder of its own, whose parent belongs to others, goes without
                    raise UsageError(
                        f"{setting}={path}: cannot be written there ({error.strerror}); choose another {setting}="
                    ) from error
        yield


@contextmanager
def naming(group: str) -> Iterator[None]:
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


def build_data(config: DictConfig) -> Any:
    """Return the photographs, found and looked at."""
    data = built(config, "data")
    data.setup()
    return data


def make_loss(config: DictConfig, style: torch.Tensor) -> PerceptualLoss:
    """Return the loss, its style set."""
    try:
        loss = build_loss(**loss_spec(config))
    except WeightsError as error:
        weights = config.loss.features.weights
        named = f"loss.features.weights={weights}" if str(weights) in str(error) else "loss"
        raise WeightsError(f"{named}: {error}") from error
    loss.set_style(style[None])
    return loss


def make_loggers(config: DictConfig, checkpoint: str | None) -> list[Logger]:
    """Return the loggers; a W&B run that goes on keeps its id."""
    if not isinstance(config.get("logger"), DictConfig):
        return []
    options = {}
    if config.logger._target_.endswith("WandbLogger") and is_of_this_run(checkpoint, config):
        options["id"] = config.logger.get("id") or last_wandb_id(Path(config.paths.run))
    return [built(config, "logger", **options)]


def keep_the_best(trainer: Trainer, module: StyleModule, data: LightningDataModule, writer: StyleModelWriter) -> None:
    """Write the style model again, with the best weights and their contact sheet, where those were not the last."""
    if any(callback.restore(trainer, module) for callback in callbacks_of(trainer, KeepBest)):
        trainer.validate(module, data, verbose=False, weights_only=True)
        writer.write(trainer, module)


def signal_received(trainer: Trainer) -> int:
    """Return the signal that ended the training early; 0 if none did."""
    return max((callback.received for callback in callbacks_of(trainer, StopOnSignal)), default=0)


def warn_of_defects(figures: dict[str, float]) -> None:
    """Name on stderr what people would see in the held-out paintings, and the remedy."""
    for name in visible_defects(figures):
        limit, remedy = DEFECTS[name]
        print(f"impasto: warning: {name} {figures[name]:.2g} (at most {limit:g}): {remedy}", file=sys.stderr)


def announce(config: DictConfig, start: Path | None, checkpoint: str | None, output: Path, heldout: int) -> None:
    """Say on stderr what was chosen and how to choose otherwise."""
    if rank_zero_only.rank != 0:
        return
    own = config.data.procedural == 0
    chosen = [
        ("style", f"{config.style.image} at {config.style.size} pixels", "style.size=N, larger for broader strokes"),
        ("start", f"where {checkpoint} stopped", "ckpt_path=null, to begin anew")
        if checkpoint
        else ("start", name_of(start), "init=auto|none|NAME|PATH"),
        ("loss network", config.loss.features.weights, "loss=slim, or loss=vgg19, the reference: slower, 550 MB once"),
        (
            "photographs",
            config.data.get("shards") or config.data.root,
            "data.root=DIR" + ("" if own else ": your own are better than these samples"),
        ),
        ("duration", duration(config), "--minutes N, --quality draft|good|best"),
        ("watch it", f"{config.paths.run}/contact_sheet.png", "renewed as the painter improves")
        if heldout
        else (
            "held out",
            "nothing: no contact sheet, and the last weights are kept",
            "five photographs and more, data.heldout=8",
        ),
        ("painter", output, "output=PATH"),
    ]
    for what, choice, how in chosen:
        print(f"{what:13} {choice}  ({how})", file=sys.stderr)


def duration(config: DictConfig) -> str:
    """Return how long the run lasts, in words."""
    limits = {"steps": config.trainer.max_steps, "minutes": minutes_of(config)}
    said = [f"{limit} {unit if limit != 1 else unit[:-1]}" for unit, limit in limits.items() if limit is not None]
    return " or ".join(said) + ", whichever comes first" * (len(said) > 1)


def minutes_of(config: DictConfig) -> float | None:
    """Return the minutes that the run lasts; None if only its steps are limited."""
    if config.trainer.max_minutes is None and config.trainer.max_steps is None:
        return _DEFAULT_MINUTES
    return config.trainer.max_minutes


def name_style(config: DictConfig) -> None:
    """Give the style its picture's name, unless it has one."""
    name = config.style.name
    config.style.name = plain_name(Path(config.style.image).stem) if name is None else str(name)
    check_name(config.style.name, f"style.name={config.style.name}")


def plain_name(stem: str) -> str:
    """Return a picture's name as one that a style may have: not too long, without what file names cannot hold."""
    plain = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in stem.replace("${", "$"))
    return plain.lstrip(". ").encode()[:100].decode(errors="ignore").rstrip(". ") or "style"


def is_of_this_run(checkpoint: str | None, config: DictConfig) -> bool:
    """Whether the run goes on in its own folder; a checkpoint from elsewhere begins a new run."""
    return checkpoint is not None and Path(checkpoint).parent.resolve() == Path(config.paths.run).resolve()


def refuse_sweep_over_ranks(config: DictConfig) -> None:
    """Refuse `--multirun` with several ranks: each rank would start the whole sweep for itself.

    Raises:
        UsageError: both were asked for.
    """
    many = "strategy" in config.trainer or str(config.trainer.devices) not in ("1", "auto")
    if many and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise UsageError(
            "--multirun does not go with several ranks (trainer=ddp): every rank would begin a sweep of its own; "
            "run one training after the other, or sweep with trainer=auto"
        )


def check_needed(config: DictConfig, start: Path | None, checkpoint: str | None) -> None:
    """Refuse a run that needs a file from the folder that it would set aside.

    Raises:
        UsageError: it does.
    """
    if rank_zero_only.rank == 0 and not is_of_this_run(checkpoint, config):
        refuse_needed(Path(config.paths.run), (start, config.style.image, checkpoint))


def begin_run(config: DictConfig, checkpoint: str | None) -> None:
    """Make the run's folder; earlier runs and painters are set aside, not lost."""
    if rank_zero_only.rank != 0:
        return
    run, output = Path(config.paths.run), output_path(config)
    if is_of_this_run(checkpoint, config):
        set_aside(run / "metrics.csv")  # a resumed CSVLogger begins its file anew
        if output_of_earlier(run) != output.resolve():
            keep_earlier_painter(output)
    else:
        keep_earlier_run(run, output)
    run.mkdir(parents=True, exist_ok=True)
    with written_whole(run / "config.yaml", durable=True) as temporary:
        temporary.write_text(OmegaConf.to_yaml(config, resolve=True), encoding="utf-8")


def output_of_earlier(run: Path) -> Path | None:
    """Return where the run's painter went, if its configuration says so."""
    with suppress(UsageError, OmegaConfBaseException, AttributeError, TypeError):
        return output_path(read_config(run)).resolve()
    return None


def read_config(run: Path) -> DictConfig:
    """Return the configuration that a run left.

    Raises:
        UsageError: it is no such thing, or not whole.
    """
    path = run / "config.yaml"
    try:
        config = OmegaConf.load(path)
    except Exception as error:  # whatever YAML, OmegaConf and the disk raise
        raise UsageError(f"{path}: cannot be read; say how long the run shall last (--minutes N)") from error
    if not isinstance(config, DictConfig) or not isinstance(config.get("trainer"), DictConfig):
        raise UsageError(f"{path}: not the configuration of a run; say how long it shall last (--minutes N)")
    return config


def find_checkpoint(config: DictConfig, run: Path) -> str | None:
    """Return the training checkpoint that `ckpt_path` means."""
    if config.ckpt_path == "last":
        for kept in checkpoints_at(run / "last.ckpt"):
            if is_whole(kept):
                return str(kept)
            rank_zero_print(f"passed over: {kept} is torn")
        rank_zero_print(f"nothing to go on with in {run}: a fresh start")
        return None
    if config.ckpt_path and not Path(config.ckpt_path).is_file():
        raise UsageError(f"ckpt_path={config.ckpt_path}: no such training checkpoint; `last` names this run's own")
    if config.ckpt_path and Path(config.ckpt_path).suffix == SUFFIX:
        raise UsageError(f"ckpt_path={config.ckpt_path}: a style model; init={config.ckpt_path} goes on from it")
    if config.ckpt_path and not is_whole(Path(config.ckpt_path)):
        raise UsageError(f"ckpt_path={config.ckpt_path}: torn, or no training checkpoint; `last` passes over such")
    return config.ckpt_path


def take_duration_from(config: DictConfig, run: Path) -> None:
    """Let a resumed run last as long as it was meant to, unless this one says otherwise."""
    if minutes_of(config) is not None and config.trainer.max_minutes is None and (run / "config.yaml").is_file():
        before = read_config(run).trainer
        for key in ("max_steps", "max_minutes"):
            config.trainer[key] = before.get(key)
            if not isinstance(config.trainer[key], (int, float, type(None))):
                raise UsageError(f"{run / 'config.yaml'}: trainer.{key} is no number; say --minutes N")


def read_style(config: DictConfig) -> torch.Tensor:
    """Return the style picture (3, H, W), its longer side `style.size` pixels."""
    style = resize(read_picture(config.style.image, config.style.size), config.style.size)
    if min(style.shape[1:]) < MIN_SIDE:
        raise UsageError(
            f"{config.style.image}: too narrow, {style.shape[2]} x {style.shape[1]} pixels at style.size={config.style.size}; "
            f"both sides need {MIN_SIDE}"
        )
    return style


def read_picture(path: str, size: int) -> torch.Tensor:
    """Return a picture; a JPEG with more pixels than are allowed is read reduced to at least `size`.

    Raises:
        UsageError: an address.
        ImageError: it cannot be read.
    """
    if re.match(r"\w+://|https?:", path):
        raise UsageError(f"style.image={printable(path)}: addresses are not fetched; download the picture first")
    with suppress(ImageError):
        return read_image(path)
    try:
        return read_image(path, at_least=size)
    except ImageError as error:
        raise ImageError(f"style.image={error}") from error


def loss_spec(config: DictConfig) -> dict[str, Any]:
    """Return the arguments of `build_loss`, the style's weight scaled by `style.strength`."""
    spec: dict[str, Any] = OmegaConf.to_container(config.loss, resolve=True)  # type: ignore[assignment]
    return {**spec.pop("features"), **spec, "style_weight": spec["style_weight"] * config.style.strength}


def start_network(config: DictConfig, start: Path | None) -> torch.nn.Module:
    """Build the network, with random weights or those of the style model `start`."""
    network, spec = build_network(**config.network), network_spec(**config.network)
    if start is not None:
        model = load_style_model(start)
        if model.spec != spec:
            raise UsageError(f"init={config.init} has another network than {spec}; name one that has it, or init=none")
        network.load_state_dict(model.network.state_dict())
    network.to(memory_format=torch.channels_last)
    if config.compile:
        network.compile()
    return network


def check_sizes(config: DictConfig, network: torch.nn.Module) -> None:
    """Find out whether the sizes of the pictures go with the network.

    Raises:
        UsageError: one does not.
    """
    stride = getattr(network, "stride", 1)
    for key in ("crop", "heldout_size"):
        if config.data[key] % stride:
            raise UsageError(f"data.{key}={config.data[key]}: must be a multiple of {stride}, the network's stride")


def check_checkpoint(
    path: str, network: torch.nn.Module, spec: Mapping[str, Any], optimizer: Optimizer, belongs: Mapping[str, str]
) -> None:
    """Find out whether the run can go on from a checkpoint; the optimizer takes up its state.

    Raises:
        UsageError: it was made with another network, style picture, loss, optimizer or other photographs.
    """
    checkpoint = read_checkpoint(Path(path))
    shapes = {f"network.{key}": value.shape for key, value in network.state_dict().items()}
    state = checkpoint["state_dict"].items()
    if shapes != {key: getattr(value, "shape", None) for key, value in state if str(key).startswith("network.")}:
        raise UsageError(f"{path}: of another network than {spec}; name its own")
    check_belongs(path, checkpoint, belongs)
    check_resumes(path, checkpoint, optimizer)


def find_start(config: DictConfig) -> Path | None:
    """Return the style model that `init` means; `auto` is the base of that very network, if there is one."""
    if config.init in ("none", None):
        return None
    if config.init == "auto":
        spec = network_spec(**config.network)
        base = asset_dir("checkpoints") / "base" / f"{spec['name']}{SUFFIX}"
        return base if base.is_file() and complete_spec(read_metadata(base)["network"]) == spec else None
    try:
        return find_style_model(config.init)
    except ModelError as error:
        raise UsageError(f"init={error}") from error


def name_of(start: Path | None) -> str:
    """Return the name of what the training starts from."""
    return start.stem if start else "random weights"


def history_of(start: Path | None) -> dict[str, Any]:
    """Return what a style model says of its start: the name, and how that in turn was trained."""
    before = read_metadata(start)["training"] if start else {}
    known = before and len(json.dumps(before)) <= _MAX_HISTORY
    return {"start": name_of(start), **({"before": before} if known else {})}


def judge_of(loss: PerceptualLoss, style: torch.Tensor, photographs: Sequence[torch.Tensor]) -> str:
    """Return what tells one measure of held-out loss from another: of the loss, the style and the photographs."""
    digest = hashlib.sha256(json.dumps([loss.spec(), loss.features.fingerprint()], sort_keys=True).encode())
    for picture in (style, *photographs):
        digest.update(picture.numpy().tobytes())
    return digest.hexdigest()[:12]


def output_path(config: DictConfig) -> Path:
    """Return where the style model goes: `output`, or beside the style picture."""
    return (
        Path(config.output) if config.output else Path(config.style.image).with_name(f"{config.style.name}.safetensors")
    )


def make_trainer(config: DictConfig, *own: Callback) -> Trainer:
    """Build Lightning's trainer, without loggers; resolves `auto` precision and the end of the run."""
    options = dict(config.trainer)
    steps, minutes = options.pop("max_steps"), minutes_of(config)
    del options["max_minutes"]
    if options["precision"] == "auto":
        options["precision"] = "bf16-mixed" if has_fast_bfloat16(pick_device()) else "32-true"
    validate_every = options.pop("val_check_interval")
    alone = str(options["devices"]) == "1" and options.get("num_nodes", 1) == 1
    if validate_every == "auto":
        # By the clock on one device; the clocks of several differ, and they must validate together.
        validate_every = timedelta(seconds=60) if alone else 200
    callbacks = (
        [callback for callback in built(config, "callbacks").values() if callback] if config.get("callbacks") else []
    )
    with naming("trainer"):
        trainer = instantiate(OmegaConf.create(options), _partial_=True)(
            max_steps=-1 if steps is None else steps,
            max_epochs=-1,
            max_time=None if minutes is None else timedelta(minutes=minutes),
            val_check_interval=validate_every,
            callbacks=[*own, *callbacks],
            logger=False,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=config.paths.run,
        )
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if trainer.num_nodes > 1 and isinstance(environment, LightningEnvironment) and "MASTER_ADDR" not in os.environ:
        raise UsageError(
            f"trainer.num_nodes={trainer.num_nodes}: nothing has started the other nodes; use torchrun (trainer=torchrun) "
            "or srun (trainer=slurm)"
        )
    return trainer


def style_targets_of(loss: PerceptualLoss, style: torch.Tensor) -> dict[str, dict[str, torch.Tensor]]:
    """Return the style's Gram matrices in `loss`, and in the slim loss network, which is at hand wherever impasto is."""
    targets = {loss.features.fingerprint(): loss.style_targets}
    if not {*loss.style_layers, *loss.content_layers} <= set(SLIM_LAYERS):
        return targets
    slim = build_loss(weights=SLIM, **loss.spec())
    slim.set_style(style[None])
    return {**targets, slim.features.fingerprint(): slim.style_targets}


def describe(
    config: DictConfig,
    module: StyleModule,
    style: torch.Tensor,
    fingerprint: str,
    style_targets: dict[str, dict[str, torch.Tensor]],
) -> StyleModel:
    """Return the style model as it stands: averaged weights, and the metadata."""
    known = {key: config.style[key] for key in ("title", "artist", "year") if config.style[key] is not None}
    return StyleModel(
        network=module.ema.module,
        spec=network_spec(**config.network),
        name=config.style.name,
        loss={
            **module.loss.spec(),
            "weights": module.loss.features.weights,
            "fingerprint": module.loss.features.fingerprint(),
        },
        style={
            **known,
            "size": config.style.size,
            "strength": config.style.strength,
            "screen": float(screen_energy(style[None])),
            "thumbnail": thumbnail(style),
        },
        training={
            "data": fingerprint,
            "seed": config.seed,
            "crop": config.data.crop,
            "margin": config.margin,
            "grid_weight": config.grid_weight,
            **provenance(module.device),
        },
        report={"heldout": module.report, "defects": module.defects},
        style_targets=style_targets,
    )


def thumbnail(style: torch.Tensor) -> str:
    """Return a small JPEG of the style picture in base64."""
    buffer = io.BytesIO()
    to_pil(resize(style, _THUMBNAIL)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def demo_photographs() -> str:
    """Return the folder of the sample photographs that come in scikit-image's wheel."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise UsageError("data=demo needs scikit-image; pip install 'impasto[demo]', or give data.root=DIR")
    return str(Path(package.origin).parent / "data")


def _quieten_lightning() -> None:
    """Leave stderr to the progress line: the trainer's remarks are about its own workings."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=name)
    warnings.simplefilter("ignore", DecompressionBombWarning)  # images/reading.py has a limit of its own


OmegaConf.register_new_resolver("demo_photographs", demo_photographs)
OmegaConf.register_new_resolver("wandb_offline", wandb_offline, use_cache=True)


@hydra.main(version_base="1.3", config_path=str(asset_dir("configs")), config_name="train")
def main(config: DictConfig) -> None:
    end_with_launcher()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get("IMPASTO_DEBUG"):
        _quieten_lightning()
    try:
        with streams.results_alone():
            output = train(config)
        if rank_zero_only.rank == 0:
            print(output)
    except (KeyboardInterrupt, SystemExit):  # the latter is Lightning's answer to Ctrl-C, after the checkpoint
        rank_zero_print("impasto: stopped; ckpt_path=last goes on with what was kept, if anything was")
        sys.exit(130)
    except ImpastoError as error:
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        print("impasto:", "\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        sys.exit(error.exit_code)
    except MissingMandatoryValue as error:
        how = "impasto train PICTURE" if error.full_key == "style.image" else f"{error.full_key}=…"
        print(f"impasto: {error.full_key} is not set; give {how}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    except OSError as error:
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        place, why = printable(error.filename or "a file"), error.strerror or error
        print(f"impasto: {place}: {why}; make room, or choose another paths.run or output", file=sys.stderr)
        sys.exit(ImpastoError.exit_code)
    except Exception as error:  # mostly a value that some constructor does not take
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in reason:
            reason = "not enough memory; lower data.batch_size, data.crop or network.width"
        print(f"impasto: {printable(reason)} (--debug shows where)", file=sys.stderr)
        sys.exit(UsageError.exit_code if isinstance(error, OmegaConfBaseException) else ImpastoError.exit_code)


if __name__ == "__main__":
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # it would print its errors itself, over several lines
    words = sys.argv[1:]
    streams.prepare()
    try:
        main()
    except Exception as error:  # what Hydra and OmegaConf raise before `main` has the configuration
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        print("impasto:", printable(explain(error, words)), file=sys.stderr)
        sys.exit(UsageError.exit_code)
