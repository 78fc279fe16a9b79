"""Weights & Biases as its users know it: the environment's word counts, no network is no obstacle,
a run keeps its id.
"""

from __future__ import annotations

import http.client
import netrc
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from impasto.training.callbacks import rank_zero_print

_PATIENCE = 5  # seconds


def wandb_offline() -> bool:
    """Whether W&B logs into the run's folder alone: as WANDB_MODE says, else without a key or an answer, with a
    note.
    """
    if mode := os.environ.get("WANDB_MODE"):
        return mode in ("offline", "dryrun")
    server = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    if _has_no_key(server):
        reason = "no key"
    elif not _answers(server):
        reason = f"{server} does not answer"
    else:
        return False
    rank_zero_print(
        f"logger=wandb: {reason}, so it logs offline; `wandb sync` sends that later, WANDB_MODE decides itself"
    )
    return True


def last_wandb_id(run: Path) -> str | None:
    """Return the id of the last W&B run that logged into a run's folder."""
    names = sorted(path.name.partition("run-")[2] for path in (run / "wandb").glob("*run-*-*"))
    return names[-1].partition("-")[2] if names else None


def end_wandb_run() -> None:
    """End what an earlier training of this process, a stage or one of a sweep, logs to W&B: the next one would join."""
    if wandb := sys.modules.get("wandb"):
        wandb.finish()


def _has_no_key(server: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return False
    try:
        return netrc.netrc().authenticators(urlsplit(server).hostname or "") is None
    except (OSError, netrc.NetrcParseError):
        return True


def _answers(server: str) -> bool:
    """Whether anything answers there, be it with an error."""
    try:
        urllib.request.urlopen(server, timeout=_PATIENCE).close()
    except (urllib.error.HTTPError, http.client.HTTPException):
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # W&B may know a certificate that Python does not
    except (OSError, ValueError):
        return False
    return True
