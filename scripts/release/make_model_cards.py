"""Write checkpoints/README.md: a table of the shipped style models, from what the files say of themselves.

python scripts/release/make_model_cards.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from impasto.checkpoint import read_metadata, shipped_styles
from impasto.system.files import asset_dir

HEAD = """# Style models

Written by `python scripts/release/make_model_cards.py` from the files. Each was trained by this project (`configs/experiment/`) and
measured by `impasto compare`; [docs/results.md](../docs/results.md) says what the columns mean. Training includes what a painter began with, but for base weights.
The judge is a loss network, photographs and the steps of the optimiser. A file holds no copy of its painting.

| style | after | network | training | judge | style reached | structure kept | the optimiser's | gap | equal iterations from noise / photograph | MB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def card(path: Path) -> str:
    metadata = read_metadata(path)
    style, training, report = metadata["style"], metadata["training"], metadata["report"]
    after = ", ".join(str(style[key]) for key in ("title", "artist", "year") if key in style)
    runs = list(history(training))
    steps, minutes = sum(run["steps"] for run in runs), sum(run["seconds"] for run in runs) / 60
    trained = f"{steps} steps, {minutes:.0f} min, {training['device']}"
    columns = [metadata["name"], after, metadata["network"]["name"], trained, *measured(report)]
    return f"| {' | '.join(columns)} | {path.stat().st_size / 1e6:.1f} |"


def history(training: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The runs of `impasto train` that made a painter, the last one first; base weights are not one."""
    while "steps" in training:
        yield training
        training = training.get("before", {})


def measured(report: dict[str, Any]) -> list[str]:
    if "equal_iterations" not in report or "network" not in report:
        return ["not compared by these measures", "", "", "", "", ""]
    judge = f"{report['judge']['network']}, {report['images']} photographs, {report['steps']} steps"
    own, best = (
        [f"{report[who][what]:.0%}" for what in ("style_reached", "structure_kept")] for who in ("network", "optimiser")
    )
    return [judge, *own, ", ".join(best), f"{report['gap']:.0%}", iterations(report, "equal_iterations")]


def iterations(report: dict[str, Any], key: str) -> str:
    """The optimiser's steps from noise and from the photograph, empty where the report is older than that."""
    return " / ".join(f"> {report['steps']}" if step is None else str(step) for step in report.get(key, {}).values())


def cards() -> str:
    return HEAD + "".join(f"{card(path)}\n" for path in shipped_styles())


if __name__ == "__main__":
    (asset_dir("checkpoints") / "README.md").write_text(cards(), encoding="utf-8")
