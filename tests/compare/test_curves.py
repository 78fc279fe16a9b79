"""Reading the optimiser's curve."""

from __future__ import annotations

from impasto.compare.curves import best_so_far, first_at_or_below, mean_curve, median_step


def test_reading_the_curve() -> None:
    curve = {0: {"total": 9.0}, 2: {"total": 4.0}, 4: {"total": 5.0}, 6: {"total": 3.0}}
    curve = {step: {**terms, "content": 0.0, "style": terms["total"], "tv": 0.0} for step, terms in curve.items()}
    best = best_so_far(curve)
    assert [best[step]["total"] for step in best] == [9, 4, 4, 3]
    assert (
        first_at_or_below(best, 4.0) == 2 and first_at_or_below(best, 3.5) == 6 and first_at_or_below(best, 1.0) is None
    )
    assert mean_curve([best, {0: best[0], 4: best[6]}])[4]["total"] == 3.5
    assert median_step([26, None, 16]) == 26 and median_step([None, 20, 16, None]) == 20
    assert median_step([None]) is None and median_step([0]) == 0
