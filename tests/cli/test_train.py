"""`impasto train`: what is handed over to Hydra, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from impasto import cli


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
