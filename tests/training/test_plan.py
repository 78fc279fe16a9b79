"""A run is decided before it touches anything: its style's name, start, checkpoint and duration."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

from helpers.commands import finish, start
from helpers.trainings import configured
from impasto.any_style.find import find_painter
from impasto.checkpoint import check_name, load_style_model, plain_name
from impasto.errors import ModelError, UsageError
from impasto.networks import network_spec
from impasto.synthetic.styles import make_style
from impasto.system.files import asset_dir
from impasto.training.plan import find_duration, find_start, with_style_name


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("painting", "painting"), (".hidden", "hidden"), ("what? why: 7/8", "what_ why_ 7_8"), ("  . ", "style"),
        ("x" * 300, "x" * 100), ("大" * 40, "大" * 33), ("a${b}", "a$b}"), ("a\udcff\n", "a__"),
    ],
)  # fmt: skip
def test_any_pictures_name_makes_a_styles_name(stem: str, name: str) -> None:
    assert plain_name(stem) == name
    check_name(plain_name(stem), "x")


def test_a_style_that_is_named_by_hand_is_not_renamed(tmp_path: Path) -> None:
    config = configured(tmp_path, "style.name='what?'")
    with pytest.raises(ModelError, match=r"style\.name=what\?"):
        with_style_name(config)
    config = configured(tmp_path, "style.name=1889")
    assert with_style_name(config).style.name == "1889"


@pytest.mark.parametrize("content", ["", "[1, 2]", "trainer: 5", "trainer: {max_minutes: soon}", "\x00"])
def test_a_configuration_that_is_none_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(content)
    with pytest.raises(UsageError, match=r"config.yaml: .*--minutes"):
        find_duration(configured(tmp_path), tmp_path / "run" / "last.ckpt")


@pytest.mark.parametrize("name", ["brush", "swift"])
def test_base_starts_from_the_base_weights_of_that_very_network(name: str) -> None:
    config = OmegaConf.create({"init": "base", "network": network_spec(name)})
    start = find_start(config)
    assert start == asset_dir("checkpoints") / "base" / f"{name}.safetensors"
    assert start is not None and load_style_model(start).spec == config.network
    config.network.width = 4
    assert find_start(config) is None
    config.init = "none"
    assert find_start(config) is None


def test_auto_starts_from_the_painter_predicted_from_the_style_picture(tmp_path: Path) -> None:
    make_style("oils", 256, 1).save(tmp_path / "picture.png")
    style = {"image": str(tmp_path / "picture.png"), "size": 512}
    config = OmegaConf.create({"init": "auto", "network": network_spec("brush"), "style": style})
    start = find_start(config)
    assert start is not None and start == find_painter(tmp_path / "picture.png", 512)
    assert load_style_model(start).spec == config.network
    config.style.size = 256  # larger strokes are other statistics
    assert find_start(config) == find_painter(tmp_path / "picture.png", 256) != start


@pytest.mark.parametrize(("name", "image"), [("swift", "picture.png"), ("brush", "gone.png"), ("brush", "flat.png")])
def test_auto_starts_from_base_weights_where_nothing_can_be_predicted(name: str, image: str, tmp_path: Path) -> None:
    make_style("oils", 256, 1).save(tmp_path / "picture.png")
    Image.new("RGB", (128, 128), "red").save(tmp_path / "flat.png")
    style = {"image": str(tmp_path / image), "size": 256}
    config = OmegaConf.create({"init": "auto", "network": network_spec(name), "style": style})
    assert find_start(config) == asset_dir("checkpoints") / "base" / f"{name}.safetensors"


def test_a_sweep_over_several_ranks_is_refused(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    words = ("seed=1,2", "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "--multirun")
    assert "every rank would begin a sweep of its own" in finish(
        start(tmp_path, photographs, random_vgg, *words), code=2
    )
