"""The README is short, and what it tells people to type works. The commands of docs/ are read by the command line,
too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from helpers.places import ROOT
from impasto import cli
from impasto.errors import UsageError
from impasto.synthetic.contents import procedural_image

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent

# What makes a command quick. It follows what the page says, and the last word counts.
QUICK = {
    "optimize": ["--steps", "2", "--size", "48", "--style-size", "48"],
    "compare": ["--steps", "2", "--size", "48"],
    "benchmark": ["--sizes", "32x32", "--runs", "1", "--backends", "torch"],
    "sample-style": ["--size", "64"],
    "shards": ["--shards", "2", "--size", "48"],
    "train": ["--minutes", "0.05", "data.crop=64", "data.batch_size=1", "data.heldout_size=48", "style.size=64",
              "margin=8"],
}  # fmt: skip
TRAINED = {  # the other trainings are composed
    "impasto train painting.jpg",
    "impasto train painting.jpg data.root=photographs trainer.max_steps=5000 ckpt_path=last",
}
NEEDS_A_CAMERA = ("impasto stylize 0 ", "impasto live ")


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a page in one language, "" being the shell."""
    return [code for found, code in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if found == language]


def lines(text: str) -> list[str]:
    """What a page tells people to type: lines of its shell blocks, continued ones joined, and cells of its tables."""
    joined = [re.sub(r"(\\|\|)\n\s+", r"\1 ", block).replace("\\ ", "") for block in blocks(text)]
    cells = re.findall(r"\| `([^`|]+)` \|$", text, re.M)
    return list(dict.fromkeys(line for line in [*cells, *"".join(joined).splitlines()] if line.strip()))


def commands(text: str) -> list[str]:
    """The `impasto ...` of a page, also in the middle of a pipe."""
    parts = [part.strip() for line in lines(text) for part in line.split(" | ")]
    return [part.removesuffix("|").strip() for part in parts if part.startswith("impasto ")]


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)[1:]


def parse(command: str) -> None:
    """Raises UsageError if impasto would not understand a command. A training is composed, but not begun."""
    typed = words(command)
    if typed[0] != "train":
        cli._parser().parse_args(typed)
        return
    handed_over: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        patch.setattr(os, "execv", lambda program, arguments: handed_over.extend(arguments))
        if cli.main(typed):
            raise UsageError(command)
    overrides = [word for word in handed_over[3:] if "=" in word]  # after python -m impasto.training
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        compose("train", overrides)


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 1500


def test_the_first_screen_has_pictures_two_commands_and_one_table() -> None:
    first = README.split("\n## ")[0]
    assert first.index("![") < first.index("make demo") < first.index("impasto stylize") < first.index("| --- |")
    assert first.count("| --- |") == 1 and len(first.split()) < 300


