"""Definitions of what a reader of pictures owes its users."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from helpers import hostile
from helpers.pictures import cut_out, levels, stream
from impasto.errors import ImageError
from impasto.images.geometry import resize
from impasto.images.reading import read_image, read_picture
from impasto.images.tensors import from_levels

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
