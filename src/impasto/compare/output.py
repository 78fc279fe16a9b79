"""The files of a comparison: figures, a curve and a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from impasto.compare.report import Report
from impasto.compare.summarize import Comparison
from impasto.errors import counted
from impasto.images.contact_sheet import contact_sheet
from impasto.images.writing import write_image
from impasto.system.files import written_whole

_SHEET_ROWS = 8


def write_report(folder: Path, report: Report, results: Sequence[Comparison]) -> list[Path]:
    """Write `report.json`, `curve.png` and `contact_sheet.png` into `folder` and return their paths."""
    paths = [folder / "report.json", folder / "curve.png", folder / "contact_sheet.png"]
    with written_whole(paths[0]) as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    _draw_curve(paths[1], report)
    rows = [
        [result.photograph, result.painted, result.runs["noise"].image[0].cpu(), result.runs["content"].image[0].cpu()]
        for result in results[:_SHEET_ROWS]
    ]
    steps = counted(report.steps, "step")
    titles = ["content", "network", f"{steps} from noise", f"{steps} from content"]
    write_image(paths[2], contact_sheet(rows, titles=titles))
    return paths


def _draw_curve(path: Path, report: Report) -> None:
    import matplotlib

    matplotlib.rcdefaults()  # not what lies in the current folder
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    curves = {
        "from noise": report.loss.noise,
        "from the content image": report.loss.content,
        "polishing the network's output": report.loss.polish,
    }
    for label, curve in curves.items():
        if curve is not None:
            axes.plot(list(curve), [terms["total"] for terms in curve.values()], label=f"L-BFGS {label}")
    axes.axhline(report.loss.network["total"], color="black", linestyle="--", label="network, one forward pass")
    axes.set(xlabel="L-BFGS iterations", ylabel="total loss, best so far", yscale="log")
    axes.set_title(report.style, parse_math=False)
    axes.legend()
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)
