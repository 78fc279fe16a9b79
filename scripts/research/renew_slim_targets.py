"""After a new distillation: give the shipped style models their Gram matrices in the slim loss network as it is now.

    python scripts/research/renew_slim_targets.py --pictures DIR

PICTURES as for `scripts/release/make_shipped_styles.py`. A model's other Gram matrices, those of the loss network that
it was trained with, stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from train_styles import picture_of

from impasto.checkpoint import StyleModel, load_style_model, save_style_model, shipped_styles
from impasto.compare.judge import judging_loss
from impasto.errors import ImpastoError
from impasto.losses.features import SLIM


def renew(model: StyleModel, picture: Path) -> None:
    slim = judging_loss(model, SLIM, picture)
    own = model.loss.fingerprint
    assert own
    model.style_targets = {own: model.style_targets[own], slim.features.fingerprint(): slim.style_targets}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    options = parser.parse_args()
    for path in shipped_styles():
        model = load_style_model(path)
        renew(model, picture_of(path.stem, options.pictures))
        save_style_model(path, model)
        print(path)


if __name__ == "__main__":
    try:
        main()
    except (ImpastoError, OSError) as error:
        sys.exit(str(error))
