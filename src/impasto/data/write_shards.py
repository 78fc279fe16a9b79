"""Pack a folder of photographs into tar shards for `data=shards`, reduced once to what training needs.

Upright sRGB JPEGs, the shorter side at most `size` pixels: crops need 1.6 times data.crop. The same photographs give
the same bytes. A bad photograph is named and left out. Interrupted, it goes on: a shard that is whole and of the same
photographs (by name and length) is not written again. WebDataset reads the shards, too; `index.json` beside them says
where each photograph lies, so that a reader need not look for them.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import tarfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from impasto.data.crops import reduced
from impasto.data.shard_index import INDEX, INDEX_FORMAT, records
from impasto.data.sources import listing_digest
from impasto.data.tar_headers import scan
from impasto.errors import ImageError, UsageError, counted
from impasto.images.finding import find_images
from impasto.images.reading import read_image
from impasto.images.tensors import from_array
from impasto.images.writing import write_image
from impasto.system.choices import SHARD_COUNT, SHARD_SIZE
from impasto.system.files import written_whole
from impasto.system.machine import usable_cores

log = logging.getLogger(__name__)


class Task(NamedTuple):
    """A shard to be: its path, its photographs with their numbers, and what tells whether it is there already."""

    path: Path
    photographs: list[tuple[int, Path]]
    size: int
    source: str


@dataclass(frozen=True)
class Written:
    """What is in the folder now: `images` in `shards`, and `missing` of them,
    of which `left_out` says this run's reasons.
    """

    index: Path
    shards: int
    images: int
    missing: int
    left_out: list[str]


def plan(folder: Path, output: Path, shards: int, size: int) -> list[Task]:
    """Deal the photographs of `folder` out to the shards, in turn, so that each shard has some of everything."""
    found = list(enumerate(find_images([folder])))
    tasks = []
    for number in range(min(shards, len(found))):
        dealt = found[number::shards]
        source = f"{listing_digest([path for _, path in dealt], folder)}/{size}/{shards}"
        tasks.append(Task(output / f"{number:04}.tar", dealt, size, source))
    strange = {path.name for path in output.glob("*.tar")} - {task.path.name for task in tasks}
    if strange:
        raise UsageError(f"{output} holds other shards ({min(strange)}); choose an empty folder")
    return tasks


def write_shard(task: Task) -> tuple[str, dict[str, Any], list[str]]:
    """Write one shard, whole or not at all; return its name, its record for the index and what was left out."""
    torch.set_num_threads(1)
    bad = []
    with written_whole(task.path) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as shard:
            for number, path in task.photographs:
                try:
                    add(shard, key(number, path), encoded(path, task.size))
                except ImageError as error:
                    bad.append(str(error))
        with temporary.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            length = temporary.stat().st_size
            record = {"bytes": length, "sha256": digest, "source": task.source, "images": scan(stream, length)}
    return task.path.name, record, bad


def key(number: int, path: Path) -> str:
    """Return a photograph's name in its shard, plain and unlike any other; WebDataset cuts names at their first dot."""
    return f"{number:08}-{re.sub(r'[^A-Za-z0-9_-]', '_', path.stem)[:60]}.jpg"


def encoded(path: Path, size: int) -> bytes:
    picture = reduced(read_image(path, at_least=size), size)
    buffer = io.BytesIO()
    write_image(buffer, from_array(np.asarray(picture)), format="jpg")
    return buffer.getvalue()


def add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # neither time nor owner: they are not the photograph's
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))


def read_index(output: Path) -> dict[str, dict[str, Any]]:
    """Return the records of shards written before; an index that cannot be read is written anew."""
    try:
        return records((output / INDEX).read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def is_done(task: Task, record: dict[str, Any] | None) -> bool:
    if record is None or record.get("source") != task.source or not task.path.is_file():
        return False
    return task.path.stat().st_size == record["bytes"]


def write_index(output: Path, index: dict[str, dict[str, Any]]) -> None:
    count = sum(len(record["images"]) for record in index.values())
    shards = {name: {"count": len(record["images"]), **record} for name, record in sorted(index.items())}
    with written_whole(output / INDEX) as temporary:
        temporary.write_text(json.dumps({"format": INDEX_FORMAT, "count": count, "shards": shards}) + "\n")


def write_shards(
    folder: Path,
    output: Path,
    shards: int = SHARD_COUNT,
    size: int = SHARD_SIZE,
    jobs: int | None = None,
) -> Written:
    """Write what is missing of the shards of `folder`, and their index.

    A line is logged for each shard and for each photograph that is left out.

    Args:
        shards: how many, at most as many as there are photographs.
        size: of the shorter side in pixels, at most.
        jobs: processes (default: one for each core).

    Raises:
        UsageError: a number out of range, a folder without photographs, or other shards in `output`.
    """
    jobs = usable_cores() if jobs is None else jobs
    if not 1 <= shards <= 9999 or size < 16 or jobs < 1:
        raise UsageError("--shards is 1 to 9999, --size 16 or more, --jobs 1 or more")
    tasks = plan(folder, output, shards, size)
    before = read_index(output)
    index = {task.path.name: before[task.path.name] for task in tasks if is_done(task, before.get(task.path.name))}
    todo = [task for task in tasks if task.path.name not in index]
    if index:
        log.info(f"{len(index)} of {counted(len(tasks), 'shard')} {'is' if len(index) == 1 else 'are'} there already")
    left_out = []
    with ProcessPoolExecutor(max(1, min(jobs, len(todo)))) as pool:
        for done in as_completed([pool.submit(write_shard, task) for task in todo]):
            name, record, bad = done.result()
            index[name] = record
            left_out += bad
            write_index(output, index)
            for line in (*(f"left out: {line}" for line in bad), f"{name}: {counted(len(record['images']), 'image')}"):
                log.info(line)
    write_index(output, index)
    there = sum(len(record["images"]) for record in index.values())
    return Written(output / INDEX, len(tasks), there, sum(len(task.photographs) for task in tasks) - there, left_out)
