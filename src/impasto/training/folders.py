"""The folder of a run and its painter: nothing that was there before is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from impasto.checkpoint import SUFFIX
from impasto.errors import UsageError
from impasto.training.callbacks import rank_zero_print


def refuse_needed(run: Path, needed: Sequence[str | Path | None]) -> None:
    """Refuse to set an earlier run aside with files that are `needed`.

    Raises:
        UsageError: one of them lies in it.
    """
    inside = [path for path in needed if path and lies_in(run, Path(path))] if (run / "last.ckpt").is_file() else []
    if inside:
        raise UsageError(
            f"{inside[0]}: lies in {run}, which this run would set aside; copy it out, or choose another paths.run"
        )


def keep_earlier_run(run: Path, output: Path) -> None:
    """Set an earlier run aside, its painter with it; where there was no run, keep the painter."""
    if not (run / "last.ckpt").is_file():
        keep_earlier_painter(output)
        return
    if output.is_file() and not lies_in(run, output):
        place = run / output.name
        shutil.copyfile(output, spare_name(place) if place.exists() else place)
    rank_zero_print(f"the earlier run and its painter are kept in {set_aside(run)}")


def keep_earlier_painter(output: Path) -> None:
    """Copy the painter that is about to be replaced, if there is one."""
    if output.is_file():
        kept = shutil.copyfile(output, spare_name(output))
        rank_zero_print(f"the painter that {output} was is kept as {kept}")


def set_aside(path: Path) -> Path:
    """Rename `path`, if it is there, to its name with the first free number."""
    kept = spare_name(path)
    if path.exists():
        path.rename(kept)
    return kept


def spare_name(path: Path) -> Path:
    """Return `path` with the first number that makes it a new name."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, 10_000))
    return next(candidate for candidate in numbered if not candidate.exists())


def lies_in(folder: Path, path: Path) -> bool:
    """Whether `path` is in `folder`, however deep."""
    return folder.resolve() in path.resolve().parents


def check_places(run: Path, output: Path) -> None:
    """Find out before the training whether these can be a run's folder and a style model's path.

    Raises:
        UsageError: one cannot.
    """
    if run.exists() and not (run.is_dir() and os.access(run, os.W_OK)):
        raise UsageError(f"paths.run={run}: must be a folder that can be written to; choose another paths.run=")
    if output.is_dir() or output.suffix != SUFFIX:
        raise UsageError(f"output={output}: must be a file that ends in {SUFFIX}")
