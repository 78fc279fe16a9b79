"""What engines are made of, and the graphs kept from one start to the next, so that the next does without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.any_style.find import find_painter
from impasto.checkpoint import SUFFIX, StyleModel, load_style_model
from impasto.system.files import asset_dir, cache_dir, written_whole
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from torch import nn

    from impasto import networks
    from impasto.inference import receptive_field
    from impasto.inference.engine import onnx_graph, rewrite
else:
    networks, receptive_field = lazy("impasto.networks"), lazy("impasto.inference.receptive_field")
    onnx_graph, rewrite = lazy("impasto.inference.engine.onnx_graph"), lazy("impasto.inference.engine.rewrite")

_MOST_GRAPHS = 64
_LONGEST = 100_000_000  # bytes
_PACKAGE = Path(__file__).parents[2]


class Blueprint:
    """A network, loaded when it is wanted, or the graph that was kept of it; and what must be known before it is.

    Attributes:
        name: the style's.
        stride: of the network, whose multiples the sides of a picture must be.
        surround: pixels that the network wants around a picture, mirrored.
        bytes_per_pixel: working memory while a picture is painted whole; None for a network that knows no tiles.
        dials: those that the style carries, as `StyleRecord.dials`.
    """

    def __init__(self, load: Callable[[], nn.Module], facts: dict[str, Any], cached: bytes = b""):
        self._load, self._cached = load, cached
        self.facts = facts
        self.name, self.bytes_per_pixel = facts["name"], facts["bytes_per_pixel"]
        self.stride, self.surround, self.dials = facts["stride"], facts["surround"], facts["dials"]

    @classmethod
    def of(cls, network: nn.Module, name: str = "", dials: dict[str, Any] | None = None) -> Blueprint:
        return cls(lambda: network, _facts(network, name, dials))

    def rewritten(self) -> nn.Module:
        return rewrite.rewritten(self._load())

    def graph(self, levels: bool) -> bytes:
        """Return the ONNX graph that takes bytes (`levels`) or floats; raises UsageError where the network has none."""
        if not (levels and self._cached):
            made = onnx_graph.onnx_bytes(self.rewritten(), levels=levels)
            if not levels:
                return made
            self._cached = made
        return self._cached


class CachedBlueprint(Blueprint):
    """Of a style model's file: its graph is taken from the user's cache folder, or made and put there.

    The key is a digest of the file and of the code that makes graphs of it, so that no change of either goes unseen.
    What is in the cache was made of a file that had passed every check of `load_style_model`.
    """

    def __init__(self, path: Path, load: Callable[[], Any]):
        self._place = _place_for(path)
        if self._place and (found := _read(self._place)):
            super().__init__(lambda: load().network, *found)
        else:
            model = load()
            super().__init__(lambda: model.network, _facts(model.network, model.name, model.style.dials))

    def graph(self, levels: bool) -> bytes:
        is_new = levels and not self._cached
        made = super().graph(levels)
        if is_new and self._place:
            with suppress(OSError):  # a cache that cannot be written costs time, nothing else
                _write(self._place, made, self.facts)
        return made


def open_model(
    model: StyleModel | str | Path,
) -> tuple[Callable[[], StyleModel], Blueprint, StyleModel | str | Path]:
    """Return what gives the style model, read from its file when first wanted; the blueprint of its network; and how to
    have the same model again, in another process and another folder.
    """
    if isinstance(model, StyleModel):
        return lambda: model, Blueprint.of(model.network, model.name, model.style.dials), model
    path = find_painter(model)
    read = cache(lambda: load_style_model(path))
    is_shipped = path.parent == asset_dir("checkpoints")
    return read, CachedBlueprint(path, read), path.name.removesuffix(SUFFIX) if is_shipped else path.absolute()


def _facts(network: nn.Module, name: str, dials: dict[str, Any] | None) -> dict[str, Any]:
    has_stages = isinstance(network, networks.StagedNetwork)
    memory = receptive_field.working_memory(network) if has_stages else None
    stride, surround = networks.stride_and_surround(network)
    return {"name": name, "stride": stride, "surround": surround, "bytes_per_pixel": memory, "dials": dials}


def _place_for(path: Path) -> Path | None:
    """Return where the graph of a style model is kept; None of a file that is not fit to be one, or where nobody is at
    home.
    """
    with suppress(OSError, RuntimeError):
        if path.stat().st_size < _LONGEST:
            digest = hashlib.sha256(path.read_bytes())
            for pattern in (
                "checkpoint.py",
                "inference/engine/**/*.py",
                "networks/*.py",
                "inference/receptive_field.py",
            ):
                for source in sorted(_PACKAGE.glob(pattern)):
                    digest.update(source.read_bytes())
            return cache_dir() / "graphs" / f"{digest.hexdigest()}.onnx"
    return None


# A kept file: the SHA-256 of the rest in hexadecimal; the facts as JSON; the graph, each on from the next line.


def _read(place: Path) -> tuple[dict[str, Any], bytes] | None:
    """Return the facts and the graph, or None where they are not there as they were written."""
    with suppress(OSError):
        if 0 < place.stat().st_size < _LONGEST:
            digest, _, rest = place.read_bytes().partition(b"\n")
            if digest == hashlib.sha256(rest).hexdigest().encode():
                with suppress(OSError):  # it may lie where only others write
                    place.touch()  # the longest unused goes first
                facts, _, made = rest.partition(b"\n")
                return json.loads(facts), made
    return None


def _write(place: Path, made: bytes, facts: dict[str, Any]) -> None:
    rest = json.dumps(facts).encode() + b"\n" + made
    with written_whole(place) as temporary:
        temporary.write_bytes(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    for old in sorted(place.parent.glob("*.onnx"), key=lambda path: path.stat().st_mtime)[:-_MOST_GRAPHS]:
        old.unlink(missing_ok=True)
