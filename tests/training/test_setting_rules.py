"""Settings that cannot work: each names itself and what it takes, and leaves every file as it was."""

from __future__ import annotations

import hashlib
import os
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from helpers.places import ROOT
from impasto.errors import ImpastoError, UsageError
from impasto.synthetic.contents import procedural_image
from impasto.system.machine import usable_cores
from impasto.training import build
from impasto.training.run import train
from impasto.training.setting_mistakes import setting_names
from impasto.training.setting_rules import _rule_of, _settings, check_devices, check_settings

LAUNCHED = ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_NNODES")
CHOICES = [
    f"{folder.name}={path.stem}"
    for folder in sorted((ROOT / "configs").iterdir())
    if folder.is_dir()
    for path in sorted(folder.glob("[!_]*.yaml"))
]
SMALL = [
    "style.image=p.png", "network.width=4", "network.blocks=1", "init=none", "style.size=64", "trainer.accelerator=cpu",
    "data.root=photographs", "data.crop=32", "margin=8", "data.heldout_size=32", "data.batch_size=1",
    "trainer.max_steps=2",
]  # fmt: skip


def composed(*words: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", [*words])


@pytest.fixture(autouse=True)
def _launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in LAUNCHED:
        monkeypatch.setenv(said, "1")
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_setting_has_a_rule_and_every_shipped_value_keeps_it(choice: str) -> None:
    config = composed("style.image=x.png", "data.root=.", choice)
    check_settings(config)
    groups = ("style", "network", "optimizer", "data", "trainer", "callbacks", "logger", "loss", "paths")
    names = [name for _, name, _ in _settings(config) if name not in groups and not name[-1].isdigit()]
    assert [name for name in names if _rule_of(name, config) is None] == []


@pytest.mark.parametrize("value", ["abc", -1, 0, 1.5, None, float("nan"), [1], [], "", True, {"a": 1}])
def test_a_value_that_cannot_be_is_named_with_its_setting(value: object) -> None:
    whole, refused = composed("style.image=x.png", "data.root=."), []
    groups = {name for name in whole if isinstance(whole[name], DictConfig)}
    for name in sorted({*setting_names([])} - groups):
        config = deepcopy(whole)
        OmegaConf.update(config, name, value, merge=False)
        try:
            check_settings(config)
            check_devices(config)
        except UsageError as error:
            refused.append(name)
            assert str(error).startswith(f"{name}=") and "\n" not in str(error)
            assert "must be " in str(error) or "choose " in str(error)
    assert len(refused) >= (40 if isinstance(value, (list, dict, bool)) else 15)


@pytest.mark.parametrize(
    "word",
    [
        "style.size=abc", "optimizer.lr=abc", "optimizer.lr=-1", "trainer.max_steps=0", "trainer.max_steps=-1",
        "trainer.max_minutes=0", "data.workers=-1", "data.workers=100000", "data.batch_size=1.5", "seed=-1",
        "data.max_bad=2", "trainer.precision=bf8", "network.width=3", "style.title=1.5", "style.artist=[a,b]",
        "grid_weight=nan", "grid_weight=much", "grid_weight=-1", "temporal_weight=-1", "compile=maybe",
        "network.name=unet",
    ],
)  # fmt: skip
def test_what_people_mistype_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=f"^{word.partition('=')[0]}="):
        check_settings(composed("style.image=x.png", "data.root=.", word))


def test_more_devices_than_there_are_are_refused_with_their_number() -> None:
    words = ("style.image=x.png", "data.root=.", "trainer.accelerator=cpu")
    with pytest.raises(UsageError, match=rf"trainer.devices=99999: there are {usable_cores()} processor cores"):
        check_devices(composed(*words, "trainer.devices=99999"))
    with pytest.raises(UsageError, match="numbers of GPUs, and there are none"):
        check_devices(composed(*words, "trainer.devices=[0]"))
    for devices in ("auto", "1", str(usable_cores())):
        check_devices(composed(*words, f"trainer.devices={devices}"))


