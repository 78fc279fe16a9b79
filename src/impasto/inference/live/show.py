"""What a live painting is set to, and what each key does to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from impasto.dials.dials import Dials
from impasto.system.choices import COLORS, MAX_STRENGTH

KEYS = (
    ("1 - 9", "that style"),
    ("n, p", "next, previous style"),
    ("up, down, +, -", "stronger, weaker"),
    ("c", "colours: style, photo, match"),
    ("m", "mirror"),
    ("f", "full screen"),
    ("s", "save this painting"),
    ("space", "pause"),
    ("i", "show or hide the facts"),
    ("h", "show or hide this help"),
    ("q, Escape", "quit"),
)
_STEP = 0.1  # of strength
_STRONGER, _WEAKER = ("up", "+", "="), ("down", "-")  # + is = with Shift on many keyboards
_SWITCHES = {
    "m": "is_mirrored", "f": "is_full_screen", " ": "is_paused", "i": "shows_facts", "h": "shows_help",
    "?": "shows_help", "q": "is_over", "escape": "is_over",
}  # fmt: skip


@dataclass(frozen=True)
class Show:
    """What a live painting is set to.

    Args:
        styles: their names, at least one.
        style: number of the one that is wanted.
        strength, stroke, color: as of `Dials`; None as the style says.
        saves: how many paintings were to be saved so far.
    """

    styles: tuple[str, ...]
    style: int = 0
    strength: float | None = None
    stroke: float | None = None
    color: str | None = None
    is_mirrored: bool = False
    is_full_screen: bool = False
    is_paused: bool = False
    shows_facts: bool = True
    shows_help: bool = False
    saves: int = 0
    is_over: bool = False

    def pressed(self, key: str, dials: Dials) -> Show:
        """Return the show after a key: a character in lower case, or "up", "down" or "escape".

        Args:
            dials: those of the painting that is seen; strength and colours go on from there.
        """
        if key in _SWITCHES:
            name = _SWITCHES[key]
            return replace(self, **{name: not getattr(self, name)})
        if key in _STRONGER or key in _WEAKER:
            strength = dials.strength + (_STEP if key in _STRONGER else -_STEP)
            return replace(self, strength=round(min(max(strength, 0.0), MAX_STRENGTH), 2))
        if key == "c":
            return replace(self, color=COLORS[(COLORS.index(dials.color) + 1) % len(COLORS)])
        if key == "s":
            return replace(self, saves=self.saves + 1)
        return replace(self, style=self._chosen(key))

    def dials(self, own: Dials) -> Dials:
        """Return the dials of a style whose own are `own`."""
        return own.given(self.strength, self.stroke, self.color)

    def _chosen(self, key: str) -> int:
        """Return the number of the style that a key chooses; that of now for a key that chooses none."""
        if key in ("n", "p"):
            return (self.style + (1 if key == "n" else -1)) % len(self.styles)
        number = int(key) if key in set("123456789") else 0
        return number - 1 if 0 < number <= len(self.styles) else self.style
