"""What is wrong with a setting that Hydra refused, in one line and with the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from impasto.runtime import asset_dir

_ALL = "`impasto train --cfg job` prints all"


def explain(error: HydraException) -> str:
    """Say which setting was meant, as far as can be told."""
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not a setting; they look like trainer.max_minutes=5, with blanks 'output=\"a b\"'"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        there = [name for name in error.options if not name.startswith("_")]
        return f"{group}={choice}: no such {group}{_meant(choice, there) or '; choose from ' + ', '.join(there)}"
    if refused := re.match(r"Could not override '(.+?)'", str(error)):
        return f"no setting {refused[1]}{_meant(refused[1], setting_names())}; {_ALL}"
    return f"{(str(error).splitlines() or [type(error).__name__])[0].rstrip('.')}; {_ALL}"


def setting_names() -> list[str]:
    """Return every key of the default configuration, groups included, with dots between the levels."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(asset_dir("configs")), version_base="1.3"):
        return list(_keys(compose("train")))


def _keys(config: DictConfig, above: str = "") -> Iterator[str]:
    for key in map(str, config):
        yield f"{above}{key}"
        unknown = OmegaConf.is_missing(config, key) or OmegaConf.is_interpolation(config, key)
        if not unknown and isinstance(config[key], DictConfig):
            yield from _keys(config[key], f"{above}{key}.")


def _meant(typed: str, known: Iterable[str]) -> str:
    known = list(known)
    ends_so = [name for name in known if name.rpartition(".")[2].endswith(typed)]  # minutes, for trainer.max_minutes
    close = ends_so or difflib.get_close_matches(typed, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
