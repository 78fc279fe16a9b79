"""Put a trained style model among the shipped ones: no thumbnail of the painting, the measured report inside.

python scripts/ship_style.py MODEL REPORT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from impasto.checkpoint import load_style_model, save_style_model
from impasto.runtime import asset_dir

KEPT = ("equal_iterations", "polish_iterations", "gap", "screen", "judge", "steps", "size", "gradients", "machine")


def main(model_path: str, report_path: str) -> None:
    model = load_style_model(Path(model_path))
    report = json.loads(Path(report_path).read_text(encoding="utf-8"))
    if report["style"] != model.name:
        sys.exit(f"{report_path} is of {report['style']}, not of {model.name}")
    model.style.pop("thumbnail", None)
    model.loss["weights"] = Path(model.loss["weights"]).name  # where the file lay is nobody's business
    model.report |= {key: report[key] for key in KEPT if key in report} | {"images": len(report["images"])}
    target = asset_dir("checkpoints") / f"{model.name}.safetensors"
    save_style_model(target, model)
    print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
