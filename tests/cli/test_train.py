"""`impasto train`: what is handed over to Hydra, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from helpers.places import ROOT
from impasto import cli
from impasto.training.record import Style
from impasto.training.setting_rules import check_settings


def test_training_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "hydra.py").write_text("raise SystemExit('code from the current folder ran')")
    words = [Path(sys.executable).with_name("impasto"), "train", "p.jpg", "--cfg", "job"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0 and "style:" in result.stdout, result.stderr


def test_train_refuses_a_duration_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--minutes", "0"], ["--minutes", "soon"], ["--quality", "perfect"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["train", "p.jpg", *words])
        assert ended.value.code == 2
    assert cli.main(["train", "p.jpg", "--minutes", "3", "--quality", "best"]) == 2
    assert "minutes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--film=3"], "--film=3: --film takes no value; say --film temporal_weight=3"),
        (["--quality", "perfect"], "invalid choice: 'perfect'"),
        (["--minutes"], "expected one argument"),
        (["--debug=1"], "--debug"),
    ],
)
def test_a_wrong_option_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "p.jpg", *words])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith("impasto: ") and said in line


def test_a_pick_becomes_the_size_of_the_style_picture_and_the_painters_dials(monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over: list[str] = []
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "execv", lambda program, words: handed_over.extend(words[3:]))
    cli.main(["train", "p.jpg", "data.root=.", "--pick", "17"])
    assert handed_over == [
        "style.image='p.jpg'", "data.root='.'", "style.size=1024", "style.dials={strength:0.75,color:photo}"
    ]  # fmt: skip
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", [*handed_over, "style.name=p"])
    check_settings(config)
    record = Style.of(Path("p.jpg"), torch.zeros(3, 8, 8), config.style).record()
    assert record.dials == {"strength": 0.75, "color": "photo"} and record.size == 1024


def test_train_refuses_a_pick_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("0", "19", "best"):
        assert cli.main(["train", "p.jpg", "--pick", number]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"--pick {number}: choose a number from 1 to 18" in line
    for setting in ("style.size=300", "style.dials.strength=1"):
        assert cli.main(["train", "p.jpg", "--pick", "3", setting]) == 2 and setting in capsys.readouterr().err
