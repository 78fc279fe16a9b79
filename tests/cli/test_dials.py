"""The dials of `impasto stylize`: exact where nothing is set, one line a mistake, masks by photograph and frame."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.stylizing import photo, stylize
from impasto import cli
from impasto.checkpoint import load_style_model, save_style_model
from impasto.dials.dials import Dials
from impasto.errors import UsageError
from impasto.inference.stylizer import Stylizer
from impasto.synthetic.contents import procedural_image

SIDE = 32
HALF = np.repeat(np.array([0, 255], np.uint8), SIDE // 2)[None].repeat(SIDE, axis=0)  # white on the right


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def mask(path: Path, values: np.ndarray = HALF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def annotated(path: Path, *names: str) -> Path:
    """A person in the right half of each photograph."""
    images = [{"id": n, "file_name": name, "width": SIDE, "height": SIDE} for n, name in enumerate(names)]
    marks = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [SIDE // 2, 0, SIDE // 2, SIDE]} for n in range(len(names))
    ]
    path.write_text(json.dumps({"images": images, "annotations": marks, "categories": [{"id": 1, "name": "person"}]}))
    return path


@pytest.fixture
def made(folder: Path, painter: Path) -> Callable[..., np.ndarray]:
    """What `impasto stylize a.png` makes with some options."""
    photo(folder / "a.png", 1)

    def paint(*words: object) -> np.ndarray:
        assert stylize("a.png", "-s", painter, "-o", "out.png", "--overwrite", *words) == 0
        return pixels(folder / "out.png")

    return paint


def test_strength_1_is_no_dial(made: Callable[..., np.ndarray], folder: Path) -> None:
    made()
    plain = (folder / "out.png").read_bytes()
    made("--strength", 1, "--color", "style")
    assert (folder / "out.png").read_bytes() == plain


def test_each_dial_does_something_and_strength_0_is_the_photograph(
    made: Callable[..., np.ndarray], folder: Path
) -> None:
    plain = made()
    assert (made("--strength", 0) == pixels(folder / "a.png")).all()
    for words in (["--strength", 0.5], ["--stroke", 2], ["--color", "photo"], ["--color", "match"]):
        assert (made(*words) != plain).any(), words


def test_outside_a_mask_nothing_is_touched(made: Callable[..., np.ndarray], folder: Path) -> None:
    plain, before = made(), pixels(folder / "a.png")
    mask(folder / "m.png")
    left, right = np.s_[:, : SIDE // 2], np.s_[:, SIDE // 2 :]
    painted = made("--mask", "m.png")
    assert (painted[left] == before[left]).all() and (painted[right] == plain[right]).all()
    painted = made("--mask", "m.png", "--invert-mask")
    assert (painted[right] == before[right]).all() and (painted[left] == plain[left]).all()
    mask(folder / "deep.png", HALF.astype(np.uint16) * 257)
    assert (made("--mask", "deep.png") == made("--mask", "m.png")).all()


def test_an_empty_mask_is_a_note(
    made: Callable[..., np.ndarray], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask(folder / "m.png", np.zeros((SIDE, SIDE), np.uint8))
    assert (made("--mask", "m.png") == pixels(folder / "a.png")).all()
    assert "an empty mask" in capsys.readouterr().err


def test_objects_are_painted_alone_or_kept(made: Callable[..., np.ndarray], folder: Path) -> None:
    annotated(folder / "coco.json", "photos/a.png")
    mask(folder / "m.png")
    inside = np.r_[: SIDE // 2 - 1, SIDE // 2 + 1 : SIDE - 1]  # the edges of a polygon are soft
    for option, as_mask in (["--paint"], []), (["--keep"], ["--invert-mask"]):
        by_name = made("--annotations", "coco.json", *option, "person")
        assert (by_name[1:-1, inside] == made("--mask", "m.png", *as_mask)[1:-1, inside]).all()


@pytest.mark.parametrize("turn", [3, 6])
def test_annotations_of_a_turned_photograph_lie_where_they_were_made(folder: Path, painter: Path, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(procedural_image(1, 48)[:SIDE]).save(folder / "a.png", exif=exif)
    stored = [{"id": 1, "file_name": "a.png", "width": 48, "height": SIDE}]
    mark = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 16, SIDE]}
    coco = {"images": stored, "annotations": [mark], "categories": [{"id": 1, "name": "person"}]}
    (folder / "coco.json").write_text(json.dumps(coco))
    assert stylize("a.png", "-s", painter, "-o", "out.png", "--annotations", "coco.json", "--paint", "person") == 0
    upright = Image.open(folder / "a.png").transpose(
        {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270}[turn]
    )
    changed = (pixels(folder / "out.png") != np.asarray(upright.convert("RGB"))).any(axis=-1)
    where = np.zeros((SIDE, 48), bool)
    where[:, :16] = True
    assert changed.mean() > 0.2 and not changed[~np.rot90(where, {3: 2, 6: 3}[turn])].any()


def test_regions_have_painters_of_their_own(made: Callable[..., np.ndarray], folder: Path, painter: Path) -> None:
    torch_model = load_style_model(painter)
    for parameter in torch_model.network.parameters():
        parameter.data.mul_(-1)
    torch_model.name = "other"
    save_style_model(folder / "other.safetensors", torch_model)
    plain = made()
    mask(folder / "m.png")
    painted = made("--region", "m.png=other.safetensors")
    assert (painted[:, : SIDE // 2] == plain[:, : SIDE // 2]).all()
    assert (painted[:, SIDE // 2 + 4 :] != plain[:, SIDE // 2 + 4 :]).mean() > 0.5


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--strength", "1.6"], "from 0 to 1.5"),
        (["--strength", "nan"], "from 0 to 1.5"),
        (["--stroke", "0.4"], "from 0.5 to 2.0"),
        (["--color", "sepia"], "invalid choice"),
        (["--region", "m.png"], "MASK=STYLE"),
        (["--region", "=wave"], "MASK=STYLE"),
        (["--region", "gone.png=wave"], "no such mask"),
        (["--mask", "gone.png"], "no such mask"),
        (["--invert-mask"], "--invert-mask"),
        (["--paint", "person"], "--annotations goes with"),
        (["--annotations", "coco.json"], "--annotations goes with"),
        (["--paint", "person,", "--annotations", "coco.json"], "names of categories"),
        (["--paint", "person", "--keep", "person", "--annotations", "coco.json"], "not allowed with"),
    ],
)
def test_wrong_dials_get_one_line(
    words: list[str], reason: str, folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    try:
        code = stylize("a.png", "-s", painter, *words)
    except SystemExit as ended:
        code = ended.code
    err = capsys.readouterr().err
    assert code == UsageError.exit_code and reason in err and len(err.splitlines()) == 1


def test_a_camera_takes_no_folder_of_masks(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask(folder / "masks" / "a.png")
    assert stylize("0", "-s", painter, "-o", "film.mp4", "--mask", "masks") == 2
    assert "a camera has no last frame" in capsys.readouterr().err


def test_an_unknown_category_and_a_photograph_without_annotations_are_named(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    photo(folder / "b.png", 2)
    annotated(folder / "coco.json", "a.png")
    assert stylize("a.png", "-s", painter, "--annotations", "coco.json", "--paint", "perzon") == 1
    assert "perzon: not in the annotations; choose from person" in capsys.readouterr().err
    assert (
        stylize("a.png", "b.png", "-s", painter, "--annotations", "coco.json", "--paint", "person", "-o", "out/") == 1
    )
    assert "b.png: no such image in the annotations" in capsys.readouterr().err
    assert {path.name for path in (folder / "out").iterdir()} == {"a.tiny.png"}


def test_a_folder_of_masks_has_one_for_each_photograph_or_that_one_fails(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate("abc"):
        photo(folder / "in" / f"{name}.png", number)
    mask(folder / "masks" / "a.png")
    mask(folder / "masks" / "b_mask.png", HALF[:8])  # of another shape
    assert stylize("in", "-s", painter, "-o", "out", "--mask", "masks", "--strength", 0.5, "--json") == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["dials"] == {"strength": 0.5, "stroke": None, "color": "style", "masked": True, "regions": []}
    assert [Path(item["input"]).name for item in report["done"]] == ["a.png"]
    assert "no mask found for c.png" in captured.err and "another shape" in captured.err


def test_a_report_without_dials_is_what_it_was(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(folder / "a.png", 1)
    assert stylize("a.png", "-s", painter, "--json") == 0
    assert json.loads(capsys.readouterr().out).keys() == {"style", "done", "left", "failed"}


def test_resume_knows_dials_and_the_bytes_of_masks(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    mask(folder / "m.png")

    def left(*words: object) -> int:
        assert stylize("a.png", "-s", painter, "-o", "out/", "--resume", "--json", *words) == 0
        return len(json.loads(capsys.readouterr().out)["left"])

    assert left() == 0 and left() == 1 and left("--strength", 1) == 1
    assert left("--strength", 0.5) == 0 and left("--strength", 0.5) == 1
    assert left("--mask", "m.png") == 0 and left("--mask", "m.png") == 1
    mask(folder / "m.png", HALF.T.copy())
    assert left("--mask", "m.png") == 0 and left("--mask", "m.png", "--invert-mask") == 0
    assert left("--region", f"m.png={painter}") == 0 and left("--region", f"m.png={painter}") == 1


def test_a_clip_takes_a_mask_for_each_frame(folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from helpers.clips import HEIGHT, WIDTH, av, make_clip

    make_clip(folder / "clip.mp4", times=list(range(4)), options={})
    for number in range(4):
        values = np.zeros((HEIGHT, WIDTH), np.uint8)
        values[:, WIDTH // 2 :] = 255 * (number % 2)
        mask(folder / "masks" / f"{number}.png", values)
    assert stylize("clip.mp4", "-s", painter, "-o", "out.mp4", "--mask", "masks") == 0
    changes = []
    with av.open("clip.mp4") as before, av.open("out.mp4") as after:
        for one, other in zip(before.decode(video=0), after.decode(video=0), strict=True):
            difference = np.abs(one.to_ndarray(format="rgb24").astype(int) - other.to_ndarray(format="rgb24"))
            changes.append((difference[:, : WIDTH // 2 - 8].mean(), difference[:, WIDTH // 2 + 8 :].mean()))
    assert all(left < 6 for left, _ in changes)
    assert [right > 15 for _, right in changes] == [False, True, False, True]
    (folder / "masks" / "3.png").unlink()
    capsys.readouterr()
    assert stylize("clip.mp4", "-s", painter, "-o", "short.mp4", "--mask", "masks") == 1
    assert "no mask for frame 4" in capsys.readouterr().err and not (folder / "short.mp4").exists()
    assert stylize("clip.mp4", "-s", painter, "-o", "one.mp4", "--mask", "masks/1.png", "--strength", 0.5) == 0


def test_two_masks_that_have_a_clips_name_are_no_frames(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from helpers.clips import HEIGHT, WIDTH, make_clip

    make_clip(folder / "clip.mp4", times=[0, 1], options={})
    for name in ("clip.png", "clip.mask.png"):
        mask(folder / "masks" / name, np.zeros((HEIGHT, WIDTH), np.uint8))
    assert stylize("clip.mp4", "-s", painter, "-o", "out.mp4", "--mask", "masks") == 1
    assert "masks clip.mask.png and clip.png both fit for clip.mp4" in capsys.readouterr().err
    assert not (folder / "out.mp4").exists()


def with_dials(painter: Path, target: Path, dials: dict[str, Any]) -> Path:
    model = load_style_model(painter)
    model.style.dials = dials
    save_style_model(target, model)
    return target


def test_a_style_may_carry_dials_that_what_is_typed_replaces(
    made: Callable[..., np.ndarray], folder: Path, painter: Path
) -> None:
    calm = with_dials(painter, folder / "calm.safetensors", {"strength": 0.5, "color": "photo", "later": 1})
    assert Stylizer(calm, "cpu").dials == Dials(0.5, None, "photo")
    assert stylize("a.png", "-s", "calm.safetensors", "-o", "calm.png") == 0
    assert (pixels(folder / "calm.png") == made("--strength", 0.5, "--color", "photo")).all()
    assert stylize("a.png", "-s", "calm.safetensors", "-o", "calm.png", "--strength", 1, "--color", "style") == 0
    assert (pixels(folder / "calm.png") == made()).all()


def test_a_style_with_impossible_dials_is_named(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    wild = with_dials(painter, folder / "wild.safetensors", {"strength": 7})
    assert stylize("a.png", "-s", wild) == 1
    assert "its own dials cannot be set: strength 7" in capsys.readouterr().err


def test_styles_says_which_dials_a_style_has(
    folder: Path, painter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calm = with_dials(painter, folder / "calm.safetensors", {"strength": 0.5})
    monkeypatch.setattr("impasto.checkpoint.shipped_styles", lambda: [calm, painter])
    assert cli.main(["styles"]) == 0
    assert ["strength 0.5" in line for line in capsys.readouterr().out.splitlines()] == [True, False]
    assert cli.main(["styles", "--json"]) == 0
    assert [item.get("dials") for item in json.loads(capsys.readouterr().out)] == [{"strength": 0.5}, None]


def test_a_painter_takes_dials_and_any_kind_of_mask(painter: Path, tmp_path: Path) -> None:
    paint, picture = Stylizer(painter, "cpu"), procedural_image(3, SIDE)
    plain = paint(picture)
    assert (paint(picture, strength=1) == plain).all() and (paint(picture, strength=0) == picture).all()
    kinds = [HALF, HALF > 0, HALF / 255, Image.fromarray(HALF), mask(tmp_path / "m.png"), str(tmp_path / "m.png")]
    wanted = np.where(HALF[..., None] > 0, paint(picture, strength=0.6, color="match"), picture)
    for kind in kinds:
        assert (paint(picture, strength=0.6, color="match", mask=kind) == wanted).all(), type(kind)
    batch = np.stack([picture, picture])
    masks = np.stack([HALF, 255 - HALF]) / np.float32(255)
    both = paint.paint(batch, dials=Dials(), masks=masks).pixels
    assert (both[0][HALF > 0] == plain[HALF > 0]).all() and (both[1][HALF > 0] == picture[HALF > 0]).all()


@pytest.mark.parametrize("wrong", [np.zeros((3, 3, 3)), np.full((SIDE, SIDE), 2.0), 7, [[1]]])
def test_what_is_no_mask_is_refused(painter: Path, wrong: Any) -> None:
    with pytest.raises(UsageError, match="mask"):
        Stylizer(painter, "cpu")(procedural_image(3, SIDE), mask=wrong)
    with pytest.raises(UsageError, match="masks of"):
        Stylizer(painter, "cpu").paint(procedural_image(3, SIDE)[None], masks=HALF)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_a_mask_that_would_never_end_is_refused(
    folder: Path, painter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    os.mkfifo(folder / "fifo")
    assert stylize("a.png", "-s", painter, "--mask", "fifo") == 1
    assert "fifo: not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--mask", "m.png"], ["--region", "m.png=wave"]])
def test_a_painting_does_not_replace_its_mask(
    folder: Path, painter: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    photo(folder / "a.png", 1)
    before = mask(folder / "m.png").read_bytes()
    assert stylize("a.png", "-s", painter, "-o", "m.png", *words) == 2
    assert capsys.readouterr().err == "impasto: m.png is one of the inputs; choose another -o\n"
    assert (folder / "m.png").read_bytes() == before
