"""Optical flow: DIS on known motions, `.flo` files whole and damaged, and which pixels can be trusted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import VideoError
from impasto.inference.video.flow import (
    dense_flow,
    is_at_boundary,
    is_consistent,
    is_inside,
    motion_along,
    motion_between,
    read_flow,
    warped,
    write_flow,
)
from impasto.synthetic.contents import procedural_image

pytest.importorskip("cv2")
WORLD = procedural_image(3, 200)


def view(x: int, y: int, width: int = 120, height: int = 90) -> np.ndarray:
    """What a camera sees whose corner is at (x, y) of the world."""
    return np.ascontiguousarray(WORLD[y : y + height, x : x + width])


@pytest.mark.parametrize(("quick", "refined"), [(False, True), (True, True), (True, False)])
def test_dis_finds_a_shift(quick: bool, refined: bool) -> None:
    flow = dense_flow(view(40, 50), view(43, 48), quick=quick, refined=refined)
    assert flow.dtype == np.float32
    assert flow.shape == (90, 120, 2)
    assert np.abs(np.median(flow, axis=(0, 1)) - (-3, 2)).max() < 0.1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 90), (90, 3), (17, 15)])
def test_dis_takes_every_size(height: int, width: int) -> None:
    frame = view(0, 0, width, height)
    assert not dense_flow(frame, frame).any()
    motion = motion_between(frame, frame)
    assert motion.flow.shape == (height, width, 2)
    assert motion.trusted.all()


def test_dis_takes_views_and_refuses_two_sizes() -> None:
    turned = view(40, 50)[::-1, ::-1]
    assert not dense_flow(turned, turned).any()
    with pytest.raises(VideoError, match="one size"):
        dense_flow(view(0, 0, 40, 40), view(0, 0, 40, 41))


def test_warping_undoes_a_shift() -> None:
    flow = np.broadcast_to(np.array([-3, 2], np.float32), (90, 120, 2))
    moved = warped(view(43, 48), flow)
    assert np.array_equal(moved[:-2, 3:], view(40, 50)[:-2, 3:])
    halfway = warped(np.array([[0, 10, 20]], np.float32), np.full((1, 3, 2), (0.5, 0), np.float32))
    assert halfway.tolist() == [[5, 15, 20]]


def test_sharp_warping_keeps_more_detail() -> None:
    soft = sharp = np.random.default_rng(0).uniform(0, 255, (40, 40)).astype(np.float32)
    for sign in (1, -1) * 5:
        flow = np.full((40, 40, 2), sign * 0.3, np.float32)
        soft, sharp = warped(soft, flow), warped(sharp, flow, sharp=True)
    assert sharp[8:-8, 8:-8].std() > 1.5 * soft[8:-8, 8:-8].std()


def test_what_leaves_the_picture_is_not_inside() -> None:
    flow = np.zeros((4, 5, 2), np.float32)
    flow[..., 0] = -2
    flow[0, 4] = np.nan
    assert is_inside(flow).tolist() == [[False] * 2 + [True, True, False], *([[False] * 2 + [True] * 3] * 3)]


def test_what_gets_covered_is_not_consistent() -> None:
    flow, back = np.zeros((10, 30, 2), np.float32), np.zeros((10, 30, 2), np.float32)
    flow[:, 5:10, 0], back[:, 15:20, 0] = 10, -10  # a square jumps from 5 to 15, and covers what was there
    consistent = is_consistent(flow, back)[5]
    assert not consistent[15:20].any()
    assert consistent[:15].all() and consistent[20:].all()


def test_motions_meet_at_a_boundary() -> None:
    flow = np.zeros((20, 20, 2), np.float32)
    flow[5:15, 5:15] = 4
    boundary = is_at_boundary(flow)
    assert boundary[5, 10] and boundary[4, 10] and boundary[10, 14]
    assert not boundary[10, 10] and not boundary[1, 1]


def test_the_background_of_a_moving_square_is_trusted_but_where_it_gets_covered() -> None:
    frames = [view(10, 10, 160, 100), view(10, 10, 160, 100)]
    square = procedural_image(8, 30)
    frames[0][35:65, 40:70] = square
    frames[1][35:65, 52:82] = square
    trusted = motion_between(*frames).trusted
    assert trusted[:25].mean() > 0.95 and trusted[75:].mean() > 0.95
    assert trusted[40:60, 72:80].mean() < 0.3  # what the square will cover
    assert trusted[45:55, 48:60].mean() > 0.9  # the square itself


def test_a_flow_of_another_size_is_refused() -> None:
    with pytest.raises(VideoError, match="a flow of 5 x 4 for frames of 120 x 90"):
        motion_along(np.zeros((4, 5, 2), np.float32), view(0, 0), view(0, 0))


def test_a_flow_comes_back_from_its_file(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).normal(0, 9, (6, 7, 2)).astype(np.float32)
    flow[2, 3] = np.nan
    write_flow(tmp_path / "a.flo", flow)
    assert (tmp_path / "a.flo").read_bytes()[:4] == b"PIEH"
    again = read_flow(tmp_path / "a.flo")
    assert np.array_equal(again, flow, equal_nan=True)
    assert again.dtype == np.float32


def test_unknown_values_are_no_numbers(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 2), "<f4")
    values[0, 0, 0], values[0, 1, 1], values[1, 2, 0] = 1.7e9, np.nan, -np.inf
    (tmp_path / "a.flo").write_bytes(flo(3, 2) + values.tobytes())
    unknown = np.isnan(read_flow(tmp_path / "a.flo")).all(axis=-1)
    assert unknown.tolist() == [[True, True, False], [False, False, True]]


def flo(width: int, height: int) -> bytes:
    return b"PIEH" + np.array([width, height], "<i4").tobytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "PIEH"),
        (b"PIE", "PIEH"),
        (b"RIFF" + bytes(100), "PIEH"),
        (b"PIEH", "0 x 0"),
        (flo(2, 2) + bytes(31), "cut short"),
        (flo(2, 2) + bytes(33), "longer"),
        (flo(-2, -2) + bytes(32), "-2 x -2"),
        (flo(0, 5), "0 x 5"),
        (flo(2**31 - 1, 2**31 - 1) + bytes(32), "pixels"),
    ],
)
def test_damaged_flow_files_are_refused_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.flo").write_bytes(content)
    with pytest.raises(VideoError, match=reason) as caught:
        read_flow(tmp_path / "a.flo")
    assert "a.flo" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_flow_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.flo", tmp_path):
        with pytest.raises(VideoError, match=path.name):
            read_flow(path)


def test_without_opencv_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(VideoError, match=r"pip install 'impasto\[video\]'"):
        dense_flow(view(0, 0), view(0, 0))
