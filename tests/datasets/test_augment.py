"""A COCO data set painted: its annotations kept, its files the same by whatever way they came about."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as masks
from pycocotools.coco import COCO

from impasto import cli
from impasto.checkpoint import load_style_model, save_style_model
from impasto.datasets.coco import read_annotated
from impasto.datasets.coco_masks import mask_of
from impasto.datasets.plan import draw_style, plan_jobs
from impasto.datasets.workers import MakeWorker, Results
from impasto.dials.masks import compose
from impasto.errors import ImageError
from impasto.images.reading import read_image, read_levels
from impasto.images.tensors import from_levels, to_levels
from impasto.images.writing import write_image
from impasto.synthetic.contents import procedural_image

FILES = ["000.jpg", "below/000.jpg", "below/000.png", "001.jpg", "002.png", "no annotations.jpg"]


@pytest.fixture(scope="module")
def styles(painter: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    other = tmp_path_factory.mktemp("styles") / "other.safetensors"
    save_style_model(other, replace(load_style_model(painter), name="other"))
    return [painter, other]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "below").mkdir()
    for number, name in enumerate(FILES):
        Image.fromarray(procedural_image(number, 64)[: 40 + number]).save(folder / name)
    return folder


def dataset() -> dict[str, Any]:
    """A box with polygons, a crowd in run lengths, keypoints, and two images without anything."""
    grid = np.zeros((41, 64), np.uint8)
    grid[5:20, 7:30] = 1
    counts: Any = masks.encode(np.asfortranarray(grid))["counts"]  # bytes, though its stub says str
    crowd = {"size": [41, 64], "counts": counts.decode()}
    polygon = {"segmentation": [[1.5, 2, 30, 2, 30, 20.25]], "area": 260.1, "bbox": [1.5, 2, 28.5, 18.25], "iscrowd": 0}
    points = {"keypoints": [3, 4, 2, 5, 6, 1], "num_keypoints": 2, "bbox": [3, 4, 2, 2], "iscrowd": 0, "area": 4}
    return {
        "info": {"year": 2026, "description": "six pictures"}, "licenses": [{"id": 4, "name": "BY", "url": "x"}],
        "images": [{"id": 70 - n, "file_name": name, "width": 64, "height": 40 + n, "license": 4, "flickr_url": f"u{n}"}
                   for n, name in enumerate(FILES)],
        "annotations": [
            {"id": 9, "image_id": 70, "category_id": 1, **polygon},
            {"id": 2, "image_id": 69, "category_id": 2, "segmentation": crowd, "bbox": [7, 5, 23, 15], "area": 345,
             "iscrowd": 1},
            {"id": 3, "image_id": 68, "category_id": 1, **points},
            {"id": 4, "image_id": 68, "category_id": 2, **polygon},
            {"id": 5, "image_id": 67, "category_id": 2, **polygon},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": ["a", "b"], "skeleton": [[1, 2]]},
                       {"id": 2, "name": "dog"}],
    }  # fmt: skip


@pytest.fixture
def run(
    photos: Path, styles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., int]]:
    """The command, its jobs done in this process, which spares the seconds that new ones take to start."""

    def here(jobs: Any, make_worker: MakeWorker, workers: object, device: str) -> Results:
        worker = make_worker("cpu")
        yield from ((number, worker(job)) for number, job in enumerate(jobs))

    def run(out: Path, *words: object, coco: Any = None, folder: Path = photos, painters: Any = None) -> int:
        file = tmp_path / "instances.json"
        file.write_text(coco if isinstance(coco, str) else json.dumps(coco or dataset()))
        named = [word for style in painters or styles for word in ("-s", style)]
        return cli.main([*map(str, ["augment", "--annotations", file, "--images", folder, "-o", out, *named, *words])])

    threads = torch.get_num_threads()
    monkeypatch.setattr("impasto.datasets.augment.run_locally", here)
    yield run
    torch.set_num_threads(threads)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    found = capsys.readouterr().err
    assert "Traceback" not in found
    return [line for line in found.replace("\r", "\n").splitlines() if line.startswith("impasto: ")]


def images_of(coco: COCO) -> list[dict[str, Any]]:
    """All that is known of each image: more than the keys that pycocotools' types declare."""
    return [dict(image) for image in coco.imgs.values()]


