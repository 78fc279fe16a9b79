"""Put a trained style model among the shipped ones: no thumbnail of the painting, the measured report inside.

python scripts/release/ship_style.py MODEL REPORT.json [--flicker FLICKER.json]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from impasto.checkpoint import load_style_model, save_style_model
from impasto.compare.report import read_report
from impasto.errors import ImpastoError
from impasto.records import FilmRecord
from impasto.system.files import asset_dir


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path, help="what `impasto compare` wrote of it")
    parser.add_argument("--flicker", type=Path, help="what `impasto flicker CLIP... -s MODEL --json` printed")
    options = parser.parse_args()
    model = load_style_model(options.model)
    report = read_report(options.report)
    if missing := report.not_measured():
        sys.exit(f"{options.report}: not a report of impasto compare, it has no {missing[0]}; compare the model again")
    if report.style != model.name:
        sys.exit(f"{options.report} is of {report.style}, not of {model.name}")
    model.style = model.style.without("thumbnail")
    assert model.loss.weights
    model.loss.weights = Path(model.loss.weights).name  # where the file lay is nobody's business
    model.report = report.summary(model.report)
    if options.flicker:
        measured = json.loads(options.flicker.read_text(encoding="utf-8"))
        if measured["failed"]:
            sys.exit(f"{options.flicker}: not all clips were measured")
        model.report.film = FilmRecord.of_clips(measured["clips"])
    target = asset_dir("checkpoints") / f"{model.name}.safetensors"
    save_style_model(target, model)
    print(target)


if __name__ == "__main__":
    try:
        main()
    except (ImpastoError, OSError, ValueError) as error:
        sys.exit(str(error))
