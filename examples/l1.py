"""Mean absolute errors of training runs, as curves, table and files: what the smaller examples report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from inverse_alone import NAME, invert_alone
from matplotlib.figure import Figure
from phi.field import Field
from rich.console import Console
from rich.table import Table

from phi_sip import InvertiblePhysics, SipUpdate
from phi_sip.plots import STYLES
from phi_sip.plots.style import draw_level
from phi_sip.records import TrainingRecord, save_records

LAST = 10  # steps that final errors are means over


@dataclass
class Run:
    """
    One method in training.

    Attributes:
        record: Losses and wall times.
        l1: Mean |x − x*| of each step, on samples not seen before.
        last: Prediction, x* and y* of the last steps, at most `LAST`.
    """

    record: TrainingRecord
    l1: list[float] = field(default_factory=list)
    last: list[tuple[Any, Any, Any]] = field(default_factory=list)

    def follow(self, training: Iterator[tuple[SipUpdate, Any, Any]]) -> None:
        """Trains to the end."""
        for update, x_true, y_target in training:
            self.l1.append(float(np.mean(absolute_error(update.x, x_true))))
            self.last = [*self.last[1 - LAST :], (update.x, x_true, y_target)]

    def inverted(self, physics: InvertiblePhysics) -> list[tuple[Any, Any, Any]]:
        """`last` with what the inverse alone gives in place of predictions."""
        return [(invert_alone(physics, y_target), x_true, y_target) for _, x_true, y_target in self.last]

    @property
    def final(self) -> float:
        """L1 of x in the end."""
        return float(np.mean(self.l1[-LAST:]))

    def steps_to(self, error: float) -> int | None:
        """Number of steps after which the mean L1 of the last `LAST` is at most `error`; `None` if never."""
        means = np.convolve(self.l1, np.full(LAST, 1 / LAST), mode="valid")
        below = np.flatnonzero(means <= error)
        return int(below[0]) + LAST if len(below) else None


def mean_error(found: Sequence[tuple[Any, Any, Any]]) -> float:
    """Mean |x − x*| of states, given with x* and y*."""
    return float(np.mean([np.mean(absolute_error(x, x_true)) for x, x_true, _ in found]))


def absolute_error(x: Any, x_true: Any) -> np.ndarray:
    """|x − x*| per value."""
    a, b = (state.values if isinstance(state, Field) else state for state in (x, x_true))
    return np.abs(a.numpy(b.shape) - b.numpy(b.shape))


def plot_l1(runs: Sequence[Run], alone: float) -> Figure:
    """L1 of x against the step, one line per method, and that of the inverse alone."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for run, (color, style) in zip(runs, STYLES, strict=False):
        steps = np.arange(1, len(run.l1) + 1)
        axes.plot(steps, run.l1, color=color, linestyle=style, lw=1.5, label=run.record.method)
    draw_level(axes, alone, f"the {NAME}")
    axes.set(xlabel="training step", ylabel="mean |x − x*|", yscale="log")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    return figure


def report(runs: Sequence[Run], alone: float, figures: Mapping[str, Figure], output: Path, console: Console) -> None:
    """Prints the table and writes it, the records, the L1 curves and the figures; `alone`: L1 of the inverse alone."""
    rows = [["method", "steps", "x L1", "x L1 ÷ SIP's", "SIP reaches it at step", "seconds a step"]]
    for run in runs:
        reached = runs[0].steps_to(run.final * (1 + 1e-6))  # its own error included
        rows.append(
            [
                run.record.method,
                str(len(run.l1)),
                f"{run.final:.4f}",
                f"{run.final / runs[0].final:.3f}",
                "never" if reached is None else str(reached),
                f"{np.median(run.record.seconds):.3f}",
            ]
        )
    rows.append([f"the {NAME}", "", f"{alone:.2g}", f"{alone / runs[0].final:.2g}", "", ""])
    table = Table(title=f"Mean of the last {LAST} steps, on samples not seen before")
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)

    output.mkdir(parents=True, exist_ok=True)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    (output / "summary.md").write_text("\n".join(lines) + "\n")
    save_records([run.record for run in runs], output / "records.json")
    (output / "l1.json").write_text(json.dumps({run.record.method: run.l1 for run in runs}, indent=1))
    for name, figure in figures.items():
        figure.savefig(output / f"{name}.png", dpi=150)
    console.print(f"Figures, records.json, l1.json and summary.md are in {output}")
