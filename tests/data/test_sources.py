"""Which images are trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from impasto.data.sources import list_images
from impasto.errors import DataError


def test_a_coco_file_chooses_the_images(photographs: Path, tmp_path: Path) -> None:
    coco = {
        "images": [{"id": i, "file_name": f"{i:02}.png"} for i in (1, 2, 4)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 9, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "category_id": 7},
            {"image_id": 4, "category_id": 9},
            {"image_id": 4, "category_id": 7},
        ],
    }
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(coco))
    assert [path.name for path in list_images(photographs, file)] == ["01.png", "02.png", "04.png"]
    assert [path.name for path in list_images(photographs, file, ["cat"])] == ["04.png"]
    assert [path.name for path in list_images(photographs, file, ["dog"])] == ["01.png", "04.png"]
    with pytest.raises(DataError, match=r"horse.*dog, cat"):
        list_images(photographs, file, ["horse"])
    file.write_text("[]")
    with pytest.raises(DataError, match="not a COCO instances file"):
        list_images(photographs, file)
    with pytest.raises(DataError, match="no such folder"):
        list_images(tmp_path / "nowhere")


def test_annotations_are_understood_as_tools_write_them(photographs: Path, tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 0, "file_name": "below\\\\00.png"}, {"id": 1, "file_name": "01.png"},
                   {"id": "2", "file_name": "02.png"}, {"id": 3, "file_name": "01.png"},
                   {"id": 4, "file_name": "04.png"}],
        "categories": [{"id": 7, "name": "mouse"}, {"id": "8", "name": "mouse"}, {"id": 9, "name": "cat"}],
        "annotations": [{"image_id": "0", "category_id": "7"}, {"image_id": 1, "category_id": 8},
                        {"image_id": 2, "category_id": 8}, {"image_id": 4, "category_id": 9}],
    }  # fmt: skip
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(coco).replace("\\\\\\\\", "\\\\"))
    wanted = [photographs / name for name in ("01.png", "02.png", "below/00.png")]
    assert list_images(photographs, file, "mouse") == list_images(photographs, file, ["mouse"]) == wanted
    assert list_images(photographs, file) == sorted([*wanted, photographs / "04.png"])
    (tmp_path / "a\\b.png").touch()  # a name with a backslash, where systems allow it
    file.write_text(json.dumps({"images": [{"id": 1, "file_name": "a\\b.png"}, {"id": 2, "file_name": "..\\c.png"}]}))
    assert list_images(tmp_path, file) == sorted([tmp_path / "a\\b.png", tmp_path / "..\\c.png"])


def test_what_trainings_leave_is_not_trained_on(photographs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(photographs, tmp_path / "here"))
    for place in (
        "runs/p/last.ckpt",
        "runs/p/contact_sheet.png",
        "runs/p/wandb/media/sheet_1.png",
        "compared/contact_sheet.png",
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photographs / "01.png", folder / place)
    names = [path.relative_to(photographs) for path in list_images(photographs)]
    assert [path.relative_to(folder) for path in list_images(folder)] == names
    assert len(list_images(folder / "runs" / "p" / "wandb")) == 1, "named itself"
    assert [path.name for path in list_images(folder, include="01.png")] == ["01.png"]


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", 5, None, "a\nb.png", "x/../../y.png"])
def test_annotations_lead_nowhere_but_into_the_folder(photographs: Path, tmp_path: Path, name: object) -> None:
    hostile = tmp_path / "hostile.json"
    hostile.write_text(json.dumps({"images": [{"id": 1, "file_name": name}]}))
    with pytest.raises(DataError, match="not a COCO instances file") as caught:
        list_images(photographs, hostile)
    assert "\n" not in str(caught.value)
