"""Put a trained predictor among the shipped files, with how much closer two minutes of training come.

python scripts/release/ship_predictor.py PREDICTOR [results/predicted_start.json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from impasto.any_style.files import load_predictor, predictor_path, save_predictor
from impasto.errors import ImpastoError
from impasto.tensor_file import read_description


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictor", type=Path)
    parser.add_argument("starts", type=Path, nargs="?", help="what measure/predicted_start.py wrote")
    options = parser.parse_args()
    predictor = load_predictor(options.predictor)
    training = read_description(options.predictor)["training"]
    rows = json.loads(options.starts.read_text(encoding="utf-8"))["rows"] if options.starts else []
    save_predictor(predictor_path(), predictor.network, predictor.loss, training, closer(rows) if rows else None)
    print(predictor_path())


def closer(rows: Sequence[dict[str, Any]]) -> float:
    """Return by how much style reached rises with two minutes of training from the predicted painter, a mean."""
    reached = {
        row["seconds"]: row["style_reached"] for row in rows if (row["style"], row["start"]) == ("mean", "predicted")
    }
    if not {0, 120} <= set(reached):
        sys.exit("the starts were not measured at 0 and 120 seconds")
    return round(reached[120] - reached[0], 3)


if __name__ == "__main__":
    try:
        main()
    except (ImpastoError, OSError) as error:
        sys.exit(str(error))
