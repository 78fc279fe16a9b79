"""What is wrong with settings that Hydra or OmegaConf refused, in one line and with the remedy."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from impasto.system.files import asset_dir
from impasto.training.overrides import quoted

_ALL = "`impasto train --cfg job` prints all"
_LONGEST = 200  # characters of what was typed that are repeated


def explain(error: Exception, words: Sequence[str] = ()) -> str:
    """Say which setting was meant, as far as can be told.

    Args:
        error: what was raised before the training's own code had the configuration.
        words: what was typed.
    """
    message = str(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        return _no_such_choice(message, error.missing_cfg_file, error.options)
    if refused := re.match(r"Could not override '(.+?)'", message):
        guess = nearest(refused[1], setting_names(words))
        return f"no setting {_short(refused[1])}{guess}; {_ALL}"
    if ambiguous := re.match(r"Ambiguous value for argument '(.+?)=(.*)'", message):
        key, value = ambiguous[1], _short(ambiguous[2])
        return (
            f"{key}={value}: a comma; for a list write '{key}=[{value}]', for text '{key}=\"{value}\"', for a "
            "run of each add --multirun"
        )
    if appended := re.match(r"Could not append to config. An item is already at '(.+?)'", message):
        return f"+{appended[1]}: is a setting already; leave out the +"
    if message.startswith("Config group override must be") or isinstance(error, TypeError):
        return _no_choice(words)
    reason = next((line for line in message.splitlines() if line.strip()), type(error).__name__)
    return f"{_short(reason.rstrip('.'))} (--debug shows where)"


def setting_names(words: Sequence[str] = ()) -> list[str]:
    """Return every key of the configuration, groups included, with dots between the levels.

    Args:
        words: what was typed; the choices of groups among it count.
    """
    groups = {path.name for path in asset_dir("configs").iterdir() if path.is_dir()}
    chosen = [word for word in words if word.partition("=")[0] in groups]
    try:
        return _names(chosen)
    except Exception:  # one of the choices is a mistake, too
        return _names([])


def nearest(typed: str, known: Sequence[str]) -> str:
    """Return "; did you mean …?" with the name that is most like what was typed, or nothing."""
    meant = typed.casefold()
    ends_so = [name for name in known if re.search(rf"[._]{re.escape(meant)}$", name)]  # minutes: trainer.max_minutes
    last = {name.rpartition(".")[2]: name for name in reversed(known)} if "." not in typed else {}
    close = difflib.get_close_matches(meant, [*known, *last], n=1, cutoff=0.7)
    guesses = [*ends_so[: len(meant) > 1], *(last.get(name, name) for name in close)]
    return f"; did you mean {guesses[0]}?" if guesses and guesses[0] != typed else ""


def _unreadable(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"{_short(override)}: not a setting; they look like trainer.max_minutes=5"
    remedy = shlex.quote(f"{key}=" + quoted(value, quote='"'))
    return f"{_short(override)}: cannot be read; a value with special characters needs quotes: {_short(remedy)}"


def _no_such_choice(message: str, missing: str, options: Sequence[str]) -> str:
    group, _, choice = missing.partition("/")
    there = [name for name in options if not name.startswith("_")]
    place = re.match(r"In '(.+?)'", message)
    where = f" (in {place[1]}.yaml)" if place and place[1] != "train" else ""
    help = nearest(choice, there) or f"; choose from {', '.join(there)}"
    return f"{group}={_short(choice)}: no such {group}{where}{help}"


def _no_choice(words: Sequence[str]) -> str:
    for word in words:
        group, _, choice = word.partition("=")
        there = sorted(path.stem for path in (asset_dir("configs") / group).glob("[!_]*.yaml")) if group else []
        if there and choice not in there:
            return f"{_short(word)}: no such {group}; choose from {', '.join(there)}"
    return "a group of settings needs one of its choices"


def _names(overrides: list[str]) -> list[str]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(asset_dir("configs")), version_base="1.3"):
        return list(_keys(compose("train", overrides)))


def _keys(config: DictConfig, above: str = "") -> Iterator[str]:
    for key in map(str, config):
        if key.startswith("_"):
            continue
        yield f"{above}{key}"
        unknown = OmegaConf.is_missing(config, key) or OmegaConf.is_interpolation(config, key)
        if not unknown and isinstance(config[key], DictConfig):
            yield from _keys(config[key], f"{above}{key}.")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
