"""Optical flow: by DIS between two frames or from `.flo` files, warping along it, and where it can be trusted.

A flow (H, W, 2) is float32: what is at (x, y) in one frame is at (x + u, y + v) in the other. NaN where it is unknown.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import VideoError
from impasto.system.choices import MAX_PIXELS
from impasto.system.files import written_whole

_MAGIC = np.float32(202021.25).tobytes()  # reads PIEH
_UNKNOWN = 1e9  # as Middlebury's files have it
_LEAST_SIDE = 16  # of what DIS takes
_HALF = 1  # DIS searches to half of the resolution, below which it is several times slower for little
_CONSISTENT, _CONSISTENT_SQUARE = 0.01, 0.5  # Sundaram et al. 2010
_BOUNDARY, _BOUNDARY_PIXELS = 0.01, 0.002


class Motion(NamedTuple):
    """Where the pixels of a frame are in the next one, and which of these places can be trusted.

    Attributes:
        flow: (H, W, 2), float32.
        trusted: (H, W), bool.
    """

    flow: np.ndarray
    trusted: np.ndarray


def motion_between(frame: np.ndarray, following: np.ndarray) -> Motion:
    """Return the motion from `frame` to the `following` one, both (H, W, 3) uint8, by DIS."""
    return motion_along(dense_flow(frame, following), frame, following)


def motion_along(flow: np.ndarray, frame: np.ndarray, following: np.ndarray) -> Motion:
    """Return a motion of which the flow is known; DIS flows back, so that what gets covered is not trusted.

    Raises:
        VideoError: the flow has another size than the frames.
    """
    if flow.shape[:2] != frame.shape[:2]:
        sizes = ["{1} x {0}".format(*each.shape) for each in (flow, frame)]
        raise VideoError(f"a flow of {sizes[0]} for frames of {sizes[1]}; give one of the frames' size")
    back = dense_flow(following, frame)
    return Motion(flow, is_inside(flow) & is_consistent(flow, back) & ~is_at_boundary(flow))


def dense_flow(start: np.ndarray, end: np.ndarray, *, quick: bool = False, refined: bool = True) -> np.ndarray:
    """Return the flow from `start` to `end`, both (H, W, 3) uint8, by DIS (Kroeger et al. 2016).

    Args:
        quick: for frames that are reduced already: searched at their own resolution, with coarser patches and a
            shorter refinement.
        refined: whether that refinement is done. Without it the flow is less exact and takes two thirds of the time.

    Raises:
        VideoError: OpenCV is missing, or frames of two sizes.
    """
    cv2 = opencv()
    if start.shape != end.shape:
        raise VideoError(f"frames of {start.shape} and {end.shape} have no flow; give frames of one size")
    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if quick else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    search = cv2.DISOpticalFlow_create(preset)
    search.setFinestScale(0 if quick else _HALF)
    if quick:
        search.setGradientDescentIterations(8)
        search.setVariationalRefinementIterations(2)
    if not refined:
        search.setVariationalRefinementIterations(0)
    height, width = start.shape[:2]
    bottom, right = max(0, _LEAST_SIDE - height), max(0, _LEAST_SIDE - width)
    grey = [
        np.pad(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), ((0, bottom), (0, right)), mode="edge")
        for frame in (start, end)
    ]
    return search.calc(*grey, None)[:height, :width]


def warped(picture: np.ndarray, flow: np.ndarray, *, sharp: bool = False) -> np.ndarray:
    """Return what `picture`, (H, W) or (H, W, C), has where the flow leads, bilinear, in float32.

    Beyond the border the outermost pixels are repeated. Where the flow is unknown, the picture stands still.

    Args:
        sharp: bicubic, which may overshoot: for what is warped again and again.
    """
    return sampled(picture, *places(flow), sharp=sharp)


def sampled(picture: np.ndarray, x: np.ndarray, y: np.ndarray, *, sharp: bool = False) -> np.ndarray:
    """Return what `picture` has at places (H, W) of float32, as `warped`."""
    cv2 = opencv()
    how = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    values = np.ascontiguousarray(picture, np.float32)
    return cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REPLICATE)


def places(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places to which a flow leads, x and y, each (H, W); a pixel of unknown flow stays."""
    height, width = flow.shape[:2]
    known = np.nan_to_num(flow)
    return (known[..., 0] + np.arange(width, dtype=np.float32),
            known[..., 1] + np.arange(height, dtype=np.float32)[:, None])  # fmt: skip


