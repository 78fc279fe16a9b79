"""A data set in, a data set out: every image of a COCO data set painted, its annotations kept.

What is to be painted is settled first, from the annotation file, the styles and the seed alone: one `Job` an image. The
jobs are then done in any order, by processes here or on a Ray cluster, and the annotation file of the result comes last.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import wait as wait_for
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from impasto.checkpoint import find_style_model, load_style_model
from impasto.coco import read_annotated, read_coco
from impasto.errors import DataError, ImageError, ImpastoError, UsageError, printable
from impasto.images.reading import read_image
from impasto.images.tensors import from_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.system.files import written_whole
from impasto.system.machine import pick_device, usable_cores

_RECORD = "augment.json"
_BLOCKS = 1000  # that Ray deals out: enough for balance and progress, few enough to be handed out at once


@dataclass(frozen=True)
class Output:
    """One file to be made: its place below OUT/images, and how it is painted; without a style, the original copied."""

    file_name: str
    style: str | None
    strength: float


@dataclass(frozen=True)
class Job:
    """One image and all that becomes of it; `width` and `height` as the annotation file states them."""

    file_name: str
    width: Any
    height: Any
    outputs: tuple[Output, ...]


def augment(
    annotations: Path,
    folder: Path,
    styles: Sequence[str | Path],
    out: Path,
    *,
    per_image: int = 1,
    seed: int = 0,
    strength: tuple[float, float] = (1.0, 1.0),
    keep_originals: bool = False,
    resume: bool = False,
    workers: int | None = None,
    engine: str = "local",
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
    failed: Callable[[str], None] = lambda reason: None,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Paint the images of the COCO file `annotations`, which lie in `folder`, and write a COCO data set into `out`.

    `out/images` holds the paintings, `out/annotations.json` the same annotations as before with ids of their own; each image
    there says its `style`, `strength`, `source` and `source_id`. Files depend on the arguments alone, byte for byte,
    not on workers, engine or interruptions, on processors of one kind.

    Args:
        styles: names of shipped styles or paths of style models, no name twice.
        per_image: paintings of each image, in different styles as far as there are enough.
        seed: with an image's id, it decides on styles and strengths.
        strength: lowest and highest share of the painting, in [0, 1]; the rest is the photograph.
        keep_originals: copy the photographs into the result too.
        resume: go on with what an earlier call with these arguments left in `out`, keeping files that are whole.
        workers: processes, or CPUs of the Ray cluster; None for all. On GPUs, one for each.
        engine: `local`, or `ray`, which needs all folders in the same place on every machine.
        progress: called with the number of files that are done and that there will be.
        failed: called with a line for every image that could not be painted, which is left out of the result.
        note: called with a line for everything in the annotation file that was taken otherwise than it stands there.

    Processes are spawned: a script that calls this needs `if __name__ == "__main__"`.

    Returns:
        {"annotations": path, "images": number written, "marks": number of annotations, "failed": lines}.

    Raises:
        DataError: the annotation file is none.
        UsageError: `out` holds something already, or arguments that do not fit together.
    """
    if not folder.is_dir():
        raise DataError(f"{printable(folder)}: no such folder; give the one with the images")
    coco = read_coco(annotations, folder, note)
    paths = _by_name(styles)
    jobs = plan(coco["images"], list(paths), per_image, seed, strength, keep_originals)
    settings = {"annotations": _digest(annotations), "styles": {name: _digest(path) for name, path in paths.items()},
                "per_image": per_image, "seed": seed, "strength": list(strength), "keep_originals": keep_originals}  # fmt: skip
    _prepare(out, settings, resume)
    make_worker = partial(_Worker, folder.resolve(), (out / "images").resolve(), paths, resume)
    results = (_on_ray if engine == "ray" else _here)(jobs, make_worker, workers, device)
    done, total, reasons = 0, sum(len(job.outputs) for job in jobs), {}
    for number, reason in results:
        if reason:
            reasons[number] = reason
            failed(reason)
        done += len(jobs[number].outputs)
        progress(done, total)
    painted = _data_set(coco, [None if number in reasons else job for number, job in enumerate(jobs)])
    with written_whole(out / "annotations.json") as temporary:
        temporary.write_text(json.dumps(painted), encoding="ascii")
    return {
        "annotations": str(out / "annotations.json"), "images": len(painted["images"]),
        "marks": len(painted["annotations"]), "failed": [reasons[number] for number in sorted(reasons)],
    }  # fmt: skip


