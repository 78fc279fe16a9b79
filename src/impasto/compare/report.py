"""What a comparison found, as figures, as a curve and as a contact sheet."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from impasto.images.contact_sheet import contact_sheet
from impasto.images.writing import write_image
from impasto.losses.features import SLIM
from impasto.losses.functional import screen_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.optimize import Optimized
from impasto.system.files import written_whole
from impasto.system.machine import provenance

BASELINES = ("noise", "content")
_SHEET_ROWS = 8


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
) -> dict[str, Any]:
    """Return the report: figures of the mean over all images, and of each."""
    network = {term: mean([result.terms[term] for result in results]) for term in TERMS}
    best = [{init: best_so_far(run.curve) for init, run in result.runs.items()} for result in results]
    curves = {init: mean_curve([runs[init] for runs in best]) for init in best[0]}
    # The best that the optimiser found for each image, wherever it started from a picture of its own.
    converged = mean([min(lowest(result.runs[init].curve) for init in BASELINES) for result in results])
    seconds = {"network": mean([result.seconds for result in results])}
    seconds |= {init: mean([result.run_seconds[init] for result in results]) for init in BASELINES}
    equal = [
        {init: first_at_or_below(runs[init], result.terms["total"]) for init in BASELINES}
        for result, runs in zip(results, best, strict=True)
    ]
    own = model.style.get("screen")
    own_screen = own if isinstance(own, float) and 0 < own < math.inf else None
    screens = screen_energy(torch.stack([result.painted for result in results])).tolist()
    own_style = [result.own_style for result in results]
    optimised = [min((run.curve[run.best_step] for run in result.runs.values()), key=total_of) for result in results]
    return {
        "style": model.name,
        "network": reach([result.terms for result in results], own_style, loss.content_weight),
        "optimiser": reach(optimised, own_style, loss.content_weight),
        "judge": {
            "network": SLIM if loss.features.weights == SLIM else "vgg19",
            "weights": Path(loss.features.weights).name,
            "fingerprint": loss.features.fingerprint(),
        },
        "equal_iterations": {init: first_at_or_below(curves[init], network["total"]) for init in BASELINES},
        "median_iterations": {init: median_step([reached[init] for reached in equal]) for init in BASELINES},
        **({"polish_iterations": first_at_or_below(curves["polish"], converged)} if "polish" in curves else {}),
        "gap": network["total"] / converged - 1,
        "screen": mean(screens) / own_screen if own_screen else None,
        "loss": {"network": network, "converged": converged, **curves},
        "seconds": {
            **seconds,
            "ratio": seconds["noise"] / seconds["network"],
            "cached": any(result.cached for result in results),
        },
        "steps": steps,
        "size": size,
        "gradients": "bfloat16" if bfloat16 else "float32",
        "machine": provenance(device),
        "images": [
            {
                "name": result.name,
                "loss": {"network": result.terms, **runs},
                "equal_iterations": reached,
            }
            for result, runs, reached in zip(results, best, equal, strict=True)
        ],
    }


def reach(
    terms: Sequence[dict[str, float]], own_style: Sequence[float], content_weight: float
) -> dict[str, float | None]:
    """Return what people ask of paintings: how much of the style is reached and how much of the structure is kept, means over images.

    style_reached: 1 - a painting's style loss / that of the photograph itself. 0 for the photograph, 1 for a picture with the style
        picture's statistics.
    structure_kept: 1 - half of the relative error of the content features. 1 for the photograph; about 0 for a picture that has
        nothing to do with it, for two independent pictures are twice the variance apart.

    None where the loss has no such term.
    """
    reached = [1 - each["style"] / own for each, own in zip(terms, own_style, strict=True) if own]
    kept = [1 - each["content"] / (2 * content_weight) for each in terms if content_weight]
    return {"style_reached": mean(reached) if reached else None, "structure_kept": mean(kept) if kept else None}


def write_report(folder: Path, report: dict[str, Any], results: Sequence[Comparison]) -> list[Path]:
    """Write `report.json`, `curve.png` and `contact_sheet.png` into `folder` and return their paths."""
    paths = [folder / "report.json", folder / "curve.png", folder / "contact_sheet.png"]
    with written_whole(paths[0]) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _draw_curve(paths[1], report)
    rows = [
        [result.photograph, result.painted, result.runs["noise"].image[0].cpu(), result.runs["content"].image[0].cpu()]
        for result in results[:_SHEET_ROWS]
    ]
    titles = ["content", "network", f"{report['steps']} steps from noise", f"{report['steps']} steps from content"]
    write_image(paths[2], contact_sheet(rows, titles=titles))
    return paths


def _draw_curve(path: Path, report: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.rcdefaults()  # not what lies in the current folder
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    labels = {"noise": "from noise", "content": "from the content image", "polish": "polishing the network's output"}
    for init in filter(report["loss"].__contains__, labels):
        curve = report["loss"][init]
        axes.plot(list(curve), [terms["total"] for terms in curve.values()], label=f"L-BFGS {labels[init]}")
    axes.axhline(report["loss"]["network"]["total"], color="black", linestyle="--", label="network, one forward pass")
    axes.set(xlabel="L-BFGS iterations", ylabel="total loss, best so far", yscale="log")
    axes.set_title(report["style"], parse_math=False)
    axes.legend()
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)
