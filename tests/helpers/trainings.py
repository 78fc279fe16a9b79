"""A small training before it begins: its configuration, plan, checkpoint and style model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from helpers.places import ROOT
from impasto.checkpoint import StyleModel
from impasto.networks import build_network, network_spec
from impasto.training.plan import RunPlan, make_plan, with_style_name

SMALL = {"width": 4, "blocks": 1}


def configured(folder: Path, *words: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose(
            "train",
            ["style.image=x.png", "data.root=.", "network.width=4", "network.blocks=1", f"paths.run={folder / 'run'}",
             f"output={folder / 'style.safetensors'}", *words],
        )  # fmt: skip


def planned(folder: Path, *words: str, checkpoint: Path | None = None, start: Path | None = None) -> RunPlan:
    plan = make_plan(with_style_name(configured(folder, "init=none", *words)))
    return replace(plan, checkpoint=checkpoint, start=start)


def checkpoint_of(network: torch.nn.Module, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {f"network.{key}": value for key, value in network.state_dict().items()}}, path)
    return path


def model_of(**papers: Any) -> StyleModel:
    return StyleModel(build_network("swift", **SMALL).eval(), network_spec("swift", **SMALL), "small", **papers)
