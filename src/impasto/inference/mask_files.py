"""Which mask belongs to which photograph, and to which frame of a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from impasto.dials.masks import find_mask, masks_named_like, read_mask
from impasto.errors import ImageError, printable
from impasto.images.formats import is_picture
from impasto.system.files import file_digest

Source = Path | int | BinaryIO  # a file, a camera's number, or what stdin holds
Size = tuple[int, int]  # height and width
MaskOf = Callable[[int, Size], np.ndarray]  # of a frame, by its number in the clip, counted from 0


class Masks(Protocol):
    """Where masks come from."""

    def of(self, source: Source, size: Size) -> np.ndarray:
        """Return the mask of a photograph that has `size` now: (H, W) float32 in [0, 1].

        Raises:
            ImpastoError: there is none, or it cannot be read.
        """
        ...

    def of_frames(self, source: Source) -> MaskOf:
        """Return what gives the mask of each frame of a clip; raises as `of`."""
        ...

    def digest(self, source: Source) -> str:
        """Return a digest of all that decides on the masks of a photograph or clip; raises as `of`."""
        ...


@dataclass(frozen=True)
class MaskFiles:
    """A picture that is the mask of every photograph and frame, or a folder of masks.

    A folder holds the mask of each photograph, by its name, as `find_mask` says. For a clip, it holds one by the clip's
    name, or a folder of that name with one for each frame, or else one for each frame itself, in the order of their
    names.
    """

    place: Path
    invert: bool = False

    def of(self, source: Source, size: Size) -> np.ndarray:
        return read_mask(find_mask(self.place, _name_of(source)), size, invert=self.invert)

    def of_frames(self, source: Source) -> MaskOf:
        if (one := self._one_for(source)) is not None:
            of_all = lru_cache(maxsize=1)(lambda size: read_mask(one, size, invert=self.invert))
            return lambda _, size: of_all(size)
        files = self._frames_of(source)

        def of_frame(number: int, size: Size) -> np.ndarray:
            if number >= len(files):
                raise ImageError(self.place, f"no mask for frame {len(files) + 1}", "give one for each frame")
            return read_mask(files[number], size, invert=self.invert, note=False)

        return of_frame

    def digest(self, source: Source) -> str:
        from impasto.inference.files import moves

        if isinstance(source, Path) and moves(source):
            one = self._one_for(source)
            files = self._frames_of(source) if one is None else [one]
        else:
            files = [find_mask(self.place, _name_of(source))]
        digest = hashlib.sha256(str(self.invert).encode())
        for path in files:
            try:
                digest.update(file_digest(path).encode())
            except OSError as error:
                raise ImageError(path, error.strerror or str(error), "give a picture as the mask") from error
        return digest.hexdigest()

    def _one_for(self, source: Source) -> Path | None:
        """Return the mask that all frames of a clip have in common; None where each has its own.

        Raises:
            ImageError: several have the clip's name.
        """
        name = _name_of(source)
        if self.place.is_dir() and ((self.place / name.stem).is_dir() or not masks_named_like(name, self.place)):
            return None
        return find_mask(self.place, name)

    def _frames_of(self, source: Source) -> list[Path]:
        own = self.place / Path(_name_of(source)).stem
        folder = own if own.is_dir() else self.place
        files = sorted(filter(is_picture, folder.iterdir()))
        if not files:
            raise ImageError(
                folder, f"no mask found for {printable(Path(_name_of(source)).name)}", "put pictures into it"
            )
        return files


def _name_of(source: Source) -> Path:
    if isinstance(source, Path):
        return source
    return Path(f"camera{source}" if isinstance(source, int) else "stdin")
