"""The images that could not be used: named, counted, and at some point too many."""

from __future__ import annotations

from collections.abc import Callable

from impasto.errors import DataError, printable


class BadImages:
    """Remembers the images that could not be used: names the first, counts all, and ends the run when there are too
    many.

    Args:
        total: how many images there are.
        allowed: fraction of them that may be bad.
        say: takes each line for people to read.
    """

    named = 10  # of them; then a line each time that their number has doubled

    def __init__(self, total: int, allowed: float, say: Callable[[str], None]):
        self.total, self.allowed, self.say = total, allowed, say
        self.reasons: dict[str, str] = {}
        self.count = 0

    def add(self, name: str, reason: str, count: int = 1) -> None:
        """Set `name`, an image or a shard of `count` images, aside; say so if it is among the first."""
        if name in self.reasons:
            return
        self.reasons[name] = reason
        self.count += count
        tens, rest = divmod(len(self.reasons), self.named)
        if len(self.reasons) <= self.named:
            self.say(f"set aside: {reason}")
        elif rest == 0 and tens.bit_count() == 1:
            self.say(f"set aside: {len(self.reasons)} by now, the last one {reason}")

    def check(self) -> None:
        """End the run if too many are bad.

        Raises:
            DataError: more than the allowed fraction is bad; the message lists the first of them.
        """
        if self.count > self.allowed * self.total:
            names = "\n  ".join(map(printable, list(self.reasons)[: self.named]))
            are = "is" if self.count == 1 else "are"
            more = len(self.reasons) - self.named
            raise DataError(
                f"{self.count} of {self.total} images {are} bad, more than data.max_bad={self.allowed:g} allows; "
                f"mend or remove them, or raise data.max_bad:\n  {names}" + (f"\n  and {more} more" if more > 0 else "")
            )
