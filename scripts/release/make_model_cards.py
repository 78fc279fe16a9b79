"""Write checkpoints/README.md: a table of the shipped style models, from what the files say of themselves.

python scripts/release/make_model_cards.py
"""

from __future__ import annotations

from pathlib import Path

from impasto.any_style.files import predictor_path
from impasto.checkpoint import read_metadata, shipped_styles
from impasto.records import ReportSummary
from impasto.system.files import asset_dir
from impasto.tensor_file import read_description

HEAD = """# Style models

Written by `python scripts/release/make_model_cards.py` from the files. Each was trained by this project \
(`configs/experiment/`) and
measured by `impasto compare`; [docs/results.md](../docs/results.md) says what the columns mean. \
Flicker is that of painted clips, in levels of 255 ([docs/film.md](../docs/film.md#flicker)): see below which. Training includes what a painter began with, but for base weights.
The judge is a loss network, photographs and the steps of the optimiser, at the size of the style picture that was trained with. A file holds no copy of its painting.

| style | after | network | training | judge | style reached | structure kept | the optimiser's | gap | equal iterations from noise / photograph | flicker | MB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501


def card(path: Path) -> str:
    metadata = read_metadata(path)
    style, runs = metadata.style, list(metadata.training.runs())
    after = ", ".join(str(known) for known in (style.title, style.artist, style.year) if known is not None)
    steps, minutes = sum(run.steps or 0 for run in runs), sum(run.seconds or 0 for run in runs) / 60
    devices = ", then ".join(dict.fromkeys(str(run.device) for run in reversed(runs)))
    trained = f"{steps} steps, {minutes:.0f} min, {devices}"
    figures = [*measured(metadata.report), flicker(metadata.report)]
    columns = [metadata.name, after, metadata.spec["name"], trained, *figures]
    return f"| {' | '.join(columns)} | {path.stat().st_size / 1e6:.1f} |"


def measured(report: ReportSummary) -> list[str]:
    network, optimiser, judge, equal = report.network, report.optimiser, report.judge, report.equal_iterations
    if not (network and optimiser and judge and equal and report.steps and report.gap is not None):
        return ["not compared by these measures", "", "", "", "", ""]
    judged = f"{judge.network}, {report.images} photographs, {report.steps} steps"
    own, best = ([percentage(each.style_reached), percentage(each.structure_kept)] for each in (network, optimiser))
    return [judged, *own, ", ".join(best), f"{report.gap:.0%}", equal.formatted(report.steps)]


def flicker(report: ReportSummary) -> str:
    return f"{report.film.flicker:.1f}" if report.film else ""


def clips() -> str:
    """Name the clips whose flicker the files state."""
    films = [film for path in shipped_styles() if (film := read_metadata(path).report.film)]
    names = dict.fromkeys((", ".join(film.clips), film.frames) for film in films)
    return "".join(f"\nFlicker: {frames} frames of {said}.\n" for said, frames in names)


def percentage(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def predictor_card(path: Path) -> str:
    training = read_description(path)["training"]
    return (
        f"\n`{path.name}` ({path.stat().st_size / 1e6:.1f} MB) is no painter, but predicts one for any picture. It was "
        f"trained with {training['updates']:,} updates over {training['styles']} pictures, on {training['device']}.\n"
        "One picture in ten was held out, by its name. docs/method.md says how; docs/results.md, any_style, how well.\n"
    )


def cards() -> str:
    return HEAD + "".join(f"{card(path)}\n" for path in shipped_styles()) + clips() + predictor_card(predictor_path())


if __name__ == "__main__":
    (asset_dir("checkpoints") / "README.md").write_text(cards(), encoding="utf-8")
