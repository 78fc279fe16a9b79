"""Losses over the optimiser's steps: their mean, their best so far, and when they reach a total."""

from __future__ import annotations

import math
from collections.abc import Sequence

Curve = dict[int, dict[str, float]]
TERMS = ("content", "style", "tv", "total")


def total_of(terms: dict[str, float]) -> float:
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
    return {step: {term: mean([curve[step][term] for curve in curves]) for term in TERMS} for step in shared}


def first_at_or_below(curve: Curve, total: float) -> int | None:
    """Return the first step whose total is at or below `total`; None if there is none."""
    return next((step for step in sorted(curve) if curve[step]["total"] <= total), None)


def median_step(steps: Sequence[int | None]) -> int | None:
    """Return the step that half of the images reach at least; None is later than any.

    From noise the optimiser takes much longer for some photographs than for others. A few slow runs lift the mean curve
    and with it the equal iterations; the median they leave alone.
    """
    return sorted(steps, key=lambda step: math.inf if step is None else step)[(len(steps) - 1) // 2]


def lowest(curve: Curve) -> float:
    return min(terms["total"] for terms in curve.values())


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
