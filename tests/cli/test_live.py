"""`impasto live`, as far as it needs no window: what it refuses, and in which words."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.clips import make_clip
from helpers.display import window_kit
from helpers.stylizing import photo
from impasto import cli
from impasto.errors import UsageError
from impasto.inference.live.virtual_camera import VirtualCamera
from impasto.inference.live.window import opencv


def live(*words: object) -> int:
    return cli.main(["live", *map(str, words), "--device", "cpu"])


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must fail with one line and exit code 2; return the line."""
    assert live(*words) == 2
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1
    return told.err


def test_sources_that_are_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "gone.mp4: no such clip" in refused(capsys, "gone.mp4", "-s", "wave")
    assert "a camera has no end" in refused(capsys, "0", "--loop", "-s", "wave")


def test_without_opencv_a_line_says_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "pip install 'impasto[live]'" in refused(capsys, "-s", "wave")


def test_an_opencv_without_windows_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As opencv-python-headless, and what is left of a folder where one of two OpenCVs was removed."""
    for left in (SimpleNamespace(currentUIFramework=lambda: ""), SimpleNamespace()):
        monkeypatch.setitem(sys.modules, "cv2", left)
        with pytest.raises(UsageError, match="pip install --force-reinstall --no-deps opencv-python"):
            opencv()


@pytest.mark.skipif(bool(window_kit()), reason="this OpenCV has windows")
def test_the_opencv_of_here_has_no_windows(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2")
    clip = make_clip(folder / "clip.mp4")
    assert "this OpenCV has no windows" in refused(capsys, clip, "-s", painter)
    assert live(clip, "-s", painter, "--json") == 2
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == 0 and "no windows" in report["failed"][0]["error"]


def test_a_virtual_camera_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(UsageError, match="pip install pyvirtualcam"):
        VirtualCamera()
    monkeypatch.undo()
    pytest.importorskip("pyvirtualcam")
    if not any(Path("/dev").glob("video*")):
        with pytest.raises(UsageError, match="modprobe v4l2loopback"):
            VirtualCamera().send(np.zeros((48, 64, 3), np.uint8))


def test_dials_and_sizes_are_checked(folder: Path) -> None:
    photo(folder / "a.png", 1)
    for words in (["--strength", "2"], ["--color", "none"], ["--size", "0"], ["-o", "a.png"], ["--mask", "a.png"]):
        with pytest.raises(SystemExit) as ended:
            live("-s", "wave", *words)
        assert ended.value.code == 2
