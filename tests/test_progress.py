"""What a person sees while a training goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from phi_sip.training import RunRecord, StepRecord, ValidationRecord
from phi_sip.training.progress import progress_on


def shown(terminal: bool, steps: int | None, elapsed: list[float], x_l2: float | None = 4.0) -> str:
    """All that a run prints."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=160, color_system=None)
    progress, run = progress_on(console, steps), RunRecord("heat")
    progress.on_start(run)
    for number, seconds in enumerate(elapsed, 1):
        run.steps.append(StepRecord(number, seconds, 0.25, 1.0, 2.0, x_l2))
        progress.on_step(run.steps[-1])
    progress.on_validation(ValidationRecord(len(elapsed), elapsed[-1], 3.0, x_l2), {})
    progress.on_end(run, "all steps are done")
    return file.getvalue()


def test_a_bar_with_losses_rate_and_time_left_on_a_terminal():
    text = shown(True, 4, [1.0, 2.0])
    for part in ("heat", "2/4", "x error 4, y error 2, 0.25 s/step", "step 2, validation: x error 4, y error 3"):
        assert part in text
    assert "0:00:00" in text  # elapsed
    assert "Ended after step 2: all steps are done." in text


def test_lines_ten_seconds_apart_elsewhere():
    lines = shown(False, 9, [1.0, 2.0, 10.9, 11.0, 12.0, 20.9, 21.0]).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *("step 1/9", "step 4/9", "step 7/9", "step 7/9, validation", "Ended after step 7"),
    ]
    assert lines[1] == "step 4/9: x error 4, y error 2, 0.25 s/step"


@pytest.mark.parametrize("terminal", [True, False])
def test_without_truth_and_without_an_end(terminal):
    text = shown(terminal, None, [1.0], x_l2=None)
    assert "x error" not in text
    assert "y error 2, 0.25 s/step" in text
