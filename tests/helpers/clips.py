"""Clips made by code. Who imports this is skipped where PyAV is not installed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
from av.video.reformatter import Colorspace  # noqa: E402

WIDTH, HEIGHT = 96, 64
SPC = {"601": 6, "709": 1}


def scene(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A bright corner at the top left, and something that moves."""
    picture = np.full((height, width, 3), (40, 90, 140), np.uint8)
    picture[: height // 2, : width // 2] = (230, 60, 30)
    picture[-height // 4 :, (number * 4) % (width - 8) :][:, :8] = (20, 200, 80)
    return picture


def make_clip(
    path: Path,
    *,
    times: list[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    matrix: str = "",
    full: bool = False,
    turn: tuple[Any, ...] = (),
    sounds: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    times = list(range(20)) if times is None else times
    with av.open(str(path), "w", options=options or {}) as out:
        picture = out.add_stream(codec, rate=30, time_base=time_base, width=size[0], height=size[1], pix_fmt=pix_fmt)
        if codec == "libx264":
            picture.options = {"crf": "4"}
        picture.codec_context.color_range = 2 if full else 1 if matrix else 0
        picture.codec_context.colorspace = SPC.get(matrix, 2)
        if turn:
            picture.set_display_rotation(*turn)
        tones = [out.add_stream("aac" if path.suffix == ".mp4" else "libopus", rate=48000) for _ in range(sounds)]
        last = float(times[-1] * time_base)
        for number, pts in enumerate(times):
            frame = av.VideoFrame.from_ndarray(scene(number, *size), "rgb24").reformat(
                format=pix_fmt, src_color_range=2, dst_color_range=2 if full else 1,
                dst_colorspace=Colorspace.ITU709 if matrix == "709" else Colorspace.ITU601, interpolation=CAREFUL,
            )  # fmt: skip
            frame.pts, frame.time_base = pts, time_base
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        for seed, tone in enumerate(tones):
            noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (2, 960)).astype("f4")
            for start in range(0, int(last * 48000) + 960, 960):
                layout = tone.codec_context.format.name
                values = noise if layout.endswith("p") else np.ascontiguousarray(noise.T.reshape(1, -1))
                sound = av.AudioFrame.from_ndarray(
                    values if "flt" in layout else (values * 9999).astype("i2"), layout, "stereo"
                )
                sound.rate, sound.pts = 48000, start
                out.mux(tone.encode(sound))
            out.mux(tone.encode(None))
    return path


CAREFUL = 0x42002  # bilinear, whole chroma, exact rounding
