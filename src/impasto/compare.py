"""How good is a painter? Score it and the optimiser with the same loss, on the same images, at the same size."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.checkpoint import SUFFIX, StyleModel
from impasto.errors import ImageError, ModelError, UsageError
from impasto.images.contact_sheet import contact_sheet
from impasto.images.geometry import centre_square, resize
from impasto.images.reading import read_image
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.losses import build_loss
from impasto.losses.features import SLIM
from impasto.losses.functional import screen_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.optimize import Optimized, optimize_image
from impasto.system.files import cache_dir, written_whole
from impasto.system.machine import provenance

Curve = dict[int, dict[str, float]]
_TERMS = ("content", "style", "tv", "total")
_BASELINES = ("noise", "content")
_SHEET_ROWS = 8
_BASELINE = 4  # raised when `optimize_image` would find something else


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


def judge_of(model: StyleModel, weights: str | None = None, style_image: Path | None = None) -> PerceptualLoss:
    """Return the loss that `model` was trained with, its style set, or the same loss on another loss network.

    Args:
        weights: `torchvision`, `slim` or a path; by default what the model was trained with, or where that is not at
            hand, `slim`.
        style_image: the style picture; needed when the model carries no Gram matrices made with these weights.

    Raises:
        UsageError: the style picture is needed and missing.
        ModelError: the model's papers do not describe a loss.
    """
    if not model.loss:
        raise ModelError(f"{model.name}: carries no loss to be compared by, as imported models do; it can paint only")
    spec = {key: value for key, value in model.loss.items() if key not in ("weights", "fingerprint")}
    if spec.get("style_weight") == 0:
        raise ModelError(f"{model.name}: was trained without a style term, so there is no style to be compared by")
    loss = build_loss(weights=weights or _weights_at_hand(model), **spec)
    known = model.style_targets.get(loss.features.fingerprint(), {})
    if style_image:
        size = model.style.get("size")
        if type(size) is not int or not 16 <= size <= 8192:
            raise ModelError(f"{model.name}: the model does not say at what size its style was taken; train it again")
        loss.set_style(resize(read_image(style_image), size)[None])
    elif set(loss.style_layers) <= set(known):
        layers = {name: name.partition(".")[0].partition("/")[0] for name in known}
        if any(known[name].shape[-1] != loss.features.channels(layer) for name, layer in layers.items()):
            raise ModelError(f"{model.name}: its Gram matrices do not fit the loss network; the file was altered")
        loss.style_targets = known
    else:
        raise UsageError(
            f"{model.name} was trained with other loss weights than {loss.features.weights}; name the style picture with "
            "--style-image so that it can be measured with these"
        )
    return loss


def _weights_at_hand(model: StyleModel) -> str:
    weights = str(model.loss.get("weights", "torchvision"))
    own = weights in ("torchvision", SLIM) or (weights.endswith(SUFFIX) and Path(weights).is_file())
    return weights if own else SLIM


def compare(
    paths: Sequence[Path],
    stylizer: Stylizer,
    loss: PerceptualLoss,
    *,
    steps: int = 500,
    size: int = 256,
    bfloat16: bool = False,
    polish: bool = True,
    progress: Callable[[str, str, int], None] = lambda image, init, step: None,
    failed: Callable[[ImageError], None] = lambda error: None,
) -> tuple[dict[str, Any], list[Comparison]]:
    """Paint and optimise the centre square, `size` pixels wide, of every image; return the report and what it came from.

    The optimiser is L-BFGS (`optimize_image`) from noise, from the content image and, to `polish` it, from the network's own
    output. Finished runs are kept in the user's cache, so a comparison that was interrupted goes on where it was, and another model of the
    same style is compared at once. `progress` is called with image, start and step after every update, `failed` with
    the error of every image that cannot be read.

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
        stylizer.paint(photograph)  # the first pass pays for warming up
        seconds = math.inf
        for _ in range(3):  # the quickest: whatever else the machine does only adds
            started = time.perf_counter()
            painted = stylizer.paint(photograph)
            seconds = min(seconds, time.perf_counter() - started)
        photograph, painted = photograph.to(device), painted.to(device)
        with torch.no_grad():
            terms = loss(painted, photograph).numbers()
            own_style = float(loss(photograph, photograph).style)
        result = Comparison(path.name, photograph[0].cpu(), painted[0].cpu(), terms, own_style, seconds, {}, {})
        for init in (*_BASELINES, *(["polish"] if polish else [])):
            start = painted if init == "polish" else init
            result.runs[init], result.run_seconds[init], cached = _cached_run(
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
    network = {term: _mean([result.terms[term] for result in results]) for term in _TERMS}
    best = [{init: best_so_far(run.curve) for init, run in result.runs.items()} for result in results]
    curves = {init: mean_curve([runs[init] for runs in best]) for init in best[0]}
    # The best that the optimiser found for each image, wherever it started from a picture of its own.
    converged = _mean([min(_lowest(result.runs[init].curve) for init in _BASELINES) for result in results])
    seconds = {"network": _mean([result.seconds for result in results])}
    seconds |= {init: _mean([result.run_seconds[init] for result in results]) for init in _BASELINES}
    equal = [
        {init: first_at_or_below(runs[init], result.terms["total"]) for init in _BASELINES}
        for result, runs in zip(results, best, strict=True)
    ]
    own = model.style.get("screen")
    own_screen = own if isinstance(own, float) and 0 < own < math.inf else None
    screens = screen_energy(torch.stack([result.painted for result in results])).tolist()
    own_style = [result.own_style for result in results]
    optimised = [min((run.curve[run.best_step] for run in result.runs.values()), key=_total) for result in results]
    return {
        "style": model.name,
        "network": reach([result.terms for result in results], own_style, loss.content_weight),
        "optimiser": reach(optimised, own_style, loss.content_weight),
        "judge": {
            "network": SLIM if loss.features.weights == SLIM else "vgg19",
            "weights": Path(loss.features.weights).name,
            "fingerprint": loss.features.fingerprint(),
        },
        "equal_iterations": {init: first_at_or_below(curves[init], network["total"]) for init in _BASELINES},
        "median_iterations": {init: median_step([reached[init] for reached in equal]) for init in _BASELINES},
        **({"polish_iterations": first_at_or_below(curves["polish"], converged)} if "polish" in curves else {}),
        "gap": network["total"] / converged - 1,
        "screen": _mean(screens) / own_screen if own_screen else None,
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
    return {"style_reached": _mean(reached) if reached else None, "structure_kept": _mean(kept) if kept else None}


def _total(terms: dict[str, float]) -> float:
    return terms["total"]


def best_so_far(curve: Curve) -> Curve:
    """Replace every entry by the one with the lowest total up to its step."""
    best: dict[str, float] = {"total": math.inf}
    kept = {}
    for step in sorted(curve):
        best = min(best, curve[step], key=lambda terms: terms["total"])
        kept[step] = best
    return kept


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Average curves over the images, at the steps that all of them have."""
    shared = sorted(set.intersection(*(set(curve) for curve in curves)))
    return {step: {term: _mean([curve[step][term] for curve in curves]) for term in _TERMS} for step in shared}


def first_at_or_below(curve: Curve, total: float) -> int | None:
    """Return the first step whose total is at or below `total`; None if there is none."""
    return next((step for step in sorted(curve) if curve[step]["total"] <= total), None)


def median_step(steps: Sequence[int | None]) -> int | None:
    """Return the step that half of the images reach at least; None is later than any.

    From noise the optimiser takes much longer for some photographs than for others. A few slow runs lift the mean curve
    and with it the equal iterations; the median they leave alone.
    """
    return sorted(steps, key=lambda step: math.inf if step is None else step)[(len(steps) - 1) // 2]


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


def _cached_run(
    content: Tensor, loss: PerceptualLoss, init: str | Tensor, steps: int, bfloat16: bool, callback: Callable[..., None]
) -> tuple[Optimized, float, bool]:
    """`optimize_image`, or its result from an earlier call with the same arguments; its seconds; whether it was earlier."""
    path = cache_dir() / "baselines" / f"{_run_key(content, loss, init, steps, bfloat16)}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            known = json.loads(file.metadata()["run"])
            curve = {int(step): terms for step, terms in known["curve"].items()}
            return Optimized(file.get_tensor("image"), known["best_step"], curve), known["seconds"], True
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        pass  # not there, or damaged: do it (again)
    started = time.perf_counter()
    run = optimize_image(content, loss, steps=steps, init=init, bfloat16=bfloat16, callback=callback)
    seconds = time.perf_counter() - started
    known = {"curve": run.curve, "best_step": run.best_step, "seconds": seconds}
    with suppress(OSError, SafetensorError), written_whole(path) as temporary:  # without a cache, only slower
        save_file({"image": run.image.contiguous().cpu()}, temporary, metadata={"run": json.dumps(known)})
    return run, seconds, False


def _run_key(content: Tensor, loss: PerceptualLoss, init: str | Tensor, steps: int, bfloat16: bool) -> str:
    settings = [
        _BASELINE,
        loss.spec(),
        loss.features.fingerprint(),
        steps,
        bfloat16,
        content.device.type,
        torch.__version__,
    ]
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(init.encode() if isinstance(init, str) else init.cpu().contiguous().numpy().tobytes())
    for tensor in (content, *loss.style_targets.values()):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _lowest(curve: Curve) -> float:
    return min(terms["total"] for terms in curve.values())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
