"""Paint every image of a COCO data set and keep its annotations.

`plan_jobs` decides first what to paint, from the annotation file, the styles and the seed alone: one `Job` an image.
Processes here or on a Ray cluster then run the jobs in any order. The annotation file of the result is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from impasto.any_style.find import find_painter
from impasto.checkpoint import load_style_model
from impasto.datasets.coco import read_coco
from impasto.datasets.coco_masks import by_image, check_categories
from impasto.datasets.plan import Job, plan_jobs
from impasto.datasets.ray import run_on_ray
from impasto.datasets.workers import Touch, Worker, run_locally
from impasto.dials.dials import Dials
from impasto.errors import DataError, UsageError
from impasto.system.choices import AUGMENT_PER_IMAGE, AUGMENT_STRENGTH, DEFAULT_DEVICE, DEFAULT_ENGINE, DEFAULT_SEED
from impasto.system.files import written_whole

_RECORD = "augment.json"


def augment(
    annotations: Path,
    folder: Path,
    styles: Sequence[str | Path],
    out: Path,
    *,
    per_image: int = AUGMENT_PER_IMAGE,
    seed: int = DEFAULT_SEED,
    strength: tuple[float, float] = AUGMENT_STRENGTH,
    stroke: float | None = None,
    color: str | None = None,
    paint: Sequence[str] | None = None,
    keep: Sequence[str] | None = None,
    keep_originals: bool = False,
    resume: bool = False,
    workers: int | None = None,
    engine: str = DEFAULT_ENGINE,
    device: str = DEFAULT_DEVICE,
    progress: Callable[[int, int], None] = lambda done, total: None,
    failed: Callable[[str], None] = lambda reason: None,
) -> dict[str, Any]:
    """Paint the images of the COCO file `annotations`, which lie in `folder`, and write a COCO data set into `out`.

    `out/images` holds the paintings, `out/annotations.json` the same annotations as before with ids of their own; each
    image there says its `style`, `strength`, `source` and `source_id`. Files depend on the arguments alone, byte for
    byte, not on workers, engine or interruptions, on processors of one kind.

    Args:
        styles: names of shipped styles or paths of style models, no name twice.
        per_image: paintings of each image, in different styles as far as there are enough.
        seed: with an image's id, it decides on styles and strengths.
        strength: lowest and highest share of the painting, in [0, 1]; the rest is the photograph.
        stroke, color: as of `dials.dials.Dials`, by default as each style says.
        paint: names of categories; only what is annotated as one of them is painted. By default everything is.
        keep: names of categories; everything else is painted.
        keep_originals: copy the photographs into the result too.
        resume: go on with what an earlier call with these arguments left in `out`, keeping files that are whole.
        workers: processes, or CPUs of the Ray cluster; None for all. On GPUs, one for each.
        engine: `local`, or `ray`, which needs all folders in the same place on every machine.
        progress: called with the number of files that are done and that there will be.
        failed: called with a line for every image that could not be painted, which is left out of the result.

    A line is logged for each kind of thing in the annotation file that was read otherwise than it stands there.
    Processes are spawned: a script that calls this needs `if __name__ == "__main__"`.

    Returns:
        {"annotations": path, "images": number written, "marks": number of annotations, "failed": lines}.

    Raises:
        DataError: there is no such folder or category, or the annotation file is not one.
        UsageError: `out` holds something already, or the arguments do not fit together.
    """
    if not folder.is_dir():
        raise DataError(folder, "no such folder", "give the one with the images")
    coco = read_coco(annotations, folder)
    paths = _styles_by_name(styles)
    touch = _touch(stroke, color, paint, keep)
    jobs = plan_jobs(coco["images"], list(paths), per_image, seed, strength, keep_originals)
    if touch.categories:
        check_categories(coco, touch.categories)
        jobs = [replace(job, part=part) for job, part in zip(jobs, by_image(coco).values(), strict=True)]
    settings: dict[str, Any] = {
        "annotations": _file_digest(annotations),
        "styles": {name: _file_digest(path) for name, path in paths.items()},
        "per_image": per_image,
        "seed": seed,
        "strength": list(strength),
        "keep_originals": keep_originals,
    }
    if touch != Touch():
        settings["touch"] = asdict(touch)
    _prepare_output(out, settings, resume)
    make_worker = partial(Worker, folder.resolve(), (out / "images").resolve(), paths, resume, touch=touch)
    results = (run_on_ray if engine == "ray" else run_locally)(jobs, make_worker, workers, device)
    done, total, reasons = 0, sum(len(job.outputs) for job in jobs), {}
    for number, reason in results:
        if reason:
            reasons[number] = reason
            failed(reason)
        done += len(jobs[number].outputs)
        progress(done, total)
    painted = _painted_coco(coco, [None if number in reasons else job for number, job in enumerate(jobs)])
    with written_whole(out / "annotations.json") as temporary:
        temporary.write_text(json.dumps(painted), encoding="ascii")
    return {
        "annotations": str(out / "annotations.json"), "images": len(painted["images"]),
        "marks": len(painted["annotations"]), "failed": [reasons[number] for number in sorted(reasons)],
    }  # fmt: skip


def _touch(stroke: float | None, color: str | None, paint: Sequence[str] | None, keep: Sequence[str] | None) -> Touch:
    Dials().given(stroke=stroke, color=color)  # raises UsageError for what is out of range
    if paint and keep:
        raise UsageError("paint and keep exclude each other; give one of them")
    return Touch(stroke, color, tuple(paint or keep or ()), bool(keep))


def _styles_by_name(styles: Sequence[str | Path]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for style in styles:
        path = find_painter(style)
        name = load_style_model(path).name
        if name in paths:
            raise UsageError(style, f"a style called {name} is there already", "name each once")
        paths[name] = path.resolve()
    return paths


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prepare_output(out: Path, settings: dict[str, Any], resume: bool) -> None:
    """Create the data set's folder and record in `out`, or check that `out` holds the same data set, unfinished."""
    record, ours = out / _RECORD, [out / name for name in (_RECORD, "images", "annotations.json")]
    if any(os.path.lexists(path) for path in ours):
        if not resume:
            raise UsageError(out, "holds a data set already", "choose another -o, or go on with --resume")
        if not record.is_file() or record.read_text(encoding="utf-8", errors="replace") != _format_settings(settings):
            raise UsageError(out, "not begun with these options and files", "choose another -o")
        for partial_file in out.rglob(".impasto-*.part"):  # what a killed run was writing
            partial_file.unlink(missing_ok=True)
    with written_whole(record) as temporary:
        temporary.write_text(_format_settings(settings), encoding="utf-8")
    (out / "images").mkdir(exist_ok=True)


def _format_settings(settings: dict[str, Any]) -> str:
    return json.dumps(settings, indent=2) + "\n"


def _painted_coco(coco: dict[str, Any], jobs: Sequence[Job | None]) -> dict[str, Any]:
    """Return the result's annotation file: the images of each job that succeeded (None:
    it failed) and their annotations.
    """
    by_image = defaultdict(list)
    for annotation in coco.get("annotations", []):
        by_image[annotation["image_id"]].append(annotation)
    entries, copies = [], []
    for entry, job in zip(coco["images"], jobs, strict=True):
        for output in job.outputs if job else ():
            number = len(entries) + 1
            entries.append(
                entry
                | {"id": number, "file_name": output.file_name}
                | {"width": int(entry["width"]), "height": int(entry["height"])}
                | {"style": output.style, "strength": output.strength}
                | {"source": entry["file_name"], "source_id": entry["id"]}
            )  # fmt: skip
            for annotation in by_image[entry["id"]]:
                copies.append(annotation | {"id": len(copies) + 1, "image_id": number})
    return coco | {"images": entries, "annotations": copies}
