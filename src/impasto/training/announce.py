"""What a run says on stderr: what was chosen and how to choose otherwise,
and what people would see in its paintings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from impasto.any_style.find import is_predicted
from impasto.losses.defects import DEFECTS, visible_defects
from impasto.training.callbacks import is_rank_zero
from impasto.training.plan import RunPlan
from impasto.training.record import Style, name_of


def announce(
    plan: RunPlan, style: Style, *, loss_network: str | Path, photographs: Any, are_samples: bool, heldout: int
) -> None:
    """Say what was chosen and how to choose otherwise, once for all ranks.

    Args:
        loss_network: its weights, `slim` or a path.
        photographs: the folder or the shards.
        are_samples: whether they are those that come with impasto.
        heldout: how many of them are held out.
    """
    if not is_rank_zero():
        return
    chosen = [
        ("style", f"{style.image} at {style.size} pixels", "style.size=N, larger for broader strokes"),
        ("start", f"where {plan.checkpoint} stopped", "ckpt_path=null, to begin anew")
        if plan.checkpoint
        else ("start", start_of(plan), "init=auto|base|none|NAME|PATH"),
        ("loss network", loss_network, "loss=slim, or loss=vgg19, the reference: slower, 550 MB once"),
        ("photographs", photographs, "data.root=DIR" + ": your own are better than these samples" * are_samples),
        ("duration", plan.duration.in_words(), "--minutes N, --quality draft|good|best"),
        ("watch it", f"{plan.folder}/contact_sheet.png", "renewed as the painter improves")
        if heldout
        else (
            "held out",
            "nothing: no contact sheet, and the last weights are kept",
            "five photographs and more, data.heldout=8",
        ),
        ("painter", plan.output, "output=PATH"),
    ]
    for what, choice, how in chosen:
        print(f"{what:13} {choice}  ({how})", file=sys.stderr)


def start_of(plan: RunPlan) -> str:
    """Say what the weights begin with."""
    return f"predicted from {plan.start.stem}" if plan.start and is_predicted(plan.start) else name_of(plan.start)


def warn_of_defects(figures: dict[str, float]) -> None:
    """Name what people would see in the held-out paintings, and the remedy."""
    for name in visible_defects(figures):
        limit, remedy = DEFECTS[name]
        print(f"impasto: warning: {name} {figures[name]:.2g} (at most {limit:g}): {remedy}", file=sys.stderr)
