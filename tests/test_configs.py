"""Every configuration is what its constructor takes, and runs."""

from __future__ import annotations

import csv
import inspect
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from helpers.places import ROOT
from impasto.checkpoint import read_metadata
from impasto.errors import UsageError
from impasto.losses import build_loss
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_names
from impasto.training import build
from impasto.training.callbacks import StyleModelWriter
from impasto.training.module import StyleModule
from impasto.training.plan import Duration
from impasto.training.record import Style
from impasto.training.run import train


def composed(*overrides: str):  # noqa: ANN201
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", ["style.image=x.png", "data.root=.", *overrides])


def members(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "configs" / group).glob("[!_]*.yaml"))


@pytest.mark.parametrize("name", members("network"))
def test_network_configs_are_their_constructors(name: str) -> None:
    options = dict(composed(f"network={name}").network)
    build_network(**options)
    assert name in network_names() and set(members("network")) == set(network_names())


@pytest.mark.parametrize("name", members("loss"))
def test_loss_configs_score_a_picture(name: str, random_vgg: Path) -> None:
    loss = build_loss(**build.loss_spec(composed(f"loss={name}", f"loss.features.weights={random_vgg}")))
    loss.set_style(torch.rand(1, 3, 32, 32))
    assert loss(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)).total > 0


def test_the_default_loss_config_states_the_constructors_defaults() -> None:
    stated = build.loss_spec(composed())
    for name, parameter in inspect.signature(PerceptualLoss).parameters.items():
        if name != "features":
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert stated[name] == default


@pytest.mark.parametrize("name", members("logger"))
def test_logger_configs_log(name: str, tmp_path: Path) -> None:
    logger = instantiate(composed(f"logger={name}", f"paths.run={tmp_path}", "style.name=x").logger)
    logger.log_metrics({"loss": 1.0}, step=1)
    logger.finalize("success")
    if name == "wandb":
        import wandb

        wandb.finish()
    assert name == "none" or list(tmp_path.rglob("*"))


@pytest.mark.parametrize("name", members("trainer"))
def test_trainer_configs_build_a_trainer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_NNODES"):
        monkeypatch.setenv(said, "1")  # as the launcher would
    config = composed(
        f"trainer={name}", "trainer.accelerator=cpu", "trainer.devices=1", f"paths.run={tmp_path}", "logger=none"
    )
    writer = StyleModelWriter(tmp_path / "x", {}, lambda module: pytest.fail("nothing is trained"))
    trainer = build.make_trainer(config, Duration(None, 2), writer)
    assert trainer.max_steps == -1 and trainer.gradient_clip_val == 5.0


@pytest.mark.parametrize("name", members("data"))
def test_data_configs_find_images(name: str, photographs: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        shard.add(photographs, "photographs")
    said = {"demo": [], "shards": [f"data.shards={tmp_path}", "data.crop=32"]}
    overrides = [f"data={name}", *said.get(name, [f"data.root={photographs}", "data.crop=32"])]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        data = instantiate(compose("train", ["style.image=x.png", *overrides]).data)
    data.setup()
    assert len(data.dataset.source) >= 9 and not data.bad.reasons


def test_the_default_painter_shows_no_pixel_that_training_leaves_unjudged() -> None:
    """What lies within the margin is judged nowhere, so as much is cut off."""
    setting = composed()
    assert setting.margin <= build_network(setting.network.name).surround


@pytest.mark.parametrize("name", members("optimizer"))
def test_optimizer_configs_step(name: str) -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = instantiate(composed(f"optimizer={name}").optimizer)([parameter])
    parameter.sum().backward()
    optimizer.step()
    assert parameter.item() < 1


def test_module_configs_state_the_constructors_defaults_and_can_be_overridden(loss: PerceptualLoss) -> None:
    assert members("module") == ["default"]
    defaults = {name: parameter.default for name, parameter in inspect.signature(StyleModule).parameters.items()}
    stated = {name: value for name, value in composed().module.items() if not name.startswith("_")}
    assert stated == {name: defaults[name] for name in stated} and {"warmup_steps", "ema_decay"} <= stated.keys()
    config = composed("margin=16", "grid_weight=2", "module.warmup_steps=3")
    module = build.make_module(config, build_network(**config.network), loss, a_style(config))
    assert (module.margin, module.grid_weight, module.warmup_steps) == (16, 2, 3)


def a_style(config: DictConfig) -> Style:
    return Style.of(Path("x.png"), torch.zeros(3, 32, 32), config.style)


def test_nothing_that_is_set_of_the_trainer_is_dropped(tmp_path: Path) -> None:
    words = ["trainer.accelerator=cpu", f"paths.run={tmp_path}"]
    trainer = build.make_trainer(composed(*words, "trainer.num_sanity_val_steps=1"), Duration(3, None))
    assert (trainer.num_sanity_val_steps, trainer.max_steps, trainer.default_root_dir) == (1, 3, str(tmp_path))
    for word, remedy in (("logger=true", "logger="), ("callbacks=[]", "callbacks.NAME"), ("max_time=1", "max_minutes")):
        with pytest.raises(UsageError, match=rf"trainer\.{word.partition('=')[0]}: .*{remedy}"):
            build.make_trainer(composed(*words, f"+trainer.{word}"), Duration(3, None))


@pytest.fixture
def debugged(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs a training that configs/debug describes, with other words too; returns the run's folder."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: str) -> Path:
        own = (f"style.image={photographs / '01.png'}", f"data.root={photographs}", "trainer.accelerator=cpu")
        return train(composed(*own, f"debug={name}", *words)).parent

    return run


def test_the_smoke_run_leaves_a_painter(debugged: Callable[..., Path]) -> None:
    folder = debugged("smoke")
    assert folder == Path("runs/smoke") and read_metadata(folder / "smoke.safetensors").training.steps == 4


def test_the_overfitting_run_sees_one_batch_and_learns_it(debugged: Callable[..., Path]) -> None:
    small = ("network.width=4", "network.blocks=1", "data.crop=32", "style.size=64")
    for words, falls in (("trainer.max_steps=3", "optimizer.lr=0"), False), (("trainer.max_steps=30",), True):
        with (debugged("overfit", *small, *words) / "metrics.csv").open() as file:
            losses = [float(row["train/total"]) for row in csv.DictReader(file)]
        assert losses[-1] < 0.95 * losses[0] if falls else len({*losses}) == 1


@pytest.mark.parametrize("group", ["callbacks", "style", "experiment"])
def test_other_configs_compose(group: str, tmp_path: Path) -> None:
    for name in members(group):
        config = composed(f"{group}={name}", f"paths.run={tmp_path}", "style.image=x.png")
        assert instantiate(config.callbacks)
        if group == "experiment":
            header = (ROOT / "configs" / group / f"{name}.yaml").read_text().splitlines()
            assert any(f"impasto train experiment={name}" in line for line in header), "an experiment gives its command"


def test_a_painter_for_films_is_trained_with_the_temporal_loss() -> None:
    assert members("film") == ["still"]
    assert composed("film=still").module.temporal_weight > composed().module.temporal_weight
    typed = composed("film=still", "temporal_weight=0.5", "style.strength=1.5")
    assert typed.module.temporal_weight == 0.5 and typed.style.strength == 1.5


def test_every_config_group_is_tested() -> None:
    tested = {"network", "loss", "logger", "trainer", "data", "optimizer", "callbacks", "style", "experiment",
              "module", "debug", "film"}  # fmt: skip
    assert {path.name for path in (ROOT / "configs").iterdir() if path.is_dir()} == tested
