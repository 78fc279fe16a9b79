"""One `Job`, and processes on this machine that run jobs."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

import torch

from impasto.datasets.coco import read_annotated
from impasto.datasets.coco_masks import mask_of
from impasto.datasets.plan import Job, Output
from impasto.dials.masks import compose
from impasto.errors import DataError, ImageError, ImpastoError, printable
from impasto.images.arrays import as_floats
from impasto.images.reading import read_image
from impasto.images.tensors import as_picture, from_levels
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.system.files import written_whole
from impasto.system.machine import pick_device, usable_cores


@dataclass(frozen=True)
class Touch:
    """What is set for all paintings of a data set: stroke and colour as in `Dials`, and categories to paint alone, or
    with `invert` to keep; none paints everywhere.
    """

    stroke: float | None = None
    color: str | None = None
    categories: tuple[str, ...] = ()
    invert: bool = False


class Worker:
    """Runs jobs one after the other in one thread, so that the result does not depend on the number of workers."""

    def __init__(
        self, folder: Path, out: Path, styles: dict[str, Path], resume: bool, device: str, touch: Touch = Touch()
    ):
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")  # Pillow would warn of every odd file among thousands
        self.folder, self.out, self.resume, self.touch = folder, out, resume, touch
        # Each is loaded by the first image that needs it: where all is done already, none is.
        self.painter = cache(lambda style: Stylizer(styles[style], device))

    def __call__(self, job: Job) -> str:
        """Write the job's files; return what is wrong with the image, in one line, or an empty string."""
        source = self.folder / job.file_name
        try:
            missing = [output for output in job.outputs if not (self.resume and self._is_complete(output, job))]
            if missing:
                self._write_outputs(missing, source, job)
        except (ImageError, DataError) as error:
            return str(error)
        except (ImpastoError, OSError) as error:
            return f"{printable(source)}: {getattr(error, 'strerror', None) or error}; check the disk and the device"
        return ""

    def _is_complete(self, output: Output, job: Job) -> bool:
        path = self.out / output.file_name
        try:
            if output.style is None:
                return path.stat().st_size == (self.folder / job.file_name).stat().st_size
            return read_image(path).shape == (3, job.height, job.width)
        except (ImageError, OSError):
            return False

    def _write_outputs(self, outputs: Sequence[Output], source: Path, job: Job) -> None:
        photograph = read_annotated(source, job.width, job.height)
        for output in outputs:
            target = self.out / output.file_name
            if output.style is None:
                with written_whole(target) as temporary:
                    shutil.copyfile(source, temporary)
            else:
                painter = self.painter(output.style)
                painted = painter(photograph, stroke=self.touch.stroke, color=self.touch.color)
                if output.strength < 1:
                    painted = torch.lerp(from_levels(photograph), from_levels(painted), output.strength)
                if job.part:
                    mask = mask_of(job.part, job.file_name, self.touch.categories, invert=self.touch.invert)
                    painted = compose(as_floats(photograph), as_floats(as_picture(painted)), mask)
                write_image(target, painted)


MakeWorker = Callable[[str], Worker]  # from a device
Results = Iterator[tuple[int, str]]  # of each job that is done, its number and what was wrong with its image

_worker: Worker | None = None  # of this process


def run_locally(jobs: Sequence[Job], make_worker: MakeWorker, workers: int | None, device: str) -> Results:
    """Run the jobs in processes of this machine; yield each job's number and what was wrong with its image."""
    context = multiprocessing.get_context("spawn")  # torch's threads and CUDA do not survive a fork
    devices = _devices(device, workers)[: len(jobs)]
    if not devices:
        return
    device_queue = context.SimpleQueue()
    for name in devices:
        device_queue.put(name)
    pool = ProcessPoolExecutor(len(devices), context, _init_worker, (make_worker, device_queue))
    try:
        with pool:
            pending = set()
            for number, job in enumerate(jobs):
                pending.add(pool.submit(_run_job, number, job))
                if len(pending) > 4 * len(devices):
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in as_completed(pending))
    except BrokenProcessPool as error:
        raise ImpastoError(
            "a worker ended early, perhaps for want of memory; go on with --resume and fewer --workers"
        ) from error


def _devices(device: str, workers: int | None) -> list[str]:
    """Return the device of each process: the CPU once for each core, or every GPU once."""
    chosen = pick_device(device)
    if chosen.type == "cpu":
        return ["cpu"] * (workers or usable_cores())
    if chosen.type == "cuda" and chosen.index is None:
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())][:workers]
    return [str(chosen)]


def _init_worker(make_worker: MakeWorker, devices: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and lets workers finish their file
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _worker = make_worker(devices.get())


def _exit_with_parent() -> None:
    # Otherwise the workers of a killed parent would wait for jobs for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)


def _run_job(number: int, job: Job) -> tuple[int, str]:
    assert _worker is not None
    return number, _worker(job)
