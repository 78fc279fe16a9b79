"""What a training checkpoint belongs to, and whether a run can go on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from impasto.errors import UsageError, printable
from impasto.losses.perceptual import PerceptualLoss

_ANEW = "or begin anew with ckpt_path=null"
_REMEDIES = {
    "style picture": f"give that one (style.image, style.size), {_ANEW}",
    "loss": f"choose that one (loss), {_ANEW}",
    "photographs": f"give those (data), or go on from its painter with them: ckpt_path=null init=PAINTER{'.safetensors'}",
    "optimizer": f"choose that one (optimizer), {_ANEW}",
}


def made_for(picture: Path, size: int, loss: PerceptualLoss, photographs: str, optimizer: str) -> dict[str, str]:
    """Return what a checkpoint must share with the run that goes on from it, short enough to be stored in each."""
    with picture.open("rb") as file:
        style = hashlib.file_digest(file, "sha256")
    stated = json.dumps([loss.spec(), loss.features.fingerprint()], sort_keys=True)
    return {
        "style picture": f"{style.hexdigest()[:12]} at {size}",
        "loss": hashlib.sha256(stated.encode()).hexdigest()[:12],
        "photographs": photographs,
        "optimizer": optimizer,
    }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a training checkpoint that `checkpoint_io.is_whole`, its tensors left on the disk."""
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def check_belongs(path: str, checkpoint: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    """Refuse a checkpoint that was made for something else; older ones, which do not say, are taken at their word.

    Raises:
        UsageError: of another style picture, loss, photographs or optimizer.
    """
    callbacks = checkpoint.get("callbacks", {})
    known = callbacks.get("BeginRun", {}).get("made_for", {})
    for what, value in wanted.items():
        if known.get(what, value) != value:
            which = f" ({known[what]})" if what == "optimizer" else ""
            raise UsageError(f"{printable(path)}: trained with another {what}{which}; {_REMEDIES[what]}")


def check_resumes(path: str, checkpoint: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Find out whether the optimizer can take up its state; it takes it.

    Raises:
        UsageError: there is none, or another optimizer's.
    """
    states = checkpoint.get("optimizer_states")
    if not states or "lr_schedulers" not in checkpoint:
        raise UsageError(f"{printable(path)}: holds weights alone; give a whole checkpoint, {_ANEW}")
    try:
        optimizer.load_state_dict(states[0])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{printable(path)}: trained with another optimizer than {type(optimizer).__name__}; {_REMEDIES['optimizer']}"
        ) from error