def test_the_result_is_a_coco_data_set_with_the_same_annotations(run: Callable[..., int], tmp_path: Path) -> None:
    words = ["--per-image", 2, "--strength", "0.5:1", "--keep-originals", "--json"]
    assert run(tmp_path / "out", *words) == 0
    before, after = dataset(), COCO(str(tmp_path / "out" / "annotations.json"))
    kept = ("info", "licenses", "categories")
    assert {key: value for key, value in after.dataset.items() if key in kept} == {key: before[key] for key in kept}
    assert len(after.imgs) == 3 * 6 == len(after.dataset["images"]) and len(after.anns) == 3 * 5
    assert len(list((tmp_path / "out" / "images").rglob("*.*"))) == 3 * 6
    for image in images_of(after):
        (old,) = [entry for entry in before["images"] if entry["id"] == image["source_id"]]
        assert (
            image["source"] == old["file_name"] and image["license"] == 4 and image["flickr_url"] == old["flickr_url"]
        )
        with Image.open(tmp_path / "out" / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) == (old["width"], old["height"])
        marks = [mark for mark in before["annotations"] if mark["image_id"] == old["id"]]
        copies = after.loadAnns(after.getAnnIds(imgIds=image["id"]))
        assert [{**copy, "id": 0, "image_id": 0} for copy in copies] == [{**m, "id": 0, "image_id": 0} for m in marks]
        if old["id"] == 69:
            assert after.annToMask(copies[0]).sum() == 345
        assert 0.5 <= image["strength"] <= 1 if image["style"] else image["strength"] == 0
    for old in before["images"]:
        assert {e["style"] for e in images_of(after) if e["source_id"] == old["id"]} == {None, "tiny", "other"}


def test_a_painting_is_blended_by_its_strength(
    run: Callable[..., int], photos: Path, painter: Path, tmp_path: Path
) -> None:
    from impasto.inference.stylizer import Stylizer

    photo = read_image(photos / "002.png")
    painted = from_levels(Stylizer(painter, "cpu")(to_levels(photo)))
    for strength in (0.0, 0.25, 1.0):
        assert run(tmp_path / str(strength), "--strength", strength, painters=[painter]) == 0
        write_image(tmp_path / "expected.jpg", torch.lerp(photo, painted, strength))
        assert (tmp_path / str(strength) / "images" / "002.tiny.jpg").read_bytes() == (
            tmp_path / "expected.jpg"
        ).read_bytes()


