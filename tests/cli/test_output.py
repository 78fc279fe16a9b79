"""The library logs and only the command line prints."""

from __future__ import annotations

import ast
import json
import logging
from pathlib import Path

import pytest
from PIL import Image

from helpers.places import ROOT
from impasto import cli
from impasto.cli.output import library_log_shown

SOURCE = ROOT / "src" / "impasto"
COMMANDS = ("cli", "training", "__main__.py")
LIBRARY = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in COMMANDS]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(SOURCE)))
def test_library_code_prints_nothing(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"]
    assert not [call.lineno for call in calls if ast.unparse(call) in ("sys.stderr.write", "sys.stdout.write")]


def test_the_command_line_shows_the_log_as_bare_lines_and_leaves_it_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("impasto.somewhere")
    with library_log_shown():
        logger.info("100%% of 3 images")
        logger.debug("a detail")
    logger.info("to nobody")
    assert capsys.readouterr() == ("", "100%% of 3 images\n")
    assert logging.getLogger("impasto").handlers == [] and logging.getLogger("impasto").propagate


def test_what_is_read_otherwise_than_it_stands_is_logged(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "images" / "a.png")
    coco = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"id": 1, "image_id": 7}]}
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    words = ["--annotations", tmp_path / "coco.json", "--images", tmp_path / "images", "-s", painter]
    arguments = [*words, "-o", tmp_path / "out", "--workers", 1, "--device", "cpu"]
    assert cli.main(["augment", *map(str, arguments)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "1 annotation left out, of images that are not in the file: image_id 7" in lines
    assert "1 image whose size is not stated: taken from the file" in lines
