"""Nothing that a file can hold breaks the reader: what cannot be read is refused in one line, quickly and cheaply."""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers import hostile
from impasto.errors import ImageError, printable
from impasto.images.finding import find_images
from impasto.images.reading import read_image, read_picture
from impasto.images.tensors import from_levels
from impasto.images.writing import write_image
from impasto.system.choices import MAX_PIXELS

pytestmark = pytest.mark.filterwarnings("ignore::Warning:PIL", "ignore::PIL.Image.DecompressionBombWarning")

SECONDS, MEGABYTES = 1.0, 200
CLEAR = Path("/proc/self/clear_refs")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    hostile.build(folder / "refused", hostile.REFUSED)
    hostile.build(folder / "read", hostile.READ)
    hostile.odd_files(folder / "odd")
    return folder


def refusal(path: Path, max_pixels: int = MAX_PIXELS) -> str:
    """Return the message with which `path` is refused, having watched its manners."""
    before, start = resident_peak(reset=True), time.process_time()
    with pytest.raises(ImageError) as caught:
        read_picture(path, max_pixels=max_pixels)
    seconds, megabytes = time.process_time() - start, resident_peak() - before
    message = str(caught.value)
    assert message.startswith(printable(path) + ": ") and "; " in message, "it names the file and the remedy"
    assert message.isprintable() and len(message) < len(printable(path)) + 200, "it is one line"
    assert seconds < SECONDS, f"{seconds:.1f} s of work"
    assert megabytes < MEGABYTES, f"{megabytes} MB"
    return message


def resident_peak(*, reset: bool = False) -> int:
    """The most memory this process held since the last reset, in MB; 0 where the system does not tell."""
    if not os.access(CLEAR, os.W_OK):
        return 0
    if reset:
        CLEAR.write_text("5")
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_bad_file_is_refused_in_one_line(corpus: Path, name: str) -> None:
    refusal(corpus / "refused" / name)


@pytest.mark.parametrize("name", ["folder.jpg", "fifo.jpg", "dangling.jpg", "circle.jpg", "device.jpg"])
def test_what_is_no_file_is_refused(corpus: Path, name: str) -> None:
    refusal(corpus / "odd" / name)


@pytest.mark.parametrize("name", hostile.READ)
def test_odd_but_good_file_keeps_size_and_colours(corpus: Path, name: str) -> None:
    picture = read_picture(corpus / "read" / name)
    pixels = from_levels(picture.pixels) * 255
    assert name.startswith("profile") or not any("profile" in note for note in picture.notes)
    assert pixels.shape == (3, 32, 48)
    tolerance = 8 if "lab" in name else 2  # eight bits of CIELAB are coarse
    for colour, (y, x) in zip(hostile.QUADRANTS.values(), [(8, 12), (8, 36), (24, 12), (24, 36)], strict=True):
        assert (pixels[:, y, x] - torch.tensor(colour)).abs().max() <= tolerance


def test_corpus_covers_every_class() -> None:
    classes = Counter(name.split("/")[0] for name in hostile.REFUSED)
    assert set(classes) >= {"empty", "text", "other format", "cut at half", "bomb", "no size", "damaged", "chunks"}
    assert len(hostile.REFUSED) >= 130 and len(hostile.READ) >= 60


def test_no_file_stays_open(corpus: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the system does not tell")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in hostile.REFUSED:
        refusal(corpus / "refused" / name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("name", ["bomb/png.png", "cut at half/photo.jpg", "text/text.jpg", "empty/empty.jpg"])
def test_bad_stream_is_refused(corpus: Path, name: str) -> None:
    stream = io.BytesIO((corpus / "refused" / name).read_bytes())
    with pytest.raises(ImageError, match=r"^stream: .+; .+"):
        read_picture(stream)


def test_limit_on_pixels_is_the_callers(corpus: Path) -> None:
    path = corpus / "read" / "plain" / "photo.png"
    assert "--max-pixels" in refusal(path, max_pixels=48 * 32 - 1)
    assert read_image(path, max_pixels=48 * 32).shape == (3, 32, 48)
    assert "--max-pixels" in refusal(corpus / "read" / "frames" / "lying-icon.ico", max_pixels=1000)


def test_larger_limit_reads_more_than_pillow_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = tmp_path / "wide.png"
    path.write_bytes(hostile.png_zeros(300, 200))
    assert read_image(path, max_pixels=60_000).shape == (3, 200, 300)


@pytest.mark.parametrize("name", hostile.NAMES, ids=lambda name: printable(os.fsdecode(name))[:40])
def test_every_name_is_read_written_found_and_printed_on_one_line(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    image = torch.full((3, 4, 5), 0.2)
    write_image(path, image)
    assert torch.equal(read_image(path), image)
    assert find_images([tmp_path]) == [path] == find_images([str(path)])
    path.write_bytes(b"no picture")
    assert refusal(path).count("\n") == 0


def test_no_code_runs(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("a picture started a program or unpickled something")

    for target in ("subprocess.Popen", "os.system", "pickle.loads", "pickle.load"):
        monkeypatch.setattr(target, forbidden)
    for name in hostile.REFUSED:
        if name.startswith(("other format", "text")):
            refusal(corpus / "refused" / name)
