"""What options say of a value that they do not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto import cli


@pytest.mark.parametrize("command", [
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "o", "--strength", "abc"],
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "o", "--workers", "abc"],
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "o", "--seed", "abc"],
    ["optimize", "a.png", "-s", "a.png", "-o", "o.png", "--seed", "-1"],
    ["optimize", "a.png", "-s", "a.png", "-o", "o.png", "--steps", "0"],
    ["optimize", "a.png", "-s", "a.png", "-s", "b.png", "-o", "o.png"],
    ["compare", "a.png", "-s", "wave", "-o", "o", "--limit", "some"], ["benchmark", "--runs", "0.5"],
    ["benchmark", "--sizes", "512"], ["compare", "a.png", "-s", "wave", "-o", "-"],
    ["compare", "a.png", "-s", "wave", "-o", "x.json"],
    ["augment", "--annotations", "c", "--images", ".", "-s", "wave", "-o", "out.tar"],
    ["import", "m.pth"], ["stylize"], [],
])  # fmt: skip
def test_options_name_themselves_and_what_they_take(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "_from" not in line and "--help" in line
    assert not list(folder.iterdir())
    assert all(word in line for word in command if word.startswith("--") and word == command[-2])
