"""Paintings held still: less flicker, and no ghosts, no trails, no blur, nothing outside a mask."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto.dials.dials import Dials
from impasto.errors import UsageError
from impasto.inference.hands import Hands, Region
from impasto.inference.mask_files import MaskFiles
from impasto.inference.stylizer import Stylizer
from impasto.inference.video import stabilize
from impasto.inference.video.flicker import flickers
from impasto.inference.video.stabilize import Stabilizer
from impasto.synthetic.contents import procedural_image

pytest.importorskip("cv2")
WORLD = procedural_image(3, 320)


def pan(frames: int, step: int = 1) -> list[np.ndarray]:
    return [np.ascontiguousarray(WORLD[40:130, step * n : step * n + 120]) for n in range(frames)]


class Restless:
    """Paints the same otherwise every time: strokes of its own, from frame to frame others."""

    def __init__(self, deviation: float = 15):
        self.random, self.deviation = np.random.default_rng(0), deviation

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        strokes = self.random.normal(0, self.deviation, frame.shape)
        return np.rint(np.clip(frame * 0.5 + 64 + strokes, 0, 255)).astype(np.uint8)


def without_grain(picture: np.ndarray) -> np.ndarray:
    """Means over squares of 5 x 5 pixels."""
    height, width = picture.shape[0] // 5, picture.shape[1] // 5
    return picture[: 5 * height, : 5 * width].reshape(height, 5, width, 5, 3).mean(axis=(1, 3))


def sharpness(picture: np.ndarray) -> float:
    grey = picture.astype(np.float32).mean(axis=-1)
    return float(np.square(np.diff(grey, axis=0)).mean() + np.square(np.diff(grey, axis=1)).mean())


@pytest.mark.parametrize("step", [0, 2])
def test_flicker_falls_to_a_quarter(step: int) -> None:
    frames = pan(30, step)
    restless = Restless()
    plain = [restless(frame) for frame in frames]
    paint = impasto.stabilized(Restless())
    held = [paint(frame) for frame in frames]
    before, after = flickers((frame, list(pair)) for frame, *pair in zip(frames, plain, held, strict=True))
    assert after.flicker < before.flicker / 4


def test_sharpness_stays_after_fifty_frames() -> None:
    random = np.random.default_rng(1)
    places = np.cumsum(random.integers(-2, 3, 60)) + 100
    frames = [np.ascontiguousarray(WORLD[40:130, x : x + 120]) for x in places]
    paint = impasto.stabilized(lambda frame: 255 - frame)
    held = [paint(frame) for frame in frames]
    ratios = [sharpness(each) / sharpness(255 - frame) for each, frame in zip(held[50:], frames[50:], strict=True)]
    assert 0.9 < np.mean(ratios) < 1.1


def test_a_cut_leaves_no_ghost() -> None:
    other = np.ascontiguousarray(procedural_image(11, 320)[150:240, 100:220])
    stabilizer, paint = Stabilizer(), Restless()
    shown = painting = other
    for frame in [*pan(8), other]:
        painting = paint(frame)
        stabilizer.follow(frame)
        shown = stabilizer.settle(painting)
    assert np.array_equal(shown, painting)
    assert stabilizer.to_dict()["cuts"] == 1
    assert stabilizer.to_dict()["held"] > 0.8


def test_a_moving_square_leaves_no_trail() -> None:
    ground, square = pan(1)[0], procedural_image(8, 30)
    paint = impasto.stabilized(lambda frame: 255 - frame)
    shown, frame = ground, ground
    for x in range(10, 80, 6):
        frame = ground.copy()
        frame[30:60, x : x + 30] = square
        shown = paint(frame)
    off = np.abs(without_grain(shown) - without_grain(255 - frame)).max(axis=-1)
    assert off.max() < 25  # levels; the square is 100 away from what it passed over
    assert off.mean() < 4


@pytest.mark.parametrize("amount", [0, 0.3])
def test_little_or_nothing_held_is_the_painting_itself(amount: float) -> None:
    paint, again = impasto.stabilized(Restless(), amount), Restless()
    assert all(np.array_equal(paint(frame), again(frame)) for frame in pan(4))


@pytest.mark.parametrize("amount", [-0.1, 1.01, float("nan")])
def test_an_amount_out_of_range_is_refused(amount: float) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        Stabilizer(amount)


def test_a_new_size_begins_anew() -> None:
    paint = impasto.stabilized(lambda frame: 255 - frame)
    first, larger = pan(1)[0], np.ascontiguousarray(WORLD[:100, :130])
    assert np.array_equal(paint(first), 255 - first)
    assert np.array_equal(paint(larger), 255 - larger)


def test_large_frames_are_followed_on_smaller_ones() -> None:
    large = [np.asarray(Image.fromarray(frame).resize((1080, 810))) for frame in pan(3)]
    paint, shown = impasto.stabilized(lambda frame: 255 - frame), large[0]
    for frame in large:
        shown = paint(frame)
    assert np.abs(shown.astype(int) - (255 - large[-1])).mean() < 3


def test_what_is_forgotten_takes_no_memory_and_stays_counted() -> None:
    stabilizer, frames = Stabilizer(), pan(5)
    tracemalloc.start()
    try:
        for frame in frames:
            stabilizer.follow(frame)
            stabilizer.settle(255 - frame)
        held, counted = tracemalloc.get_traced_memory()[0], stabilizer.to_dict()
        stabilizer.forget()
        assert held - tracemalloc.get_traced_memory()[0] > 2 * 4 * frames[0].size  # of two paintings in float32
    finally:
        tracemalloc.stop()
    assert stabilizer.to_dict() == counted
    stabilizer.follow(frames[0])
    assert np.array_equal(stabilizer.settle(frames[0]), frames[0])


def saved(tmp_path: Path, name: str, mask: np.ndarray) -> MaskFiles:
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / name)
    return MaskFiles(tmp_path / name)


@pytest.fixture(scope="module")
def painter() -> Stylizer:
    return Stylizer("wave", "cpu", backend="torch", precision="float32")


def test_outside_a_mask_the_photograph_is_untouched(tmp_path: Path, painter: Stylizer) -> None:
    mask = np.zeros((90, 120), np.uint8)
    mask[:, 60:] = 1
    hands, stabilizer = Hands(painter, Dials(), saved(tmp_path, "right.png", mask)), Stabilizer()
    plain, held = hands.frames(tmp_path / "a.mp4"), hands.frames(tmp_path / "a.mp4", stabilizer)
    steady = restless = mask
    for frame in pan(6, 3):  # what is shown moves from right to left, out of the mask
        steady, restless = held(frame), plain(frame)
        assert np.array_equal(steady[:, :60], frame[:, :60])
    assert not np.array_equal(steady[:, 60:], restless[:, 60:])
    assert np.abs(steady[:, 60:].astype(int) - restless[:, 60:]).mean() < 25  # no photograph among it


def test_regions_are_held_still_each_for_itself(tmp_path: Path, painter: Stylizer) -> None:
    mask = np.zeros((90, 120), np.uint8)
    mask[20:70, 50:110] = 1
    nowhere = saved(tmp_path, "nowhere.png", np.zeros_like(mask))
    region = Region(saved(tmp_path, "part.png", mask), painter, Dials(color="photo"), "")
    hands, stabilizer = Hands(painter, Dials(strength=0.8), nowhere, [region]), Stabilizer()
    plain, held = hands.frames(tmp_path / "a.mp4"), hands.frames(tmp_path / "a.mp4", stabilizer)
    steady = restless = mask
    for frame in pan(4, 2):
        steady, restless = held(frame), plain(frame)
        assert np.array_equal(steady[mask == 0], frame[mask == 0])
    assert 0 < np.abs(steady.astype(int) - restless)[mask == 1].mean() < 25


def test_an_empty_mask_needs_no_painter_and_the_next_frame_begins_anew(tmp_path: Path, painter: Stylizer) -> None:
    (tmp_path / "masks").mkdir()
    for number, white in enumerate([255, 0, 255]):
        Image.new("L", (120, 90), white).save(tmp_path / "masks" / f"{number}.png")
    hands, stabilizer = Hands(painter, Dials(), MaskFiles(tmp_path / "masks")), Stabilizer()
    held = hands.frames(tmp_path / "a.mp4", stabilizer)
    frames = pan(3)
    shown = [held(frame) for frame in frames]
    assert np.array_equal(shown[1], frames[1])
    assert np.array_equal(shown[2], painter(frames[2]))


def test_flow_that_nobody_asks_for_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    may_go = Event()

    def slow(*photographs: np.ndarray | None) -> None:
        begun.append(1)
        may_go.wait(10)

    monkeypatch.setattr(stabilize, "_motion_back", slow)
    stabilizer, frames = Stabilizer(), pan(50)
    for frame in frames:  # as with an empty mask: nothing is painted
        stabilizer.follow(frame)
    may_go.set()
    assert np.array_equal(stabilizer.settle(frames[-1]), frames[-1]) and len(begun) <= 3
