"""Runs jobs on a Ray cluster."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from impasto.datasets.plan import Job, Output
from impasto.datasets.workers import MakeWorker, Results
from impasto.errors import ImpastoError, UsageError, printable
from impasto.system.machine import usable_cores

_BLOCKS = 1000  # enough for balance and progress, few enough for Ray to schedule at once


class _RayWorker:
    """A `Worker` as an actor of Ray Data: rows in, rows out."""

    def __init__(self, make_worker: MakeWorker, device: str):
        self.work = make_worker(device)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job = json.loads(row["job"])
        outputs = tuple(Output(**output) for output in job.pop("outputs"))
        return {"number": row["number"], "reason": self.work(Job(**job, outputs=outputs))}


def run_on_ray(jobs: Sequence[Job], make_worker: MakeWorker, workers: int | None, device: str) -> Results:
    """Run the jobs on the Ray cluster that RAY_ADDRESS names, or on a local one with this machine's cores."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its remarks on itself; what fails is raised
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
    except ModuleNotFoundError as error:
        raise UsageError("--engine ray needs Ray; pip install 'impasto[ray]'") from error
    except ImportError as error:  # packages that Ray needs and that do not go together
        raise UsageError(f"--engine ray: Ray cannot be imported: {error}; install another version of that") from error
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
def _cluster(ray: Any, workers: int | None) -> Generator[None]:
    """Connect to Ray inside the block: keep the caller's connection, else use RAY_ADDRESS, else a local cluster."""
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