def plan(
    entries: Sequence[dict[str, Any]],
    styles: Sequence[str],
    per_image: int = 1,
    seed: int = 0,
    strength: tuple[float, float] = (1.0, 1.0),
    keep_originals: bool = False,
) -> list[Job]:
    """Return what to make of each of a COCO file's `images`, in their order; no two files have the same name.

    Raises:
        UsageError: so many paintings of an image that some would be the same.
    """
    if not 0 <= strength[0] <= strength[1] <= 1:
        raise UsageError(f"a strength of {strength[0]:g}:{strength[1]:g} is none; give LOW:HIGH between 0 and 1")
    if per_image > len(styles) and strength[0] == strength[1]:
        raise UsageError(
            f"{per_image} paintings an image in {len(styles)} styles would repeat some; add styles or a range of strengths"
        )
    sources = [PurePosixPath(entry["file_name"]) for entry in entries]
    names = _Names(sources)
    jobs = []
    for entry, source in zip(entries, sources, strict=True):
        outputs = [Output(names.free(source), None, 0.0)] if keep_originals else []
        for index in range(per_image):
            style, share = draw(seed, entry["id"], index, styles, strength)
            number = f"-{index + 1}" if per_image > 1 else ""
            outputs.append(Output(names.free(source.with_name(f"{source.stem}.{style}{number}.jpg")), style, share))
        jobs.append(Job(str(source), entry.get("width"), entry.get("height"), tuple(outputs)))
    return jobs


def draw(
    seed: int, image_id: int | str, index: int, styles: Sequence[str], strength: tuple[float, float]
) -> tuple[str, float]:
    """Return style and strength of painting number `index` of an image: a pure function of its arguments.

    An image's first paintings are in different styles, until all were had. A style more leaves the order of the others.
    """
    order = sorted(styles, key=lambda style: _uniform(seed, image_id, style))
    low, high = strength
    return order[index % len(order)], round(low + (high - low) * _uniform(seed, image_id, index), 4)


