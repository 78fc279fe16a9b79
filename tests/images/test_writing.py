"""What a writer of pictures owes its users."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from helpers import hostile
from helpers.pictures import cut_out, stream
from impasto.errors import ImageError
from impasto.images.reading import from_pil, read_image, read_picture
from impasto.images.writing import write_image


@pytest.mark.parametrize("suffix", ["png", "tif", "tga", "jp2", "webp", "avif"])
def test_alpha_is_written_where_the_format_holds_it(tmp_path: Path, suffix: str) -> None:
    read = read_picture(stream(hostile.encoded(Image.fromarray(cut_out((0, 0, 0))), "PNG")))
    write_image(tmp_path / f"a.{suffix}", read.pixels, alpha=read.alpha)
    again = read_picture(tmp_path / f"a.{suffix}")
    assert again.alpha is not None and read.alpha is not None
    assert np.abs(again.alpha - read.alpha).max() <= (0.1 if suffix == "avif" else 0)


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "ppm"])
def test_alpha_is_composited_on_white_elsewhere(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a.{suffix}", torch.zeros(3, 16, 16), alpha=torch.full((1, 16, 16), 0.2))
    assert (read_image(tmp_path / f"a.{suffix}") - 0.8).abs().max() < 0.01


def test_jpeg_is_95_without_subsampling(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", from_pil(hostile.quad()))
    expected = Image.open(stream(hostile.encoded(hostile.quad(), "JPEG", quality=95)))
    with Image.open(tmp_path / "a.jpg") as picture:
        assert isinstance(picture, JpegImageFile) and isinstance(expected, JpegImageFile)
        assert JpegImagePlugin.get_sampling(picture) == 0
        assert picture.quantization == expected.quantization


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_srgb_is_tagged_and_nothing_else_is_told(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a.{suffix}", torch.rand(3, 8, 8))
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        profile = ImageCms.ImageCmsProfile(stream(picture.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert picture.info["icc_profile"][24:26] == (2000).to_bytes(2), "made at no particular time"
        assert not set(picture.getexif()) & {ExifTags.Base.GPSInfo, ExifTags.Base.ExifOffset, ExifTags.Base.Make}
        assert "exif" not in picture.info and "xmp" not in picture.info


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "gif", "jp2"])
def test_same_picture_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.{suffix}", image)
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def photo_with_place() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "A camera"
    exif[ExifTags.Base.ImageWidth] = 9999
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:01:01 00:00:00"
    return hostile.encoded(hostile.quad(), "JPEG", exif=exif)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_metadata_is_kept_only_when_asked(tmp_path: Path, suffix: str) -> None:
    path, read = tmp_path / f"a.{suffix}", read_picture(stream(photo_with_place()))
    write_image(path, read.pixels)
    with Image.open(path) as picture:
        assert not picture.getexif().get_ifd(ExifTags.IFD.GPSInfo) and b"A camera" not in path.read_bytes()
    write_image(path, read.pixels, exif=read.exif)
    with Image.open(path) as picture:
        exif = picture.getexif()
        assert exif[ExifTags.Base.Make] == "A camera" and exif.get(ExifTags.Base.Orientation, 1) == 1
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2020:01:01 00:00:00"
        assert exif.get(ExifTags.Base.ImageWidth, 32) == 32
    assert read_image(path).shape == (3, 48, 32)


def test_layout_of_a_tiff_is_not_taken_for_metadata() -> None:
    assert read_picture(stream(hostile.encoded(hostile.quad(), "TIFF"))).exif is None


def test_picture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_image(path, torch.zeros(3, 4, 4))
    before = path.read_bytes()

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("impasto.images.writing._File.write", full)
    with pytest.raises(ImageError, match="no space left"):
        write_image(path, torch.ones(3, 4, 4))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.xyz", torch.zeros(3, 4, 4), "choose"),
        ("a", torch.zeros(3, 4, 4), "choose"),
        ("a.ico", torch.zeros(3, 4, 4), "choose"),
        ("a.eps", torch.zeros(3, 4, 4), "choose"),
        ("a.jpg", torch.zeros(3, 1, 70_000), "choose another format or size"),
        ("a.png", torch.full((3, 4, 4), torch.inf), "NaN or infinite"),
        ("a.png", torch.zeros(4, 4, 3), "shape"),
        ("file/a.png", torch.zeros(3, 4, 4), "check the name"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, image: Tensor, message: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageError, match=message) as caught:
        write_image(tmp_path / name, image)
    assert str(caught.value).startswith(f"{tmp_path}") and str(caught.value).isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_image(tmp_path / "deep" / "down" / "a.PNG", torch.zeros(3, 4, 4))
    assert read_image(tmp_path / "deep" / "down" / "a.PNG").shape == (3, 4, 4)
