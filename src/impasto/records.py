"""Facts that a style model says of itself, typed: its style, its loss, how it was trained and how good it is.

Files of other versions have other keys. What this version does not know it keeps, and writes again as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import PurePath
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints


@dataclass(kw_only=True)
class Record:
    """Base of the records: dataclasses that JSON objects are read into and written from.

    A field with a default may be missing in a file. None then stands for "not there", and is not written.

    Attributes:
        other: the values of unknown keys, and of known keys whose value has another type than the field.
    """

    other: dict[str, Any] = field(default_factory=dict)
    _order: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)  # of the keys in the file

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Read a JSON object.

        Raises:
            ValueError: a field without a default is missing, or its value has another type.
        """
        known: dict[str, Any] = {}
        other: dict[str, Any] = {}
        types = _types(cls)
        for key, value in facts.items():
            try:
                known[key] = _read(value, types[key])
            except (KeyError, ValueError):
                other[key] = value
        if missing := sorted(_required(cls) - set(known)):
            raise ValueError(f"it has no {missing[0]}")
        record = cls(**known, other=other)
        record._order = tuple(facts)
        return record

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object: the keys of the file first, in its order, then what was added since."""
        keys = dict.fromkeys([*self._order, *_types(type(self)), *self.other])
        facts: dict[str, Any] = {}
        for key in keys:
            value = getattr(self, key) if key in _types(type(self)) else None
            if value is None and key in self.other:
                facts[key] = self.other[key]
            elif key in _types(type(self)) and self._is_written(key, value):
                facts[key] = _written(value)
        return facts

    def without(self, key: str) -> Self:
        """Return the record as of a file that lacks `key`."""
        return self.from_dict({name: value for name, value in self.to_dict().items() if name != key})

    def _is_written(self, key: str, value: Any) -> bool:
        return value is not None or key in self._order or key in _required(type(self))


@dataclass(kw_only=True)
class StyleRecord(Record):
    """What is known of the painting and of the style picture."""

    title: str | int | None = None
    """Of the painting."""
    artist: str | int | None = None
    """Who painted it."""
    year: str | int | None = None
    """When it was painted."""
    size: int | None = None
    """Longer side of the style picture, in pixels."""
    strength: float | None = None
    """Of the style against the content; 1 is the loss's own weight."""
    screen: float | None = None
    """Screen energy of the style picture."""
    dials: dict[str, Any] | None = None
    """Strength, stroke and color, as in `dials.dials.Dials`, that the style is painted with unless told
    otherwise.
    """
    thumbnail: str | None = None
    """A small JPEG of the style picture in base64, if it may be kept."""


@dataclass(kw_only=True)
class LossRecord(Record):
    """The loss that a painter was trained with. `other` has the options that the loss called `name` takes."""

    name: str | None = None
    """Name of its module in `impasto.losses`; files from before there were several have none."""
    weights: str | None = None
    """Of the loss network: `slim`, `torchvision` or a file."""
    fingerprint: str | None = None
    """Digest of these weights."""

    def spec(self) -> dict[str, Any]:
        """Return the name and the options, what `build_loss` takes beside the weights; empty where there is no loss."""
        return {key: value for key, value in self.to_dict().items() if key not in ("weights", "fingerprint")}


@dataclass(kw_only=True)
class TrainingRecord(Record):
    """How a painter was trained: by `impasto train`, or by a script that trains many or makes base weights."""

    data: str | None = None
    """Digest of the data set's listing."""
    seed: int | None = None
    """Of the order of the photographs and of the crops."""
    crop: int | None = None
    """Side of the squares trained on, in pixels: what the loss saw; before 2026-11-27, with the margin in it."""
    margin: int | None = None
    """Width of the frame around what the loss saw, in pixels."""
    grid_weight: float | None = None
    """Weight of the energy that repeats with the network's stride."""
    temporal_weight: float | None = None
    """Weight of the temporal loss; 0 or none: the painter was not trained to hold still."""
    impasto: str | None = None
    """Version of this package."""
    torch: str | None = None
    """Version of PyTorch."""
    python: str | None = None
    """Version of Python."""
    device: str | None = None
    """Name of the processor or the GPU."""
    cores: str | None = None
    """How many cores the process could use."""
    threads: str | None = None
    """How many threads PyTorch computed with."""
    start: str | None = None
    """Name of the style model that the weights came from, or "random weights"."""
    before: dict[str, Any] | None = None
    """Training record of that style model, as its file has it; `runs` reads it."""
    stage: str | None = None
    """Name of the stage, where the run was one of several."""
    steps: int | None = None
    """Of the optimiser. Base weights have none: they are not a run's."""
    seconds: float | None = None
    """From the start of the training to its end, interruptions left out."""
    images: int | None = None
    """How many crops were trained on, repetitions counted."""
    batch: int | None = None
    """Crops in a step, where a script trained many painters at once."""
    painters: int | None = None
    """How many painters were trained at once."""
    episodes: int | None = None
    """Of base weights: how often they were moved towards painters."""
    updates: int | None = None
    """Of base weights: steps of each painter in an episode."""
    styles: int | None = None
    """Of base weights: how many style pictures they have seen."""
    minutes: float | None = None
    """Of base weights: how long they were trained."""
    imported: str | None = None
    """Project that trained an imported painter."""
    transplanted: dict[str, Any] | None = None
    """Spec of the network that the weights were taken over from."""
    mean_of: int | None = None
    """Of how many models' weights these are the mean."""

    def runs(self) -> Iterator[TrainingRecord]:
        """Yield the runs that led to the painter, the last one first; base weights end them."""
        record = self
        while record.steps is not None:
            yield record
            record = TrainingRecord.from_dict(record.before or {})


