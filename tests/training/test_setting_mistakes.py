"""What was meant by settings that Hydra refuses."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from helpers.trainings import configured
from impasto.training.setting_mistakes import explain


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
