"""Before a training touches anything: settings, checkpoints and starts that do not fit; and what was there before is
kept.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from helpers.places import ROOT
from impasto.checkpoint import StyleModel, check_name, load_style_model, save_style_model
from impasto.errors import ModelError, UsageError
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, complete_spec, network_spec
from impasto.records import TrainingRecord
from impasto.training import build
from impasto.training.announce import announce
from impasto.training.callbacks import KeepBest, ProgressLine, StyleModelWriter, judge_of
from impasto.training.checkpoint_io import is_whole
from impasto.training.plan import (
    RunPlan,
    find_checkpoint,
    find_duration,
    make_plan,
    plain_name,
    with_style_name,
)
from impasto.training.record import Style, history_of
from impasto.training.run_folder import begin, check_checkpoint, refuse_needed
from impasto.training.setting_mistakes import explain

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


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data.crop=33", "data.crop=33: must be a multiple of 4"),
        ("data.heldout_size=50", "data.heldout_size=50: must be"),
    ],
)
def test_sizes_go_with_the_network(word: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        build.check_sizes(configured(tmp_path, word), build_network("swift", **SMALL))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.max_minuts=3"], "no setting trainer.max_minuts; did you mean trainer.max_minutes?; "),
        (["minutes=3"], "did you mean trainer.max_minutes?"), (["steps=3"], "did you mean trainer.max_steps?"),
        (["minuts=3"], "did you mean trainer.max_minutes?"), (["a=1"], "no setting a; `"),
        (["qqqq=1"], "no setting qqqq; `impasto train --cfg job`"),
        (["networkk=swift"], "did you mean network?"), (["network={a: 1}"], "no setting network; `"),
        (["network=swiftt"], "network=swiftt: no such network; did you mean swift?"),
        (["loss=VGG19"], "did you mean vgg19?"),
        (["network="], "network=: no such network; choose from brush, fast_neural_style, johnson, swift"),
        (["experiment=_qqqq"],
         "no such experiment; choose from arlesiennes, cliff_walk, composition_vii, grande_jatte"),
        (["experiment=configs/experiment/wave.yaml"], "experiment=configs/experiment/wave.yaml: no such experiment"),
        (["logger=wandb", "logger.projet=x"], "did you mean logger.project?"),
        (["style.name=["],
         "style.name=[: cannot be read; a value with special characters needs quotes: 'style.name=\"[\"'"),
        (["style.title=Composition (VII)"], "quotes: 'style.title=\"Composition (VII)\"'"),
        (["nonsense"], "nonsense: not a setting"),
        (["data.categories=person,dog"], "a comma; for a list write 'data.categories=[person,dog]'"),
        (["+seed=3"], "+seed: is a setting already; leave out the +"),
        (["~data.croop"], "'data.croop' does not exist ("),
        (["data=demo", "trainer=3"], "trainer=3: no such trainer; choose from auto, ddp, "),
        (["style=[1]"], "style=[1]: no such style"),
        (["optimizer=null"], "optimizer=null: no such optimizer; choose from adam, muon"),
    ],
)  # fmt: skip
def test_mistyped_settings_are_explained(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(Exception) as refused:
        configured(tmp_path, *words)
    told = explain(refused.value, words)
    assert said in told and "\n" not in told


@pytest.mark.parametrize(
    "word",
    [
        "output=runs/a=b.safetensors",
        "style.title=L'Estaque",
        "style.title=a\\b(",
        "style.title=a(b\\",
        'style.title=a"b(',
        "style.title=Größe",
        "data.include=[*.jpg",
    ],
)
def test_the_remedy_for_what_cannot_be_read_works(word: str, tmp_path: Path) -> None:
    with pytest.raises(OverrideParseException) as refused:
        configured(tmp_path, word)
    (advised,) = shlex.split(explain(refused.value).partition("needs quotes: ")[2])
    key, _, value = word.partition("=")
    assert OmegaConf.select(configured(tmp_path, advised), key) == value


def test_the_progress_line_shows_the_mean_of_the_last_losses(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    trainer: Any = SimpleNamespace(global_step=0, is_global_zero=True, world_size=1, accumulate_grad_batches=1)
    module = SimpleNamespace(progress=lambda step: step / 60)
    line.on_train_start(trainer, module)  # type: ignore[arg-type]
    for step in range(1, 61):
        trainer.global_step = step
        line.on_train_batch_end(trainer, module, {"loss": torch.tensor(100.0 - step)}, [None], step)
    assert "loss 50.000" in line.line.postfix  # steps 40, 45, …, 60
    line.line.close()


def test_a_picture_too_narrow_for_the_loss_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (400, 2)).save(tmp_path / "line.png")
    config = configured(tmp_path)
    config.style.image = str(tmp_path / "line.png")
    with pytest.raises(UsageError, match=r"line.png: too narrow, 512 x 3 pixels at style.size=512"):
        build.read_style(config)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("painting", "painting"), (".hidden", "hidden"), ("what? why: 7/8", "what_ why_ 7_8"), ("  . ", "style"),
        ("x" * 300, "x" * 100), ("大" * 40, "大" * 33), ("a${b}", "a$b}"), ("a\udcff\n", "a__"),
    ],
)  # fmt: skip
def test_any_pictures_name_makes_a_styles_name(stem: str, name: str) -> None:
    assert plain_name(stem) == name
    check_name(plain_name(stem), "x")


def test_a_style_that_is_named_by_hand_is_not_renamed(tmp_path: Path) -> None:
    config = configured(tmp_path, "style.name='what?'")
    with pytest.raises(ModelError, match=r"style\.name=what\?"):
        with_style_name(config)
    config = configured(tmp_path, "style.name=1889")
    assert with_style_name(config).style.name == "1889"


def test_where_nothing_can_be_held_out_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style = Style.of(Path("x.png"), torch.zeros(3, 8, 8), configured(tmp_path, "style.name=x").style)
    for heldout, said, unsaid in ((0, "held out      nothing", "watch it"), (1, "watch it", "held out")):
        announce(planned(tmp_path), style, loss_network="slim", photographs=".", are_samples=False, heldout=heldout)
        told = capsys.readouterr().err
        assert said in told and unsaid not in told


def test_a_checkpoint_must_be_whole_and_of_the_network(tmp_path: Path) -> None:
    other = checkpoint_of(build_network("swift", width=8, blocks=1), tmp_path / "other.ckpt")
    network = build_network("swift", **SMALL)
    adam = torch.optim.Adam(network.parameters())
    with pytest.raises(UsageError, match=r"other.ckpt: of another network"):
        check_checkpoint(other, network, SMALL, adam, {})
    with pytest.raises(UsageError, match=r"own.ckpt: holds weights alone"):
        check_checkpoint(checkpoint_of(network, tmp_path / "own.ckpt"), network, SMALL, adam, {})
    other.write_bytes(other.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"other.ckpt: torn"):
        find_checkpoint(configured(tmp_path, f"ckpt_path={other}"), tmp_path / "run")


@pytest.mark.parametrize("pickled", [b"\x80\x02u.", b"\x80\x02K\x01Q.", b"\x80\x02N.", b"\x80\x02]."])
def test_a_damaged_pickle_is_not_whole(pickled: bytes, tmp_path: Path) -> None:
    import zipfile

    path = checkpoint_of(build_network("swift", **SMALL), tmp_path / "whole.ckpt")
    assert is_whole(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else content)
    assert not is_whole(path)


def test_a_run_that_goes_on_keeps_a_painter_that_is_not_its_own(tmp_path: Path) -> None:
    last = tmp_path / "run" / "last.ckpt"
    begin(planned(tmp_path))
    own, precious = tmp_path / "style.safetensors", tmp_path / "precious.safetensors"
    own.write_bytes(b"own")
    precious.write_bytes(b"precious")
    begin(planned(tmp_path, checkpoint=last))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious.safetensors", "run", "style.safetensors"]
    begin(planned(tmp_path, f"output={precious}", checkpoint=last))
    assert (tmp_path / "precious-1.safetensors").read_bytes() == b"precious"


def test_painters_in_a_run_that_is_set_aside_are_kept(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "style.safetensors"
    checkpoint_of(torch.nn.Linear(1, 1), run / "last.ckpt")
    (run / "style.safetensors").write_bytes(b"inside")
    outside.write_bytes(b"outside")
    begin(planned(tmp_path))
    kept = tmp_path / "run-1"
    assert (kept / "style.safetensors").read_bytes() == b"inside"
    assert (kept / "style-1.safetensors").read_bytes() == b"outside"
    checkpoint_of(torch.nn.Linear(1, 1), run / "last.ckpt")
    shutil.copy(outside, run / "style.safetensors")
    begin(planned(tmp_path, f"output={run / 'style.safetensors'}"))
    assert (tmp_path / "run-2" / "style.safetensors").read_bytes() == b"outside"


def test_a_run_does_not_set_aside_what_it_needs(tmp_path: Path) -> None:
    last = checkpoint_of(torch.nn.Linear(1, 1), tmp_path / "run" / "last.ckpt")
    start = tmp_path / "run" / "style.safetensors"
    nested = checkpoint_of(torch.nn.Linear(1, 1), tmp_path / "run" / "old" / "last.ckpt")
    for begun, resumed in ((start, None), (None, nested)):
        with pytest.raises(UsageError, match="copy it out"):
            refuse_needed(planned(tmp_path, start=begun, checkpoint=resumed), Path("x.png"))
    assert last.is_file() and nested.is_file()
    elsewhere = tmp_path / "disk" / "last.ckpt"
    last.rename(checkpoint_of(torch.nn.Linear(1, 1), elsewhere))
    last.symlink_to(elsewhere)
    refuse_needed(planned(tmp_path, start=start, checkpoint=last), Path("x.png"))
    begin(planned(tmp_path, checkpoint=last))
    assert last.is_file() and not (tmp_path / "run-1").exists(), "it goes on in its own folder"


def test_what_is_resumed_remembers_its_own_start(tmp_path: Path) -> None:
    first, resumed = (
        StyleModelWriter(tmp_path / "x", {"start": start}, lambda module: model_of()) for start in ("base", "itself")
    )
    resumed.load_state_dict(first.state_dict())
    assert resumed.history == {"start": "base"}
    resumed.load_state_dict({"seconds": 1.0})  # as older checkpoints have it
    assert resumed.history == {"start": "base"}


def test_judges_differ_by_loss_style_and_photographs(loss: PerceptualLoss) -> None:
    style, photographs = torch.rand(3, 32, 32), list(torch.rand(2, 3, 32, 32))
    judge = judge_of(loss, style, photographs)
    assert judge == judge_of(loss, style.clone(), list(photographs))
    heavier = PerceptualLoss(loss.features, style_weight=11)
    others = (heavier, style, photographs), (loss, 1 - style, photographs), (loss, style, photographs[::-1])
    assert len({judge, *(judge_of(*other) for other in others)}) == 4


@pytest.mark.parametrize("content", ["", "[1, 2]", "trainer: 5", "trainer: {max_minutes: soon}", "\x00"])
def test_a_configuration_that_is_none_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(content)
    with pytest.raises(UsageError, match=r"config.yaml: .*--minutes"):
        find_duration(configured(tmp_path), tmp_path / "run" / "last.ckpt")


def test_the_best_of_another_style_is_forgotten() -> None:
    before, same, other = KeepBest(), KeepBest(), KeepBest()
    before.judge = same.judge = "one"
    other.judge = "two"
    before.best, before.weights = 1.5, {"weight": torch.ones(1)}
    for callback in (same, other):
        callback.load_state_dict(before.state_dict())
    assert same.best == 1.5 and same.weights
    assert other.best == float("inf") and not other.weights and other.judge == "two"


def model_of(**papers: Any) -> StyleModel:
    return StyleModel(build_network("swift", **SMALL).eval(), network_spec("swift", **SMALL), "small", **papers)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    model = model_of()
    with torch.no_grad():
        next(model.network.parameters()).mul_(1e6)  # before an instance norm: it paints as before
    save_style_model(tmp_path / "large.safetensors", model)
    had, wanted = load_style_model(tmp_path / "large.safetensors").network.state_dict(), model.network.state_dict()
    assert all(torch.allclose(had[key], wanted[key], rtol=1e-3, atol=1e-4) for key in wanted)
    with pytest.raises(ModelError, match=r"long.safetensors: its description is too long"):
        save_style_model(
            tmp_path / "long.safetensors", model_of(training=TrainingRecord.from_dict({"x": "a" * 1_000_000}))
        )
    assert [path.name for path in tmp_path.iterdir()] == ["large.safetensors"]


def test_a_start_with_much_to_say_is_named_only(tmp_path: Path) -> None:
    save_style_model(tmp_path / "long.safetensors", model_of(training=TrainingRecord.from_dict({"x": "a" * 500_000})))
    assert history_of(tmp_path / "long.safetensors") == {"start": "long"}
    save_style_model(tmp_path / "short.safetensors", model_of(training=TrainingRecord.from_dict({"steps": 3})))
    assert history_of(tmp_path / "short.safetensors") == {"start": "short", "before": {"steps": 3}}


def test_a_specification_is_completed_by_defaults_and_by_what_older_files_meant() -> None:
    assert complete_spec({"name": "johnson"}) == network_spec("johnson")
    assert complete_spec({"name": "swift", "width": 8}) == {**network_spec("swift", width=8), "reach": 2}
    assert complete_spec({"name": "nobody"}) == {"name": "nobody"}


@pytest.mark.parametrize("strength", [0, 0.5, 1, 2])
def test_strength_scales_the_style_against_the_content(tmp_path: Path, strength: float) -> None:
    usual, scaled = (build.loss_spec(configured(tmp_path, f"style.strength={value}")) for value in (1, strength))
    assert scaled["style_weight"] == strength * usual["style_weight"] and usual["style_weight"] > 0
    assert scaled["content_weight"] == usual["content_weight"]