@dataclass(kw_only=True)
class Fidelity(Record):
    """What people ask of paintings, means over images; None where the loss has no such term."""

    style_reached: float | None
    """1 - a painting's style loss / that of the photograph itself:
    0 for the photograph, 1 for the style's statistics.
    """
    structure_kept: float | None
    """1 - half of the relative error of the content features: 1 for the photograph, about 0 for an unrelated
    picture.
    """


@dataclass(kw_only=True)
class Iterations(Record):
    """Steps of L-BFGS after which its total loss is at or below the network's; None where that takes more than all."""

    noise: int | None
    """From noise."""
    content: int | None
    """From the content image."""

    def formatted(self, steps: int) -> str:
        """Format both numbers for a table; `steps` is how many the optimiser took in all."""
        return " / ".join(f"> {steps}" if step is None else str(step) for step in (self.noise, self.content))


@dataclass(kw_only=True)
class Judge(Record):
    """The loss network that scored the paintings."""

    network: str
    """`slim` or `vgg19`."""
    weights: str
    """Name of its weights: `slim`, `torchvision` or a file's name."""
    fingerprint: str
    """Digest of its weights."""


@dataclass(kw_only=True)
class FilmRecord(Record):
    """How much painted clips flicker, as `impasto flicker` measures it."""

    flicker: float
    """Levels of 255 by which successive paintings differ beyond their photographs, a mean over the clips."""
    clips: list[str]
    """Names of the clips."""
    frames: int
    """How many frames of all clips together."""

    @classmethod
    def of_clips(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """Sum up what `impasto flicker --json` says of one painter, a row for each clip.

        Raises:
            ValueError: rows of several painters, or of none, or of paintings that were held still.
        """
        if len({row["painted"] for row in rows}) != 1 or any("stabilize" in row for row in rows):
            raise ValueError("not clips of one painter as it paints")
        flicker = sum(row["flicker"] for row in rows) / len(rows)
        clips = [PurePath(row["input"]).stem for row in rows]
        return cls(flicker=round(flicker, 2), clips=clips, frames=sum(row["frames"] for row in rows))


@dataclass(kw_only=True)
class ReportSummary(Record):
    """The figures that a style model carries: of its training, and of a comparison if there was one."""

    heldout: dict[str, float] | None = None
    """Loss terms and screen energy over the held-out photographs; empty where none were held out."""
    defects: dict[str, float] | None = None
    """Figures of the held-out paintings by kind of defect, as in `losses.defects`."""
    network: Fidelity | None = None
    """Of the network's paintings. None in files from before it was measured."""
    optimiser: Fidelity | None = None
    """Of the optimiser's best pictures. None in files from before it was measured."""
    judge: Judge | None = None
    """By what the paintings were scored."""
    equal_iterations: Iterations | None = None
    """Of the mean curve over all images."""
    median_iterations: Iterations | None = None
    """Of the median image."""
    polish_iterations: int | None = None
    """From the network's output until the optimiser's best is reached; None also where it is not."""
    gap: float | None = None
    """The network's total loss / the optimiser's best - 1."""
    screen: float | None = None
    """Screen energy of the paintings / that of the style picture."""
    steps: int | None = None
    """Of the optimiser."""
    size: int | None = None
    """Side of the squares compared, in pixels."""
    gradients: str | None = None
    """Precision of the optimiser's gradients: `float32` or `bfloat16`."""
    machine: dict[str, str] | None = None
    """Versions and hardware of the comparison."""
    images: int | None = None
    """How many photographs were compared."""
    film: FilmRecord | None = None
    """Of painted clips, where it was measured."""


@cache
def _types(kind: type[Record]) -> dict[str, Any]:
    """Return the types of a record's fields, the base's own left out."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind) if each.name not in ("other", "_order")}


@cache
def _required(kind: type[Record]) -> set[str]:
    return {each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING}


def _read(value: Any, kind: Any) -> Any:
    """Return a JSON value as one of the type `kind`.

    Raises:
        ValueError: it is of another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        for each in inner:
            with suppress(ValueError):
                return _read(value, each)
    elif origin is list and isinstance(value, list):
        return [_read(each, inner[0]) for each in value]
    elif origin is dict and isinstance(value, dict):
        return {_read_key(key, inner[0]): _read(each, inner[1]) for key, each in value.items()}
    elif isinstance(kind, type) and issubclass(kind, Record) and isinstance(value, dict):
        return kind.from_dict(value)
    elif type(value) is kind or (kind is float and type(value) is int):
        return value
    raise ValueError(f"not of the type {kind}")


def _read_key(key: str | int, kind: Any) -> str | int:
    """JSON has no numbers for keys."""
    return int(key) if kind is int else key


def _written(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, list):
        return [_written(each) for each in value]
    return value
