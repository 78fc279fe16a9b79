"""What a run is: its places, its start and its end, decided once and before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from impasto.any_style.files import predictor_path
from impasto.any_style.find import find_painter
from impasto.checkpoint import SUFFIX, check_name, plain_name, read_metadata
from impasto.errors import ImpastoError, ModelError, UsageError
from impasto.networks import complete_spec, network_spec, weights_fit
from impasto.system.files import asset_dir
from impasto.tensor_file import read_description
from impasto.training.callbacks import rank_zero_print
from impasto.training.checkpoint_io import checkpoints_at, is_whole


class Duration(NamedTuple):
    """The limits of a run, whichever comes first: updates, and minutes on the clock. None is no limit."""

    steps: int | None
    minutes: float | None

    def in_words(self) -> str:
        """Return the limits as one says them: "4 steps or 2 minutes, whichever comes first"."""
        limits = {"steps": self.steps, "minutes": self.minutes}
        said = [f"{limit} {unit if limit != 1 else unit[:-1]}" for unit, limit in limits.items() if limit is not None]
        return " or ".join(said) + ", whichever comes first" * (len(said) > 1)


@dataclass(frozen=True)
class RunPlan:
    """A run as it was decided.

    Attributes:
        folder: of the checkpoints, the metrics and the contact sheet.
        output: the style model's path.
        checkpoint: the training checkpoint that the run goes on from; None begins anew.
        start: the style model whose weights a run begins with; None stands for random weights.
        duration: when it ends.
        seed: of the first weights, the crops and their order.
        spec: of the network, what `build_network` takes.
        stage: its name, where it is one of several.
        earlier_output: the style model's path of the run that `folder` holds already, if there is one that says so.
        settings: the configuration with what was decided, in YAML, as the run's folder keeps it.
    """

    folder: Path
    output: Path
    checkpoint: Path | None
    start: Path | None
    duration: Duration
    seed: int
    spec: dict[str, Any]
    stage: str | None = None
    earlier_output: Path | None = None
    settings: str = ""

    @property
    def resumes_in_place(self) -> bool:
        """Whether the run goes on in its own folder; a checkpoint from elsewhere begins a new run."""
        return self.checkpoint is not None and self.checkpoint.parent.resolve() == self.folder.resolve()


def make_plan(config: DictConfig, stage: str | None = None) -> RunPlan:
    """Decide all that is open in the configuration of a run, whose style is named, or of one of its stages.

    Raises:
        UsageError: `init`, `ckpt_path` or the run that it belongs to cannot be used.
    """
    folder, output = places_of(config)
    checkpoint = find_checkpoint(config, folder)
    duration = find_duration(config, checkpoint)
    return RunPlan(
        folder,
        output,
        checkpoint,
        find_start(config),
        duration,
        config.seed,
        network_spec(**config.network),
        stage,
        earlier_output=earlier_output_of(folder),
        settings=settings_in_yaml(config, duration),
    )


def with_style_name(config: DictConfig) -> DictConfig:
    """Return a copy that nobody can change, in which the style has a name: by default its picture's.

    Raises:
        ModelError: a name that no style can have.
    """
    name = config.style.name
    name = plain_name(Path(config.style.image).stem) if name is None else str(name)
    check_name(name, f"style.name={name}")
    named = deepcopy(config)
    named.style.name = name
    OmegaConf.set_readonly(named, True)
    return named


def places_of(config: DictConfig) -> tuple[Path, Path]:
    """Return the run's folder, and where its style model goes: `output`, or beside the style picture."""
    return Path(config.paths.run), output_of(config)


def output_of(config: DictConfig) -> Path:
    """Return where a run's style model goes."""
    if config.output:
        return Path(config.output)
    return Path(config.style.image).with_name(f"{config.style.name}{SUFFIX}")


def refuse_sweep_over_ranks(config: DictConfig) -> None:
    """Refuse `--multirun` with several ranks: each rank would start the whole sweep for itself.

    Raises:
        UsageError: both were asked for.
    """
    if has_several_ranks(config) and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise UsageError(
            "--multirun does not go with several ranks (trainer=ddp): every rank would begin a sweep of its own; "
            "run one training after the other, or sweep with trainer=auto"
        )


def has_several_ranks(config: DictConfig) -> bool:
    """Whether more than one process may train."""
    return "strategy" in config.trainer or str(config.trainer.devices) not in ("1", "auto")


