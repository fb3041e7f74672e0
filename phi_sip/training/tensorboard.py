"""Scalars and images for TensorBoard."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

from ..errors import UnsupportedError
from .callbacks import Arrays, Callback
from .records import RunRecord, StepRecord, ValidationRecord
from .samples import first_sample

SHOWN = ("y_target", "x", "x_target", "x_alone", "x_true", "uncertainty")


class TensorBoard(Callback):
    """
    Writes losses of every step, validation errors, and images of the first validation sample.

    Args:
        folder: Where; look at it with `tensorboard --logdir FOLDER`.

    Raises:
        UnsupportedError: if the package `tensorboard` is missing. TensorFlow is not needed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ModuleNotFoundError as error:
            raise UnsupportedError(
                "Event files are written by tensorboard. Install it: pip install 'phi-sip[tensorboard]'."
            ) from error
        self._event, self._session, self._summary, self._writer_of = Event, SessionLog, Summary, EventFileWriter
        self._folder = Path(folder)
        self._writer: Any = None

    def on_start(self, run: RunRecord) -> None:
        self._writer = self._writer_of(str(self._folder))
        if run.last_step:  # what came after the checkpoint that the run goes on from happens again
            begin = self._session(status=self._session.START)
            self._writer.add_event(self._event(wall_time=time.time(), step=run.last_step + 1, session_log=begin))

    def on_step(self, record: StepRecord) -> None:
        self._scalars("training", record)

    def on_validation(self, record: ValidationRecord, samples: Arrays) -> None:
        self._scalars("validation", record)
        shown = {name: first_sample(samples, name) for name in SHOWN if name in samples}
        self._add(record.step, [self._image(name, values) for name, values in shown.items() if values.ndim == 2])

    def on_end(self, run: RunRecord, reason: str) -> None:
        if self._writer is not None:
            self._writer.close()

    def _scalars(self, group: str, record: StepRecord | ValidationRecord) -> None:
        values_by_name = {**asdict(record), **asdict(record).get("further", {})}
        known = {name: v for name, v in values_by_name.items() if name != "step" and isinstance(v, (int, float))}
        values = [self._summary.Value(tag=f"{group}/{name}", simple_value=value) for name, value in known.items()]
        self._add(record.step, values)

    def _image(self, name: str, values: np.ndarray) -> Any:
        buffer = io.BytesIO()
        imsave(buffer, values.T, origin="lower", cmap="inferno", format="png")
        width, height = values.shape
        image = self._summary.Image(height=height, width=width, colorspace=4, encoded_image_string=buffer.getvalue())
        return self._summary.Value(tag=f"samples/{name}", image=image)

    def _add(self, step: int, values: list[Any]) -> None:
        if values and self._writer is not None:
            self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=values)))
