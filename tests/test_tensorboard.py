"""What TensorBoard is given is what happened."""

from __future__ import annotations

import time

import numpy as np
import pytest

from phi_sip.training import RunRecord, StepRecord, ValidationRecord
from phi_sip.training.tensorboard import TensorBoard


def test_events_are_read_back(tmp_path):
    board = TensorBoard(tmp_path)
    board.on_start(RunRecord("a"))
    board.on_step(StepRecord(1, 0.5, 0.5, 2.0, 3.0, None, 1e-3))
    board.on_step(StepRecord(2, 1.0, 0.5, 1.0, 1.5, 7.0, 1e-3))
    board.on_validation(
        ValidationRecord(2, 1.0, 1.25, 6.0),
        {"axes": np.array(["x", "y"]), "x": np.random.default_rng(0).random((2, 8, 6)), "gain": np.ones((8, 4))},
    )
    board.on_end(RunRecord("a"), "done")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("training/y_l2")] == [(1, 3.0), (2, 1.5)]
    assert [(e.step, e.value) for e in events.Scalars("training/x_l2")] == [(2, 7.0)]
    assert events.Scalars("training/learning_rate")[0].value == pytest.approx(1e-3)
    assert [(e.step, e.value) for e in events.Scalars("validation/y_l2")] == [(2, 1.25)]
    assert events.Tags()["images"] == ["samples/x"]
    image = events.Images("samples/x")[0]
    assert (image.width, image.height) == (8, 6)


def test_steps_that_are_done_again_replace_those_before(tmp_path):
    """A run that was killed after step 3 and goes on from step 1."""
    first = [StepRecord(i, 0.5 * i, 0.5, 2.0, float(i), None, 1e-3) for i in (1, 2, 3)]
    again = [StepRecord(i, 0.5 * i, 0.5, 2.0, 10.0 * i, None, 1e-3) for i in (2, 3)]
    for before, steps in (([], first), (first[:1], again)):
        board = TensorBoard(tmp_path)
        board.on_start(RunRecord("a", {}, before))
        for record in steps:
            board.on_step(record)
        board.on_end(RunRecord("a"), "done")
        time.sleep(1.1)  # files are named by seconds
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("training/y_l2")] == [(1, 1.0), (2, 20.0), (3, 30.0)]


def test_without_the_library_the_pip_command_is_named(tmp_path, monkeypatch):
    import sys

    from phi_sip import UnsupportedError

    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'phi-sip\[tensorboard\]'"):
        TensorBoard(tmp_path)
