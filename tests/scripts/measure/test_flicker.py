"""scripts/measure/flicker.py from its command to its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.clips import make_clip
from helpers.scripts import load_script
from impasto.images.writing import write_image
from impasto.inference.video.flow import write_flow
from impasto.synthetic.contents import procedural_image

pytest.importorskip("cv2")


def test_it_saves_a_row_for_each_clip_and_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, world = tmp_path / "sintel" / "easy", procedural_image(3, 90)
    for number in (1, 2, 3):
        write_image(scene / f"frame_{number:04}.png", world[:40, number : number + 60])
    flow = np.zeros((40, 60, 2), np.float32)
    flow[..., 0] = -1
    write_flow(scene / "gt_frame_0002.flo", flow)
    for word in ("occlusions", "invalid"):
        write_image(scene / f"gt_{word}_frame_0002.png", np.zeros((40, 60, 3), np.uint8))
    script = load_script("measure/flicker")
    words = [
        "flicker.py", make_clip(tmp_path / "a.mp4", times=list(range(9))), "-s", "wave", "--frames", 9, "--size", 64,
        "--sintel", tmp_path / "sintel", "--strips", tmp_path / "strips", "--device", "cpu", "--results", tmp_path,
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    script.main()
    (row,) = json.loads((tmp_path / "flicker.json").read_text())["rows"]
    assert (row["clip"], row["style"]) == ("a", "wave")
    assert row["held"] <= row["plain"]
    assert (tmp_path / "strips" / "a.wave.png").is_file()
    (row,) = json.loads((tmp_path / "flicker_sintel.json").read_text())["rows"]
    assert row["scene"] == "easy"
    assert row["end_point_error"] < 0.3