def test_what_a_constructor_says_names_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^data: .*foo"):
        build.built(composed("style.image=x.png", "data.root=.", "+data.foo=1"), "data")
    with pytest.raises(ImpastoError, match="give one; annotations"):
        build.built(composed("style.image=x.png", "data.root=null"), "data")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture, photographs, a run of two steps and its painter, and another picture of that name."""
    folder = tmp_path_factory.mktemp("trained")
    for seed in range(6):
        for photographs in ("photographs", "others"):
            (folder / photographs).mkdir(exist_ok=True)
            Image.fromarray(procedural_image(seed + len(photographs), 64)).save(folder / photographs / f"{seed}.png")
    for seed, name in enumerate(("p.png", "other/p.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(procedural_image(50 + seed, 80)).save(folder / name)
    before = Path.cwd()
    os.chdir(folder)
    try:
        train(composed(*SMALL))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = Path(shutil.copytree(trained, tmp_path / "here"))
    monkeypatch.chdir(place)
    return place


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


LAST = ("ckpt_path=last", "trainer.max_steps=4")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data.workers=-1",), r"data\.workers"),
        (("data.crop=10",), "16 or more"),
        (("trainer.max_minutes=0",), "max_minutes"),
        (("trainer.devices=99",), "there are"),
        (("trainer.precision=64-true",), "precision"),
        (("init=nobody",), "init=nobody"),
        (("init=wave",), "another network"),
        (("output=here",), "safetensors"),
        (("output=runs/p",), "safetensors"),
        (("style.image=nothere.png",), r"style\.image=nothere\.png"),
        (("style.image=https://example.org/p.png",), "download"),
        (("data.root=nowhere",), "no such folder"),
        (("+trainer.nonsense=1",), "^trainer: .*nonsense"),
        (("+optimizer.nonsense=1",), "^optimizer: .*nonsense"),
        (("loss.content_layers=[relu9_9]",), "relu9_9"),
        (("style.image=runs/p/contact_sheet.png", "style.name=p"), "copy it out"),
        (("optimizer._target_=torch.optim.SparseAdam",), "SparseAdam"),  # fails in the first step
        (("ckpt_path=photographs/0.png",), "torn"),
        (("ckpt_path=p.safetensors",), "init=p.safetensors"),
        (("paths.run=p.png",), r"paths\.run"),
        (("trainer.num_nodes=2", "trainer.strategy=ddp"), "num_nodes"),
        ((*LAST, "optimizer=adam"), r"another optimizer \(Muon\)"),
        ((*LAST, "data.batch_size=1.5"), "batch_size"),
        ((*LAST, "style.image=other/p.png", "output=p.safetensors"), "another style picture"),
        ((*LAST, "style.size=48"), "another style picture"),
        ((*LAST, "loss.style_weight=11"), "another loss"),
        ((*LAST, "data.root=others"), "other photographs|another photographs"),
        ((*LAST, "network.blocks=2"), "another network"),
        ((*LAST, "network.antialias=false"), r"another network; say network\.antialias"),
        (("network.antialias=2",), r"network\.antialias=2: must be true or false"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_work_leaves_every_file_as_it_was(words: tuple[str, ...], said: str, here: Path) -> None:
    before = digests(here)
    with pytest.raises(Exception, match=said):
        train(composed(*SMALL, *words))
    assert digests(here) == before


def test_a_run_that_fails_in_its_first_step_does_not_cost_the_next_one_its_checkpoint(here: Path) -> None:
    for _ in range(4):
        with pytest.raises(UsageError):
            train(composed(*SMALL, *LAST, "optimizer=adam"))
    train(composed(*SMALL, *LAST))
    assert not (here / "runs" / "p-1").exists() and (here / "runs" / "p" / "last-1.ckpt").is_file()


def test_what_is_begun_anew_sets_the_earlier_run_aside(here: Path) -> None:
    painter = (here / "p.safetensors").read_bytes()
    train(composed(*SMALL, "style.image=other/p.png", "output=p.safetensors"))
    assert (here / "runs" / "p-1" / "p.safetensors").read_bytes() == painter
    assert (here / "p.safetensors").read_bytes() != painter
    assert [path.name for path in here.rglob(".*")] == []
