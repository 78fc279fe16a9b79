"""The figures of a comparison: means over all images, and of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from impasto.checkpoint import StyleModel
from impasto.compare.curves import (
    TERMS,
    best_so_far,
    first_at_or_below,
    lowest,
    mean,
    mean_curve,
    median_step,
    total_of,
)
from impasto.compare.report import ImageLosses, ImageReport, MeanLosses, Report, Seconds
from impasto.losses.defects import screen_energy
from impasto.losses.features import SLIM
from impasto.losses.perceptual import PerceptualLoss
from impasto.optimize import Optimized
from impasto.records import Fidelity, Iterations, Judge
from impasto.system.machine import provenance

BASELINES = ("noise", "content")


@dataclass
class Comparison:
    """One image: the photograph, the network's painting and its score, the optimiser's runs by where they started.

    own_style: the style loss of the photograph itself.
    cached: some of the runs, and their seconds, are from an earlier comparison.
    """

    name: str
    photograph: Tensor
    painted: Tensor
    terms: dict[str, float]
    own_style: float
    seconds: float
    runs: dict[str, Optimized]
    run_seconds: dict[str, float]
    cached: bool = False


def summarize(
    results: Sequence[Comparison],
    model: StyleModel,
    loss: PerceptualLoss,
    *,
    steps: int,
    size: int,
    bfloat16: bool,
    device: torch.device,
) -> Report:
    """Return the report: figures of the mean over all images, and of each."""
    images = [_image_report(result) for result in results]
    losses = _mean_losses(results, [image.loss for image in images])
    own_style = [result.own_style for result in results]
    optimised = [min((run.curve[run.best_step] for run in result.runs.values()), key=total_of) for result in results]
    return Report(
        style=model.name,
        network=fidelity([result.terms for result in results], own_style, loss.content_weight),
        optimiser=fidelity(optimised, own_style, loss.content_weight),
        judge=_judge(loss),
        equal_iterations=_equal_iterations(losses),
        median_iterations=Iterations(
            noise=median_step([image.equal_iterations.noise for image in images]),
            content=median_step([image.equal_iterations.content for image in images]),
        ),
        polish_iterations=first_at_or_below(losses.polish, losses.converged) if losses.polish else None,
        gap=losses.network["total"] / losses.converged - 1,
        screen=_screen(results, model),
        loss=losses,
        seconds=_mean_seconds(results),
        steps=steps,
        size=size,
        gradients="bfloat16" if bfloat16 else "float32",
        machine=provenance(device),
        images=images,
    )


def fidelity(terms: Sequence[dict[str, float]], own_style: Sequence[float], content_weight: float) -> Fidelity:
    """Return how much of the style is reached and how much of the structure is kept, means over images.

    Args:
        terms: each painting's loss.
        own_style: the style loss of each photograph itself.

    Two unrelated pictures are twice the variance of the content features apart, hence half of the relative error.
    """
    reached = [1 - each["style"] / own for each, own in zip(terms, own_style, strict=True) if own]
    kept = [1 - each["content"] / (2 * content_weight) for each in terms if content_weight]
    return Fidelity(style_reached=mean(reached) if reached else None, structure_kept=mean(kept) if kept else None)


def _image_report(result: Comparison) -> ImageReport:
    best = {init: best_so_far(run.curve) for init, run in result.runs.items()}
    losses = ImageLosses(network=result.terms, noise=best["noise"], content=best["content"], polish=best.get("polish"))
    return ImageReport(name=result.name, loss=losses, equal_iterations=_equal_iterations(losses))


def _mean_losses(results: Sequence[Comparison], losses: Sequence[ImageLosses]) -> MeanLosses:
    polished = [each.polish for each in losses if each.polish is not None]
    # The best that the optimiser found for each image, wherever it started from a picture of its own.
    converged = mean([min(lowest(result.runs[init].curve) for init in BASELINES) for result in results])
    return MeanLosses(
        network={term: mean([each.network[term] for each in losses]) for term in TERMS},
        converged=converged,
        noise=mean_curve([each.noise for each in losses]),
        content=mean_curve([each.content for each in losses]),
        polish=mean_curve(polished) if polished else None,
    )


def _equal_iterations(losses: ImageLosses | MeanLosses) -> Iterations:
    total = losses.network["total"]
    return Iterations(
        noise=first_at_or_below(losses.noise, total),
        content=first_at_or_below(losses.content, total),
    )


def _judge(loss: PerceptualLoss) -> Judge:
    features = loss.features
    network = SLIM if features.weights == SLIM else "vgg19"
    return Judge(network=network, weights=Path(features.weights).name, fingerprint=features.fingerprint())


def _screen(results: Sequence[Comparison], model: StyleModel) -> float | None:
    """Return the paintings' screen energy / the style picture's, where the model says the latter."""
    own = model.style.screen
    if not isinstance(own, float) or not 0 < own < math.inf:
        return None
    return mean(screen_energy(torch.stack([result.painted for result in results])).tolist()) / own


def _mean_seconds(results: Sequence[Comparison]) -> Seconds:
    network = mean([result.seconds for result in results])
    noise, content = (mean([result.run_seconds[init] for result in results]) for init in BASELINES)
    cached = any(result.cached for result in results)
    return Seconds(network=network, noise=noise, content=content, ratio=noise / network, cached=cached)
