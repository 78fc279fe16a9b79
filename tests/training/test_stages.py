"""A run with stages: one after the other, one painter at the end, and what is finished is not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from helpers.places import ROOT
from impasto.checkpoint import read_metadata
from impasto.errors import ModelError, UsageError
from impasto.records import TrainingRecord
from impasto.synthetic.contents import procedural_image
from impasto.training import run, stages
from impasto.training.plan import with_style_name
from impasto.training.run import train
from impasto.training.setting_rules import check_settings
from impasto.training.stages import Stage, is_finished, mark_finished, stages_of

SMALL = [
    "style.image=p.png", "network.width=4", "network.blocks=1", "init=none", "style.size=64", "trainer.accelerator=cpu",
    "data.root=photographs", "data.crop=32", "margin=8", "data.heldout_size=32", "data.batch_size=1",
    "trainer.max_steps=2",
]  # fmt: skip
STAGES = ["+stages.rough={trainer: {max_steps: 3}, style: {strength: 2}}", "+stages.fine={data: {procedural: 2}}"]


def composed(*words: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", [*SMALL, *words])


def staged(*words: str) -> list[Stage]:
    return stages_of(with_style_name(composed(*words)))


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photographs").mkdir()
    for seed in range(6):
        Image.fromarray(procedural_image(seed, 64)).save(f"photographs/{seed}.png")
    Image.fromarray(procedural_image(50, 80)).save("p.png")


def record() -> TrainingRecord:
    return read_metadata(Path("p.safetensors")).training


def interrupted_after(name: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Train until a stage is finished, and no further."""

    def stop(stage: Stage, later: list[Stage]) -> None:
        mark_finished(stage, later)
        if stage.name == name:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "mark_finished", stop)
        train(composed(*STAGES, *words))


def test_each_stage_has_its_own_settings_and_starts_from_the_painter_before() -> None:
    rough, fine = staged(*STAGES)
    assert (rough.name, rough.folder, fine.name, fine.folder) == (
        "rough",
        Path("runs/p/rough"),
        "fine",
        Path("runs/p/fine"),
    )
    assert (rough.config.trainer.max_steps, rough.config.style.strength, rough.config.data.procedural) == (3, 2, 0)
    assert (fine.config.trainer.max_steps, fine.config.style.strength, fine.config.data.procedural) == (2, 1, 2)
    assert rough.config.init == "none" and fine.config.init == rough.config.output == "runs/p/rough/rough.safetensors"
    assert fine.config.output == "p.safetensors" and fine.config.callbacks.contact_sheet.folder == "runs/p/fine"


def test_a_run_without_stages_is_one() -> None:
    for words in ([], [*STAGES, "stages=null"], [*STAGES, "stages.rough=null", "stages.fine=null"]):
        (only,) = stages_of(with_style_name(composed(*words)))
        assert only.name is None and only.config.paths.run == "runs/p"


@pytest.mark.usefixtures("_here")
def test_stages_leave_one_painter_that_names_them() -> None:
    assert train(composed(*STAGES)) == Path("p.safetensors")
    last, first = record().runs()
    assert (last.stage, last.steps, last.start) == ("fine", 2, "rough")
    assert (first.stage, first.steps, first.start) == ("rough", 3, "random weights")
    assert {path.name for path in Path("runs/p").iterdir()} == {"rough", "fine"}
    assert {path.name for path in Path().iterdir()} == {"photographs", "p.png", "p.safetensors", "runs"}


@pytest.mark.usefixtures("_here")
def test_a_run_that_goes_on_does_not_repeat_what_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted_after("rough", monkeypatch)
    rough = Path("runs/p/rough/last.ckpt")
    before = rough.stat().st_mtime_ns
    train(composed(*STAGES, "ckpt_path=last"))
    assert "stage rough: finished already" in capsys.readouterr().err
    assert rough.stat().st_mtime_ns == before and [each.stage for each in record().runs()] == ["fine", "rough"]
    painter = Path("p.safetensors").read_bytes()
    assert train(composed(*STAGES, "ckpt_path=last")) == Path("p.safetensors")
    assert Path("p.safetensors").read_bytes() == painter


@pytest.mark.usefixtures("_here")
def test_a_stage_that_was_begun_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # as a signal has it
        patch.setattr(run, "signal_received", lambda trainer: 15)
        assert train(composed(*STAGES)) == Path("runs/p/rough/rough.safetensors")
    assert not is_finished(staged(*STAGES, "ckpt_path=last")[0]) and not Path("runs/p/fine").exists()
    train(composed(*STAGES, "stages.rough.trainer.max_steps=5", "ckpt_path=last"))
    assert [each.steps for each in record().runs()] == [2, 5]
    assert not Path("runs/p/rough-1").exists()


