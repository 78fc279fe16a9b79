"""The commands' exit codes, and what the commands do from end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from helpers.places import ROOT
from impasto import cli


def test_optimize_never_overwrites_what_it_was_given(painter: Path, tmp_path: Path) -> None:
    photo, style = tmp_path / "p.png", tmp_path / "s.png"
    for path in (photo, style):
        Image.new("RGB", (20, 20), "red").save(path)
    for output in (photo, style):
        before = output.read_bytes()
        assert cli.main(["optimize", str(photo), "-s", str(style), "-o", str(output), "--steps", "1"]) == 2
        assert output.read_bytes() == before


@pytest.mark.parametrize(("arguments", "code"), [
    (["stylize", "nowhere.jpg", "-s", "nobody"], 1), (["stylize"], 2), (["nonsense"], 2),
    (["stylize", "x.jpg", "-s", "x", "--size", "0"], 2),
])  # fmt: skip
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert cli.main(arguments) == code
    except SystemExit as exit:
        assert exit.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_optimize_and_compare_from_the_command_line(
    painter: Path, photographs: Path, random_vgg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, output = photographs / "01.png", tmp_path / "out.png"
    shared = ["--steps", "3", "--size", "40", "--device", "cpu"]
    for init in ("noise", str(painter)):
        words = ["-s", photo, "-o", output, "--style-size", 32, "--loss-weights", random_vgg, "--init", init]
        assert cli.main(["optimize", str(photo), *map(str, words), *shared]) == 0
        assert Image.open(output).size == (40, 40)
    assert cli.main(["compare", str(photo), "-s", str(painter), "-o", str(tmp_path / "report"), *shared]) == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.json", "curve.png", "contact_sheet.png"}
    out, err = capsys.readouterr()
    assert "L-BFGS iterations" in out and re.search(r"about \d+ seconds? to go", err)
    reached = re.search(r"style reached (-?\d+%), structure kept (-?\d+%)", out)
    assert reached and f"this painter goes {reached[1]} of the way" in out and f"outlines {reached[2]} is kept" in out


def test_styles_lists_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["styles", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    files = {path.stem for path in (ROOT / "checkpoints").glob("*.safetensors")}
    assert {each["name"] for each in listed} == files - {"any"}, "the predictor is no style"


def test_embed_that_fails_says_so_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["embed", "nothere.jpg", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["output"] is None and "nothere.jpg" in report["failed"][0]["error"]
