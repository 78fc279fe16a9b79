"""What each key does, as plain values."""

from __future__ import annotations

import pytest

from impasto.dials.dials import Dials
from impasto.inference.live.show import KEYS, Show
from impasto.inference.live.window import key_named
from impasto.system.choices import MAX_STRENGTH

SHOW = Show(("wave", "oils", "woodcut"))


def after(*keys: str, show: Show = SHOW, own: Dials | None = None) -> Show:
    for key in keys:
        show = show.pressed(key, show.dials(own or Dials()))
    return show


@pytest.mark.parametrize(
    ("keys", "style"),
    [("2", 1), ("3", 2), ("4", 0), ("24", 1), ("n", 1), ("nnn", 0), ("p", 2), ("np", 0), ("0", 0), ("x", 0)],
)
def test_styles_are_chosen_by_number_or_in_turn(keys: str, style: int) -> None:
    assert after(*keys) == Show(SHOW.styles, style)


def test_strength_goes_in_steps_from_what_is_seen_and_stays_in_its_range() -> None:
    assert after("up").strength == after("+").strength == after("=").strength == 1.1
    assert after("down").strength == after("-").strength == 0.9
    assert after("down", own=Dials(strength=0.65)).strength == 0.55
    assert after(*["up"] * 20).strength == MAX_STRENGTH
    assert after(*["down"] * 20).strength == 0
    assert after(*["down"] * 20, *["up"] * 10).strength == 1


def test_colours_take_turns() -> None:
    assert [after(*"c" * times).color for times in range(5)] == [None, "photo", "match", "style", "photo"]
    assert after("c", own=Dials(color="match")).color == "style"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("m", "is_mirrored"),
        ("f", "is_full_screen"),
        (" ", "is_paused"),
        ("i", "shows_facts"),
        ("h", "shows_help"),
        ("?", "shows_help"),
        ("q", "is_over"),
        ("escape", "is_over"),
    ],
)
def test_switches(key: str, name: str) -> None:
    assert getattr(after(key), name) is not getattr(SHOW, name)
    assert after(key, key) == SHOW


def test_saving_is_counted() -> None:
    assert after("s", "n", "s").saves == 2


def test_what_no_key_has_set_is_as_the_style_says() -> None:
    own = Dials(strength=0.6, color="photo")
    assert SHOW.dials(own) == own
    assert after("n", "up", own=own).dials(own) == Dials(strength=0.7, color="photo")
    assert Show(("wave",), stroke=2.0).dials(own) == Dials(0.6, 2.0, "photo")


def test_the_help_names_keys_that_do_something() -> None:
    words = [word for keys, _ in KEYS for word in keys.replace(" - ", ", ").split(", ")]
    names = [{"space": " ", "Escape": "escape"}.get(word, word) for word in words]
    idle = Show(("a", "b", "c", "d", "e", "f", "g", "h", "i"), style=4)
    assert all(after(name, show=idle) != idle for name in names)
    assert len(names) == len(set(names)) == 17


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (ord("n"), "n"), (ord("N"), "n"), (ord(" "), " "), (ord("+"), "+"), (27, "escape"),
        (65362, "up"), (65364, "down"), (0x260000, "up"), (0x280000, "down"), (63232, "up"), (63233, "down"),
        (0x100000 | ord("q"), "q"), (65361, ""), (13, ""), (200, ""),
    ],
)  # fmt: skip
def test_codes_of_opencv_have_names(code: int, name: str) -> None:
    assert key_named(code) == name
