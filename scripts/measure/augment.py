"""What `impasto augment` makes of a COCO data set, checked and timed by number of workers and engine.

    python scripts/measure/augment.py --annotations FILE --images DIR -s starry_night -s wave -o DIR

Paints the set with one worker, with two, on a Ray cluster of two, and with two that are killed at half and resumed.
Checks that all made the same files, that pycocotools reads them and that the annotations are those of the source;
prints a table. Images a second are without the start of the command, which is in its own column: from the call to the
first painting.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _head
from pycocotools.coco import COCO

HEAD = "| run | images | start, s | images/s | files as with one worker |\n| --- | --- | --- | --- | --- |"
KEPT = ("bbox", "segmentation", "area", "iscrowd", "category_id")


@dataclass
class Run:
    out: Path
    start: float
    rate: float


def started(options: argparse.Namespace, out: Path, *words: object) -> subprocess.Popen[bytes]:
    styles = [word for style in options.style for word in ("-s", style)]
    command = ["augment", "--annotations", options.annotations, "--images", options.images, "-o", out, *styles]
    command = [sys.executable, "-m", "impasto", *map(str, [*command, "--device", "cpu", *words])]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def painted(out: Path) -> list[Path]:
    return [path for path in out.glob("images/**/*.jpg") if not path.name.startswith(".")]


def timed(options: argparse.Namespace, name: str, *words: object) -> Run:
    """Run to the end; the rate is over what came after the first painting seen."""
    out, began = options.output / name, time.perf_counter()
    process, first, seen = started(options, out, *words), 0.0, 0
    while process.poll() is None:
        if not first and (seen := len(painted(out))):
            first = time.perf_counter()
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{name}: ended with {process.returncode}")
    last = max(path.stat().st_mtime for path in painted(out))
    lasted = last - (time.time() - (time.perf_counter() - first))
    return Run(out, first - began, (len(painted(out)) - seen) / lasted)


def killed_and_resumed(options: argparse.Namespace, total: int) -> Run:
    out = options.output / "killed"
    process = started(options, out, "--workers", 2)
    while len(painted(out)) < total // 2 and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)  # the workers end by themselves
    print(f"killed after {len(painted(out))} of {total}")
    if started(options, out, "--workers", 2, "--resume").wait():
        raise SystemExit("the resumed run failed")
    return Run(out, 0, 0)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_annotations(source: Path, out: Path) -> str:
    """Compare the data sets through pycocotools, annotation by annotation."""
    before: Any = COCO(str(source))  # its stubs know neither licences nor keys of ours
    after: Any = COCO(str(out / "annotations.json"))
    for image in after.imgs.values():
        marks = before.imgToAnns[image["source_id"]]
        copies = after.imgToAnns[image["id"]]
        assert [parts(mark) for mark in copies] == [parts(mark) for mark in marks], image
        assert all((after.annToMask(a) == before.annToMask(b)).all() for a, b in zip(copies, marks, strict=True))
    assert before.dataset["categories"] == after.dataset["categories"]
    assert before.dataset["licenses"] == after.dataset["licenses"]
    return (
        f"{len(before.imgs)} images, {len(before.anns)} annotations -> {len(after.imgs)}, {len(after.anns)}: "
        "boxes and masks equal"
    )


def parts(mark: dict[str, Any]) -> dict[str, Any]:
    return {key: mark[key] for key in KEPT if key in mark}


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("-s", "--style", action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, help="emptied first")
    options = parser.parse_args()
    shutil.rmtree(options.output, ignore_errors=True)
    total = len(json.loads(options.annotations.read_bytes())["images"])
    runs = {
        "1 worker": timed(options, "one", "--workers", 1),
        "2 workers": timed(options, "two", "--workers", 2),
        "Ray, 1 CPU": timed(options, "ray-one", "--workers", 1, "--engine", "ray"),
        "Ray, 2 CPUs": timed(options, "ray", "--workers", 2, "--engine", "ray"),
        "2 workers, killed at half, resumed": killed_and_resumed(options, total),
    }
    expected = tree(runs["1 worker"].out)
    print(f"{_head.stamp()}, load {os.getloadavg()[0]:.1f}")
    print(check_annotations(options.annotations, runs["1 worker"].out), HEAD, sep="\n")
    rows = []
    for name, run in runs.items():
        same = tree(run.out) == expected
        times = f"{run.start:.1f} | {run.rate:.2f}" if run.rate else " | "
        print(f"| {name} | {len(painted(run.out))} | {times} | {'all' if same else 'NO'} |")
        timing = {"start_s": _head.rounded(run.start), "images_per_s": _head.rounded(run.rate)} if run.rate else {}
        rows.append({"run": name, "images": len(painted(run.out)), **timing, "files_as_with_one_worker": same})
    _head.save(options.results, "augment", "impasto augment by number of workers and engine", rows, "cpu")


if __name__ == "__main__":
    main()
