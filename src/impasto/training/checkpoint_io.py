"""Training checkpoints that can be trusted: written whole, read back before they count, with the earlier ones kept."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from impasto.errors import ImpastoError, printable
from impasto.system.files import written_whole


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, forces it to the disk, reads it back and only then renames it.

    Whatever kills the process or the machine, there is a whole checkpoint under one of the names of
    `checkpoints_at(path)`: the newest, and `keep` - 1 before it.

    Args:
        keep: how many checkpoints of a run are kept, the newest included.
    """

    def __init__(self, keep: int = 3):
        if keep < 1:
            raise ImpastoError(f"trainer.plugins: keep={keep}; at least one checkpoint must be kept")
        self.keep = keep

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write `checkpoint`.

        Raises:
            ImpastoError: it cannot be written; the earlier ones are as they were.
        """
        path, content = Path(path), io.BytesIO()
        torch.save(checkpoint, content)
        try:
            with written_whole(path, durable=True) as temporary:
                temporary.write_bytes(content.getbuffer())
                if not is_whole(temporary):
                    raise OSError("what was read back is not what was written")
                self._keep_earlier(path)
        except OSError as error:
            raise ImpastoError(
                f"{printable(path)}: the checkpoint cannot be written ({error.strerror or error}); make room or "
                "choose another "
                "paths.run, then go on with ckpt_path=last"
            ) from error

    def _keep_earlier(self, path: Path) -> None:
        """Number the earlier checkpoints one higher, the oldest first;
        the newest keeps its name until it is replaced.
        """
        for number in range(self.keep - 2, 0, -1):
            if (kept := _numbered(path, number)).is_file():
                kept.replace(_numbered(path, number + 1))
        if self.keep > 1 and path.is_file():
            _copy(path, _numbered(path, 1))


def checkpoints_at(path: Path) -> Iterator[Path]:
    """Yield the checkpoints kept under `path`, the newest first."""
    if path.is_file():
        yield path
    yield from takewhile(Path.is_file, (_numbered(path, number) for number in count(1)))


def is_whole(path: Path) -> bool:
    """Whether every byte of a checkpoint is as it was written, and it loads, without running code,
    as one of a training.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return False
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # a damaged pickle makes its reader raise nearly anything
        return False
    return isinstance(checkpoint, dict) and isinstance(checkpoint.get("state_dict"), dict)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _copy(path: Path, place: Path) -> None:
    """Give `path` a second name; where the disk has no links, a copy."""
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
