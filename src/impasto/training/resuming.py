"""Where a resumed run goes on: at the step of its checkpoint, wherever in that step's neighbourhood it was ended."""

from __future__ import annotations

import math

from pytorch_lightning import Callback, LightningModule, Trainer


class ResumeAtStep(Callback):
    """Puts a resumed run where a run that was never ended stands, so that both end with the same bits.

    A checkpoint holds whole steps, while Lightning counts batches: those of a step that was not yet made are forgotten.
    A validation that is due after the checkpoint's step is made again, for the run may have ended before or in it.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loops = trainer.fit_loop
        if not loops.is_resuming or trainer.num_training_batches != math.inf:  # data that end are begun anew
            return
        loop, validation = loops.epoch_loop, loops.epoch_loop.val_loop
        batches = trainer.global_step * trainer.accumulate_grad_batches
        for count in (loop.batch_progress.total, loop.batch_progress.current):
            count.load_state_dict(dict.fromkeys(("ready", "started", "processed", "completed"), batches))
        assert loops._data_fetcher is not None
        due = loop.restarting and loop._should_check_val_fx(loops._data_fetcher)
        # Lightning counts the step once more behind a validation with which a run begins.
        loop._batches_that_stepped = trainer.global_step - due
        validation.batch_progress.reset()
        if due and batches:  # as if it had been interrupted in its first batch
            validation.batch_progress.increment_ready()
            validation.batch_progress.increment_started()
        loop.update_restart_stage()
