"""Styles that change along a film: before, within and after a transition the frames are what the painters paint."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from helpers.clips import make_clip
from impasto.errors import UsageError
from impasto.images.oklab import from_oklab, to_oklab
from impasto.inference.changes import ChangingFrames, ChangingHands, Cue
from impasto.inference.hands import Hands
from impasto.inference.mask_files import MaskFiles
from impasto.inference.stylizer import Stylizer
from impasto.inference.video.paint_video import paint_video
from impasto.inference.video.stabilize import Stabilizer


def reddened(pixels: np.ndarray) -> np.ndarray:
    return np.stack([np.full_like(pixels[..., 0], 255), pixels[..., 1], pixels[..., 2]], axis=-1)


def inverted(pixels: np.ndarray) -> np.ndarray:
    return 255 - pixels


def same(pixels: np.ndarray) -> np.ndarray:
    return pixels


CUES = [(Fraction(0), same), (Fraction(1), reddened), (Fraction(3, 2), inverted)]


def test_whose_turn_it_is() -> None:
    frames = ChangingFrames(CUES, Fraction(1))
    shares = {
        0: (0, 1), Fraction(9, 10): (0, 1), 1: (1, 0), Fraction(5, 4): (1, Fraction(1, 2)), Fraction(3, 2): (2, 0),
        2: (2, Fraction(1, 2)), Fraction(5, 2): (2, 1), 99: (2, 1),
    }  # fmt: skip
    assert {moment: frames.share_at(Fraction(moment)) for moment in shares} == shares
    assert ChangingFrames(CUES, Fraction(0)).share_at(Fraction(1)) == (1, 1)
    assert not frames.counts_frames


class Keeping:
    """Paints nothing and keeps the last frame."""

    kept: np.ndarray | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.kept = pixels
        return pixels

    def forget(self) -> None:
        self.kept = None


@pytest.mark.parametrize("transition", [Fraction(1, 4), Fraction(9)])  # it is over; the next cue cuts it short
def test_who_is_done_keeps_no_frame(transition: Fraction) -> None:
    painters = [Keeping() for _ in range(3)]
    frames = ChangingFrames([(Fraction(at), painter) for at, painter in enumerate(painters)], transition)
    pixels = np.zeros((4, 4, 3), np.uint8)
    keeping: list[list[int]] = []
    for moment in (Fraction(0), Fraction(9, 8), Fraction(17, 8)):
        frames.paint_at(pixels, 0, moment)
        keeping.append([number for number, painter in enumerate(painters) if painter.kept is not None])
    assert keeping == [[0], [0, 1], [1, 2]]
    frames.paint_at(pixels, 0, Fraction(99))
    assert [painter.kept is not None for painter in painters] == [False, False, True]


def test_finished_cues_hold_no_paintings(painter: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    stylizer = Stylizer(painter, "cpu", backend="torch")
    hands, stabilizer = Hands(stylizer, stylizer.dials), Stabilizer()
    frames = ChangingHands([Cue(Fraction(0), hands), Cue(Fraction(1), hands)], Fraction(0)).frames(
        tmp_path / "in.mp4", stabilizer
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    first = frames.paint_at(pixels, 0, Fraction(0))
    assert (frames.paint_at(pixels // 2, 1, Fraction(1)) == stylizer(pixels // 2)).all()
    stabilizer.follow(pixels)
    assert (stabilizer.settle(255 - first) == 255 - first).all()  # it has nothing to hold on to


def test_a_film_is_painted_by_each_in_turn(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", times=[150 + number for number in range(75)])  # from 5 s on
    painted: list[np.ndarray] = []
    seen: list[np.ndarray] = []
    moments: list[Fraction] = []
    frames = ChangingFrames(CUES, Fraction(1, 4))

    class Watched:
        counts_frames = False

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            raise AssertionError

        def paint_at(self, pixels: np.ndarray, number: int, moment: Fraction) -> np.ndarray:
            moments.append(moment)
            seen.append(pixels)
            painted.append(frames.paint_at(pixels, number, moment))
            return painted[-1]

    paint_video(Watched(), source, tmp_path / "out.mp4")
    for number, (before, after) in enumerate(zip(seen, painted, strict=True)):
        if number <= 30:
            assert (after == before).all()
        elif number < 37.5:
            share = (number - 30) / 7.5
            wanted = (1 - share) * to_oklab(before) + share * to_oklab(reddened(before))
            assert np.abs(from_oklab(wanted) * 255 - after).max() <= 1.5, number
        elif number <= 45:
            assert (after == reddened(before)).all(), number
        elif number >= 52.5:
            assert (after == inverted(before)).all(), number
    assert moments == [Fraction(number, 30) for number in range(75)]
    for start in (Fraction(1, 2), Fraction(2)):  # of a span, too, times are the source's
        moments.clear()
        paint_video(Watched(), source, tmp_path / "span.mp4", start=start)
        assert moments[0] == start


def test_painters_change_and_what_masks_leave_out_stays(painter: Path, tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    half = np.zeros((32, 32), np.uint8)
    half[:, 16:] = 255
    Image.fromarray(half).save(tmp_path / "mask.png")
    stylizer = Stylizer(painter, "cpu")
    hands = [Hands(stylizer, stylizer.dials.given(strength), MaskFiles(tmp_path / "mask.png")) for strength in (0.4, 1)]
    changing = ChangingHands([Cue(Fraction(0), hands[0]), Cue(Fraction(2), hands[1])], Fraction(1))
    frames = changing.frames(tmp_path / "in.mp4")
    assert frames.counts_frames
    pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    first, last = (each.frames(tmp_path / "in.mp4")(pixels) for each in hands)
    assert (frames.paint_at(pixels, 0, Fraction(1)) == first).all()
    assert (frames.paint_at(pixels, 0, Fraction(3)) == last).all()
    between = frames.paint_at(pixels, 0, Fraction(5, 2))
    assert (between[:, :16] == pixels[:, :16]).all() and (between != first).any() and (between != last).any()
    with pytest.raises(UsageError, match="which has no times"):
        changing.paint(pixels, tmp_path / "a.png")
    others = ChangingHands(changing.cues, Fraction(2)), ChangingHands(changing.cues[::-1], Fraction(1))
    shutil.copy(painter, tmp_path / "in.mp4")
    digests = {each.settings("common", tmp_path / "in.mp4") for each in (changing, *others)}
    assert len(digests) == 3 and changing.to_dict()["styles"][1]["from"] == 2