@pytest.mark.usefixtures("_here")
def test_what_is_begun_anew_takes_up_nothing_of_an_earlier_run(monkeypatch: pytest.MonkeyPatch) -> None:
    train(composed(*STAGES))
    earlier = Path("p.safetensors").read_bytes()
    interrupted_after("rough", monkeypatch, "stages.rough.trainer.max_steps=4")
    train(composed(*STAGES, "ckpt_path=last"))
    assert [each.steps for each in record().runs()] == [2, 4]
    assert Path("p-1.safetensors").read_bytes() == earlier
    assert {path.name for path in Path("runs/p").iterdir()} == {"rough", "rough-1", "fine", "fine-1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+stages.x={trainer: {max_stepz: 3}}"], r"^stages\.x: no setting trainer\.max_stepz"),
        (["+stages.x={output: o.safetensors}"], r"^stages\.x\.output: a stage cannot set it"),
        (["+stages.x={paths: {run: elsewhere}}"], r"^stages\.x\.paths\.run: a stage cannot set it"),
        (["+stages.x={seed: 3}", "ckpt_path=old.ckpt"], r"^ckpt_path=old\.ckpt: .*ckpt_path=last"),
        (["+stages.x={seed: 3}", "trainer=ddp"], r"several ranks .*trainer=auto, or stages=null"),
        (["+stages={../x: {seed: 3}}"], r"^stages\.\.\./x: .*cannot be"),
    ],
)  # fmt: skip
def test_stages_that_cannot_be_are_refused(words: list[str], said: str) -> None:
    with pytest.raises((UsageError, ModelError), match=said):
        staged(*words)


def test_what_is_typed_for_the_whole_run_is_not_dropped_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "_typed", lambda: {"trainer.max_steps"})
    with pytest.raises(UsageError, match=r"^trainer\.max_steps: .*stages\.rough\.trainer\.max_steps=…, or stages=null"):
        staged(*STAGES)
    assert len(staged("+stages.fine={data: {procedural: 2}}")) == 1


@pytest.mark.parametrize(
    ("word", "is_refused"),
    [
        ("style.strength=1", True), ("style={strength: 1}", True), ("++style.strength=1", True), ("style=image", False),
        ("style={color_weight: 1}", False), ("style.strengths=1", False), ("data=demo", False),
        ("stages.rough.style.strength=1", False),
    ],
)  # fmt: skip
def test_what_is_typed_is_known_by_what_it_sets(word: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told = OmegaConf.create(
        {"hydra": {"overrides": {"task": [word]}, "runtime": {"choices": {"data": "demo", "style": "image"}}}}
    )
    monkeypatch.setattr(HydraConfig.instance(), "cfg", told)
    if not is_refused:
        assert len(staged(*STAGES)) == 2
        return
    with pytest.raises(UsageError, match=r"^style\.strength: .*stages\.rough\.style\.strength=…"):
        staged(*STAGES)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("+stages.x={trainer: {max_steps: abc}}", r"^stages\.x\.trainer\.max_steps=abc: must be a whole number"),
        ("+stages.x={network: {width: 3}}", r"^stages\.x\.network\.width=3: must be"),
        ("+stages.x={loss: vgg19}", r"^stages\.x\.loss=vgg19: must be a group"),
        ("+stages.x=3", r"^stages=.*must be null or a group of stages"),
        ("stages=[1]", r"^stages=.*must be null or a group of stages"),
    ],
)  # fmt: skip
def test_the_settings_of_a_stage_keep_the_rules(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_settings(composed(word))


@pytest.mark.parametrize("name", [path.stem for path in (ROOT / "configs" / "experiment").glob("[!_]*.yaml")])
def test_the_shipped_experiments_begin_on_vgg19_and_end_as_they_are_used(name: str) -> None:
    stages = {stage.name: stage.config for stage in staged(f"experiment={name}")}
    first, *_, last = stages.values()
    assert first.loss.features.weights == "torchvision" and first.data.procedural == 0
    assert last.loss.features.weights == "slim" and last.network.name == first.network.name
    if name == "starry_night_johnson":  # an older painter
        assert not {"contrast", "whole", "axes", "antialias", "steady"} & stages.keys()
        return
    assert list(stages)[-1] == "steady" and last.data.procedural == (60 if name == "the_scream" else 0)
    default = composed().loss
    assert stages["contrast"].data.procedural == 60
    assert stages["contrast"].loss == {**default, "whitened": False} and last.temporal_weight > 0
    own_tv = {"composition_vii": 0.5}.get(name, default.tv_weight)
    assert last.loss == {**default, "tv_weight": own_tv, "whitened": True}
    late = {"axes", "antialias", "steady"}
    assert not any(stage.loss.whitened for earlier, stage in stages.items() if earlier not in late)
