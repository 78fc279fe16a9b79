"""How much of the painter's speed a whole clip keeps: frames per second from file to file against its three parts
alone.

    python scripts/measure/video.py [-s starry_night] [--frames 1000] [--width 640] [--height 360] [--device auto]

Makes a clip with sound, paints it into another, and then decodes, paints and encodes the same frames one after the
other. Prints the four rates, the rate of the three parts in turn, and whether frames and sound came through.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _head
import av
import numpy as np
from tqdm import tqdm

from impasto.inference.stylizer import Stylizer
from impasto.inference.video.chain import Frame, painted_frames
from impasto.inference.video.colours import FramePlan, upright_frames
from impasto.inference.video.paint_video import paint_video
from impasto.inference.video.reading import opened
from impasto.inference.video.writing import Writer
from impasto.synthetic.contents import procedural_image
from impasto.system.choices import MAX_PIXELS
from impasto.system.machine import pick_device


def make_clip(path: Path, frames: int, width: int, height: int) -> None:
    """A camera that wanders over a picture, 30 frames a second, with noise to hear."""
    picture = procedural_image(7, 2 * max(width, height))
    with av.open(str(path), "w") as out:
        moving = out.add_stream("libx264", rate=30, width=width, height=height, pix_fmt="yuv420p")
        tone = out.add_stream("aac", rate=48000)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 1600)).astype("f4")
        for number in tqdm(range(frames), "making the clip", unit="frame"):
            top, left = (int(side / 2 * (1 + np.sin(number / pace))) for side, pace in ((height, 41), (width, 67)))
            view = np.ascontiguousarray(picture[top : top + height, left : left + width])
            out.mux(moving.encode(av.VideoFrame.from_ndarray(view, "rgb24")))
            heard = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
            heard.rate, heard.pts = 48000, 1600 * number
            out.mux(tone.encode(heard))
        out.mux(moving.encode(None))
        out.mux(tone.encode(None))


def decode_alone(source: Path) -> int:
    """Read the clip as `paint_video` reads it, and do nothing with it."""
    with opened(source) as clip:
        first, items = clip.peeked()
        plan = FramePlan.of(clip, first, None, MAX_PIXELS, step=2)
        return sum(isinstance(item, Frame) for item in upright_frames(items, clip, plan))


def paint_alone(painter: Stylizer, frames: int, width: int, height: int) -> int:
    frame = Frame(procedural_image(7, 2 * max(width, height))[:height, :width])
    return sum(1 for _ in painted_frames(painter, (frame for _ in range(frames))))


def encode_alone(source: Path, target: Path) -> float:
    """Write the painted clip once more; return the seconds that took, without those for reading it."""
    seconds = 0.0
    with opened(source) as clip:
        first, items = clip.peeked()
        plan = FramePlan.of(clip, first, None, MAX_PIXELS, step=2)
        with Writer(target, target, clip, plan, keep_metadata=False) as writer:
            for item in upright_frames(items, clip, plan):
                started = time.perf_counter()
                writer.write(item)
                seconds += time.perf_counter() - started
            started = time.perf_counter()
            writer.finish()
            seconds += time.perf_counter() - started
    return seconds


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as clip:
        return [bytes(packet) for packet in clip.demux(audio=0) if packet.size]


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("-s", "--style", default="starry_night")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    painter, size = Stylizer(options.style, options.device), (options.width, options.height)
    paint_alone(painter, 3, *size)  # warm
    with tempfile.TemporaryDirectory() as name:
        source, target, again = (Path(name, f"{word}.mp4") for word in ("clip", "painted", "again"))
        make_clip(source, options.frames, *size)
        with tqdm(total=options.frames, desc="painting", unit="frame") as bar:

            def progress(*_: int | None) -> None:
                bar.update()

            report = paint_video(painter, source, target, progress=progress)
        alone = {
            "decode": seconds_of(lambda: decode_alone(source)),
            "paint": seconds_of(lambda: paint_alone(painter, options.frames, *size)),
            "encode": encode_alone(target, again),
        }
        rows: list[_head.Row] = []
        for word, seconds in alone.items():
            print(f"{word} alone: {options.frames / seconds:.1f} frames/s")
            rows.append({"work": f"{word} alone", "frames_per_s": _head.rounded(options.frames / seconds)})
        whole, slowest, total = report.seconds, max(alone.values()), sum(alone.values())
        print(f"one after the other: {options.frames / total:.1f} frames/s")
        print(f"file to file: {options.frames / whole:.1f} frames/s, {slowest / whole:.0%} of the slowest part alone")
        with av.open(str(target)) as clip:
            count = sum(1 for _ in clip.decode(video=0))
        same = sound_of(source) == sound_of(target)
        print(f"frames: {options.frames} in, {count} out; sound the same: {same}")
    device = str(pick_device(options.device))
    print(_head.stamp(device))
    rows.append({"work": "one after the other", "frames_per_s": _head.rounded(options.frames / total)})
    rows.append(
        {
            "work": "file to file",
            "frames_per_s": _head.rounded(options.frames / whole),
            "frames_out": count,
            "sound_is_the_same": same,
        }
    )
    title = f"A clip of {options.frames} frames of {options.width}x{options.height} with sound, {options.style}"
    _head.save(options.results, "video", title, rows, device)


if __name__ == "__main__":
    main()
