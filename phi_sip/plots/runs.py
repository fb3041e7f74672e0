"""Figures of training runs, from records and samples alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..training.callbacks import Arrays
from ..training.records import RISK, RunRecord
from .samples import drawings_of_samples
from .style import COLORS, DASHES, LABELS, MARKERS, as_label, draw_level, label_log_axis

ALONE = "the inverse alone"


def plot_curves(runs: Sequence[RunRecord]) -> Figure:
    """
    Draws the errors in x, where they are known, in y, and the risk, where it is known, over steps and over time.

    Lines are of the training, marks of the validation, and level lines of the inverse alone, as far as it is known.

    Args:
        runs: One or several; a color and a line style each.
    """
    validations = [record for run in runs for record in run.validations]
    errors = [*(record.x_l2 for record in validations), *(record.x_l2 for run in runs for record in run.steps)]
    quantities = ["x_l2"] if any(error is not None for error in errors) else []
    quantities += ["y_l2", RISK] if any(record.risk is not None for record in validations) else ["y_l2"]
    figure = Figure(figsize=(9.5, 3.4 * len(quantities) + 0.5), layout="constrained")
    grid = figure.subplots(len(quantities), 2, squeeze=False, sharey="row", sharex="col")
    for row, quantity in zip(grid, quantities, strict=True):
        for i, run in enumerate(runs):
            for axes, place in zip(row, ("step", "elapsed"), strict=True):
                _curve(axes, run, quantity, place, i)
        for axes in row:
            _alone(axes, runs, quantity)
        row[0].set_ylabel(LABELS[quantity])
        for axes in row:
            axes.grid(True, which="both", alpha=0.25)
            if quantity == RISK:  # which is below 0 where all is well
                axes.axhline(0, color="0.5", lw=1)
                continue
            axes.set_yscale("log")
            label_log_axis(axes.yaxis)
    grid[-1, 0].set_xlabel("training step")
    grid[-1, 1].set_xlabel("seconds of training")
    found = {
        label: handle for axes in grid[:, 0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if found:
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _curve(axes: Axes, run: RunRecord, quantity: str, place: str, i: int) -> None:
    color = COLORS[i % len(COLORS)]
    name = as_label(run.name)
    kinds: list[tuple[Sequence[Any], str, dict[str, Any]]] = [
        (run.steps, f"{name}, training", {"linestyle": DASHES[i % len(DASHES)], "lw": 1.4, "alpha": 0.8}),
        (
            run.validations,
            f"{name}, validation",
            {"linestyle": "", "marker": MARKERS[i % len(MARKERS)], "ms": 7},
        ),
    ]
    for records, label, extra in kinds:
        values = [(getattr(r, place), getattr(r, quantity, None)) for r in records]
        points = [(at, value) for at, value in values if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=color, markeredgecolor="white", **extra)


def _alone(axes: Axes, runs: Sequence[RunRecord], quantity: str) -> None:
    """Draws the errors of the inverse alone as level lines."""
    for i, (name, error) in enumerate(errors_alone(runs, quantity).items()):
        draw_level(axes, error, name, i)


def errors_alone(runs: Sequence[RunRecord], quantity: str) -> dict[str, float]:
    """Returns the validation errors of the inverse alone by label, once where they are the same for several runs."""
    runs_of: dict[float, list[str]] = {}
    for run in runs:
        error = run.error_alone(quantity)
        if error is not None:
            runs_of.setdefault(float(f"{error:.4g}"), []).append(as_label(run.name))
    if len(runs_of) == 1:
        return dict.fromkeys([ALONE], *runs_of)
    return {f"{ALONE}: {', '.join(names)}": error for error, names in runs_of.items()}


def plot_final_errors(runs: Sequence[RunRecord]) -> Figure:
    """Draws the last validation error of each run and that of the inverse alone, in x where it is known, else in y."""
    known = all(run.validations and run.validations[-1].x_l2 is not None for run in runs)
    quantity = "x_l2" if known else "y_l2"
    values = [getattr(run.validations[-1], quantity) if run.validations else np.nan for run in runs]
    colors, names = [COLORS[i % len(COLORS)] for i in range(len(runs))], [as_label(run.name) for run in runs]
    alone = errors_alone(runs, quantity)
    colors, names, values = [*colors, *["0.6"] * len(alone)], [*names, *alone], [*values, *alone.values()]
    figure = Figure(figsize=(7, 0.55 * len(names) + 1.3), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(range(len(names)), values, tick_label=names, color=colors)
    axes.bar_label(bars, fmt="%.4g", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(f"{LABELS[quantity]}, last validation")
    return figure


def figures_of(run: RunRecord, samples: Arrays) -> dict[str, Figure]:
    """Returns all figures that can be drawn of one run, by name."""
    return {name: draw() for name, draw in drawings_of(run, samples).items()}


def drawings_of(run: RunRecord, samples: Arrays) -> dict[str, Callable[[], Figure]]:
    """Returns the functions that draw the figures of one run, by name."""
    curves = {"curves": partial(plot_curves, [run])} if run.steps else {}
    return curves | drawings_of_samples(samples)


def comparisons_of(runs: Sequence[RunRecord]) -> dict[str, Callable[[], Figure]]:
    """Returns the functions that draw the figures of several runs side by side, by name."""
    if len(runs) == 1 or not any(run.steps for run in runs):
        return {}
    final = {"final": partial(plot_final_errors, runs)} if any(run.validations for run in runs) else {}
    return {"curves": partial(plot_curves, runs), **final}