def _uniform(*words: int | str) -> float:
    """A number in [0, 1) that is the same for the same words on every machine and in every version."""
    digest = hashlib.sha256(json.dumps(words).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


class _Names:
    """Hands out file names, none twice, not even to those who do not tell capitals from small letters."""

    def __init__(self, sources: Sequence[PurePosixPath]):
        self.taken = {str(parent).casefold() for source in sources for parent in source.parents}
        self.numbers: dict[str, Iterator[int]] = defaultdict(lambda: itertools.count(2))

    def free(self, wanted: PurePosixPath) -> str:
        name = wanted
        while str(name).casefold() in self.taken:
            number = next(self.numbers[str(wanted).casefold()])
            name = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        self.taken.add(str(name).casefold())
        return str(name)


def _by_name(styles: Sequence[str | Path]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for style in styles:
        path = find_style_model(style)
        name = load_style_model(path).name
        if name in paths:
            raise UsageError(f"{printable(style)}: a style called {name} is there already; name each once")
        paths[name] = path.resolve()
    return paths


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prepare(out: Path, settings: dict[str, Any], resume: bool) -> None:
    """Begin the data set in `out`, or make sure that what lies there is the same one, begun."""
    record, mine = out / _RECORD, [out / name for name in (_RECORD, "images", "annotations.json")]
    if any(os.path.lexists(path) for path in mine):
        if not resume:
            raise UsageError(f"{printable(out)}: holds a data set already; choose another -o, or go on with --resume")
        if not record.is_file() or record.read_text(encoding="utf-8", errors="replace") != _lines(settings):
            raise UsageError(f"{printable(out)}: not begun with these options and files; choose another -o")
        for torn in out.rglob(".impasto-*.part"):  # what a killed run was writing
            torn.unlink(missing_ok=True)
    with written_whole(record) as temporary:
        temporary.write_text(_lines(settings), encoding="utf-8")
    (out / "images").mkdir(exist_ok=True)


def _lines(settings: dict[str, Any]) -> str:
    return json.dumps(settings, indent=2) + "\n"


def _data_set(coco: dict[str, Any], jobs: Sequence[Job | None]) -> dict[str, Any]:
    """Return the result's annotation file: for each job that succeeded, its images and their annotations."""
    marks = defaultdict(list)
    for mark in coco.get("annotations", []):
        marks[mark["image_id"]].append(mark)
    entries, copies = [], []
    for entry, job in zip(coco["images"], jobs, strict=True):
        for output in job.outputs if job else ():
            number = len(entries) + 1
            entries.append(
                entry
                | {"id": number, "file_name": output.file_name, "width": int(entry["width"]), "height": int(entry["height"])}
                | {"style": output.style, "strength": output.strength}
                | {"source": entry["file_name"], "source_id": entry["id"]}
            )  # fmt: skip
            for mark in marks[entry["id"]]:
                copies.append(mark | {"id": len(copies) + 1, "image_id": number})
    return coco | {"images": entries, "annotations": copies}


# The work on one image.


class _Worker:
    """Does jobs, one after the other, with one thread: so there is one result, however many work beside it."""

    def __init__(self, folder: Path, out: Path, styles: dict[str, Path], resume: bool, device: str):
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files are not for those who paint thousands
        self.folder, self.out, self.resume = folder, out, resume
        self.painters = {name: Stylizer(path, device) for name, path in styles.items()}

    def __call__(self, job: Job) -> str:
        """Make the job's files; return what is wrong with the image, in one line, or nothing."""
        source = self.folder / job.file_name
        try:
            missing = [output for output in job.outputs if not (self.resume and self._is_whole(output, job))]
            if missing:
                self._make(missing, source, job)
        except ImageError as error:
            return str(error)
        except (ImpastoError, OSError) as error:
            return f"{printable(source)}: {getattr(error, 'strerror', None) or error}; check the disk and the device"
        return ""

    def _is_whole(self, output: Output, job: Job) -> bool:
        path = self.out / output.file_name
        try:
            if output.style is None:
                return path.stat().st_size == (self.folder / job.file_name).stat().st_size
            return read_image(path).shape == (3, job.height, job.width)
        except (ImageError, OSError):
            return False

    def _make(self, outputs: Sequence[Output], source: Path, job: Job) -> None:
        photograph = read_annotated(source, job.width, job.height)
        for output in outputs:
            target = self.out / output.file_name
            if output.style is None:
                with written_whole(target) as temporary:
                    shutil.copyfile(source, temporary)
            else:
                painted = self.painters[output.style](photograph)
                if output.strength < 1:
                    painted = torch.lerp(from_levels(photograph), from_levels(painted), output.strength)
                write_image(target, painted)


MakeWorker = Callable[[str], _Worker]  # from a device
Results = Iterator[tuple[int, str]]  # of each job that is done, its number and what was wrong with its image

# Processes on this machine.

_worker: _Worker | None = None  # of this process


def _here(jobs: Sequence[Job], make_worker: MakeWorker, workers: int | None, device: str) -> Results:
    """Do the jobs in processes of this machine."""
    context = multiprocessing.get_context("spawn")  # torch's threads and CUDA do not survive a fork
    devices = _devices(device, workers)[: len(jobs)]
    if not devices:
        return
    for_each = context.SimpleQueue()
    for name in devices:
        for_each.put(name)
    pool = ProcessPoolExecutor(len(devices), context, _start, (make_worker, for_each))
    try:
        with pool:
            waiting = set()
            for number, job in enumerate(jobs):
                waiting.add(pool.submit(_do, number, job))
                if len(waiting) > 4 * len(devices):
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in as_completed(waiting))
    except BrokenProcessPool as error:
        raise ImpastoError(
            "a worker ended early, perhaps for want of memory; go on with --resume and fewer --workers"
        ) from error


def _devices(device: str, workers: int | None) -> list[str]:
    """The device of each process: as many cores as there are, or every GPU once."""
    chosen = pick_device(device)
    if chosen.type == "cpu":
        return ["cpu"] * (workers or usable_cores())
    if chosen.type == "cuda" and chosen.index is None:
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())][:workers]
    return [str(chosen)]


