"""Definitions of what a reader and a writer of pictures owe their users."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin
from torch import Tensor

from helpers import hostile
from impasto.errors import ImageError, UsageError, printable
from impasto.images.contact_sheet import contact_sheet
from impasto.images.finding import find_images
from impasto.images.formats import IMAGE_SUFFIXES
from impasto.images.geometry import centre_square, resize
from impasto.images.reading import from_pil, read_image, read_picture
from impasto.images.tensors import from_array, from_levels, to_pil
from impasto.images.writing import write_image

QUICK = settings(max_examples=25, deadline=None)
EXACT = ["png", "bmp", "tif", "ppm", "jp2", "tga"]
bytes_rgb = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24).map(lambda shape: (*shape, 3)))


def levels(image: Tensor | np.ndarray) -> np.ndarray:
    """The image as 8-bit (H, W, 3)."""
    return np.asarray(to_pil(image))


def stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


# Orientation.


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores `upright`, by the EXIF table: which side of the picture the first row and column are."""
    row, column = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    if {row, column} & {"bottom"}:
        upright = upright[::-1]
    if {row, column} & {"right"}:
        upright = upright[:, ::-1]
    return np.ascontiguousarray(upright if row in ("top", "bottom") else upright.transpose(1, 0, 2))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_every_orientation_comes_out_upright(orientation: int, format: str) -> None:
    upright = np.asarray(hostile.quad())
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "MPO": {"quality": 100, "subsampling": 0}}
    options |= {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    picture, exif = Image.fromarray(stored(upright, orientation)), Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = hostile.encoded(picture, format, exif=exif, **options.get(format, {}))
    read = read_picture(stream(data))
    assert read.pixels.shape == (32, 48, 3)
    assert np.abs(levels(read.pixels).astype(int) - upright)[8:-8:16, 8:-8:16].max() <= 3
    assert read.exif is None or ExifTags.Base.Orientation not in exif_of(read.exif)


def exif_of(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


# Colour.


def p3_to_srgb(colour: np.ndarray) -> np.ndarray:
    """By definition: decode the curve, change primaries (both D65), encode the curve."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
    linear = (matrix @ linear).clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("patch", [(200, 120, 90), (90, 160, 120), (60, 70, 140), (128, 128, 128), (250, 240, 235)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_display_p3_keeps_its_colour(patch: tuple[int, int, int], format: str) -> None:
    picture = Image.new("RGB", (16, 16), patch)
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    read = read_picture(stream(hostile.encoded(picture, format, icc_profile=hostile.rgb_profile(), **options)))
    expected = p3_to_srgb(np.array(patch) / 255) * 255
    assert np.abs(from_levels(read.pixels)[:, 8, 8].numpy() * 255 - expected).max() <= 2
    assert read.notes == ()


def test_profile_of_a_palette_and_of_transparency_is_obeyed() -> None:
    patch = (200, 120, 90)
    expected = p3_to_srgb(np.array(patch) / 255) * 255
    for picture in (Image.new("RGB", (8, 8), patch).quantize(2), Image.new("RGBA", (8, 8), (*patch, 99))):
        read = read_picture(stream(hostile.encoded(picture, "PNG", icc_profile=hostile.rgb_profile())))
        assert np.abs(from_levels(read.pixels)[:, 4, 4].numpy() * 255 - expected).max() <= 2


@pytest.mark.parametrize("profile", [hostile.srgb(), hostile.rgb_profile(hostile.SRGB)], ids=["built in", "table"])
def test_srgb_under_any_name_is_left_exactly_as_it_is(profile: bytes) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = hostile.encoded(Image.fromarray(pixels), "PNG", icc_profile=profile)
    assert np.array_equal(levels(read_image(stream(data))), pixels)


def test_profile_that_does_not_fit_is_noted() -> None:
    grey = hostile.profile(b"GRAY", {b"kTRC": b"curv" + bytes(8), b"wtpt": b"XYZ " + bytes(4) + bytes(12)})
    read = read_picture(stream(hostile.encoded(hostile.quad(), "PNG", icc_profile=grey)))
    assert len(read.notes) == 1 and "profile" in read.notes[0]


def test_cmyk_is_ink() -> None:
    for ink, colour in {(0, 0, 0, 0): 255, (0, 0, 0, 255): 0}.items():
        for format in ("JPEG", "TIFF"):
            picture = Image.new("CMYK", (16, 16), ink)
            assert levels(read_image(stream(hostile.encoded(picture, format))))[8, 8].tolist() == [colour] * 3


def test_grey_is_the_same_in_three_channels() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.repeat(ramp[..., None], 3, axis=2)
    assert np.array_equal(levels(read_image(stream(hostile.encoded(Image.fromarray(ramp), "PNG")))), expected)
    checks = Image.fromarray((ramp > 100).astype(np.uint8) * 255).convert("1")
    assert np.array_equal(levels(read_image(stream(hostile.encoded(checks, "PNG"))))[..., 0], (ramp > 100) * 255)


# Depth.


def test_16_bit_ramps_keep_their_256_levels() -> None:
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    rows = b"".join(b"\0" + np.repeat(row.astype(">u2"), 3).tobytes() for row in ramp)
    tiff = np.ascontiguousarray(ramp.astype("<u2"))
    files = {
        "grey.png": hostile.encoded(Image.fromarray(ramp), "PNG"),
        "grey.tif": hostile.encoded(Image.fromarray(tiff), "TIFF"),
        "grey.pgm": b"P5 64 64 65535\n" + ramp.astype(">u2").tobytes(),
        "rgb.png": hostile.png(64, 64, 16, 2, rows),
    }
    for name, data in files.items():
        read = read_picture(stream(data))
        assert len(np.unique(levels(read.pixels))) == 256, name
        assert np.abs(from_levels(read.pixels)[0].numpy() - ramp / 65535).max() <= 1 / 255, name
        assert [note for note in read.notes if "16-bit" in note], name


def test_deep_grey_is_scaled_not_clipped() -> None:
    unit = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    for values in (unit, unit * 1000, (unit * 1_000_000).astype(np.int32), unit - 1):
        read = read_picture(stream(hostile.encoded(Image.fromarray(values), "TIFF"))).pixels[..., 0]
        assert np.allclose(read, unit if values.min() >= 0 else unit * 0.5, atol=1e-5)


def test_float_grey_survives_nan_and_infinity() -> None:
    values = np.array([[0, 1, np.nan], [np.inf, -np.inf, 0.5]], dtype=np.float32)
    read = read_picture(stream(hostile.encoded(Image.fromarray(values), "TIFF"))).pixels[..., 0]
    assert np.isfinite(read).all() and read[1, 2] == 0.5


# Transparency.


def cut_out(hidden: tuple[int, int, int]) -> np.ndarray:
    """A warm disc with a soft edge; `hidden` is the colour left under full transparency."""
    y, x = np.mgrid[:64, :64]
    alpha = (24 - np.hypot(y - 31.5, x - 31.5)).clip(0, 4) / 4 * 255
    colour = np.where(alpha[..., None] > 0, (220, 120, 40), hidden)
    return np.dstack([colour, alpha.round()]).astype(np.uint8)


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
def test_cut_out_keeps_its_alpha_and_shows_no_fringe(hidden: tuple[int, int, int]) -> None:
    rgba = cut_out(hidden)
    read = read_picture(stream(hostile.encoded(Image.fromarray(rgba), "PNG")))
    assert read.alpha is not None and np.array_equal(read.alpha[..., 0] * 255, rgba[..., 3])
    pixels = from_levels(read.pixels)
    colour = pixels * 255
    assert (colour - torch.tensor([220.0, 120, 40])[:, None, None]).abs().max() < 1, "the hidden colour is nowhere left"
    blurred = torch.nn.functional.avg_pool2d(pixels[None], 9, 1, 4, count_include_pad=False)
    assert (blurred - pixels).abs().max() < 0.01, "so a painter that looks around sees no edge"


def test_visible_colour_is_kept_and_hidden_colour_comes_from_nearby() -> None:
    rgba = np.zeros((32, 64, 4), np.uint8)
    rgba[:, :8], rgba[:, 56:] = (250, 0, 0, 255), (0, 0, 250, 1)
    read = read_picture(stream(hostile.encoded(Image.fromarray(rgba), "PNG")))
    assert np.array_equal(levels(read.pixels)[:, :8], rgba[:, :8, :3])
    assert np.array_equal(levels(read.pixels)[:, 56:], rgba[:, 56:, :3])
    red, _, blue = from_levels(read.pixels)[:, 16]
    assert red[12] > blue[12] and blue[52] > red[52]


def test_nothing_visible_is_white() -> None:
    read = read_picture(stream(hostile.encoded(Image.new("RGBA", (5, 3)), "PNG")))
    assert read.alpha is not None and not read.alpha.any() and (read.pixels == 1).all()


def test_every_kind_of_transparency_is_read() -> None:
    grey, palette = hostile.quad().convert("L"), hostile.quad().quantize(4)
    one, some = {"transparency": palette.getpixel((0, 0))}, {"transparency": bytes([255, 0, 128, 255])}
    files = {
        "rgba": hostile.encoded(Image.new("RGBA", (48, 32), (9, 9, 9, 128)), "PNG"),
        "la": hostile.encoded(Image.new("LA", (48, 32), (9, 128)), "PNG"),
        "palette, one colour": hostile.encoded(palette, "PNG", **one),
        "palette, bytes": hostile.encoded(palette, "PNG", **some),
        "rgb, one colour": hostile.encoded(hostile.quad(), "PNG", transparency=(220, 40, 40)),
        "grey, one level": hostile.encoded(grey, "PNG", transparency=grey.getpixel((0, 0))),
        "gif": hostile.encoded(palette, "GIF", **one),
        "webp": hostile.encoded(Image.new("RGBA", (48, 32), (9, 9, 9, 128)), "WEBP"),
    }
    for name, data in files.items():
        alpha = read_picture(stream(data)).alpha
        assert alpha is not None and alpha.shape == (32, 48, 1) and alpha.min() < 1, name


def test_opaque_alpha_is_none_and_read_image_is_on_white() -> None:
    opaque = hostile.encoded(hostile.quad().convert("RGBA"), "PNG")
    assert read_picture(stream(opaque)).alpha is None
    half = hostile.encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 51)), "PNG")
    assert torch.allclose(read_image(stream(half)), torch.full((3, 2, 2), 0.8))


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


# Animations and streams.


def test_first_frame_is_read_with_a_note() -> None:
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        read = read_picture(stream(hostile.animated(format)))
        assert read.notes == ("several frames: only the first is read",)


def test_pipe_is_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *place: int) -> int:
            raise OSError("a pipe")

        def tell(self) -> int:
            raise OSError("a pipe")

    assert read_image(Pipe(hostile.WHOLE["photo.jpg"]())).shape == (3, 32, 48)


def test_far_larger_jpeg_comes_back_reduced() -> None:
    data = hostile.encoded(hostile.quad(1600, 1200), "JPEG", quality=95)
    reduced = read_image(stream(data), at_least=140)
    assert reduced.shape == (3, 150, 200)
    assert read_image(stream(data), at_least=1200).shape == (3, 1200, 1600)
    assert (reduced - resize(read_image(stream(data)), 200))[:, 20:150:100, 20:200:150].abs().max() < 0.01


def test_a_jpeg_beyond_the_limit_is_read_reduced_and_others_are_told_to_be_smaller() -> None:
    pixels = hostile.quad(1600, 1200)
    data = hostile.encoded(pixels, "JPEG", quality=95)
    assert read_image(stream(data), max_pixels=100_000, at_least=140).shape == (3, 150, 200)
    for said in (data, hostile.encoded(pixels, "PNG")):
        with pytest.raises(ImageError, match=r"1\.92 megapixels, over the limit of 0\.1; make it smaller"):
            read_image(stream(said), max_pixels=100_000)
    with pytest.raises(ImageError, match="over the limit"):
        read_image(stream(hostile.encoded(pixels, "PNG")), max_pixels=100_000, at_least=140)


# Tensors, arrays, Pillow.


@QUICK
@given(bytes_rgb)
def test_bytes_make_the_round_trip_exactly(pixels: np.ndarray) -> None:
    tensor = from_array(pixels)
    assert tensor.dtype == torch.float32 and tensor.is_contiguous() and tensor.min() >= 0 and tensor.max() <= 1
    assert np.array_equal(levels(tensor), pixels)
    assert torch.equal(tensor, from_pil(Image.fromarray(pixels)))


@pytest.mark.parametrize("format", EXACT)
def test_lossless_files_make_the_round_trip_exactly(tmp_path: Path, format: str) -> None:
    @QUICK
    @given(bytes_rgb)
    def check(pixels: np.ndarray) -> None:
        write_image(tmp_path / f"a.{format}", from_array(pixels))
        assert np.array_equal(levels(read_image(tmp_path / f"a.{format}")), pixels)

    check()


def test_stream_is_written_in_the_format_named() -> None:
    file, image = io.BytesIO(), from_pil(hostile.quad())
    write_image(file, image, format="png")
    assert torch.equal(read_image(file), image)


@given(st.integers(0, 255), st.floats(-0.49, 0.49))
def test_levels_are_rounded(level: int, offset: float) -> None:
    assert levels(torch.full((3, 1, 1), (level + offset) / 255))[0, 0].tolist() == [level] * 3


def test_values_outside_are_clamped() -> None:
    assert levels(torch.tensor([-0.5, 0.5, 1.5]).reshape(3, 1, 1))[0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_arrays_of_every_type_are_scaled(dtype: type, shape: tuple[int, ...]) -> None:
    full = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    array = np.zeros(shape, dtype)
    array[2] = full
    array.flags.writeable = False
    tensor = from_array(array[::-1])
    assert tensor.shape == (3, 4, 5) and (tensor[:, 1] == 1).all() and tensor.sum() == 15
    tensor.zero_()
    assert array.max() == full, "the tensor is its own"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.int64),
        np.zeros((0, 5, 3), np.uint8),
        np.full((4, 5, 3), 255.0),
        np.full((4, 5, 3), np.nan),
        np.zeros(5, np.uint8),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        from_array(array)


@pytest.mark.parametrize("image", [torch.zeros(4, 4), torch.zeros(1, 3, 4, 4), torch.full((3, 2, 2), torch.nan)])
def test_other_tensors_are_refused(image: Tensor) -> None:
    with pytest.raises(ImageError):
        to_pil(image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"])
def test_pillow_picture_of_any_mode_is_taken_and_left_alone(mode: str) -> None:
    picture = Image.new("RGBA", (5, 3), (255, 255, 255, 255))
    picture = picture.convert("RGBA" if mode in ("RGBA", "RGBa") else "LA" if mode == "La" else "RGB").convert(mode)
    before = picture.tobytes()
    assert (from_pil(picture) == 1).all()
    assert picture.mode == mode and picture.tobytes() == before


# Writing.


def test_jpeg_is_95_without_subsampling(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", from_pil(hostile.quad()))
    with Image.open(tmp_path / "a.jpg") as picture:
        assert JpegImagePlugin.get_sampling(picture) == 0
        assert (
            picture.quantization == Image.open(stream(hostile.encoded(hostile.quad(), "JPEG", quality=95))).quantization
        )


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


# Resizing.


@QUICK
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 120), st.sampled_from([1, 3]))
def test_longer_side_becomes_the_size_and_constants_stay(height: int, width: int, size: int, channels: int) -> None:
    image = torch.full((channels, height, width), 0.25)
    resized = resize(image, size)
    assert max(resized.shape[1:]) == size and min(resized.shape) >= 1
    assert torch.allclose(resized, torch.tensor(0.25), atol=1e-6)
    expected = min(height, width) * size / max(height, width)
    assert abs(min(resized.shape[1:]) - max(1, expected)) <= 0.5


def test_resize_is_antialiased_stays_in_range_and_leaves_equal_sizes_alone() -> None:
    stripes = (torch.arange(64) % 8 == 0).float().expand(3, 64, -1)
    assert (resize(stripes, 8)[:, 2:-2, 2:-2] - 1 / 8).abs().max() < 0.05
    edge = (torch.arange(64) > 31).float().expand(3, 64, -1)
    assert resize(edge, 200).min() >= 0 and resize(edge, 200).max() <= 1
    assert resize(edge, 64) is edge


# Finding.


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


# The contact sheet.


def test_contact_sheet_shows_each_picture_in_its_place() -> None:
    red, wide = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 64, 64), torch.zeros(3, 20, 80)
    sheet = contact_sheet([[red, wide], [wide]], titles=["Red", "A title"], tile=64)
    plain = contact_sheet([[red, wide], [wide]], tile=64)
    assert plain.shape == (3, 2 + 2 * 66, 2 + 2 * 66) and sheet.shape[2] == plain.shape[2]
    header = sheet.shape[1] - plain.shape[1]
    assert (sheet[:, :header].amin() < 0.5) and torch.equal(sheet[:, header + 2 :], plain[:, 2:])
    assert torch.equal(plain[:, 2:66, 2:66], red)
    assert (plain[:, :2] == 1).all() and (plain[:, :, 66:68] == 1).all(), "white gutters"
    assert (plain[:, 34, 68:132] == 0).all() and (plain[:, 10, 68:132] == 1).all(), "fitted, not stretched"


def test_the_centre_of_a_strip_is_cut_without_scaling_all_of_it() -> None:
    strip = torch.rand(3, 1, 20_000)
    assert centre_square(strip, 64).shape == (3, 64, 64)
    assert centre_square(strip.mT, 64).shape == (3, 64, 64)
    photograph = torch.rand(3, 60, 100)
    whole = resize(photograph, 160)
    assert torch.equal(centre_square(photograph, 96), whole[:, :, 32:128])


def test_heic_of_a_telephone_is_read_with_the_extra(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photograph.heic"
    pillow_heif.from_pillow(Image.new("RGB", (48, 32), (200, 100, 50))).save(path, quality=95)
    image = read_image(path)
    assert image.shape == (3, 32, 48)
    assert (image.mean(dim=(1, 2)) * 255 - torch.tensor([200.0, 100.0, 50.0])).abs().max() < 4
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageError, match=r"photograph\.heic"):
        read_image(path)