def find_checkpoint(config: DictConfig, folder: Path) -> Path | None:
    """Return the training checkpoint that `ckpt_path` means; `last` is the newest whole one of the run's folder.

    Raises:
        UsageError: no such file, or no whole training checkpoint.
    """
    if config.ckpt_path == "last":
        return _last_checkpoint(folder)
    if not config.ckpt_path:
        return None
    path, typed = Path(config.ckpt_path), f"ckpt_path={config.ckpt_path}"
    if not path.is_file():
        raise UsageError(f"{typed}: no such training checkpoint; `last` names this run's own")
    if path.suffix == SUFFIX:
        raise UsageError(f"{typed}: a style model; init={config.ckpt_path} goes on from it")
    if not is_whole(path):
        raise UsageError(f"{typed}: torn, or no training checkpoint; `last` passes over such")
    return path


def _last_checkpoint(folder: Path) -> Path | None:
    for kept in checkpoints_at(folder / "last.ckpt"):
        if is_whole(kept):
            return kept
        rank_zero_print(f"passed over: {kept} is torn")
    rank_zero_print(f"nothing to go on with in {folder}: a fresh start")
    return None


def find_start(config: DictConfig) -> Path | None:
    """Return the style model that `init` means.

    `auto` is the painter that is predicted from the style picture, where the predictor knows the network, else the
    base; `base` is that of this very network, if there is one.

    Raises:
        UsageError: no such style model.
    """
    if config.init in ("none", None):
        return None
    spec = network_spec(**config.network)
    if config.init == "auto":
        return predicted_start(config, spec) or base_of(spec)
    if config.init == "base":
        return base_of(spec)
    try:
        return find_painter(config.init)
    except ModelError as error:
        raise UsageError(f"init={error}") from error


def predicted_start(config: DictConfig, spec: Mapping[str, Any]) -> Path | None:
    """Return the painter that is predicted from the style picture, if the predictor can."""
    predictor = predictor_path()
    if not predictor.is_file() or not weights_fit(spec, complete_spec(read_description(predictor)["network"])):
        return None
    with suppress(ImpastoError):  # a picture that cannot be read is refused later
        return find_painter(config.style.image, config.style.size)
    return None


def base_of(spec: Mapping[str, Any]) -> Path | None:
    """Return the base weights of a network, if there are any."""
    base = asset_dir("checkpoints") / "base" / f"{spec['name']}{SUFFIX}"
    return base if base.is_file() and weights_fit(spec, complete_spec(read_metadata(base).spec)) else None


def find_duration(config: DictConfig, checkpoint: Path | None) -> Duration:
    """Return how long the run lasts: as typed, else as long as the run that it goes on with, else the default.

    Raises:
        UsageError: the configuration of the run that it goes on with cannot be read.
    """
    duration = Duration(config.trainer.max_steps, config.trainer.max_minutes)
    if duration == (None, None) and checkpoint and (checkpoint.parent / "config.yaml").is_file():
        duration = _duration_of_earlier(checkpoint.parent)
    return duration if duration != (None, None) else Duration(None, config.trainer.default_minutes)


def _duration_of_earlier(folder: Path) -> Duration:
    limits = {key: read_config(folder).trainer.get(key) for key in ("max_steps", "max_minutes")}
    for key, limit in limits.items():
        if not isinstance(limit, (int, float, type(None))):
            raise UsageError(f"{folder / 'config.yaml'}: trainer.{key} is no number; say --minutes N")
    return Duration(limits["max_steps"], limits["max_minutes"])


def earlier_output_of(folder: Path) -> Path | None:
    """Return where the painter of the run in a folder went, if its configuration says so."""
    try:
        return output_of(read_config(folder))
    except (UsageError, OmegaConfBaseException, AttributeError, TypeError, ValueError):
        return None


def read_config(folder: Path) -> DictConfig:
    """Return the configuration that a run left.

    Raises:
        UsageError: it is no such thing, or not whole.
    """
    path = folder / "config.yaml"
    try:
        config = OmegaConf.load(path)
    except Exception as error:  # whatever YAML, OmegaConf and the disk raise
        raise UsageError(f"{path}: cannot be read; say how long the run shall last (--minutes N)") from error
    if not isinstance(config, DictConfig) or not isinstance(config.get("trainer"), DictConfig):
        raise UsageError(f"{path}: not the configuration of a run; say how long it shall last (--minutes N)")
    return config


def settings_in_yaml(config: DictConfig, duration: Duration) -> str:
    """Return the configuration as the run's folder keeps it: in YAML, with how long the run lasts."""
    decided = deepcopy(config)
    OmegaConf.set_readonly(decided, False)
    decided.trainer.update(max_steps=duration.steps, max_minutes=duration.minutes)
    return OmegaConf.to_yaml(decided, resolve=True)