def _start(make_worker: MakeWorker, devices: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which lets us finish the file at hand
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = make_worker(devices.get())


def _end_with_parent() -> None:
    # A killed parent cannot tell its children, who would wait for work for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)


def _do(number: int, job: Job) -> tuple[int, str]:
    assert _worker is not None
    return number, _worker(job)


# A Ray cluster.


class _RayWorker:
    """A `_Worker` as Ray Data wants one: rows in, rows out, an actor for each."""

    def __init__(self, make_worker: MakeWorker, device: str):
        self.work = make_worker(device)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job = json.loads(row["job"])
        outputs = tuple(Output(**output) for output in job.pop("outputs"))
        return {"number": row["number"], "reason": self.work(Job(**job, outputs=outputs))}


def _on_ray(jobs: Sequence[Job], make_worker: MakeWorker, workers: int | None, device: str) -> Results:
    """Do the jobs on the Ray cluster that RAY_ADDRESS names, or on one of this machine's cores."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its remarks on itself; what fails is raised
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
    except ImportError as error:
        raise UsageError("--engine ray needs Ray; pip install 'impasto[ray]'") from error
    if not jobs:
        return
    try:
        with _cluster(ray, workers):
            ray.data.DataContext.get_current().enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            resources = ray.cluster_resources()
            on_gpu = device.startswith("cuda") or (device == "auto" and resources.get("GPU", 0) >= 1)
            available = int(resources.get("GPU" if on_gpu else "CPU", 0))
            if not available:
                raise UsageError(f"no {'GPU' if on_gpu else 'CPU'} in the Ray cluster; choose another --device")
            rows = [{"number": number, "job": json.dumps(asdict(job))} for number, job in enumerate(jobs)]
            worker: Any = _RayWorker  # a class where Ray's signature wants a function
            results = ray.data.from_items(rows, override_num_blocks=min(len(rows), _BLOCKS)).map(
                worker, fn_constructor_args=(make_worker, "cuda" if on_gpu else "cpu"),
                concurrency=min(workers or available, available, len(rows)), num_cpus=1, num_gpus=int(on_gpu) or None,
            )  # fmt: skip
            for row in results.iter_rows():
                yield int(row["number"]), str(row["reason"])
    except RayError as error:
        reason = printable(str(error).strip().splitlines()[-1])[:200]
        raise ImpastoError(f"Ray: {reason}; mend the cluster and go on with --resume") from error


@contextmanager
def _cluster(ray: Any, workers: int | None) -> Iterator[None]:
    """Be connected to Ray: as the caller is already, to the cluster in RAY_ADDRESS, or to one of this machine's cores."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    own = {} if address else {"num_cpus": workers or usable_cores(), "include_dashboard": False}
    try:
        ray.init(logging_level="ERROR", log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError) as error:  # a cluster that is not there, an address that is none
        reason = printable(str(error).strip().partition("\n")[0])[:200]
        where = f"RAY_ADDRESS={printable(address)}" if address else "this machine"
        raise ImpastoError(
            f"Ray on {where}: {reason}; start the cluster, or unset RAY_ADDRESS, or --engine local"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
