"""Files of clips and cameras, opened with mistrust."""

from __future__ import annotations

import importlib
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from impasto.errors import VideoError

# What is read, by ffmpeg's names: containers that hold what they play. Playlists and their like make a reader open
# other files, or the network.
_DEMUXERS = {
    "mov": (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    "matroska": (".mkv", ".webm", ".mk3d"),
    "avi": (".avi", ".divx"),
    "mpegts": (".ts", ".mts", ".m2ts", ".m2t"),
    "mpeg": (".mpg", ".mpeg", ".mpe", ".vob"),
    "mpegvideo": (".m1v", ".m2v", ".mpv"),
    "asf": (".wmv", ".asf"),
    "flv": (".flv",),
    "ogg": (".ogv", ".ogm"),
    "mxf": (".mxf",),
}
_ANIMATIONS = {"gif": (".gif",), "apng": (".apng",)}
VIDEO_SUFFIXES = frozenset(suffix for suffixes in _DEMUXERS.values() for suffix in suffixes)
ANIMATION_SUFFIXES = frozenset(suffix for suffixes in _ANIMATIONS.values() for suffix in suffixes)


def open_file(path: Path) -> AbstractContextManager[Any]:
    av = pyav()
    try:
        if not path.is_file():
            raise VideoError(path, "no such file", "give a clip")
        if not path.stat().st_size:
            raise VideoError(path, "the file is empty", "get it again")
        return av.open(
            f"file:{path}", options={"format_whitelist": ",".join(_DEMUXERS | _ANIMATIONS)}
        )  # file: a name may look like an address
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise VideoError(path, "may not be read", "check its permissions") from error
        raise VideoError(path, "no video, or cut short before its index", "get it again") from error


def open_camera(number: int) -> AbstractContextManager[Any]:
    av = pyav()
    try:
        if sys.platform.startswith("linux"):
            return av.open(f"/dev/video{number}", format="v4l2")
        if sys.platform == "darwin":
            return av.open(str(number), format="avfoundation", options={"framerate": "30"})
        devices = importlib.import_module("av.device").enumerate_input_devices("dshow")
        names = [device.name for device in devices if "video" in device.media_types]
        return av.open(f"video={names[number]}", format="dshow")
    except (av.error.FFmpegError, ImportError, IndexError, OSError, ValueError) as error:
        raise VideoError(
            f"camera {number}: there is none, or another program has it; connect or free it, or give a clip"
        ) from error


def pyav() -> Any:
    try:
        av = importlib.import_module("av")
        importlib.import_module("av.video.reformatter")
    except ImportError as error:
        raise VideoError("clips and cameras need PyAV: pip install 'impasto[video]'") from error
    return av