def test_measured_figures_stand_on_the_page_of_results_alone() -> None:
    figure = r"\d[\d.,]* ?(frames|images|crops|TFLOP|ms\b|MB\b|GB\b|times\b)"
    pages = [README, *((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("gpu", "networks"))]
    assert [found.group() for page in pages for found in re.finditer(figure, page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles], link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_pages_are_understood(page: Path) -> None:
    for command in commands(page.read_text(encoding="utf-8")):
        parse(command)


def test_every_command_of_impasto_is_in_the_readme() -> None:
    assert {words(command)[0] for command in commands(README)} == set(cli._COMMANDS)


@pytest.mark.parametrize("wrong", ["impasto stylize a.jpg --nonsense", "impasto nonsense", "impasto train a.jpg b.jpg"])
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises(UsageError):
        parse(wrong)


def test_all_lines_of_the_readme_are_of_a_kind_that_is_tested() -> None:
    for line in lines(README):
        assert line.startswith(("impasto ", "make ", "pip install ")), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_installed_and_made_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"pip install '(?:\.|impasto)\[([\w,]+)\]'", text):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert targets and set(re.findall(r"(?:`|^)make (\w+)(?:`|$)", text, re.M)) <= set(targets[1].split())


@pytest.fixture
def place(tmp_path: Path, painter: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of somebody who follows the README, everything small."""
    (tmp_path / "photographs").mkdir()
    for seed in range(6):
        Image.fromarray(procedural_image(seed, 96)).save(tmp_path / "photographs" / f"{seed}.png")
    for seed, name in enumerate(("holiday.jpg", "painting.jpg")):
        Image.fromarray(procedural_image(seed + 7, 96)).save(tmp_path / name)
    sky = Image.new("L", (96, 96))
    sky.paste(255, (0, 0, 96, 40))
    sky.save(tmp_path / "sky.png")
    shutil.copy(painter, tmp_path / "painting.safetensors")
    images = [{"id": seed, "file_name": f"{seed}.png", "width": 96, "height": 96} for seed in range(6)]
    boxes = [{"id": 1 + seed, "image_id": seed, "category_id": 1, "bbox": [8, 8, 32, 32], "area": 1024, "iscrowd": 0}
             for seed in range(6)]  # fmt: skip
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "instances.json").write_text(json.dumps(coco))
    torch.save(model_of_pytorch_examples(8, 2), tmp_path / "mosaic.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def model_of_pytorch_examples(width: int, blocks: int) -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of its fast_neural_style, random weights."""
    w, state = width, {}
    convolutions = {
        "conv1": (w, 3, 9), "conv2": (2 * w, w, 3), "conv3": (4 * w, 2 * w, 3),
        "deconv1": (2 * w, 4 * w, 3), "deconv2": (w, 2 * w, 3), "deconv3": (3, w, 9),
    }  # fmt: skip
    norms = {"in1": w, "in2": 2 * w, "in3": 4 * w, "in4": 2 * w, "in5": w}
    for block in range(1, blocks + 1):
        convolutions |= {f"res{block}.conv{i}": (4 * w, 4 * w, 3) for i in (1, 2)}
        norms |= {f"res{block}.in{i}": 4 * w for i in (1, 2)}
    for name, (outside, inside, side) in convolutions.items():
        state[f"{name}.conv2d.weight"] = torch.randn(outside, inside, side, side) / (inside * side**2) ** 0.5
        state[f"{name}.conv2d.bias"] = torch.zeros(outside)
    for name, channels in norms.items():
        state |= {f"{name}.weight": torch.ones(channels), f"{name}.bias": torch.zeros(channels)}
    return state


def make_clip(path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, width=64, height=48, pix_fmt="yuv420p")
        for seed in range(3):
            view = procedural_image(0, 67)[seed : seed + 48, seed : seed + 64]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), "rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def run(typed: list[str]) -> None:
    """Run a command as quickly as it can be; trainings get a process, as they take the one they are in."""
    quick = [*typed, *QUICK.get(typed[0], [])]
    if typed[0] != "train":
        assert cli.main(quick) == 0, typed
        return
    done = subprocess.run([sys.executable, "-m", "impasto", *quick], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr


def shell_lines() -> Iterator[str]:
    yield from (command for command in commands(README) if not command.startswith("impasto train "))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_readmes_commands_work_one_after_the_other(place: Path) -> None:
    make_clip(place / "clip.mp4")
    for command in shell_lines():
        if not command.startswith(NEEDS_A_CAMERA):
            run(words(command))
    for result in ("holiday.starry_night.jpg", "holiday.painting.jpg", "holiday.painting-70+wave-30.jpg",
                   "painting.vector.safetensors", "paintings/0.wave.png", "clip.painting.mp4", "optimised.png",
                   "report/report.json", "styles/oils.png", "shards/index.json", "mosaic.safetensors",
                   "styled/annotations.json", "both/annotations.json", "calm.jpg",
                   "around/0.wave.png", "two.jpg"):  # fmt: skip
        assert (place / result).is_file(), result


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(TRAINED))
def test_the_readmes_trainings_train(place: Path, command: str) -> None:
    assert command in commands(README)
    (place / "painting.safetensors").unlink()
    run(words(command))
    assert (place / "painting.safetensors").is_file() and (place / "runs/painting/contact_sheet.png").is_file()


@pytest.mark.parametrize("number", range(len(blocks(README, "python"))))
def test_the_readmes_python_runs(place: Path, number: int) -> None:
    exec(blocks(README, "python")[number], {})
    with Image.open(place / "holiday.painted.png") as painted:
        assert painted.size == (96, 96)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.timeout(600)
def test_make_demo_does_what_it_says(place: Path) -> None:
    """Its commands as make would run them, but for the installation, with small numbers."""
    made = subprocess.run(["make", "-n", "demo", f"BIN={BIN}"], cwd=ROOT, capture_output=True, text=True, check=True)
    typed = [shlex.split(line)[1:] for line in made.stdout.splitlines() if line.startswith(f"{BIN}/impasto ")]
    assert [found[0] for found in typed] == ["sample-style", "train", "stylize", "stylize", "compare"]
    for each in typed:
        run(each)
    results = {path.name for path in (place / "demo").iterdir()}
    assert {"oils.png", "oils.safetensors", "astronaut.oils.png", "astronaut.starry_night.png"} <= results
    assert (place / "demo/comparison/report.json").is_file()
