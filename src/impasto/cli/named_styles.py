"""The styles that -s names, several at once: their style models, and what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

from impasto.cli.output import print_note
from impasto.errors import ImpastoError, UsageError, printable

Found = TypeVar("Found")


def usable_styles(
    styles: Sequence[str], find: Callable[[str], Found]
) -> tuple[list[tuple[str, Found]], list[tuple[str, Exception]]]:
    """Return what `find` makes of each style, and the errors of the others, both with the style's words.

    Raises:
        ImpastoError, OSError: none can be used.
        UsageError: weights that make no blend.
    """
    found: list[tuple[str, Found]] = []
    failures: list[tuple[str, Exception]] = []
    for style in styles:
        try:
            found.append((style, find(style)))
        except UsageError:
            raise
        except (ImpastoError, OSError) as error:
            failures.append((style, error))
    if not found:
        raise failures[0][1]
    return found, failures


class CuedModel(NamedTuple):
    """A style model and the second of a film from which on it paints."""

    start: Fraction
    model: Path


CuedModels = tuple[CuedModel, ...]  # the first from 0 on; of most styles it is the only one


def style_models(styles: Sequence[str], fail: Callable[[None, Exception, str], None]) -> dict[str, CuedModels]:
    """Return the style models under the names that their paintings carry; `fail` takes those that cannot be used.

    Raises:
        ImpastoError, OSError: none can be used.
        UsageError: two have the same name, or weights make no blend.
    """
    found, failures = usable_styles(styles, _named_models)
    models: dict[str, CuedModels] = {}
    words: dict[str, str] = {}
    for style, (name, cued) in found:
        if name in models:
            raise UsageError(_same_name(name, style, words[name], is_same=_are_the_same(cued, models[name])))
        models[name], words[name] = cued, style
    for style, error in failures:
        fail(None, error, style)
    return models


def steady_models(styles: Sequence[str], fail: Callable[[None, Exception, str], None]) -> dict[str, Path]:
    """Return the style models as `style_models` does, where none may change along a film.

    Raises:
        UsageError: one does; or as there.
        ImpastoError, OSError: as there.
    """
    models = style_models(styles, fail)
    if any(len(cued) > 1 for cued in models.values()):
        raise UsageError("STYLE@TIME changes the style along a film, which only stylize does: give one -s for each")
    return {name: cued[0].model for name, cued in models.items()}


def _are_the_same(one: CuedModels, other: CuedModels) -> bool:
    return len(one) == len(other) and all(
        mine.start == yours.start and mine.model.samefile(yours.model) for mine, yours in zip(one, other, strict=True)
    )


def _named_models(style: str) -> tuple[str, CuedModels]:
    """Return the name that paintings in a style carry, which may change with time, and its style models.

    Raises:
        ImpastoError, OSError: as `_named_model`.
        UsageError: times that make no sense.
    """
    from impasto.any_style.words import cues_of
    from impasto.checkpoint import plain_name

    cues = cues_of(style)
    found = {word: _named_model(word) for word in dict.fromkeys(cue.word for cue in cues)}
    names = [found[cue.word][0] for cue in cues]
    name = names[0] if len(names) == 1 else plain_name("-".join(names))
    return name, tuple(CuedModel(cue.start, found[cue.word][1]) for cue in cues)


def _named_model(style: str) -> tuple[str, Path]:
    """Return the name that paintings in a style carry, and its style model.

    Raises:
        ImpastoError, OSError: it is not there, or its name cannot be part of a file's.
    """
    from impasto.any_style.files import how_much_closer
    from impasto.any_style.find import find_painter, is_kept, is_predicted
    from impasto.checkpoint import SUFFIX, check_name
    from impasto.system.files import cache_dir

    model = find_painter(style)
    if is_predicted(model):
        print_note(f"{printable(style)}: a painter predicted at once; `impasto train PICTURE` {how_much_closer()}")
        if not is_kept(model):
            print_note(f"{printable(cache_dir())}: nothing can be written there, so the next time takes as long")
    # Not the name inside: a painter that was trained further and saved beside its first state differs by its file only.
    name = model.name.removesuffix(SUFFIX)
    check_name(name, model)
    return name, model


def _same_name(name: str, style: str, earlier: str, *, is_same: bool) -> str:
    """Say what to do about two styles of one name."""
    if is_same:
        return f"-s {printable(style)}: paintings in the style {name} are made already; give it once"
    return (
        f"-s {printable(earlier)} and -s {printable(style)}: paintings in both would be called {printable(name)}; "
        "rename one of these files"
    )
