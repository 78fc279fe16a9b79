"""What each setting takes, checked before anything is done: a mistake is one line that names the setting."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from operator import itemgetter
from pkgutil import iter_modules
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from impasto.errors import UsageError, printable
from impasto.losses import __path__ as losses
from impasto.losses.options import MAX_OCTAVES
from impasto.networks import network_names, option_limits
from impasto.system.choices import COLORS, MAX_STRENGTH, STROKE_RANGE
from impasto.system.files import asset_dir
from impasto.system.machine import pick_device, usable_cores


class Rule(NamedTuple):
    """What a setting takes, in words, and whether a plain value is such."""

    takes: str
    accepts: Callable[[Any], bool]


def _whole(low: int, high: int = 10**9) -> Rule:
    bounds = f"{low} or more" + (f", at most {high}" if high < 10**9 else "")
    return Rule(f"a whole number, {bounds}", lambda value: type(value) is int and low <= value <= high)


def _number(low: float, high: float = 1e9, *, above: bool = False) -> Rule:
    bounds = f"above {low:g}" if above else f"{low:g} or more"
    bounds += f", at most {high:g}" if high < 1e9 else ""

    def accepts(value: Any) -> bool:
        return (
            type(value) in (int, float)
            and math.isfinite(value)
            and low <= value <= high
            and not (above and value == low)
        )

    return Rule(f"a number, {bounds}", accepts)


def _one_of(*choices: Any) -> Rule:
    words = list(dict.fromkeys("null" if choice is None else str(choice) for choice in choices))
    return Rule(
        " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words),
        lambda value: any(type(value) is type(choice) and value == choice for choice in choices),
    )


def _either(*rules: Rule) -> Rule:
    return Rule(" or ".join(rule.takes for rule in rules), lambda value: any(rule.accepts(value) for rule in rules))


def _list_of(rule: Rule, what: str) -> Rule:
    return Rule(f"a list of {what}", lambda value: isinstance(value, list) and all(map(rule.accepts, value)))


_NULL = _one_of(None)
_FLAG = Rule("true or false", lambda value: isinstance(value, bool))
_GROUP = Rule("a group of settings", lambda value: isinstance(value, dict))
_STAGES = Rule(
    "a group of stages, each a group of settings",
    lambda value: isinstance(value, dict) and all(stage is None or isinstance(stage, dict) for stage in value.values()),
)
_TEXT = Rule("text; a number needs quotes", lambda value: isinstance(value, str))
_WORD = Rule(
    "text that is not empty; a number needs quotes", lambda value: isinstance(value, str) and value.strip() != ""
)
_PATH = Rule(
    "a path; one that looks like a number needs quotes",
    lambda value: isinstance(value, str) and value.strip() != "" and "\0" not in value,
)
_LABEL = Rule("words or a number; put it in quotes", lambda value: type(value) in (str, int))
_WORDS = _either(_WORD, _NULL, _list_of(_WORD, "words"))
_BETA = _number(0, 0.9999999)


def _devices() -> Rule:
    numbers = Rule(
        "a list of GPUs, such as [0,1]", lambda value: value != [] and _list_of(_whole(0), "").accepts(value)
    )
    return _either(_one_of("auto"), _whole(1), numbers)


def _accelerators() -> Rule:
    there = (
        ["auto", "cpu"]
        + ["gpu", "cuda"] * torch.cuda.is_available()
        + ["gpu", "mps"] * torch.backends.mps.is_available()
    )
    return _one_of(*there)


def _losses() -> Rule:
    modules = {module.name: importlib.import_module(f"impasto.losses.{module.name}") for module in iter_modules(losses)}
    return _one_of(*(name for name, module in modules.items() if hasattr(module, "Loss")))


def _workers() -> Rule:
    return _either(_one_of("auto"), _whole(0, max(16, 4 * usable_cores())))


_RULES: dict[str, Rule] = {
    "seed": _whole(0, 2**32 - 1),
    "init": _either(_PATH, _NULL),
    "margin": _whole(0, 1024),
    "grid_weight": _number(0),
    "temporal_weight": _number(0),
    "compile": _FLAG,
    "output": _either(_PATH, _NULL),
    "ckpt_path": _either(_PATH, _NULL),
    "stages": _either(_NULL, _STAGES),
    "paths.run": _PATH,
    "style.image": _PATH,
    "style.name": _either(_LABEL, _NULL),
    "style.size": _whole(16, 16384),
    "style.strength": _number(0, 1000),
    "style.dials": _either(_GROUP, _NULL),
    "style.dials.strength": _number(0, MAX_STRENGTH),
    "style.dials.stroke": _either(_number(*STROKE_RANGE), _NULL),
    "style.dials.color": _one_of(*COLORS),
    "style.title": _either(_LABEL, _NULL),
    "style.artist": _either(_LABEL, _NULL),
    "style.year": _either(_LABEL, _NULL),
    "network.name": _one_of(*network_names()),
    "loss.name": _losses(),
    "loss.features": _GROUP,
    "loss.features.weights": _PATH,
    "loss.*_layers": _list_of(_WORD, "layers, such as [relu3_2]"),
    "loss.*_weight": _number(0),
    "loss.octaves": _whole(1, MAX_OCTAVES),
    "loss.content_octave": _whole(0, MAX_OCTAVES - 1),
    "loss.centred": _FLAG,
    "loss.polar": _FLAG,
    "loss.whitened": _FLAG,
    "loss.grey_content": _FLAG,
    "module": _GROUP,
    "module.margin": _whole(0, 1024),
    "module.grid_weight": _number(0),
    "module.temporal_weight": _number(0),
    "module.seed": _whole(0),
    "module.warmup_steps": _whole(0),
    "module.ema_decay": _number(0, 0.9999999),
    "optimizer.lr": _number(0),
    "optimizer.momentum": _BETA,
    "optimizer.adam_part": _number(0),
    "optimizer.weight_decay": _number(0),
    "optimizer.eps": _number(0),
    "optimizer.betas": Rule("two numbers, such as [0.9,0.999]", _list_of(_BETA, "").accepts),
    "data.root": _either(_PATH, _NULL),
    "data.annotations": _either(_PATH, _NULL),
    "data.categories": _WORDS,
    "data.include": _WORDS,
    "data.shards": _either(_PATH, _list_of(_PATH, "paths")),
    "data.storage": _either(_GROUP, _NULL),
    "data.crop": _whole(16, 4096),
    "data.heldout_size": _whole(16, 4096),
    "data.batch_size": _whole(1, 65536),
    "data.workers": _workers(),
    "data.max_bad": _number(0, 1),
    "data.heldout": _whole(0, 10**6),
    "data.procedural": _whole(0, 10**6),
    "data.seed": _whole(0),
    "trainer.accelerator": _accelerators(),
    "trainer.devices": _devices(),
    "trainer.num_nodes": _whole(1),
    "trainer.strategy": _either(_WORD, _GROUP),
    "trainer.strategy.broadcast_buffers": _FLAG,
    "trainer.strategy.gradient_as_bucket_view": _FLAG,
    "trainer.precision": _one_of("auto", "32-true", "32", 32, "bf16-mixed", "bf16", "16-mixed", "16", 16),
    "trainer.max_steps": _either(_whole(1), _NULL),
    "trainer.max_minutes": _either(_number(0, 100_000, above=True), _NULL),
    "trainer.val_check_interval": _either(_one_of("auto"), _whole(1)),
    "trainer.default_minutes": _number(0, 100_000, above=True),
    "trainer.max_epochs": _either(_one_of(-1), _whole(1)),
    "trainer.check_val_every_n_epoch": _either(_NULL, _whole(1)),
    "trainer.num_sanity_val_steps": _either(_one_of(-1), _whole(0)),
    "trainer.use_distributed_sampler": _FLAG,
    "trainer.enable_progress_bar": _FLAG,
    "trainer.enable_model_summary": _FLAG,
    "trainer.default_root_dir": _PATH,
    "trainer.limit_train_batches": _whole(1),
    "trainer.gradient_clip_val": _either(_number(0), _NULL),
    "trainer.accumulate_grad_batches": _whole(1),
    "trainer.log_every_n_steps": _whole(1),
    "trainer.plugins": _either(_NULL, _list_of(_GROUP, "groups, each with its _target_")),
    "trainer.plugins.*.keep": _whole(1),
    "callbacks.checkpoint.dirpath": _PATH,
    "callbacks.checkpoint.filename": _WORD,
    "callbacks.checkpoint.every_n_train_steps": _whole(1),
    "callbacks.checkpoint.enable_version_counter": _FLAG,
    "callbacks.checkpoint.save_on_exception": _FLAG,
    "callbacks.contact_sheet.folder": _PATH,
    "callbacks.contact_sheet.pictures": _whole(1),
    "callbacks.keep_best.patience": _whole(1),
    "callbacks.keep_best.min_gain": _number(0, 1),
    "callbacks.stop_on_signal.every": _whole(1),
    "logger.save_dir": _PATH,
    "logger.name": _either(_TEXT, _NULL),
    "logger.version": _either(_TEXT, _NULL, _whole(0)),
    "logger.project": _either(_WORD, _NULL),
    "logger.offline": _FLAG,
    "callbacks.*": _either(_GROUP, _NULL),
}  # fmt: skip
_SECTIONS = ("style", "network", "loss", "module", "optimizer", "data", "trainer", "paths")


def check_settings(config: DictConfig) -> None:
    """Find the first setting that is not what it has to be.

    Raises:
        UsageError: there is one; the message names it and what it takes.
    """
    for section in _SECTIONS:
        if not isinstance(config.get(section), DictConfig):
            folder = asset_dir("configs") / section
            choices = ", ".join(sorted(path.stem for path in folder.glob("[!_]*.yaml"))) or f"{section}.run=DIR"
            raise UsageError(f"{section}={_typed(config.get(section))}: nothing to train with; choose {choices}")
    _check("network.name", config.network.get("name"), _RULES["network.name"])
    # What is typed comes before what follows from it.
    for _, name, value in sorted(_settings(config), key=itemgetter(0)):
        if rule := _rule_of(name, config):
            _check(name, value, rule)


def _check(name: str, value: Any, rule: Rule) -> None:
    if not rule.accepts(value):
        raise UsageError(f"{name}={_typed(value)}: must be {rule.takes}")


def _rule_of(name: str, config: DictConfig) -> Rule | None:
    group, _, option = name.partition(".")
    if group == "stages" and option:  # a stage sets what the run sets, by the same rules
        _, _, setting = option.partition(".")
        return (_rule_of(setting, config) or _GROUP) if setting else _either(_GROUP, _NULL)
    if group == "network" and option != "name":
        limits = option_limits(config.network.name)
        return _within(*limits[option]) if option in limits else None
    return next((rule for pattern, rule in _RULES.items() if _matches(name, pattern)), None)


def _within(low: int, high: int) -> Rule:
    return _FLAG if low is False else _whole(low, high)


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern, whose * stands for anything within one level, means a setting."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _settings(config: Any, above: str = "") -> Iterator[tuple[bool, str, Any]]:
    """Yield every setting that has a value, groups and lists before what is in them:
    whether it refers to others, name, value.
    """
    keys: Iterable[Any] = range(len(config)) if isinstance(config, ListConfig) else list(config)
    for key in keys:
        if OmegaConf.is_missing(config, key) or str(key).startswith("_"):
            continue
        value, name = config[key], f"{above}{key}"
        is_group = isinstance(value, (DictConfig, ListConfig))
        yield OmegaConf.is_interpolation(config, key), name, (OmegaConf.to_container(value) if is_group else value)
        if is_group:
            yield from _settings(value, f"{name}.")


def _typed(value: Any) -> str:
    """Return a value as one types it, shortened."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else str(value)
    return printable(text)[:80]


def check_devices(config: DictConfig) -> None:
    """Refuse more ranks than this machine has room for: each is a process with all that torch needs.

    Raises:
        UsageError: there are fewer devices.
    """
    devices, accelerator = config.trainer.devices, config.trainer.accelerator
    device = "cpu" if accelerator == "cpu" else pick_device().type
    there = {"cpu": usable_cores(), "cuda": torch.cuda.device_count()}.get(device, 1)
    if isinstance(devices, ListConfig) and device == "cpu":
        raise UsageError(f"trainer.devices={devices}: numbers of GPUs, and there are none; choose trainer.devices=auto")
    wanted = max(devices, default=0) + 1 if isinstance(devices, ListConfig) else devices
    if wanted != "auto" and wanted > there:
        what = {"cpu": "processor cores", "cuda": "GPUs"}.get(device, "device")
        raise UsageError(
            f"trainer.devices={devices}: there are {there} {what}; give {there} or fewer, or trainer.devices=auto"
        )
