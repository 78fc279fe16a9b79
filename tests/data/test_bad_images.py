"""A few bad images are set aside and named, many end the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.crops import dataset
from impasto.data.bad_images import BadImages
from impasto.errors import DataError
from impasto.training.callbacks import rank_zero_print
from impasto.training.data_module import ContentDataModule


def folder_with_bad_files(folder: Path, total: int, bad: int) -> Path:
    for i in range(total):
        Image.fromarray(np.full((40, 50, 3), i, np.uint8)).save(folder / f"{i:03}.png")
    for i in range(bad):
        (folder / f"{i * 5:03}.png").write_bytes(b"\x89PNG broken")
    return folder


def test_a_few_bad_images_are_set_aside_and_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ContentDataModule(folder_with_bad_files(tmp_path, 50, 1), crop=32)
    data.setup()
    assert [Path(name).name for name in data.bad.reasons] == ["000.png"]
    assert capsys.readouterr().err.count("000.png") == 1
    assert len(data.heldout_images) == 8
    for number in range(100):
        assert data.dataset[number]["image"].shape == (3, 32, 32)


def test_many_bad_images_end_the_run_with_the_list(tmp_path: Path) -> None:
    data = ContentDataModule(folder_with_bad_files(tmp_path, 20, 4), crop=32, max_bad=0.1)
    with pytest.raises(DataError, match=r"4 of 20 images are bad.*max_bad") as caught:
        data.setup()
    assert str(caught.value).count(".png") == 4


def test_thousands_of_bad_images_take_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    bad = BadImages(3000, 0.05, rank_zero_print)
    for number in range(3000):
        bad.add(f"{number}.png", f"{number}.png: no such file")
        bad.add(f"{number}.png", "the same again")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["set aside: 0.png: no such file", "set aside: 1.png: no such file"] and len(lines) < 20
    assert "2560 by now" in lines[-1]
    with pytest.raises(DataError, match=r"3000 of 3000 images are bad(.|\n)*9\.png\n  and 2990 more$"):
        bad.check()


def test_a_tiny_image_is_bad_too_and_workers_report_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = dataset(folder_with_bad_files(tmp_path, 30, 0))
    Image.new("RGB", (3, 3)).save(data.source.name(5))
    module = ContentDataModule(tmp_path, crop=32, max_bad=0.5)
    module.setup()
    capsys.readouterr()
    module.dataset, module.bad.reasons = data, {}  # as if the set had been too large for the cache
    position = data.order(0).tolist().index(5)
    sample = data[position]
    assert sample["bad"] == 5 and sample["image"].shape == (3, 32, 32)
    module.on_before_batch_transfer({"image": sample["image"][None], "bad": torch.tensor([5])}, 0)
    assert "005.png: only 3 pixels" in capsys.readouterr().err
