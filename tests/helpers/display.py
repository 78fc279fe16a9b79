"""A display without a screen, by Xvfb, and somebody at its keyboard."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import numpy as np
from PIL import ImageGrab

PATIENCE = 60.0  # seconds, on however busy a machine
_CLIENT_MESSAGE = 33


def what_is_missing() -> str:
    """Say what keeps this machine from showing a window to a test; nothing where all is there."""
    for program in ("Xvfb", "xdotool"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return "" if window_kit() else "no OpenCV with windows is installed"


def window_kit() -> str:
    """Return the name of what OpenCV makes windows with; nothing where it makes none."""
    with suppress(ImportError, AttributeError):
        return str(importlib.import_module("cv2").currentUIFramework())
    return ""


def wait_for(what: str, is_there: Callable[[], object], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not is_there():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.05)


class Display:
    """An X display and what is on it."""

    def __init__(self, name: str):
        self.name = name
        self.environment = {**os.environ, "DISPLAY": name}
        self.window = ""

    def find_window(self, title: str) -> None:
        """Wait for a window with a picture in it, and give it the keyboard."""

        def found() -> bool:
            self.window = self._xdotool("search", "--name", title).strip()
            return self.window.isdigit()

        wait_for(f"the window {title}", found)
        for _ in range(10):
            if self._has_picture():
                break
            # Without a window manager, Qt does not always notice that its window is there to be painted.
            self._xdotool("windowunmap", "--sync", self.window)
            self._xdotool("windowmap", "--sync", self.window)
        self._xdotool("windowfocus", "--sync", self.window)

    def _has_picture(self) -> bool:
        with suppress(AssertionError):
            wait_for("a picture", lambda: self.grab((64, 64)).any(), patience=3)
            return True
        return False

    def press(self, *keys: str) -> None:
        self._xdotool("key", *keys)

    def close_window(self) -> None:
        """Do what a window's close button does."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype, x11.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        event = _ClientMessage(type=_CLIENT_MESSAGE, window=int(self.window), format=32)
        event.message_type = x11.XInternAtom(display, b"WM_PROTOCOLS", False)
        event.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", False)
        x11.XSendEvent(display, ctypes.c_ulong(int(self.window)), False, ctypes.c_long(0), ctypes.byref(event))
        x11.XCloseDisplay(display)

    def grab(self, size: tuple[int, int]) -> np.ndarray:
        """Return what the screen shows in its upper left corner: (H, W, 3), uint8."""
        return np.asarray(ImageGrab.grab(xdisplay=self.name).convert("RGB"))[: size[0], : size[1]]

    def _xdotool(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout


@contextmanager
def display(width: int = 1280, height: int = 800) -> Generator[Display]:
    """Yield a display of that size; it ends with the block."""
    read, write = os.pipe()
    # It chooses a number that is free, and tells it. Else it would begin anew whenever its last client goes.
    words = ["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", f"{width}x{height}x24"]
    server = subprocess.Popen(words, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield Display(f":{told.readline().strip()}")
    finally:
        server.terminate()
        server.wait()


class _ClientMessage(ctypes.Structure):
    """X11's event of that name, as long as its longest event."""

    _fields_ = (
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("rest", ctypes.c_long * 24),
    )  # fmt: skip
