"""What words mean and what becomes of them, asked from Python."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.images.finding import Found
from impasto.inference import files
from impasto.inference.files import Destination, Job, camera_number, is_whole, jobs_of, result_name
from impasto.inference.records import Records, settings_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.bmp"):
        Image.new("RGB", (20, 20), "red").save(name)
    return tmp_path


def jobs(*words: str, output: str | None = None) -> list[tuple[Path | int, Path]]:
    found = jobs_of(words, "oils", Destination.of(output), cache(Records))
    return [(job.source, job.target) for job in found]


def test_every_picture_is_a_job() -> None:
    assert jobs("*.png", "b.bmp") == [(Path("a.png"), Path("a.oils.png")), (Path("b.bmp"), Path("b.oils.bmp"))]
    assert jobs("a.png", output="out/") == [(Path("a.png"), Path("out/a.oils.png"))]
    assert jobs("a.png", output="new.jpg") == [(Path("a.png"), Path("new.jpg"))]
    assert jobs("0", output="films/") == [(0, Path("films/camera0.oils.mp4"))]


def test_mistakes_are_raised_unless_somebody_listens() -> None:
    heard: list[object] = []
    with pytest.raises(UsageError, match="no picture there"):
        jobs("nothing.png")
    assert (
        jobs_of(["nothing.png"], "oils", Destination(), cache(Records), fail=lambda *told: heard.append(told[0])) == []
    )
    assert heard == ["nothing.png"]
    with pytest.raises(UsageError, match="2 sources"):
        jobs("a.png", "b.bmp", output="one.png")


def test_a_number_is_a_camera_unless_a_file_is_called_so(folder: Path) -> None:
    assert [camera_number(word) for word in ("0", "12", "1234", "a", "-", "")] == [0, 12, None, None, None, None]
    (folder / "0").touch()
    assert camera_number("0") is None


@pytest.mark.parametrize(("source", "target", "clip"), [
    ("a.png", "b.png", False), ("a.mp4", "b.mp4", True), ("a.gif", "b.mp4", True), ("a.gif", "b.gif", False),
    (0, "b.mp4", True),
])  # fmt: skip
def test_clip_or_picture(source: str | int, target: str, clip: bool) -> None:
    job = Job(source if isinstance(source, int) else Path(source), Path(target))
    assert job.makes_clip() == clip


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="made of a clip"):
        Job(Path("a.png"), Path("b.mp4")).makes_clip()
    itself = Job(Path("a.png"), Path("a.png"))
    with pytest.raises(UsageError, match="the input itself"):
        itself.makes_clip()
    assert not itself.makes_clip(overwrite=True)


def test_done_is_what_is_whole_and_made_from_the_same(folder: Path) -> None:
    job, records = Job(Path("a.png"), Path("a.oils.png")), Records(folder)
    made = job.made("oils", settings_of(Path("b.bmp"), size=1))
    assert made and not job.is_done(made, records, 1000)
    Image.new("RGB", (20, 20), "blue").save(job.target)
    records.add(made, job.target)
    assert job.is_done(made, records, 1000) and not is_whole(job.target, job.target, 1000)
    other = job.made("oils", settings_of(Path("b.bmp"), size=2))
    assert other and not job.is_done(other, records, 1000)


def test_results_are_named_after_source_and_style() -> None:
    assert [result_name("a", "oils", ".png", number) for number in (1, 2)] == ["a.oils.png", "a-2.oils.png"]


def test_many_images_are_paired_with_their_results_in_no_time() -> None:
    sources = [Found(Path(f"{number}/same.png")) for number in range(20_000)]
    out = files.Destination(folder=Path("out"))
    targets = [target for _, target in files.paired(sources, "tiny", out, lambda path: ".png", cache(Records))]
    assert len(set(targets)) == 20_000
