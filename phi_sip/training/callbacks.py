"""What may look at a training run while it goes on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .records import RunRecord, StepRecord, ValidationRecord

Arrays = Mapping[str, np.ndarray]


class Callback:
    """
    Is told what happens in a run. All methods do nothing unless overridden. An error raised by one ends the training,
    with the state saved.
    """

    def on_start(self, run: RunRecord) -> None:
        """Before the first step; `run` holds what was done before an interruption."""

    def on_step(self, record: StepRecord) -> None:
        """After each step."""

    def on_validation(self, record: ValidationRecord, samples: Arrays) -> None:
        """After each validation; `samples` as in `samples.npz`, see `phi_sip.training.validation`."""

    def on_checkpoint(self, step: int) -> None:
        """Before the state after `step` steps is saved."""

    def on_end(self, run: RunRecord, reason: str) -> None:
        """At the end, also by an error; `reason` says why."""
