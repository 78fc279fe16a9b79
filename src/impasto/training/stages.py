"""The stages of a run: trainings one after the other, each with settings of its own, from the painter of the last.

A stage is a part of the configuration, as an experiment is: what it leaves out is as in the rest of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from impasto.checkpoint import SUFFIX, check_name
from impasto.errors import UsageError
from impasto.training.overrides import dotted, names_set_by
from impasto.training.plan import has_several_ranks, output_of
from impasto.training.run_folder import set_aside

_OF_THE_RUN = ("paths", "output", "init", "ckpt_path", "stages")  # each stage gets its own
_FINISHED = "finished"  # the file in a stage's folder that says so


class Stage(NamedTuple):
    """A training of its own.

    Attributes:
        name: None where the run has no stages and is one training.
        config: the run's configuration with what the stage sets.
    """

    name: str | None
    config: DictConfig

    @property
    def folder(self) -> Path:
        return Path(self.config.paths.run)

    @property
    def output(self) -> Path:
        return output_of(self.config)


def stages_of(config: DictConfig) -> list[Stage]:
    """Return the stages of a run, whose style is named.

    Each has a folder in the run's, in which it leaves its painter. The last one leaves the run's.

    Raises:
        UsageError: a stage sets what it cannot, or the run is one that cannot have stages.
        ModelError: a stage has a name that no folder can have.
    """
    wanted = {str(name): settings for name, settings in (config.stages or {}).items() if settings is not None}
    if not wanted:
        return [Stage(None, config)]
    if config.ckpt_path not in (None, "last"):
        raise UsageError(f"ckpt_path={config.ckpt_path}: a run with stages goes on with ckpt_path=last")
    stages: list[Stage] = []
    for name, settings in wanted.items():
        check_name(name, f"stages.{name}")
        folder = Path(config.paths.run) / name
        before = str(stages[-1].output) if stages else config.init
        output = output_of(config) if name == list(wanted)[-1] else folder / f"{name}{SUFFIX}"
        own = {"paths": {"run": str(folder)}, "output": str(output), "init": before, "stages": None}
        stages.append(Stage(name, _merged(config, name, settings, own)))
    return stages


def is_finished(stage: Stage) -> bool:
    """Whether a run that goes on has this stage behind it."""
    return stage.name is not None and stage.config.ckpt_path == "last" and (stage.folder / _FINISHED).is_file()


def mark_finished(stage: Stage, later: Sequence[Stage]) -> None:
    """Leave word that a stage is finished; what earlier runs left of `later` ones, which begin anew, is set aside."""
    if stage.name is not None:
        for each in later:
            set_aside(each.folder)
        (stage.folder / _FINISHED).touch()


def _merged(config: DictConfig, name: str, settings: DictConfig, own: Mapping[str, Any]) -> DictConfig:
    """Return the configuration of a stage.

    Args:
        settings: what the stage sets.
        own: what follows from its place in the run.
    """
    stated = OmegaConf.to_container(settings)
    typed = _typed()
    for key in dotted(stated):
        if key.partition(".")[0] in _OF_THE_RUN:
            raise UsageError(f"stages.{name}.{key}: a stage cannot set it; set it for the whole run")
        if any(f"{key}.".startswith(f"{other}.") or other.startswith(f"{key}.") for other in typed):
            raise UsageError(
                f"{key}: this run has stages, and {name} sets it; give stages.{name}.{key}=…, "
                "or stages=null for one training"
            )
    try:
        merged = OmegaConf.merge(config, OmegaConf.create(stated), own)
    except OmegaConfBaseException as error:
        raise UsageError(f"stages.{name}: no setting {error.full_key or error}") from error
    assert isinstance(merged, DictConfig)
    if has_several_ranks(merged):
        raise UsageError("stages do not go with several ranks (trainer=ddp); use trainer=auto, or stages=null")
    return merged


def _typed() -> set[str]:
    """Return the names of the settings that were typed. A choice of a group, such as `data=demo`, sets none."""
    if not HydraConfig.initialized():
        return set()
    hydra = HydraConfig.get()
    names = set().union(*(names_set_by(word) for word in hydra.overrides.task))
    return names - {str(group) for group in hydra.runtime.choices}
