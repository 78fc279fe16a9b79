"""Pack a folder of photographs into tar shards for `data=shards`, reduced once to what training needs.

    python scripts/write_shards.py FOLDER -o DIR [--shards 8] [--size 512] [--jobs N]

Upright sRGB JPEGs, the shorter side at most `--size` pixels: crops need 1.6 times data.crop. The same photographs give
the same bytes. A bad photograph is named and left out. Interrupted, it goes on: a shard that is whole and of the same
photographs (by name and length) is not written again. WebDataset reads the shards, too; `index.json` beside them says where
each photograph lies, so that a reader need not look for them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tarfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from impasto import images
from impasto.errors import ImageError, ImpastoError, UsageError
from impasto.system.files import written_whole
from impasto.system.machine import usable_cores
from impasto.training.data.crops import reduced
from impasto.training.data.shard_index import INDEX, INDEX_FORMAT, records
from impasto.training.data.sources import fingerprint
from impasto.training.data.tar_headers import scan


class Task(NamedTuple):
    """A shard to be: its path, its photographs with their numbers, and what tells whether it is there already."""

    path: Path
    photographs: list[tuple[int, Path]]
    size: int
    source: str


def plan(folder: Path, output: Path, shards: int, size: int) -> list[Task]:
    """Deal the photographs of `folder` out to the shards, in turn, so that each shard has some of everything."""
    found = list(enumerate(images.find_images([folder])))
    tasks = []
    for number in range(min(shards, len(found))):
        dealt = found[number::shards]
        source = f"{fingerprint([path for _, path in dealt], folder)}/{size}/{shards}"
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
    picture = reduced(images.read_image(path, at_least=size), size)
    buffer = io.BytesIO()
    images.write_image(buffer, images.from_array(np.asarray(picture)), format="jpg")
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


def write_shards(folder: Path, output: Path, shards: int, size: int, jobs: int) -> int:
    """Write what is missing; return how many photographs were left out or are missing from shards written before."""
    tasks = plan(folder, output, shards, size)
    before = read_index(output)
    index = {task.path.name: before[task.path.name] for task in tasks if is_done(task, before.get(task.path.name))}
    todo = [task for task in tasks if task.path.name not in index]
    if index:
        print(f"{len(index)} of {len(tasks)} shards are there already", file=sys.stderr)
    with ProcessPoolExecutor(max(1, min(jobs, len(todo)))) as pool:
        for done in as_completed([pool.submit(write_shard, task) for task in todo]):
            name, record, bad = done.result()
            index[name] = record
            write_index(output, index)
            print(
                *(f"left out: {line}" for line in bad),
                f"{name}: {len(record['images'])} images",
                sep="\n",
                file=sys.stderr,
            )
    write_index(output, index)
    return sum(len(task.photographs) - len(index[task.path.name]["images"]) for task in tasks)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--size", type=int, default=512, help="shorter side in pixels")
    parser.add_argument("--jobs", type=int, default=usable_cores(), help="processes")
    options = parser.parse_args(arguments)
    try:
        if not 1 <= options.shards <= 9999 or options.size < 16 or options.jobs < 1:
            raise UsageError("--shards is 1 to 9999, --size 16 or more, --jobs 1 or more")
        left_out = write_shards(options.folder, options.output, options.shards, options.size, options.jobs)
    except ImpastoError as error:
        print("write_shards:", images.printable(str(error)), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"write_shards: {options.output}: {error.strerror}; check the disk and the permissions", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("write_shards: stopped; the same command goes on", file=sys.stderr)
        return 130
    print(options.output / INDEX)
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
