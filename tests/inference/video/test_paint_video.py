"""Clips: every frame with its time, upright, in its colours, with its sound; cut, empty and false ones in one line."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.clips import CAREFUL, make_clip, scene
from impasto import cli
from impasto.errors import VideoError
from impasto.inference.stylizer import Stylizer
from impasto.inference.video.chain import ahead
from impasto.inference.video.paint_video import paint_raw, paint_video
from impasto.inference.video.reading import is_whole_clip
from impasto.synthetic.contents import procedural_image
from impasto.system.machine import used_memory

av = pytest.importorskip("av")
from av.video.reformatter import Colorspace  # noqa: E402


def identity(frame: np.ndarray) -> np.ndarray:
    return frame


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as clip:
        return list(clip.decode(video=0))


def moments(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames(path)]


def sound(path: Path, number: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as clip:
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in clip.demux(audio=number) if packet.size]


def pixels(frame: Any, matrix: str = "601", full: bool = False) -> np.ndarray:
    """A frame as a player that knows its colours shows it, however it is tagged."""
    space = Colorspace.ITU709 if matrix == "709" else Colorspace.ITU601
    rgb = frame.reformat(
        format="rgb24", src_colorspace=space, src_color_range=2 if full else 1, dst_color_range=2,
        interpolation=CAREFUL,
    )  # fmt: skip
    return rgb.to_ndarray().astype(int)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def seen_by_a_painter(source: Path, target: Path, size: int | None = None) -> list[np.ndarray]:
    seen: list[np.ndarray] = []

    def paint(frame: np.ndarray) -> np.ndarray:
        seen.append(frame)
        return frame

    paint_video(paint, source, target, size=size)
    return seen


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_every_frame_keeps_its_time_and_the_sound_is_copied(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mkv" if suffix == ".webm" else tmp_path / "in.mp4", sounds=2)
    target = tmp_path / f"out{suffix}"
    seen: list[tuple[int, int | None]] = []
    report = paint_video(identity, source, target, progress=lambda done, total: seen.append((done, total)))
    assert report.frames == 20 == len(frames(source)) == len(frames(target)) and report.damage is None
    assert seen[-1][0] == 20 and report.frames_per_second > 0
    shift = moments(target)[0] - moments(source)[0]
    assert 0 <= shift < Fraction(1, 30)  # Matroska moves everything by the encoder's delay of the sound
    for before, after in zip(moments(source), moments(target), strict=True):
        assert abs(after - before - shift) <= Fraction(1, 1000)
        assert suffix not in (".mp4", ".mov") or after == before
    for number in range(2):
        assert [data for _, data in sound(target, number)] == [data for _, data in sound(source, number)]
        for (before, _), (after, _) in zip(sound(source, number), sound(target, number), strict=True):
            assert abs(after - before - shift) <= Fraction(2, 1000)
    assert {path.name for path in tmp_path.iterdir()} == {source.name, target.name}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rates_stay(tmp_path: Path, suffix: str) -> None:
    times = np.cumsum([0, *np.random.default_rng(1).integers(10, 200, 29)]).tolist()
    source = make_clip(tmp_path / f"in{suffix}", times=times, time_base=Fraction(1, 1000))
    paint_video(identity, source, tmp_path / f"out{suffix}")
    assert moments(tmp_path / f"out{suffix}") == moments(source) == [Fraction(moment, 1000) for moment in times]
    with av.open(str(source)) as one, av.open(str(tmp_path / f"out{suffix}")) as other:
        assert abs(one.duration - other.duration) <= 1000


@pytest.mark.parametrize("matrix", ["601", "709", ""])
@pytest.mark.parametrize("full", [False, True])
def test_colours_look_the_same(tmp_path: Path, matrix: str, full: bool) -> None:
    source = make_clip(tmp_path / "in.mp4", matrix=matrix, full=full, times=[0, 1, 2])
    painted = seen_by_a_painter(source, tmp_path / "out.mp4")
    before, after = frames(source)[0], frames(tmp_path / "out.mp4")[0]
    assert (before.colorspace, before.color_range) == (after.colorspace, after.color_range)
    shown = scene(0)
    assert distance(pixels(before, matrix, full), shown) < 4  # the clip is what it is meant to be
    assert distance(pixels(after, matrix, full), shown) < 4  # half a pixel of blur at the edges, and no level more
    assert distance(painted[0], shown) < 4  # and so does the painter see it
    assert np.abs(pixels(after, matrix, full)[8:24, 8:40] - (230, 60, 30)).max() <= 4


def test_large_clips_without_a_matrix_are_taken_as_players_take_them(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", matrix="709", size=(1280, 720), times=[0, 1])
    for is_tagged in (True, False):
        if not is_tagged:  # the same data in a file that says nothing of its colours
            source = untagged(source, tmp_path / "untagged.h264.mkv")
        painted = seen_by_a_painter(source, tmp_path / "out.mkv", size=320)
        assert np.abs(painted[0][20:60, 20:120].mean((0, 1)) - (230, 60, 30)).max() < 4
        result = frames(tmp_path / "out.mkv")[0]
        assert (result.width, result.height, result.colorspace) == (320, 180, 1)


def untagged(source: Path, target: Path) -> Path:
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream("libx264", rate=30, width=1280, height=720, pix_fmt="yuv420p")
        for frame in read.decode(video=0):
            frame.colorspace, frame.color_range = 2, 0
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    assert frames(target)[0].colorspace == 2
    return target


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("turn", [(90,), (-90,), (180,), (0, True, False), (90, True, False), (90, False, True)])
def test_turned_and_mirrored_clips_come_out_upright(tmp_path: Path, suffix: str, turn: tuple[Any, ...]) -> None:
    source = make_clip(tmp_path / f"in{suffix}", turn=turn, times=[0, 1, 2])
    paint_video(identity, source, tmp_path / "out.mp4")
    upright = np.rot90(scene(0), turn[0] // 90)
    if turn[1:]:
        upright = upright[:, ::-1] if turn[1] else upright[::-1]
    result = frames(tmp_path / "out.mp4")[0]
    assert result.rotation == 0 and distance(pixels(result), upright) < 3


@pytest.mark.parametrize(("suffix", "made"), [(".mp4", (96, 66)), (".webm", (95, 65))])
def test_odd_sizes_are_kept_where_the_codec_can(tmp_path: Path, suffix: str, made: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "in.webm", codec="libvpx-vp9", size=(95, 65), times=[0, 1, 2])
    report = paint_video(identity, source, tmp_path / f"out{suffix}")
    result = frames(tmp_path / f"out{suffix}")[0]
    assert (result.width, result.height) == made and bool(report.notes) == (suffix == ".mp4")
    assert distance(pixels(result)[:65, :95], pixels(frames(source)[0])) < 4
    report = paint_video(identity, source, tmp_path / "small.mp4", size=48)
    assert (frames(tmp_path / "small.mp4")[0].width, report.notes) == (48, ())


def test_one_pixel_ten_bits_rgb_and_old_avi(tmp_path: Path) -> None:
    assert (
        paint_video(
            identity, make_clip(tmp_path / "1.webm", codec="libvpx-vp9", size=(1, 1)), tmp_path / "1.mp4"
        ).frames
        == 20
    )
    report = paint_video(identity, make_clip(tmp_path / "10.mkv", pix_fmt="yuv420p10le"), tmp_path / "10.mp4")
    assert "8" in report.notes[0] and distance(pixels(frames(tmp_path / "10.mp4")[0]), scene(0)) < 3
    paint_video(identity, make_clip(tmp_path / "rgb.mkv", codec="ffv1", pix_fmt="bgr0"), tmp_path / "rgb.mp4")
    assert distance(pixels(frames(tmp_path / "rgb.mp4")[0], "709"), scene(0)) < 3
    old = make_clip(tmp_path / "old.avi", codec="mpeg4")
    assert paint_video(identity, old, tmp_path / "old.mp4").frames == 20 and moments(tmp_path / "old.mp4") == [
        Fraction(number, 30) for number in range(20)
    ]


def cut(source: Path, target: Path, share: float = 0.6) -> Path:
    target.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])
    return target


def test_what_came_before_a_cut_is_kept(tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = make_clip(tmp_path / "whole.mp4", times=list(range(90)), sounds=1, options={"movflags": "faststart"})
    for suffix in (".mp4", ".mkv"):
        if suffix == ".mkv":
            whole = make_clip(tmp_path / "whole.mkv", times=list(range(90)), sounds=1)
        torn = cut(whole, tmp_path / f"torn{suffix}")
        code = cli.main(["stylize", str(torn), "-s", str(painter), "--json", "--device", "cpu", "--size", "32"])
        told, errors = capsys.readouterr()
        lines = [line for line in errors.splitlines() if line.startswith("impasto: ")]
        assert code == 1 and len(lines) == 1 and torn.name in lines[0] and "breaks off" in lines[0]
        (done,), (failed,) = json.loads(told)["done"], json.loads(told)["failed"]
        assert 5 < done["frames"] < 90 and len(frames(Path(done["output"]))) == done["frames"]
        assert failed["input"] == done["input"]


def test_a_broken_place_is_passed_over(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    with av.open(str(source)) as clip:
        broken = [bytes(packet) for packet in clip.demux(video=0)][8]
    source.write_bytes(source.read_bytes().replace(broken, b"\xff" * len(broken)))
    report = paint_video(identity, source, tmp_path / "out.mp4")
    assert 15 <= report.frames < 20 and report.damage and "broken" in report.damage


@pytest.mark.parametrize(
    "content", [b"", b"no video at all\n" * 99, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", None]
)
def test_what_is_no_clip_is_refused_in_one_line(
    tmp_path: Path, painter: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "false.mp4"
    if content is None:  # the index of a clip stands at its end
        cut(make_clip(tmp_path / "whole.mp4"), source)
    else:
        source.write_bytes(content)
    assert cli.main(["stylize", str(source), "-s", str(painter), "-o", str(tmp_path / "out")]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert len(lines) == 1 and "false.mp4" in lines[0] and not (tmp_path / "out").exists()


def test_sound_without_pictures_and_sound_that_does_not_fit(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"sound\.mp4"):
        paint_video(identity, tmp_path / "sound.mp4", tmp_path / "out.mp4")
    with pytest.raises(VideoError, match="its sound"):
        paint_video(identity, make_clip(tmp_path / "in.mp4", sounds=1), tmp_path / "out.webm")
    for target in ("out.png", "out.avi", "out"):
        with pytest.raises(VideoError, match="choose"):
            paint_video(identity, tmp_path / "in.mp4", tmp_path / target)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".impasto", "out"))]


def test_a_painter_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(frame: np.ndarray) -> np.ndarray:
        raise RuntimeError("no paint")

    source = make_clip(tmp_path / "in.mp4")
    with pytest.raises(RuntimeError, match="no paint"):
        paint_video(fails, source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_slow_painter_is_not_run_away_from() -> None:
    made = []
    most = 0
    items = (made.append(number) or number for number in range(300))
    for taken, _ in enumerate(ahead(items, depth=3), 1):
        if taken % 20 == 0:
            time.sleep(0.01)
        most = max(most, len(made) - taken)
    assert len(made) == 300 and most <= 3 + 1  # those that wait, and the one in the maker's hand


def test_memory_stays_flat(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", times=list(range(240)), size=(320, 240))
    at: dict[int, int] = {}

    def look(done: int, _: int | None) -> None:
        if done in (90, 230):
            at[done] = used_memory()

    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc here")
    paint_video(identity, source, tmp_path / "out.mp4", progress=look)
    assert at[230] - at[90] < 15e6  # 140 frames kept would be 32 MB


def heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell in the background has its children ignore it


def test_an_interrupted_run_leaves_nothing_under_the_final_name(tmp_path: Path, painter: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=list(range(1200)), size=(480, 320))
    for end in (signal.SIGKILL, signal.SIGINT):
        folder = tmp_path / end.name
        folder.mkdir()
        source = shutil.copy(clip, folder / "in.mp4")
        words = [sys.executable, "-m", "impasto", "stylize", source, "-s", painter, "--device", "cpu"]
        run = subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)
        deadline = time.monotonic() + 100
        while not any(part.stat().st_size for part in folder.glob(".impasto-*.part")):
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.01)
        run.send_signal(end)
        _, errors = run.communicate(timeout=100)
        assert run.returncode == (-9 if end == signal.SIGKILL else 130) and "Traceback" not in errors
        assert not (folder / "in.tiny.mp4").exists()
        assert end == signal.SIGKILL or [path.name for path in folder.iterdir()] == ["in.mp4"]


def test_folders_hold_images_and_clips(tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(procedural_image(0, 40)).save(tmp_path / "a.png")
    make_clip(tmp_path / "b.mp4", sounds=1)
    make_clip(tmp_path / "c.avi", codec="mpeg4")
    words = ["stylize", str(tmp_path), "-s", str(painter), "--json", "--device", "cpu"]
    assert cli.main(words) == 0
    done = json.loads(capsys.readouterr().out)["done"]
    assert [Path(item["output"]).name for item in done] == ["a.tiny.png", "b.tiny.mp4", "c.tiny.mp4"]
    assert done[1]["frames"] == 20 and done[1]["seconds"] > 0 and done[1]["frames_per_second"] > 0
    assert cli.main(words) == 0  # results are no sources
    cut(tmp_path / "b.tiny.mp4", tmp_path / "b.tiny.mp4", 0.7)
    capsys.readouterr()
    assert cli.main([*words, "--resume"]) == 0
    assert [Path(item["output"]).name for item in json.loads(capsys.readouterr().out)["done"]] == ["b.tiny.mp4"]
    before = (tmp_path / "b.mp4").read_bytes()
    assert cli.main(["stylize", str(tmp_path / "b.mp4"), "-s", str(painter), "-o", str(tmp_path / "b.mp4")]) == 1
    assert (tmp_path / "b.mp4").read_bytes() == before
    assert (
        cli.main(["stylize", str(tmp_path / "b.mp4"), "-s", str(painter), "-o", str(tmp_path / "b.mp4"), "--overwrite"])
        == 0
    )
    assert (tmp_path / "b.mp4").read_bytes() != before


def pipe(painter: Path, side: int) -> list[str]:
    """The command that paints raw frames of `side` pixels."""
    words = ["stylize", "-", "--frame-size", f"{side}x{side}", "-s", str(painter), "--device", "cpu"]
    return [sys.executable, "-m", "impasto", *words]


def test_raw_frames_go_through_a_pipe(painter: Path) -> None:
    raw = np.stack([procedural_image(seed, 32) for seed in range(6)])
    run = subprocess.run(pipe(painter, 32), input=raw.tobytes()[:-5], capture_output=True, timeout=100)
    assert run.returncode == 1 and b"5 bytes short of frame 6" in run.stderr and b"Traceback" not in run.stderr
    painted = np.frombuffer(run.stdout, np.uint8).reshape(5, 32, 32, 3)
    assert np.abs(painted[3] - Stylizer(painter, "cpu")(raw[3]).astype(int)).max() <= 1


def test_raw_frames_unchanged_by_an_identity() -> None:
    raw, out = np.stack([procedural_image(seed, 24) for seed in range(9)]), io.BytesIO()
    assert paint_raw(identity, io.BytesIO(raw.tobytes()), out, 24, 24) == 9 and out.getvalue() == raw.tobytes()
    assert paint_raw(identity, io.BytesIO(), out, 24, 24) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["x.png", "--frame-size", "8x8"],
        ["-", "--frame-size", "8x8", "--json"],
        ["-", "--frame-size", "8x8", "-o", "x.png"],
        ["-", "x.png", "--frame-size", "8x8"],
    ],
)
def test_raw_frames_take_their_size_and_nothing_else(painter: Path, words: list[str]) -> None:
    assert cli.main(["stylize", *words, "-s", str(painter)]) == 2


def test_a_reader_that_goes_away_is_no_complaint(painter: Path) -> None:
    run = subprocess.Popen(pipe(painter, 64), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdin and run.stdout and run.stderr
    run.stdout.close()
    try:
        run.stdin.write(bytes(64 * 64 * 3 * 50))
        run.stdin.close()
    except BrokenPipeError:
        pass
    errors = run.stderr.read()
    run.wait(60)
    assert b"Traceback" not in errors and b"impasto:" not in errors


def test_cameras(
    tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["stylize", "97", "-s", str(painter), "--device", "cpu"]
    assert cli.main([*words, "-o", "film.mp4"]) == 1 and "camera 97" in capsys.readouterr().err
    assert cli.main(words) == 2 and "-o FILE" in capsys.readouterr().err
    assert cli.main(["stylize", "97", "x.png", "-s", str(painter)]) == 2

    source = make_clip(
        tmp_path / "seen.mkv", times=[5000 + 40 * number for number in range(30)], time_base=Fraction(1, 1000)
    )
    monkeypatch.setattr("impasto.inference.video.reading.open_camera", lambda number: av.open(str(source)))

    def stops(done: int, _: int | None) -> None:
        if done == 12:
            raise KeyboardInterrupt

    report = paint_video(identity, 0, tmp_path / "film.mp4", progress=stops)
    assert report.frames == 12 and moments(tmp_path / "film.mp4")[0] == 0 and report.damage is None
    assert cli.main(["stylize", "0", "-s", str(painter), "-o", str(tmp_path), "--device", "cpu"]) == 0
    assert len(frames(tmp_path / "camera0.tiny.mp4")) == 30


def test_without_pyav_one_line_says_what_to_install(
    tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(tmp_path / "in.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    assert cli.main(["stylize", str(source), "-s", str(painter), "--device", "cpu"]) == 1
    assert "pip install 'impasto[video]'" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4", ".mov", ".ts"])
def test_a_clip_may_begin_late(tmp_path: Path, painter: Path, suffix: str) -> None:
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    source = make_clip(tmp_path / f"in{suffix}", times=[150 + number for number in range(60)], codec=codec)
    target = tmp_path / ("out.mp4" if suffix == ".ts" else f"out{suffix}")
    seen: list[int | None] = []
    report = paint_video(identity, source, target, progress=lambda done, total: seen.append(total))
    assert report.damage is None and report.frames == 60 and seen[-1] in (59, 60, 61, None)
    assert is_whole_clip(target)
    cut(source, tmp_path / f"cut{suffix}")
    if suffix == ".mkv":  # the others lose their index, or have none
        assert not is_whole_clip(tmp_path / f"cut{suffix}")


def with_sound(path: Path, video_codec: str, sound_codec: str) -> Path:
    with av.open(str(path), "w") as out:
        moving = out.add_stream(video_codec, rate=10, width=64, height=48, pix_fmt="yuv420p")
        sound = out.add_stream(sound_codec, rate=44100, layout="stereo", bit_rate=128_000)
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(procedural_image(number // 5, 64)[:48], "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(moving.encode(frame))
        out.mux(moving.encode(None))
        context = sound.codec_context
        resampler = av.AudioResampler(context.format, "stereo", 44100, context.frame_size or 1024)
        tone = (3000 * np.sin(np.arange(88200) * 0.06)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(sound.encode(part))
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codecs", "result", "sound"),
    [
        ("in.wmv", ("wmv2", "wmav2"), "in.tiny.mkv", "aac"),
        ("in.avi", ("mpeg4", "adpcm_ms"), "in.tiny.mkv", "aac"),
        ("old.avi", ("mpeg4", "pcm_u8"), "old.tiny.mkv", "pcm_u8"),
        ("new.avi", ("mpeg4", "libmp3lame"), "new.tiny.mp4", "mp3"),
        ("in.vob", ("mpeg2video", "ac3"), "in.tiny.mp4", "ac3"),
    ],
)
def test_the_default_result_can_hold_the_sound(
    tmp_path: Path, painter: Path, name: str, codecs: tuple[str, str], result: str, sound: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = with_sound(tmp_path / name, *codecs)
    assert cli.main(["stylize", str(source), "-s", str(painter), "--device", "cpu"]) == 0
    with av.open(str(tmp_path / result)) as painted:
        assert [stream.codec_context.codec.canonical_name for stream in painted.streams.audio] == [sound]
        seconds = sum(frame.samples / frame.sample_rate for frame in painted.decode(audio=0))
    assert abs(seconds - 2) < 0.1
    assert ("encoded anew" in capsys.readouterr().err) == (sound == "aac")


def test_what_a_clip_loses_gets_its_note_and_what_can_be_kept_is(tmp_path: Path) -> None:
    chapters = [{"id": 1, "start": 0, "end": 900, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}}]
    with av.open(str(tmp_path / "chapters.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, width=64, height=64, pix_fmt="yuv420p")
        out.set_chapters(chapters)  # type: ignore[arg-type]
        for number in range(25):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(procedural_image(number // 9, 64), "rgb24")))
        out.mux(stream.encode(None))
    for suffix in (".mp4", ".mkv", ".mov"):
        paint_video(identity, tmp_path / "chapters.mp4", tmp_path / f"out{suffix}")
        with av.open(str(tmp_path / f"out{suffix}")) as painted:
            assert [chapter["metadata"].get("title") for chapter in painted.chapters()] == ["one"]

    with av.open(str(tmp_path / "clear.mov"), "w") as out:
        stream = out.add_stream("qtrle", rate=10, width=32, height=32, pix_fmt="argb")
        for _ in range(5):
            pixels = np.full((32, 32, 4), 255, np.uint8)
            pixels[:, :16] = (9, 9, 200, 0)  # hidden
            pixels[:, 16:] = (200, 30, 30, 255)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba")))
        out.mux(stream.encode(None))
    seen: list[np.ndarray] = []
    report = paint_video(lambda frame: seen.append(frame) or frame, tmp_path / "clear.mov", tmp_path / "clear.mp4")
    assert any("transparency" in note for note in report.notes)
    assert seen[0][:, :16].min() == 255 and seen[0][0, 31].tolist() == [200, 30, 30]

    with av.open(str(tmp_path / "combs.mkv"), "w") as out:
        stream = out.add_stream(
            "libx264", rate=25, width=64, height=64, pix_fmt="yuv420p", options={"x264-params": "interlaced=1:tff=1"}
        )
        for number in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(procedural_image(number, 64), "rgb24")))
        out.mux(stream.encode(None))
    report = paint_video(identity, tmp_path / "combs.mkv", tmp_path / "combs.mp4")
    assert any("interlaced" in note for note in report.notes)
    assert paint_video(identity, tmp_path / "chapters.mp4", tmp_path / "plain.mp4").notes == ()


def test_an_animation_becomes_a_clip(tmp_path: Path, painter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [Image.fromarray(procedural_image(number, 48)) for number in range(4)]
    for name in ("a.gif", "a.apng"):
        options = {"format": "PNG"} if name == "a.apng" else {}
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=100, loop=0, **options)
        words = [
            "stylize",
            str(tmp_path / name),
            "-s",
            str(painter),
            "-o",
            str(tmp_path / f"{name}.mp4"),
            "--device",
            "cpu",
        ]
        assert cli.main(words) == 0 and len(frames(tmp_path / f"{name}.mp4")) == 4
    still = str(tmp_path / "a.jpg")
    assert cli.main(["stylize", str(tmp_path / "a.gif"), "-s", str(painter), "-o", still, "--device", "cpu"]) == 0
    assert "only the first" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["in.ts", "in.m2ts", "in.mxf", "in.m2v", "in.vob", "in.3g2", "in.asf", "in.ogv", "IN.TS"]
)
def test_every_kind_of_clip_is_known_by_its_name(tmp_path: Path, painter: Path, name: str) -> None:
    codec = {".asf": "wmv2", ".ogv": "libvpx", ".3g2": "mpeg4"}.get(Path(name).suffix, "mpeg2video")
    with av.open(str(tmp_path / name), "w", format={".asf": "asf"}.get(Path(name).suffix)) as out:
        stream = out.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")
        for number in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(procedural_image(number, 64)[:48], "rgb24")))
        out.mux(stream.encode(None))
    (tmp_path / "program.ts").write_text("export const x: number = 1;\n")
    assert cli.main(["stylize", str(tmp_path), "-s", str(painter), "--device", "cpu"]) == 0
    assert (tmp_path / f"{Path(name).stem}.tiny.mp4").is_file()