def is_inside(flow: np.ndarray) -> np.ndarray:
    """Whether the flow of each pixel is known and leads to a place inside the picture: (H, W), bool."""
    height, width = flow.shape[:2]
    x, y = places(flow)
    is_known = np.isfinite(flow[..., 0]) & np.isfinite(flow[..., 1])
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & is_known


def is_consistent(flow: np.ndarray, back: np.ndarray, slack: float = _CONSISTENT_SQUARE) -> np.ndarray:
    """Whether the flow `back` leads to where each pixel came from (Sundaram et al. 2010): (H, W), bool.

    It does not where a pixel gets covered: back from there leads what covers it. With w the flow and v the flow back
    at the place where w leads, |w + v|² is at most 0.01 (|w|² + |v|²) + `slack`.
    """
    returned = warped(np.nan_to_num(back), flow)
    known = np.nan_to_num(flow)
    off = _squared_lengths(known + returned)
    lengths = _squared_lengths(known) + _squared_lengths(returned)
    return off <= _CONSISTENT * lengths + slack


def _squared_lengths(flow: np.ndarray) -> np.ndarray:
    return np.square(flow[..., 0]) + np.square(flow[..., 1])


def is_at_boundary(flow: np.ndarray) -> np.ndarray:
    """Whether two motions meet at each pixel, so that the flow is not sure of its edge (Ruder et al. 2016).

    There |∇u|² + |∇v|² is above 0.01 |w|² + 0.002. Returns (H, W), bool.
    """
    known = np.nan_to_num(flow)
    slopes = np.zeros(flow.shape[:2], np.float32)
    for axis in (0, 1):
        if flow.shape[axis] > 1:
            slopes += np.square(np.gradient(known, axis=axis)).sum(axis=-1)
    return slopes > _BOUNDARY * np.square(known).sum(axis=-1) + _BOUNDARY_PIXELS


def read_flow(path: Path) -> np.ndarray:
    """Read a `.flo` file as Middlebury and Sintel write it; NaN where it is unknown (beyond 1e9, or no number).

    Raises:
        VideoError: no such file, or not one: it begins otherwise, or is not as long as its sides say.
    """
    try:
        with path.open("rb") as file:
            length, head = path.stat().st_size, file.read(12)
            if head[:4] != _MAGIC:
                raise VideoError(path, "no optical flow: a .flo file begins with PIEH", "give one, or --flow auto")
            width, height = (int(side) for side in np.frombuffer(head[4:].ljust(8, b"\0"), "<i4"))
            if min(width, height) < 1 or width * height > MAX_PIXELS:
                raise VideoError(path, f"a flow of {width} x {height} pixels", "the file is damaged; get it again")
            if length != 12 + 8 * width * height:
                what = "cut short" if length < 12 + 8 * width * height else "longer than its sides say"
                raise VideoError(path, f"the flow is {what}", "get it again")
            values = np.frombuffer(file.read(), "<f4").astype(np.float32).reshape(height, width, 2)
    except OSError as error:
        raise VideoError(path, (error.strerror or str(error)).lower(), "give a .flo file") from error
    known = (np.abs(values) < _UNKNOWN).all(axis=-1, keepdims=True)
    return np.where(known, values, np.float32(np.nan))


def write_flow(path: Path, flow: np.ndarray) -> None:
    """Write a flow as a `.flo` file, whole or not at all; what is NaN as unknown."""
    height, width = flow.shape[:2]
    values = np.where(np.isfinite(flow), flow, 2 * _UNKNOWN).astype("<f4")
    with written_whole(path) as temporary:
        temporary.write_bytes(_MAGIC + np.array([width, height], "<i4").tobytes() + values.tobytes())


def opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise VideoError("optical flow needs OpenCV: pip install 'impasto[video]'") from error
