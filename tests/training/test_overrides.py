"""What people type becomes Hydra's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto.dials.picks import pick_of
from impasto.errors import UsageError
from impasto.training.overrides import names_set_by, plain_path, quoted_setting, to_overrides


def test_a_picture_given_to_train_is_quoted_for_hydra() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for name in ("a b.jpg", "it's.png", "x=1,y.jpg", "back\\slash.png", "end\\", "a{b}[c].png"):
        (override,) = OverridesParser.create().parse_overrides([quoted_setting("style.image", name)])
        assert override.key_or_group == "style.image" and override.value() == name


def test_paths_of_settings_are_taken_as_a_shell_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    folder = tmp_path / "best of [2026], (a)"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "null").touch()
    for said, meant in ((f"data.root={folder}", folder), ("data.root=~/photos", tmp_path / "photos")):
        (override,) = OverridesParser.create().parse_overrides([plain_path(said)])
        assert override.value() == str(meant)
    for number in ("2024", "2024_06", "-1", "1e3", "true", "nan", "."):
        (override,) = OverridesParser.create().parse_overrides([plain_path(f"data.root={number}")])
        assert override.value() == number
    for said in ("data.root=a,b", "init=none", "output=null", "trainer.max_steps=1", "data.root=${paths.run}",
                 "data.root=~nobody-here/x", f"data.root={'x' * 300}"):  # fmt: skip
        assert plain_path(said) == said


def test_train_says_what_was_left_unsaid() -> None:
    assert to_overrides(None, ["p.jpg"]) == ["data=demo", "style.image='p.jpg'"]
    assert to_overrides(0.5, ["data.root=x", "p.jpg"]) == [
        "data.root=x", "style.image='p.jpg'", "trainer.max_minutes=0.5"
    ]  # fmt: skip
    for said in (["data=demo", "~callbacks.keep_best"], ["experiment=wave"], ["--cfg", "job", "data=demo"]):
        assert to_overrides(None, said) == said
    assert to_overrides(None, ["--cfg", "job", "p.jpg", "-m", "seed=1,2"]) == [
        "--cfg", "job", "-m", "data=demo", "style.image='p.jpg'", "seed=1,2"
    ]  # fmt: skip
    assert to_overrides(None, ["p.jpg"], film=True) == ["data=demo", "style.image='p.jpg'", "film=still"]
    long = f"data.categories=[{','.join(['toothbrush'] * 100)}]"
    assert to_overrides(None, ["data=demo", long]) == ["data=demo", long]
    for two in (["a.jpg", "b.jpg"], ["a.jpg", "style.image=b.jpg"]):
        with pytest.raises(UsageError, match="one picture a run"):
            to_overrides(None, two)


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("style={size: 512, dials: {color: photo}}", {"style.size", "style.dials.color"}),
        ("++style.size=3", {"style.size"}),
        ("style.image=a={b.jpg", {"style.image"}),
        ("style={size", {"style"}),
    ],
)
def test_an_override_is_known_by_what_it_sets(word: str, names: set[str]) -> None:
    assert names_set_by(word) == names


@pytest.mark.parametrize("word", ["style.size=9", "++style.size=9", "style={size: 9}", "style={dials: {color: photo}}"])
def test_a_pick_beside_a_setting_that_it_decides_on_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=r"^--pick 3 or "):
        to_overrides(None, ["p.jpg", word], pick_of(3))
    assert "style.size=256" in to_overrides(None, ["p.jpg", "style={strength: 2}"], pick_of(3))
