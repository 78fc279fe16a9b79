"""The process of a training: `python -m impasto.training style.image=… data.root=…`.

Signals, errors in one line, exit codes; the training itself is in `run`.
"""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # During the imports that follow, Ctrl-C ends the process without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from PIL.Image import DecompressionBombWarning

from impasto.errors import INTERRUPTED_CODE, ImpastoError, UsageError, printable
from impasto.system import streams
from impasto.system.files import asset_dir
from impasto.system.lazy import lazy
from impasto.training.setting_mistakes import explain

if TYPE_CHECKING:
    import torch

    from impasto.training import callbacks, run, signals
else:  # seconds, which the answer to a mistyped setting does without
    torch = lazy("torch")
    callbacks, run, signals = (lazy(f"impasto.training.{name}") for name in ("callbacks", "run", "signals"))


def _quieten_lightning() -> None:
    """Leave stderr to the progress line: the trainer's remarks are about its own workings."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=name)
    warnings.simplefilter("ignore", DecompressionBombWarning)  # images/reading.py has a limit of its own


@hydra.main(version_base="1.3", config_path=str(asset_dir("configs")), config_name="train")
def main(config: DictConfig) -> None:
    signals.end_with_launcher()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get("IMPASTO_DEBUG"):
        _quieten_lightning()
    try:
        with streams.results_alone():
            output = run.train(config)
        if callbacks.is_rank_zero():
            print(output)
    except (KeyboardInterrupt, SystemExit):  # the latter is Lightning's answer to Ctrl-C, after the checkpoint
        callbacks.rank_zero_print("impasto: stopped; ckpt_path=last goes on with what was kept, if anything was")
        sys.exit(INTERRUPTED_CODE)
    except ImpastoError as error:
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        print("impasto:", "\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        sys.exit(error.exit_code)
    except MissingMandatoryValue as error:
        how = "impasto train PICTURE" if error.full_key == "style.image" else f"{error.full_key}=…"
        print(f"impasto: {error.full_key} is not set; give {how}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    except OSError as error:
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        place, why = printable(error.filename or "a file"), error.strerror or error
        print(f"impasto: {place}: {why}; make room, or choose another paths.run or output", file=sys.stderr)
        sys.exit(ImpastoError.exit_code)
    except Exception as error:  # mostly a value that some constructor does not take
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in reason:
            reason = "not enough memory; lower data.batch_size, data.crop, margin or network.width"
        print(f"impasto: {printable(reason)} (--debug shows where)", file=sys.stderr)
        sys.exit(UsageError.exit_code if isinstance(error, OmegaConfBaseException) else ImpastoError.exit_code)


if __name__ == "__main__":
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # it would print its errors itself, over several lines
    words = sys.argv[1:]
    streams.prepare()
    try:
        main()
    except Exception as error:  # what Hydra and OmegaConf raise before `main` has the configuration
        if os.environ.get("IMPASTO_DEBUG"):
            raise
        print("impasto:", printable(explain(error, words)), file=sys.stderr)
        sys.exit(UsageError.exit_code)
