"""The measure of flicker: nothing for what holds still, and as much as there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import impasto
from helpers.clips import make_clip
from impasto.errors import VideoError
from impasto.images.writing import write_image
from impasto.inference.video.flicker import flicker, flickers
from impasto.inference.video.flow import Motion
from impasto.inference.video.frames import read_frames
from impasto.synthetic.contents import procedural_image

pytest.importorskip("cv2")
WORLD = procedural_image(3, 240)
STILL = np.ascontiguousarray(WORLD[:90, :120])


def inverted(frame: np.ndarray) -> np.ndarray:
    return 255 - frame


def with_noise(frame: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, frame.shape)
    return np.rint(np.clip(frame * 0.5 + 64 + noise, 0, 255)).astype(np.uint8)


def pan(frames: int) -> Iterator[np.ndarray]:
    for number in range(frames):
        yield np.ascontiguousarray(WORLD[number : number + 90, 2 * number : 2 * number + 120])


def test_a_still_clip_painted_by_rule_does_not_flicker() -> None:
    result = impasto.flicker((STILL, inverted(STILL)) for _ in range(4))
    assert (result.flicker, result.painting, result.photograph) == (0, 0, 0)
    assert result.per_frame == (0, 0, 0)
    assert (result.trusted, result.frames) == (1, 4)


def test_noise_flickers_by_its_deviation_times_the_root_of_two() -> None:
    result = flicker((STILL, with_noise(STILL, 6, number)) for number in range(5))
    assert result.flicker == pytest.approx(6 * 2**0.5, rel=0.02)
    assert all(value == pytest.approx(6 * 2**0.5, rel=0.05) for value in result.per_frame)


def test_what_the_photographs_do_themselves_is_not_counted() -> None:
    photographs = [with_noise(STILL, 3, number) for number in range(5)]
    assert flicker((each, each) for each in photographs).flicker == 0
    noisier = [with_noise(each, 4, 9 + number) for number, each in enumerate(photographs)]
    result = flicker(zip(photographs, noisier, strict=True))
    assert result.painting**2 - result.photograph**2 == pytest.approx(result.flicker**2)


def test_what_moves_with_the_picture_does_not_flicker_and_what_stays_on_the_screen_does() -> None:
    screen = np.random.default_rng(0).integers(-20, 20, STILL.shape)
    moving, staying = flickers(
        (frame, [inverted(frame), np.clip(frame + screen, 0, 255).astype(np.uint8)]) for frame in pan(5)
    )
    assert moving.flicker < 2
    assert staying.flicker > 10


def test_a_cut_is_left_out() -> None:
    other = np.ascontiguousarray(procedural_image(11, 240)[100:190, 100:220])
    result = flicker((frame, inverted(frame)) for frame in [STILL, STILL, other, other])
    assert result.per_frame == (0, None, 0)
    assert result.flicker == 0


def test_given_motions_are_used() -> None:
    flow = np.zeros((*STILL.shape[:2], 2), np.float32)
    where = np.zeros(STILL.shape[:2], bool)
    where[:40] = True
    paintings = [STILL, np.concatenate([STILL[:40], inverted(STILL[40:])])]
    result = flicker(zip([STILL, STILL], paintings, strict=True), [Motion(flow, where)])
    assert result.flicker == 0
    assert result.trusted == pytest.approx(40 / 90)
    with pytest.raises(VideoError, match="one fewer"):
        flicker([(STILL, STILL)] * 3, [Motion(flow, where)])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_frames_are_refused(count: int) -> None:
    with pytest.raises(VideoError, match="two or more"):
        flicker([(STILL, STILL)] * count)


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(VideoError, match="a painting of 120 x 89 and a photograph of 120 x 90"):
        flicker([(STILL, STILL), (STILL, STILL[:-1])])


def test_only_two_frames_are_kept() -> None:
    alive = []

    def frames() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        import weakref

        for _ in range(6):
            frame = STILL.copy()
            alive.append(weakref.ref(frame))
            yield frame, frame
            del frame
            assert sum(reference() is not None for reference in alive) <= 2

    flicker(frames())


def test_frames_of_a_clip_and_of_a_folder(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", times=list(range(4)))
    frames = list(read_frames(clip))
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 4
    (tmp_path / "pictures").mkdir()
    for number, frame in enumerate(frames):
        write_image(tmp_path / "pictures" / f"{number:03}.png", frame)
    again = list(read_frames(tmp_path / "pictures"))
    assert all(np.array_equal(*pair) for pair in zip(frames, again, strict=True))
    assert next(iter(read_frames(clip, 48))).shape == (32, 48, 3)
    assert [frame.shape for frame in itertools.islice(read_frames(tmp_path / "pictures", 48), 1)] == [(32, 48, 3)]
