"""A plot of flicker over the frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from impasto.inference.video.flicker import Flicker
from impasto.system.files import written_whole


def draw_flicker(path: Path, results: Mapping[str, Flicker]) -> None:
    """Draw the flicker of each frame, a curve for each result with its mean, into a PNG."""
    import matplotlib

    matplotlib.rcdefaults()  # not what lies in the current folder
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, result in results.items():
        values = [float("nan") if value is None else value for value in result.per_frame]
        (line,) = axes.plot(range(2, result.frames + 1), values, label=f"{name}: {result.flicker:.2f}".replace("$", ""))
        axes.axhline(result.flicker, color=line.get_color(), linestyle=":", linewidth=1)
    axes.set(xlabel="frame", ylabel="flicker, levels of 255")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)