def test_people_are_painted_alone_or_kept(
    run: Callable[..., int], photos: Path, painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from impasto.inference.stylizer import Stylizer

    name = FILES[0]
    photo = read_levels(photos / name, upright=False)
    painted = Stylizer(painter, "cpu")(photo, color="match")
    for option, invert in (("--paint", False), ("--keep", True)):
        assert run(tmp_path / option, option, "person", "--color", "match", painters=[painter]) == 0
        mask = mask_of(dataset(), name, ["person"], invert=invert)
        assert 0 < mask.mean() < 1
        write_image(tmp_path / "expected.jpg", compose(photo, painted, mask))
        entries = json.loads((tmp_path / option / "annotations.json").read_text())["images"]
        (made,) = [entry["file_name"] for entry in entries if entry["source"] == name]
        wanted = np.asarray(Image.open(tmp_path / "expected.jpg"), int)
        got = np.asarray(Image.open(tmp_path / option / "images" / made), int)
        assert np.abs(wanted - got).mean() < 1
    lines(capsys)
    assert run(tmp_path / "wrong", "--paint", "perzon", painters=[painter]) == 1
    assert "choose from dog, person" in lines(capsys)[0] and not (tmp_path / "wrong").exists()


def test_a_data_set_with_other_dials_is_another_one(
    run: Callable[..., int], painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", painters=[painter]) == 0
    assert run(tmp_path / "out", "--resume", painters=[painter]) == 0
    assert run(tmp_path / "out", "--resume", "--color", "photo", painters=[painter]) == 2
    assert "not begun with these options" in lines(capsys)[-1]


def test_draws_depend_on_seed_image_and_number_alone() -> None:
    entries, styles = [{"id": n, "file_name": f"{n}.jpg"} for n in range(300)], ["a", "b", "c"]

    def drawn(entries: list[dict[str, Any]], styles: list[str], seed: int) -> dict[str, list[tuple[str | None, float]]]:
        jobs = plan_jobs(entries, styles, 2, seed, (0.2, 0.9))
        return {job.file_name: [(output.style, output.strength) for output in job.outputs] for job in jobs}

    first = drawn(entries, styles, 1)
    assert first == drawn(entries[::-1], styles[::-1], 1) != drawn(entries, styles, 2)
    assert draw_style(0, 397133, 0, styles, (0.5, 1)) == ("b", 0.7372)  # for good: data sets were made so
    assert all(one[0] != other[0] and 0.2 <= one[1] <= 0.9 for one, other in first.values())
    counts = [sum(outputs[0][0] == style for outputs in first.values()) for style in styles]
    assert min(counts) > 70
    assert draw_style(0, 5, 0, styles, (0, 1)) != draw_style(0, "5", 0, styles, (0, 1))


def test_names_are_unique_without_regard_to_capitals() -> None:
    files = ["a.jpg", "a.png", "A.jpg", "./a.jpg", "b/a.jpg", "a.x.jpg", "a.x.jpg/deep.jpg", *["same.jpg"] * 20_000]
    jobs = plan_jobs([{"id": n, "file_name": name} for n, name in enumerate(files)], ["x"], keep_originals=True)
    names = [output.file_name for job in jobs for output in job.outputs]
    folders = {str(parent).casefold() for name in names for parent in Path(name).parents}
    assert len({name.casefold() for name in names} | folders) == 2 * len(files) + len(folders)
    assert jobs[4].outputs[1].file_name == "b/a.x.jpg"


def test_bad_images_are_named_and_left_out(
    run: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, coco = tmp_path / "some", dataset()
    (folder / "below").mkdir(parents=True)
    for name in FILES[:4]:
        (folder / name).write_bytes((photos / name).read_bytes())
    (folder / "000.jpg").write_bytes((photos / "000.jpg").read_bytes()[:700])
    (folder / "002.png").mkdir()
    coco["images"][1]["width"] = 63
    del coco["images"][3]["height"]
    assert run(tmp_path / "out", coco=coco, folder=folder) == 1
    found = lines(capsys)
    assert len(found) == 5 and all(any(name in line for line in found) for name in FILES if name != "below/000.png")
    (entry,) = images_of(COCO(str(tmp_path / "out" / "annotations.json")))
    assert entry["source"] == "below/000.png" and entry["id"] == 1
    (folder / "000.jpg").write_bytes((photos / "000.jpg").read_bytes())
    assert run(tmp_path / "out", "--resume", coco=coco, folder=folder) == 1 and len(lines(capsys)) == 4
    assert len(json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]) == 2


def changed(**parts: Any) -> dict[str, Any]:
    return dataset() | parts


IMAGE = {"id": 1, "file_name": "000.jpg", "width": 64, "height": 40}


@pytest.mark.parametrize("coco", [
    "", "[]", "{}", "[" * 100_000, '{"images": [{"id": 1e999, "file_name": "x"}]}', '{"images": [], "x": NaN}',
    "\x00", '{"images": ' + "9" * 5000 + "}", {"images": {}}, {"images": [5]},
    *[changed(images=[IMAGE | {"file_name": name}])
      for name in ("../x.jpg", "/etc/x.jpg", "a\nb.jpg", "x/../y.jpg", "", ".", 5, None, "x" * 1001)],
    *[changed(images=[IMAGE | {"id": number}]) for number in (None, [1], {}, 1.5, True)],
    changed(images=[IMAGE, IMAGE]), changed(annotations=7),
    changed(annotations=[{"image_id": [1]}]), changed(annotations=[{"image_id": 1, "category_id": {}}]),
    changed(annotations=[{"image_id": 1, "bbox": [1, 2, 3]}]),
    changed(annotations=[{"image_id": 1, "bbox": [1, 2, 3, "\x1b[2J"]}]),
    changed(categories=[{"id": 1}]), changed(categories=[{"id": 1, "name": "a"}] * 2), changed(categories="person"),
])  # fmt: skip
def test_hostile_annotations_get_one_line(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], coco: Any
) -> None:
    assert run(tmp_path / "out", coco=coco if coco != "" else " ") == 1
    (line,) = lines(capsys)
    assert "instances.json: not a COCO instances file" in line and line.isprintable() and len(line) < 500
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["0", -1, 10**400, [64, [40]], {"a": 1}, None, "\x1b[2J" * 99])
def test_sizes_that_are_none_are_the_images_fault(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], size: Any
) -> None:
    coco = changed(images=[IMAGE | {"width": size}, IMAGE | {"id": 2, "width": 64.0}], annotations=[])
    assert run(tmp_path / "out", coco=coco) == 1
    (line,) = lines(capsys)
    assert "000.jpg: 64 x 40 pixels, but" in line and line.isprintable() and len(line) < 400
    (entry,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]
    assert entry["width"] == 64 and type(entry["width"]) is int


