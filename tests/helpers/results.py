"""What measuring scripts save."""

from __future__ import annotations

SPEEDS = [
    {"network": "brush", "ms": 8.25, "extra_mb": None},
    {"network": "a|b", "ms": 1234, "is_fast": True},
]
