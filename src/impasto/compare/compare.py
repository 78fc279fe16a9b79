"""How good is a painter? Score it and the optimiser with the same loss, on the same images, at the same size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from impasto.compare.report import Report
from impasto.compare.run_cache import cached_run
from impasto.compare.summarize import BASELINES, Comparison, summarize
from impasto.errors import ImageError, UsageError
from impasto.images.geometry import centre_square
from impasto.images.reading import read_image
from impasto.inference.stylizer import Stylizer
from impasto.losses.perceptual import PerceptualLoss
from impasto.system.choices import COMPARE_SIZE, COMPARE_STEPS


def compare(
    paths: Sequence[Path],
    stylizer: Stylizer,
    loss: PerceptualLoss,
    *,
    steps: int = COMPARE_STEPS,
    size: int = COMPARE_SIZE,
    bfloat16: bool = False,
    polish: bool = True,
    progress: Callable[[str, str, int], None] = lambda image, init, step: None,
    failed: Callable[[ImageError], None] = lambda error: None,
) -> tuple[Report, list[Comparison]]:
    """Paint and optimise the centre square, `size` pixels wide, of every image; return the report and what it came
    from.

    The optimiser is L-BFGS (`optimize_image`) from noise, from the content image and, to `polish` it, from the
    network's own output. Finished runs are kept in the user's cache, so a comparison that was interrupted goes on where
    it was, and another model of the same style is compared at once. `progress` is called with image, start and step
    after every update, `failed` with the error of every image that cannot be read.

    Raises:
        UsageError: none of the images can be read.
    """
    device = stylizer.device
    loss = loss.to(device)
    results = []
    for path in paths:
        try:
            photograph = centre_square(read_image(path, at_least=size), size)[None]
        except ImageError as error:
            failed(error)
            continue
        painted = stylizer(photograph)  # the first pass pays for warming up
        seconds = math.inf
        for _ in range(3):  # the quickest: whatever else the machine does only adds
            started = time.perf_counter()
            painted = stylizer(photograph)
            seconds = min(seconds, time.perf_counter() - started)
        photograph, painted = photograph.to(device), painted.to(device)
        with torch.no_grad():
            terms = loss(painted, photograph).numbers()
            own_style = float(loss(photograph, photograph).style)
        result = Comparison(path.name, photograph[0].cpu(), painted[0].cpu(), terms, own_style, seconds, {}, {})
        for init in (*BASELINES, *(["polish"] if polish else [])):
            start = painted if init == "polish" else init
            result.runs[init], result.run_seconds[init], cached = cached_run(
                photograph, loss, start, steps, bfloat16,
                lambda iterate, name=path.name, init=init: progress(name, init, iterate.step),
            )  # fmt: skip
            result.cached |= cached
        results.append(result)
    if not results:
        raise UsageError("none of the images could be read, so there is nothing to compare")
    return summarize(
        results, stylizer.model, loss, steps=steps, size=size, bfloat16=bfloat16, device=torch.device(device)
    ), results