def test_annotation_files_that_cannot_be_read_get_one_line(
    run: Callable[..., int], photos: Path, painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    huge, pipe = tmp_path / "huge.json", tmp_path / "pipe.json"
    with huge.open("wb") as stream:
        stream.truncate(3 << 30)
    os.mkfifo(pipe)
    for file in (huge, pipe, tmp_path, tmp_path / "nowhere.json"):
        words = ["--annotations", file, "--images", photos, "-s", painter, "-o", tmp_path / "out"]
        assert cli.main(["augment", *map(str, words)]) == 1 and len(lines(capsys)) == 1
    assert run(tmp_path / "out", folder=tmp_path / "nowhere") == 1 and "no such folder" in lines(capsys)[0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_pixels_lie_where_their_annotations_say(tmp_path: Path, turn: int) -> None:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20] = 255  # the upper left quarter, as stored
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    assert from_levels(read_annotated(path, 40, 24))[:, 2:10, 2:18].min() > 0.9
    if turn > 4:  # annotated upright, which its size betrays
        upright = from_levels(read_annotated(path, 24, 40))
        assert upright.shape == (3, 40, 24) and torch.equal(upright, read_image(path))
    for size in ((41, 24), (24, 41)):
        with pytest.raises(ImageError, match="pixels, but"):
            read_annotated(path, *size)


def test_a_turned_photograph_is_painted_as_it_was_annotated(run: Callable[..., int], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(procedural_image(3, 64)[:40]).save(tmp_path / "000.jpg", exif=exif)
    entries = [IMAGE, {"id": 2, "file_name": "000.jpg", "width": 40, "height": 64}]
    assert run(tmp_path / "out", coco=changed(images=entries, annotations=[]), folder=tmp_path) == 0
    for entry in json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]:
        with Image.open(tmp_path / "out" / "images" / entry["file_name"]) as picture:
            assert picture.size == (entry["width"], entry["height"]) and not picture.getexif()


def test_nothing_is_replaced_or_mixed(
    run: Callable[..., int], painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(out, "--resume") == 0  # nothing to go on with: from the start
    before = tree(out)
    assert run(out) == 2 and "--resume" in lines(capsys)[0]
    for words in (["--seed", 1], ["--strength", "0.5"], ["--keep-originals"], ["--per-image", 2]):
        assert run(out, "--resume", *words) == 2 and "not begun with these" in lines(capsys)[0]
    assert run(out, "--resume", coco=changed(annotations=[])) == 2
    (out / "augment.json").unlink()
    assert run(out, "--resume") == 2
    assert tree(out) == {name: data for name, data in before.items() if name != "augment.json"}
    capsys.readouterr()
    assert run(tmp_path / "new", painters=[painter, painter]) == 2 and "name each once" in lines(capsys)[0]
    assert run(tmp_path / "new", "--per-image", 3) == 2 and "would repeat some" in lines(capsys)[0]
    with pytest.raises(SystemExit):
        run(tmp_path / "new", "--strength", "0.5:2")
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seventy images of 200 pixels, the last of them cut short, and their annotations beside them."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(70):
        Image.fromarray(procedural_image(number % 5, 200)).save(folder / f"{number:02}.jpg")
    (folder / "69.jpg").write_bytes((folder / "69.jpg").read_bytes()[:999])
    entries = [{"id": n, "file_name": f"{n:02}.jpg", "width": 200, "height": 200} for n in range(70)]
    marks = [{"id": n, "image_id": n % 50, "category_id": 1, "bbox": [n, 1, 9.5, 8]} for n in range(99)]
    coco = {"images": entries, "annotations": marks, "categories": [{"id": 1, "name": "x"}]}
    (folder / "instances.json").write_text(json.dumps(coco))
    return folder


def started(many: Path, styles: list[Path], out: Path, *words: object) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "impasto", "augment", "--annotations", many / "instances.json", "--images", many,
        "-s", styles[0], "-s", styles[1], "-o", out, "--device", "cpu", "--strength", "0.5:1", *words,
    ]  # fmt: skip
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> None:
    """Wait for a run over `many`, whose last image is bad."""
    _, errors = process.communicate(timeout=280)
    found = [line for line in errors.replace("\r", "\n").splitlines() if line.startswith("impasto: ")]
    assert process.returncode == 1 and len(found) == 1 and "69.jpg" in found[0] and "Traceback" not in errors, errors
    assert "image/s" in errors and "69 images with 99 annotations, 1 failed" in errors


@pytest.fixture(scope="module")
def by_one(many: Path, styles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("by_one") / "out"
    finished(started(many, styles, out, "--workers", 1))
    return out


@pytest.mark.slow
def test_killed_and_resumed_by_two_is_the_same_as_at_once_by_one(
    many: Path, styles: list[Path], by_one: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = started(many, styles, out, "--workers", 2)
    deadline = time.monotonic() + 120
    while len(list(out.glob("images/[0-9]*"))) < 15:
        assert time.monotonic() < deadline and first.poll() is None, "ended, or painted nothing, before it was killed"
        time.sleep(0.005)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)  # ends when the workers have, who share the pipe
    done = sorted(out.glob("images/[0-9]*"))
    assert 15 <= len(done) < 69 and not (out / "annotations.json").exists()
    done[3].write_bytes(done[3].read_bytes()[:900])  # as a copy that was cut off
    (out / "images" / ".impasto-torn.part").touch()
    stamps = {path: path.stat().st_mtime_ns for path in done if path != done[3]}
    finished(started(many, styles, out, "--workers", 2, "--resume"))
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert tree(out) == tree(by_one)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_ray_cluster_makes_the_same_files(many: Path, styles: list[Path], by_one: Path, tmp_path: Path) -> None:
    finished(started(many, styles, tmp_path / "out", "--engine", "ray", "--workers", 2))
    assert tree(tmp_path / "out") == tree(by_one)


def result(out: Path) -> dict[str, Any]:
    return json.loads((out / "annotations.json").read_text())


def changed_by(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    coco = dataset()
    change(coco)
    return coco


def renumbered(kind: Callable[[int], Any]) -> Callable[[dict[str, Any]], None]:
    def change(coco: dict[str, Any]) -> None:
        for mark in coco["annotations"]:
            mark |= {"image_id": kind(mark["image_id"]), "category_id": kind(mark["category_id"])}

    return change


@pytest.mark.parametrize("change", [
    renumbered(str), renumbered(float),
    lambda coco: [image.update(id=str(image["id"])) for image in coco["images"]],
    lambda coco: [image.update(id=float(image["id"])) for image in coco["images"]],
    lambda coco: [mark.update(id=7) for mark in coco["annotations"]],
    lambda coco: [mark.pop("id") for mark in coco["annotations"]],
    lambda coco: [mark.update(id=float(mark["id"])) for mark in coco["annotations"]],
    lambda coco: [category.update(id=str(category["id"])) for category in coco["categories"]],
    lambda coco: [(image.pop("width"), image.pop("height")) for image in coco["images"]],
    lambda coco: [image.update(width=-1, height=-1) for image in coco["images"]],
    lambda coco: [image.update(width=None, height=None) for image in coco["images"]],
    lambda coco: [image.update(width=str(image["width"]), height=float(image["height"])) for image in coco["images"]],
    lambda coco: [image.update(file_name=image["file_name"].replace("/", "\\")) for image in coco["images"]],
    lambda coco: [image.update(file_name="C:\\data\\x\\" + image["file_name"].replace("/", "\\"))
                  for image in coco["images"]],
    lambda coco: [image.update(file_name="/home/somebody/data/" + image["file_name"]) for image in coco["images"]],
    lambda coco: [image.update(file_name="../../data/" + image["file_name"]) for image in coco["images"]],
    lambda coco: [image.update(file_name="https://example.org/a/" + image["file_name"]) for image in coco["images"]],
    lambda coco: [image.update(coco_url="http://example.org/" + image.pop("file_name")) for image in coco["images"]],
], ids=[
    "ids as text", "ids as floats", "images' ids as text", "images' ids as floats", "one id for all", "no ids",
    "float ids", "categories as text", "no sizes", "sizes of -1", "sizes of null", "sizes as text", "Windows", "drive",
    "absolute", "above", "address", "LVIS",
])  # fmt: skip
def test_annotations_as_tools_write_them(
    run: Callable[..., int], tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    assert run(tmp_path / "plain", coco=dataset()) == 0
    assert run(tmp_path / "out", coco=changed_by(change)) == 0
    plain, out = result(tmp_path / "plain"), result(tmp_path / "out")

    def what(coco: dict[str, Any]) -> list[tuple[Any, ...]]:
        names = {category["id"]: category["name"] for category in coco["categories"]}
        return [(mark["image_id"], names[mark["category_id"]], mark.get("bbox")) for mark in coco["annotations"]]

    assert what(plain) == what(out) and len(what(out)) == 5
    sides = [(image["file_name"].split(".")[0], image["width"], image["height"]) for image in out["images"]]
    assert sides == [(image["file_name"].split(".")[0], image["width"], image["height"]) for image in plain["images"]]
    COCO(str(tmp_path / "out" / "annotations.json"))


@pytest.mark.parametrize("box", [None, []])
def test_an_annotation_without_a_box_is_kept_as_it_is(run: Callable[..., int], tmp_path: Path, box: Any) -> None:
    coco = changed(images=[IMAGE], annotations=[{"id": 1, "image_id": 1, "bbox": box, "caption": "a dog"}])
    assert run(tmp_path / "out", coco=coco) == 0
    (mark,) = result(tmp_path / "out")["annotations"]
    assert mark["bbox"] == box and mark["caption"] == "a dog"


def test_nothing_is_dropped_in_silence(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = [{"id": n, "image_id": number} for n, number in enumerate([1, "1", 99, "x", None])]
    assert run(tmp_path / "out", coco=changed(images=[IMAGE | {"width": -1, "height": -1}], annotations=marks)) == 0
    assert len(result(tmp_path / "out")["annotations"]) == 2
    remarks = capsys.readouterr().err
    assert "3 annotations left out, of images that are not in the file: image_id 99, x, None" in remarks
    assert "1 image whose size is not stated: taken from the file" in remarks


def test_ids_that_leave_a_doubt_are_not_guessed(run: Callable[..., int], tmp_path: Path) -> None:
    images_ = [IMAGE, IMAGE | {"id": "1", "file_name": "001.jpg", "height": 43}]
    marks = [{"id": 1, "image_id": 1}, {"id": 2, "image_id": "1"}, {"id": 3, "image_id": "01"}]
    assert run(tmp_path / "out", coco=changed(images=images_, annotations=marks)) == 0
    assert [mark["image_id"] for mark in result(tmp_path / "out")["annotations"]] == [1, 2]


def test_names_that_leave_a_doubt_are_not_guessed(
    run: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    (folder / "1.jpg").write_bytes((photos / "000.jpg").read_bytes())
    entries = [IMAGE | {"id": n, "file_name": name} for n, name in enumerate(["cat\\1.jpg", "dog\\1.jpg"])]
    assert run(tmp_path / "out", coco=changed(images=entries, annotations=[]), folder=folder) == 1
    assert len(lines(capsys)) == 2 and result(tmp_path / "out")["images"] == []


def test_thousands_of_missing_images_are_counted(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [IMAGE, *(IMAGE | {"id": n, "file_name": f"absent{n}.jpg"} for n in range(2, 502))]
    assert run(tmp_path / "out", coco=changed(images=entries, annotations=[])) == 1
    found = lines(capsys)
    assert len(found) == 21 and "480 more images could not be painted" in found[-1]


def test_a_ray_cluster_that_is_not_there_is_named(
    photos: Path, painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "c.json").write_text(json.dumps(changed(images=[IMAGE], annotations=[])))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    words = ["augment", "--annotations", tmp_path / "c.json", "--images", photos, "-s", painter, "-o", tmp_path / "out"]
    assert cli.main([*map(str, words), "--engine", "ray"]) == 1
    (line,) = lines(capsys)
    assert line.startswith("impasto: Ray on RAY_ADDRESS=auto: ") and "--engine local" in line
