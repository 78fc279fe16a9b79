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
import math
import netrc
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning_fabric.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pytorch_lightning import LightningDataModule, Trainer, seed_everything

from impasto import images, streams
from impasto.checkpoint import (
    SUFFIX,
    StyleModel,
    check_name,
    find_style_model,
    load_style_model,
    read_papers,
)
from impasto.errors import ImpastoError, UsageError
from impasto.losses import build_loss
from impasto.losses.defects import DEFECTS, visible_defects
from impasto.losses.features import MIN_SIDE, SLIM, SLIM_LAYERS
from impasto.losses.functional import screen_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, complete_spec, network_spec
from impasto.runtime import asset_dir, has_fast_bfloat16, pick_device, provenance, written_whole
from impasto.training.callbacks import KeepBest, StyleModelWriter, callbacks_of, rank_zero_print
from impasto.training.checkpoint_io import checkpoints_at, is_whole
from impasto.training.folders import check_writable, keep_earlier_painter, keep_earlier_run, set_aside
from impasto.training.module import StyleModule
from impasto.training.settings import explain
from impasto.training.signals import StopOnSignal, say_goodbye

_DEFAULT_MINUTES = 2
_MAX_HISTORY = 100_000  # characters: what a painter that one goes on from says of its own training
_THUMBNAIL = 128


def train(config: DictConfig) -> Path:
    """Run the training that `config` describes and return the path of the style model."""
    seed_everything(config.seed, verbose=False)
    style = read_style(config)
    checkpoint = prepare_run(config)
    data = instantiate(config.data)
    data.setup()

    loss = build_loss(**loss_spec(config))
    loss.set_style(style[None])
    start = find_start(config)
    network = start_network(config, start)
    check_fits(config, network, checkpoint)
    module = StyleModule(network, loss, instantiate(config.optimizer), style=style, grid_weight=config.grid_weight)

    output = output_path(config)
    announce(config, start, checkpoint, output)
    targets, history = style_targets_of(loss, style), history_of(start)
    begin_run(config, start, checkpoint)
    writer = StyleModelWriter(
        output, history, lambda trained: describe(config, trained, style, data.fingerprint, targets)
    )
    trainer = make_trainer(config, writer)
    for callback in callbacks_of(trainer, KeepBest):
        callback.judge = judge_of(loss, style, data.heldout_images)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if stopped := signal_received(trainer):
        trainer.save_checkpoint(Path(config.paths.run) / "last.ckpt")
        say_goodbye(stopped, trainer.global_step)
        return output
    trainer.validate(module, data, verbose=False, weights_only=True)
    trainer.save_checkpoint(Path(config.paths.run) / "last.ckpt")  # and with it the style model
    keep_the_best(trainer, module, data, writer)
    if trainer.is_global_zero:
        warn_of_defects(module.defects)
    return output


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


def announce(config: DictConfig, start: Path | None, checkpoint: str | None, output: Path) -> None:
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
        ("watch it", f"{config.paths.run}/contact_sheet.png", "renewed as the painter improves"),
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


def prepare_run(config: DictConfig) -> str | None:
    """Fill in what depends on other values, and return the checkpoint to resume from, if any; nothing is touched yet."""
    if config.style.name is None:
        config.style.name = Path(config.style.image).stem.replace("${", "$")
    check_name(config.style.name, "style.name")
    for key in ("title", "artist", "year"):
        if not isinstance(config.style[key], (str, int, type(None))):
            raise UsageError(f"style.{key}={config.style[key]}: must be words or a number; put it in quotes")
    refuse_sweep_over_ranks(config)
    run, output = Path(config.paths.run), output_path(config)
    checkpoint = find_checkpoint(config, run)
    if checkpoint:
        take_duration_from(config, Path(checkpoint).parent)
    if rank_zero_only.rank == 0:
        check_writable(output)
    return checkpoint


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


def begin_run(config: DictConfig, start: Path | None, checkpoint: str | None) -> None:
    """Make the run's folder, once everything else is known to work; earlier runs and painters are set aside, not lost.

    Raises:
        UsageError: the run needs a file from the folder that it would set aside.
    """
    if rank_zero_only.rank != 0:
        return
    run, output = Path(config.paths.run), output_path(config)
    if is_of_this_run(checkpoint, config):
        set_aside(run / "metrics.csv")  # a resumed CSVLogger begins its file anew
        if output_of_earlier(run) != output.resolve():
            keep_earlier_painter(output)
    else:
        keep_earlier_run(run, output, needed=(start, config.style.image, checkpoint))
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
    style = images.resize(images.read_image(config.style.image), config.style.size)
    if min(style.shape[1:]) < MIN_SIDE:
        raise UsageError(
            f"{config.style.image}: too narrow, {style.shape[2]} x {style.shape[1]} pixels at style.size={config.style.size}; "
            f"both sides need {MIN_SIDE}"
        )
    return style


def loss_spec(config: DictConfig) -> dict[str, Any]:
    """Return the arguments of `PerceptualLoss.from_spec`."""
    spec: dict[str, Any] = OmegaConf.to_container(config.loss, resolve=True)  # type: ignore[assignment]
    return {**spec.pop("features"), **spec}


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


