"""Films at length from the command line."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.clips import make_clip
from helpers.stylizing import stylize, tree
from impasto.errors import INTERRUPTED
from impasto.inference.video import parts
from impasto.inference.video.parts import frames_kept, parts_folder
from impasto.system.files import written_whole

av = pytest.importorskip("av")


def shown(path: Path, kind: str = "video") -> list[tuple[object, bytes]]:
    """Of each packet its time, and what it holds."""
    with av.open(str(path)) as film:
        streams = film.streams.video if kind == "video" else film.streams.audio
        packets = [packet for packet in film.demux(streams) if packet.size]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in packets]


@pytest.mark.slow
def test_a_film_killed_three_times_is_the_straight_one(folder: Path, painter: Path) -> None:
    make_clip(folder / "in.mp4", times=list(range(1100)), sounds=1)  # five parts
    words = [sys.executable, "-m", "impasto", "stylize", "in.mp4", "-s", str(painter), "--device", "cpu"]
    straight = subprocess.run([*words, "-o", "straight.mp4", "--resume"], cwd=folder, timeout=200, check=False)
    assert straight.returncode == 0
    target, chance, kept = folder / "killed.mp4", random.Random(), 0
    for _ in range(3):
        run = subprocess.Popen([*words, "-o", target.name, "--resume"], cwd=folder, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 200
        while not (parts_folder(target) / f"{kept // 250:06}.film").exists():
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2))
        run.kill()
        assert run.wait(60) == -9 and not target.exists()
        assert frames_kept(target) > kept
        kept = frames_kept(target)
    last = subprocess.run(
        [*words, "-o", target.name, "--resume"], cwd=folder, timeout=200, capture_output=True, text=True
    )
    assert last.returncode == 0 and f"{kept} frames of it were painted before" in last.stderr
    assert len(shown(target)) == 1100
    for kind in ("video", "audio"):
        assert shown(target, kind) == shown(folder / "straight.mp4", kind)
    assert tree(folder) == {"in.mp4", "straight.mp4", "killed.mp4"} and not parts_folder(target).exists()


def test_an_interrupted_film_goes_on_with_its_masks(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_MOST", 24)
    make_clip(folder / "in.mp4", times=list(range(60)))
    (folder / "masks").mkdir()
    for number in range(60):
        mask = np.zeros((64, 96), np.uint8)
        mask[:, number:] = 255
        Image.fromarray(mask).save(folder / f"masks/{number:03}.png")
    words = ["in.mp4", "-s", painter, "--mask", "masks", "--strength", "0.8", "--resume"]
    assert stylize(*words, "-o", "straight.mp4") == 0

    def interrupted(path: Path, *, durable: bool = False, within: Path | None = None) -> object:
        if path.name == "000002.film":
            raise KeyboardInterrupt
        return written_whole(path, durable=durable, within=within)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "written_whole", interrupted)
        capsys.readouterr()
        assert stylize(*words, "-o", "out/") == 130
    told = capsys.readouterr().err
    assert "in.mp4: 48 painted frames are kept; the same command with --resume" in told and INTERRUPTED in told
    assert stylize(*words, "-o", "out/", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["done"][0]["frames"] == 60
    assert (folder / "out/in.tiny.mp4").read_bytes() == (folder / "straight.mp4").read_bytes()
    assert tree(folder / "out") == {"in.tiny.mp4"}
    parts_folder(folder / "out/in.tiny.mp4").mkdir()
    assert stylize(*words, "-o", "out/") == 0  # left as it is
    assert "1 left as they were" in capsys.readouterr().err and not list((folder / "out").glob(".*"))
