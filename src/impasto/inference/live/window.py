"""A window by OpenCV, which is imported nowhere else."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import UsageError

_TITLE = "impasto"
_KEYS = {
    27: "escape",
    0xFF52: "up", 0xFF54: "down",  # X11
    0x260000: "up", 0x280000: "down",  # Windows
    0xF700: "up", 0xF701: "down",  # macOS
    0xFFAB: "+", 0xFFAD: "-",  # X11's, of the block of digits
}  # fmt: skip


class Window:
    """Shows pictures and hears keys. All of it belongs to the main thread.

    Args:
        size: of the first picture, (H, W).

    Raises:
        UsageError: OpenCV, its windows or a display are missing.
    """

    def __init__(self, size: tuple[int, int]):
        self._cv2, self._keys = opencv(), list[str]()
        try:
            # Pictures come in the window's own size, so that it need not keep their shape.
            self._cv2.namedWindow(_TITLE, self._cv2.WINDOW_FREERATIO | self._cv2.WINDOW_GUI_NORMAL)
        except self._cv2.error as error:
            raise UsageError(_NO_DISPLAY) from error
        self._cv2.resizeWindow(_TITLE, size[1], size[0])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) inside its frame; 0 while it is an icon."""
        width, height = self._cv2.getWindowImageRect(_TITLE)[2:]
        return height, width

    @property
    def is_closed(self) -> bool:
        try:
            return self._cv2.getWindowProperty(_TITLE, self._cv2.WND_PROP_VISIBLE) < 1
        except self._cv2.error:  # Qt's way to say so
            return True

    def show(self, picture: np.ndarray, draw: Callable[[np.ndarray], None]) -> None:
        """Show a picture (H, W, 3), uint8, as large as the window is, with what `draw` puts on it at that size."""
        shown = self._fitted(picture)
        draw(shown)
        self._cv2.imshow(_TITLE, self._cv2.cvtColor(shown, self._cv2.COLOR_RGB2BGR))
        self._work()

    def pressed_keys(self) -> list[str]:
        """Return the keys pressed since the last call, as `Show.pressed` takes them.

        OpenCV keeps no more than the last one between two looks at it.
        """
        self._work()
        keys, self._keys = self._keys, []
        return keys

    def set_full_screen(self, is_full: bool) -> None:
        if not self.is_closed:
            self._cv2.setWindowProperty(_TITLE, self._cv2.WND_PROP_FULLSCREEN, float(is_full))

    def close(self) -> None:
        self._cv2.destroyAllWindows()
        self._cv2.pollKey()

    def _work(self) -> None:
        """Let the window paint itself and take what happened to it."""
        code = self._cv2.pollKey()
        if code >= 0:
            self._keys.append(key_named(code))

    def _fitted(self, picture: np.ndarray) -> np.ndarray:
        """Return a copy as large as the window is, black beside a picture of another shape."""
        (height, width), room = picture.shape[:2], self.size
        if min(room) <= 0 or room == (height, width):
            return picture.copy()
        scale = min(room[0] / height, room[1] / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        way = self._cv2.INTER_AREA if scale < 1 else self._cv2.INTER_CUBIC
        scaled = self._cv2.resize(picture, size, interpolation=way)
        if scaled.shape[:2] == room:
            return scaled
        canvas = np.zeros((*room, 3), np.uint8)
        top, left = (room[0] - size[1]) // 2, (room[1] - size[0]) // 2
        canvas[top : top + size[1], left : left + size[0]] = scaled
        return canvas


def key_named(code: int) -> str:
    """Return the name of a key by OpenCV's code: a character in lower case, "up", "down", "escape", or "" for
    others.
    """
    if name := _KEYS.get(code) or _KEYS.get(code & 0xFFFF):
        return name
    return chr(code & 0xFF).lower() if code & 0xFF00 == 0 and 32 <= code & 0xFF < 127 else ""


def opencv() -> Any:
    """Return OpenCV, able to open a window.

    Raises:
        UsageError: it is not installed, has no windows, or there is no display.
    """
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        if error.name == "cv2":
            raise UsageError("a window needs OpenCV: pip install 'impasto[live]'") from error
        raise UsageError(
            f"OpenCV cannot be loaded ({error}); install that library, on Debian and Ubuntu: apt install libgl1 "
            "libglib2.0-0"
        ) from error
    kit = getattr(cv2, "currentUIFramework", str)()
    if not kit:
        raise UsageError(
            "this OpenCV has no windows, as when opencv-python-headless lies over opencv-python; "
            "pip install --force-reinstall --no-deps opencv-python"
        )
    if kit.startswith("QT") and sys.platform.startswith("linux"):
        if (Path(str(cv2.__file__)).parent / "qt" / "plugins").is_dir():
            os.environ["QT_QPA_PLATFORM"] = "xcb"  # the only one that the wheel has; it aborts where another is asked
        if not _has_x_display():
            raise UsageError(_NO_DISPLAY)
    return cv2


_NO_DISPLAY = (
    "no display can be opened for a window; run it on a desktop, or set DISPLAY (over ssh: ssh -X); "
    "`impasto stylize 0 -o film.mp4` needs none"
)


def _has_x_display() -> bool:
    """Whether an X server answers; Qt ends the whole process where none does."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XCloseDisplay.argtypes = (ctypes.c_void_p,)
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(display)
    return bool(display)
