"""Which pictures a folder, a file or a pattern means."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import hostile
from helpers.stylizing import photo
from impasto.errors import UsageError, printable
from impasto.images.finding import find_images
from impasto.images.formats import IMAGE_SUFFIXES


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ["b.jpg", "a.PNG", "sub/c.webp", "sub/.hidden.jpg", ".git/d.jpg", "notes.txt", "photo[1].jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    hostile.odd_files(tmp_path / "odd")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "odd" / "link.png").symlink_to(tmp_path / "b.jpg")
    return tmp_path


def names(paths: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


def test_folder_is_walked_without_going_round_in_circles(tree: Path) -> None:
    assert names(find_images([tree]), tree) == ["a.PNG", "b.jpg", "odd/link.png", "photo[1].jpg", "sub/c.webp"]


def test_files_are_taken_as_they_are_each_once(tree: Path) -> None:
    given_files = [tree / "notes.txt", str(tree / "b.jpg"), tree / "b.jpg", tree / "odd" / "fifo.jpg"]
    assert names(find_images(given_files), tree) == ["notes.txt", "b.jpg", "odd/fifo.jpg"]


def test_patterns_are_expanded_unless_they_are_names(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(find_images([f"{tree}/*.jpg"]), tree) == ["b.jpg", "photo[1].jpg"]
    assert names(find_images([tree / "**" / "*.webp"]), tree) == ["sub/c.webp"]
    assert names(find_images([tree / "photo[1].jpg"]), tree) == ["photo[1].jpg"]
    monkeypatch.chdir(tree)
    assert find_images(["*.jpg"]) == [Path("b.jpg"), Path("photo[1].jpg")]


@pytest.mark.parametrize("source", ["nothing.jpg", "*.nothing", "empty", "", "nul\0.jpg", "**/[", "new\nline"])
def test_source_that_means_nothing_is_named(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "here.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find_images(["here.jpg", source])
    assert str(caught.value).startswith(printable(source)) and str(caught.value).isprintable()


def test_every_suffix_is_lower_case_and_read() -> None:
    assert {".jpg", ".png", ".webp", ".tif", ".avif", ".jp2", ".ico", ".tga", ".ppm"} <= IMAGE_SUFFIXES
    assert not {".eps", ".svg", ".pdf", ".psd"} & IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


def test_our_own_leavings_are_no_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "f/a.png", 1)
    photo(tmp_path / "f/contact_sheet.png", 2)
    assert len(find_images(["f"])) == 2  # somebody's picture by that name
    for word in ("f/report.json", "f/runs/x/metrics.csv"):
        (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / word).touch()
    photo(tmp_path / "f/runs/x/contact_sheet.png", 3)
    photo(tmp_path / "f/curve.png", 3)
    assert find_images(["f"]) == [Path("f/a.png")]
