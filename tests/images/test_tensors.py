"""Pictures, arrays and tensors become one another: what is exact, what is rounded, what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from torch import Tensor

from helpers import hostile
from helpers.pictures import levels
from impasto.errors import ImageError
from impasto.images.reading import from_pil, read_image
from impasto.images.tensors import from_array, to_pil
from impasto.images.writing import write_image

EXACT = ["png", "bmp", "tif", "ppm", "jp2", "tga"]
bytes_rgb = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24).map(lambda shape: (*shape, 3)))


QUICK = settings(max_examples=25, deadline=None)


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