def check_fits(config: DictConfig, network: torch.nn.Module, checkpoint: str | None) -> None:
    """Find out before anything is touched whether sizes, weights and checkpoint go with the network.

    Raises:
        UsageError: one of them does not.
    """
    stride = getattr(network, "stride", 1)
    for key in ("crop", "heldout_size"):
        if config.data[key] % stride:
            raise UsageError(f"data.{key}={config.data[key]}: must be a multiple of {stride}, the network's stride")
    if not isinstance(config.grid_weight, (int, float)) or not 0 <= config.grid_weight < math.inf:
        raise UsageError(f"grid_weight={config.grid_weight}: must be a number of at least 0")
    if checkpoint:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        shapes = {f"network.{key}": value.shape for key, value in network.state_dict().items()}
        had = {key: getattr(value, "shape", None) for key, value in state.items() if str(key).startswith("network.")}
        if had != shapes:
            raise UsageError(f"{checkpoint}: of another network than {network_spec(**config.network)}; name its own")


def find_start(config: DictConfig) -> Path | None:
    """Return the style model that `init` means; `auto` is the base of that very network, if there is one."""
    if config.init == "none":
        return None
    if config.init == "auto":
        spec = network_spec(**config.network)
        base = asset_dir("checkpoints") / "base" / f"{spec['name']}{SUFFIX}"
        return base if base.is_file() and complete_spec(read_papers(base)["network"]) == spec else None
    return find_style_model(config.init)


def name_of(start: Path | None) -> str:
    """Return the name of what the training starts from."""
    return start.stem if start else "random weights"


def history_of(start: Path | None) -> dict[str, Any]:
    """Return what a style model says of its start: the name, and how that in turn was trained."""
    before = read_papers(start)["training"] if start else {}
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


def make_trainer(config: DictConfig, writer: StyleModelWriter) -> Trainer:
    """Build Lightning's trainer; resolves `auto` precision and the end of the run."""
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
    return instantiate(OmegaConf.create(options), _partial_=True)(
        max_steps=-1 if steps is None else steps,
        max_epochs=-1,
        max_time=None if minutes is None else timedelta(minutes=minutes),
        val_check_interval=validate_every,
        callbacks=[*instantiate(config.callbacks).values(), writer],
        logger=instantiate(config.logger),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=config.paths.run,
    )


def style_targets_of(loss: PerceptualLoss, style: torch.Tensor) -> dict[str, dict[str, torch.Tensor]]:
    """Return the style's Gram matrices in `loss`, and in the slim loss network, which is at hand wherever impasto is."""
    targets = {loss.features.fingerprint(): loss.style_targets}
    if not {*loss.style_layers, *loss.content_layers} <= set(SLIM_LAYERS):
        return targets
    slim = PerceptualLoss.from_spec(SLIM, content_layers=loss.content_layers, style_layers=loss.style_layers)
    slim.set_style(style[None])
    return {**targets, slim.features.fingerprint(): slim.style_targets}


def describe(
    config: DictConfig,
    module: StyleModule,
    style: torch.Tensor,
    fingerprint: str,
    style_targets: dict[str, dict[str, torch.Tensor]],
) -> StyleModel:
    """Return the style model as it stands: averaged weights, and the papers."""
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
            "screen": float(screen_energy(style[None])),
            "thumbnail": thumbnail(style),
        },
        training={
            "data": fingerprint,
            "seed": config.seed,
            "crop": config.data.crop,
            "grid_weight": config.grid_weight,
            **provenance(module.device),
        },
        report={"heldout": module.report, "defects": module.defects},
        style_targets=style_targets,
    )


def thumbnail(style: torch.Tensor) -> str:
    """Return a small JPEG of the style picture in base64."""
    buffer = io.BytesIO()
    images.to_pil(images.resize(style, _THUMBNAIL)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def demo_photographs() -> str:
    """Return the folder of the sample photographs that come in scikit-image's wheel."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise UsageError("data=demo needs scikit-image; pip install 'impasto[demo]', or give data.root=DIR")
    return str(Path(package.origin).parent / "data")


def wandb_has_no_key() -> bool:
    """Whether W&B would have to ask for a key."""
    if os.environ.get("WANDB_API_KEY"):
        return False
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is None
    except (OSError, netrc.NetrcParseError):
        return True


def _quieten_lightning() -> None:
    """Leave stderr to the progress line: the trainer's remarks are about its own workings."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=name)


OmegaConf.register_new_resolver("demo_photographs", demo_photographs)
OmegaConf.register_new_resolver("wandb_has_no_key", wandb_has_no_key)


@hydra.main(version_base="1.3", config_path=str(asset_dir("configs")), config_name="train")
def main(config: DictConfig) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get("IMPASTO_DEBUG"):
        _quieten_lightning()
    try:
        with streams.results_alone():
            output = train(config)
        if rank_zero_only.rank == 0:
            print(output)
    except KeyboardInterrupt:
        rank_zero_print("impasto: stopped; ckpt_path=last goes on with what was kept, if anything was")
        sys.exit(130)
    except SystemExit:  # Lightning's answer to Ctrl-C, after the checkpoint
        rank_zero_print("impasto: stopped; what was trained is kept, and ckpt_path=last goes on")
        sys.exit(130)
    except ImpastoError as error:
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        print("impasto:", "\n".join(map(images.printable, str(error).split("\n"))), file=sys.stderr)
        sys.exit(error.exit_code)
    except MissingMandatoryValue as error:
        how = "impasto train PICTURE" if error.full_key == "style.image" else f"{error.full_key}=…"
        print(f"impasto: {error.full_key} is not set; give {how}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    except OSError as error:
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        place, why = images.printable(error.filename or "a file"), error.strerror or error
        print(f"impasto: {place}: {why}; make room, or choose another paths.run or output", file=sys.stderr)
        sys.exit(ImpastoError.exit_code)
    except Exception as error:  # mostly a value that some constructor does not take
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        print(f"impasto: {images.printable(reason)} (--debug shows where)", file=sys.stderr)
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
        print("impasto:", images.printable(explain(error, words)), file=sys.stderr)
        sys.exit(UsageError.exit_code)
