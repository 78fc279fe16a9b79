"""Average the weights of style models of one style: better than each, where one's training went on from another's end.

    python scripts/research/average_models.py MODEL MODEL... -o OUT.safetensors

Weights between two ends of one valley lie lower than both (Izmailov et al., "Averaging Weights Leads to Wider Optima
and Better Generalization", UAI 2018). The papers are those of the first model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from impasto.checkpoint import StyleModel, find_style_model, load_style_model, save_style_model
from impasto.errors import ImpastoError, UsageError
from impasto.records import ReportSummary


@torch.no_grad()
def averaged(models: list[StyleModel]) -> StyleModel:
    """Return the first of the models with the mean of all weights.

    Raises:
        UsageError: they are not of one network and one style.
    """
    first = models[0]
    for model in models:
        if (model.name, model.spec) != (first.name, first.spec):
            raise UsageError(f"one style, one network: {first.name}, {first.spec}, or {model.name}, {model.spec}?")
    states = [model.network.state_dict() for model in models]
    first.network.load_state_dict({key: sum(state[key] for state in states) / len(states) for key in states[0]})
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    if options.output.exists():
        raise UsageError(f"{options.output}: is there already; choose another -o")
    model = averaged([load_style_model(find_style_model(name)) for name in options.models])
    model.training.mean_of = len(options.models)
    model.report = ReportSummary()  # it was another's
    save_style_model(options.output, model)
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except (ImpastoError, OSError) as error:
        sys.exit(str(error))
