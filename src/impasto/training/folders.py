"""The folder of a run and its painter: nothing that was there before is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from impasto.checkpoint import SUFFIX
from impasto.errors import UsageError
from impasto.runtime import written_whole


def keep_earlier_run(run: Path, output: Path, needed: Sequence[str | Path | None] = ()) -> None:
    """Set an earlier run aside, its painter with it; where there was no run, keep the painter.

    Raises:
        UsageError: one of the files that are `needed` lies in the earlier run; other ranks would not find it again.
    """
    if not (run / "last.ckpt").is_file():
        keep_earlier_painter(output)
        return
    if inside := [path for path in needed if path and lies_in(run, Path(path))]:
        raise UsageError(
            f"{inside[0]}: lies in {run}, which this run would set aside; copy it out, or choose another paths.run"
        )
    if output.is_file() and not lies_in(run, output):
        place = run / output.name
        shutil.copyfile(output, spare_name(place) if place.exists() else place)
    print(f"the earlier run and its painter are kept in {set_aside(run)}", file=sys.stderr)


def keep_earlier_painter(output: Path) -> None:
    """Copy the painter that is about to be replaced, if there is one."""
    if output.is_file():
        kept = shutil.copyfile(output, spare_name(output))
        print(f"the painter that {output} was is kept as {kept}", file=sys.stderr)


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


def check_writable(output: Path) -> None:
    """Find out before the training whether the style model can be written."""
    if output.is_dir() or output.suffix != SUFFIX:
        raise UsageError(f"output={output}: must be a file that ends in {SUFFIX}")
    try:
        with written_whole(output.with_name(f".{output.name}.probe")):
            pass
        output.with_name(f".{output.name}.probe").unlink()
    except OSError as error:
        raise UsageError(
            f"output={output}: cannot be written there ({error.strerror}); choose another output="
        ) from error
