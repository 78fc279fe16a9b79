"""What was typed after `impasto train`, in Hydra's words.

Light: the command line needs it before Hydra and OmegaConf are imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.dials.picks import Pick

_HYDRA_FLAGS = {"-h", "--help", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
                "--shell-completion", "-sc"}  # fmt: skip
_HYDRA_OPTIONS = {"--cfg", "-c", "--package", "-p", "--info", "-i", "--config-name", "-cn", "--config-path", "-cp",
                  "--config-dir", "-cd", "--experimental-rerun"}  # fmt: skip
_PATH_KEYS = {"style.image", "data.root", "data.annotations", "loss.features.weights", "init", "output", "paths.run",
              "ckpt_path"}  # fmt: skip
_NOT_TEXT = re.compile(r"[-+]?[\d._]+(e[-+]?\d+)?|true|false|nan|[-+]?inf", re.IGNORECASE)  # to Hydra, unless quoted


def to_overrides(
    minutes: float | None, words: Sequence[str], pick: Pick | None = None, *, film: bool = False
) -> list[str]:
    """Return what was typed as Hydra takes it: the picture, the duration, the pick and `film` by their keys,
    `data=demo` where no data are named.

    Raises:
        UsageError: an unknown option, two pictures, or a pick beside a setting that it decides on.
    """
    pictures = [i for i, word in enumerate(words) if _is_picture(word, words[i - 1] if i else "")]
    if unknown := [word for word in words if word.startswith("-") and word not in _HYDRA_OPTIONS | _HYDRA_FLAGS]:
        raise UsageError(
            f"no option {unknown[0]}; train takes --minutes, --quality, --pick, --film and settings such as "
            "output=PATH, trainer.max_steps=N, style.size=N"
        )
    given = [words[i] for i in pictures] + [word for word in words if word.startswith("style.image=")]
    if len(given) > 1:
        first, second = given[:2]
        raise UsageError(f"one picture a run: {first} or {second}? A painter has one style")
    options, settings = [], []  # Hydra's parser wants all settings in a row
    for i, word in enumerate(words):
        if _is_option(word, words[i - 1] if i else ""):
            options.append(word)
        else:
            settings.append(quoted_setting("style.image", word) if i in pictures else plain_path(word))
    if minutes is not None:
        settings.append(f"trainer.max_minutes={minutes:g}")
    if pick is not None:
        settings += _pick_settings(pick, words)
    if film:
        settings.append("film=still")
    if any(word.startswith("data.shards=") for word in words) and not any(word.startswith("data=") for word in words):
        return [*options, "data=shards", *settings]
    if any(word.startswith(("data=", "data.root=", "data.annotations=", "experiment=")) for word in words):
        return [*options, *settings]
    return [*options, "data=demo", *settings]


def _pick_settings(pick: Pick, words: Sequence[str]) -> list[str]:
    for word in words:
        if any(f"{name}.".startswith(("style.size.", "style.dials.")) for name in names_set_by(word)):
            raise UsageError(f"--pick {pick.number} or {word}: both say how the style looks; give one")
    strength, color = pick.dials.strength, pick.dials.color
    return [f"style.size={pick.style_size}", f"style.dials={{strength:{strength:g},color:{color}}}"]


def names_set_by(word: str) -> set[str]:
    """Return the names of the settings that an override sets: `style={size:512}` sets `style.size`."""
    key, _, value = word.lstrip("+").partition("=")
    if not value.lstrip().startswith("{"):
        return {key}
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except HydraException:  # which Hydra itself explains
        return {key}
    return set(dotted(override.value(), f"{key}."))


def dotted(settings: Any, above: str = "") -> Iterator[str]:
    """Yield the names of all values in a part of the configuration."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _is_option(word: str, before: str) -> bool:
    """Whether a word is an option of Hydra or its value."""
    return word.startswith("-") or before in _HYDRA_OPTIONS


def _is_picture(word: str, before: str) -> bool:
    """Whether a word names the picture: not an option of Hydra or its value, not an override, not a deletion."""
    if word.startswith("~") or _is_option(word, before):
        return False
    return "=" not in word or os.path.isfile(word)  # noqa: PTH113 - Path.is_file raises for long words


def plain_path(word: str) -> str:
    """Return an override as it is, or with its path quoted where people typed one that is there, or at home,
    as in a shell.
    """
    key, _, path = word.partition("=")
    if key == "data.shards" and path and path[0] not in "'\"[$":
        return quoted_setting(key, os.path.expanduser(path))  # noqa: PTH111 - as below; braces would be a dictionary
    meant = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for a user who is not there
    plain = re.fullmatch(r"[\w./-]*", meant, re.ASCII)  # nothing to quote; null stays null
    if key in _PATH_KEYS and _NOT_TEXT.fullmatch(meant):
        return quoted_setting(key, meant)
    if key not in _PATH_KEYS or "$" in path or plain or not os.path.exists(meant):  # noqa: PTH110 - nor this for long names
        return f"{key}={meant}" if key in _PATH_KEYS and plain else word
    return quoted_setting(key, meant)


def quoted_setting(key: str, path: str) -> str:
    """Return the override that sets `key` to a path, whatever characters are in it."""
    return f"{key}={quoted(without_interpolation(path))}"


def quoted(text: str, quote: str = "'") -> str:
    """Return `text` between quotes such that Hydra reads it back as it is, interpolations apart."""
    # A backslash is literal, but for one that stands before a quote.
    escaped = re.sub(rf"(\\*)({quote}|$)", lambda match: 2 * match[1] + (f"\\{quote}" if match[2] else ""), text)
    return f"{quote}{escaped}{quote}"


def without_interpolation(text: str) -> str:
    """Return `text` such that OmegaConf takes a `${` in it for what it is."""
    return re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + "\\${", text)
