"""How Hydra and OmegaConf want text quoted; light, for the command line needs it before they are imported."""

from __future__ import annotations

import re


def quoted(text: str, quote: str = "'") -> str:
    """Return `text` between quotes such that Hydra reads it back as it is, interpolations apart."""
    # A backslash is literal, but for one that stands before a quote.
    escaped = re.sub(rf"(\\*)({quote}|$)", lambda match: 2 * match[1] + (f"\\{quote}" if match[2] else ""), text)
    return f"{quote}{escaped}{quote}"


def without_interpolation(text: str) -> str:
    """Return `text` such that OmegaConf takes a `${` in it for what it is."""
    return re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + "\\${", text)
