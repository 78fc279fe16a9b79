"""`report.json`: what a comparison found, typed."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from impasto.compare.curves import Curve
from impasto.errors import UsageError
from impasto.records import Fidelity, Iterations, Judge, Record, ReportSummary


@dataclass(kw_only=True)
class ImageLosses(Record):
    """Losses of one image by term; of the optimiser, the best so far at each of its steps."""

    network: dict[str, float]
    """Of the network's painting."""
    noise: Curve
    """Of L-BFGS from noise."""
    content: Curve
    """Of L-BFGS from the content image."""
    polish: Curve | None = None
    """Of L-BFGS from the network's painting, where that was polished."""


@dataclass(kw_only=True)
class MeanLosses(Record):
    """Losses by term, means over the images; of the optimiser, the best so far at each of its steps."""

    network: dict[str, float]
    """Of the network's paintings."""
    converged: float
    """The lowest total that the optimiser found for each image, from noise or from the content image."""
    noise: Curve
    """Of L-BFGS from noise."""
    content: Curve
    """Of L-BFGS from the content image."""
    polish: Curve | None = None
    """Of L-BFGS from the network's paintings, where those were polished."""


@dataclass(kw_only=True)
class Seconds(Record):
    """How long one image takes, means over the images."""

    network: float
    """The quickest of three forward passes."""
    noise: float
    """All steps of L-BFGS from noise."""
    content: float
    """All steps of L-BFGS from the content image."""
    ratio: float
    """`noise` / `network`."""
    cached: bool = False
    """Whether some are from an earlier comparison."""


@dataclass(kw_only=True)
class ImageReport(Record):
    """What was found for one image."""

    name: str
    """Of its file."""
    loss: ImageLosses
    """Of this image."""
    equal_iterations: Iterations
    """Of this image's curves."""


@dataclass(kw_only=True)
class Report(Record):
    """How much of the style a painter reaches, and how the optimiser compares: `report.json`."""

    style: str
    """Name of the style model."""
    network: Fidelity | None = None
    """Of the network's paintings. None in files from before it was measured."""
    optimiser: Fidelity | None = None
    """Of the optimiser's best pictures. None in files from before it was measured."""
    judge: Judge
    """By what everything was scored."""
    equal_iterations: Iterations
    """Of the mean curve over all images."""
    median_iterations: Iterations | None = None
    """Of the median image. None in files from before it was measured."""
    polish_iterations: int | None = None
    """From the network's output until the optimiser's best is reached. None: not within `steps`, or not polished."""
    gap: float
    """The network's total loss / the optimiser's best - 1."""
    screen: float | None
    """Screen energy of the paintings / that of the style picture. None where the model does not say the latter."""
    loss: MeanLosses
    """The means that the figures above are taken from."""
    seconds: Seconds
    """What the network and the optimiser take."""
    steps: int
    """Of the optimiser."""
    size: int
    """Side of the squares compared, in pixels."""
    gradients: str
    """Precision of the optimiser's gradients: `float32` or `bfloat16`."""
    machine: dict[str, str]
    """Versions and hardware."""
    images: list[ImageReport]
    """One for each photograph that could be read."""

    def summary(self, before: ReportSummary) -> ReportSummary:
        """Return `before`, what a style model says of its quality, brought up to date with this comparison."""
        facts = self.to_dict()
        shared = {each.name: facts[each.name] for each in fields(ReportSummary) if each.name in facts}
        return ReportSummary.from_dict({**before.to_dict(), **shared, "images": len(self.images)})

    def not_measured(self) -> list[str]:
        """Return the names of the figures that the version that wrote the report did not measure yet."""
        since = {"network": self.network, "optimiser": self.optimiser, "median_iterations": self.median_iterations}
        return sorted(key for key, value in since.items() if value is None)

    def _is_written(self, key: str, value: Any) -> bool:
        return super()._is_written(key, value) or (key == "polish_iterations" and self.loss.polish is not None)


def read_report(path: Path) -> Report:
    """Read a `report.json`.

    Raises:
        UsageError: it is something else, or not whole.
        OSError: it cannot be read.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("it is a list or a value")
        return Report.from_dict(facts)
    except json.JSONDecodeError as error:
        raise UsageError(path, "not a report of impasto compare", "compare the model again") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(path, f"not a report of impasto compare, {error}", "compare the model again") from error
