"""Paintings as a camera that other programs can choose, by pyvirtualcam."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from impasto.errors import UsageError

_RATE = 30  # frames a second that it announces


class VirtualCamera:
    """Takes pictures of one size, (H, W, 3), uint8.

    Raises:
        UsageError: pyvirtualcam is not installed.
    """

    def __init__(self):
        try:
            self._module: Any = importlib.import_module("pyvirtualcam")
        except ImportError as error:
            raise UsageError("--virtual-camera needs pyvirtualcam: pip install pyvirtualcam") from error
        self._camera: Any = None

    def send(self, picture: np.ndarray) -> None:
        """Show a picture; the first one opens the camera.

        Raises:
            UsageError: the system has no virtual camera.
        """
        if self._camera is None:
            self._camera = self._opened(picture.shape[0], picture.shape[1])
        self._camera.send(np.ascontiguousarray(picture))

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()

    def _opened(self, height: int, width: int) -> Any:
        try:
            return self._module.Camera(width=width, height=height, fps=_RATE)
        except RuntimeError as error:
            raise UsageError(
                "--virtual-camera: there is none; on Linux load one (modprobe v4l2loopback), on Windows and macOS "
                "install OBS Studio"
            ) from error
