"""What became of a clip or of an animation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoReport:
    """What became of a clip."""

    frames: int
    seconds: float  # from opening it to closing the result
    notes: tuple[str, ...]  # one line each on what the result leaves out
    damage: str | None  # in one line, when the clip breaks off or holds broken parts; the rest of it is painted
    frames_before: int = 0  # of these frames, those that an earlier run had painted

    @property
    def frames_per_second(self) -> float:
        return (self.frames - self.frames_before) / max(self.seconds, 1e-9)
