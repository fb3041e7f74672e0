"""Figures that compare methods: over the conditioning of the physics, over time and over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from phi_sip.plots.style import COLORS, DASHES, LABELS, MARKERS, draw_level
from phi_sip.records import TrainingRecord


def plot_distances(distances: Mapping[str, Mapping[tuple[float, float], float]]) -> Figure:
    """
    Draws the distance of trained networks from the truth.

    It is shown over ξ at the greatest and the least φ, and over φ at the greatest ξ.

    Args:
        distances: Mean ‖x − x*‖ per method and (ξ, φ), φ in degrees.
    """
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    points = {point for found in distances.values() for point in found}
    hardest = max(ξ for ξ, _ in points)
    least, greatest = min(φ for _, φ in points), max(φ for _, φ in points)
    for i, (method, found) in enumerate(distances.items()):
        lines = (
            {ξ: d for (ξ, φ), d in found.items() if φ == greatest},
            {ξ: d for (ξ, φ), d in found.items() if φ == least},
            {φ: d for (ξ, φ), d in found.items() if ξ == hardest},
        )
        for axes, line in zip(panels, lines, strict=True):
            x = sorted(line)
            style = {"marker": MARKERS[i], "linestyle": DASHES[i % len(DASHES)], "lw": 2, "ms": 9 - 2 * i}
            axes.plot(x, [line[v] for v in x], color=COLORS[i], label=method, **style)
    for axes, angle in zip(panels, (greatest, least), strict=False):
        axes.set(xscale="log", yscale="log", xlabel="conditioning ξ", title=f"φ = {angle:g}°")
        axes.set_xticks(sorted({ξ for ξ, φ in points if φ == angle}))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    panels[2].set(xlabel="angle φ in degrees", title=f"ξ = {hardest:g}")
    panels[2].set_xticks(sorted({φ for ξ, φ in points if ξ == hardest}))
    panels[0].set_ylabel("mean ‖x − x*‖")
    _plain_numbers(panels[0].yaxis)
    for axes in panels:
        axes.grid(True, which="both", alpha=0.25)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _plain_numbers(axis: Axis) -> None:
    """Writes 0.02 rather than 2·10⁻²."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def level(record: TrainingRecord, quantity: str = "x_l2", end: int | None = None) -> float:
    """
    Returns the error that a run has come to: the mean over the last tenth of its steps.

    Args:
        record: Run.
        quantity: `"x_l2"` or `"y_l2"`.
        end: Number of steps to look at. Default: all.
    """
    values = getattr(record, quantity)[:end]
    return float(np.mean(values[-max(1, len(values) // 10) :]))


def plot_comparison(
    problems: Mapping[str, Sequence[TrainingRecord]], alone: Mapping[str, float], quantities: Mapping[str, str]
) -> Figure:
    """
    Draws the smoothed error over time and over steps, on logarithmic scales.

    The geometric mean and the range of the runs of each method are shown.

    Args:
        problems: Runs per problem; those of one method have the same name.
        alone: Error of the inverse alone per problem.
        quantities: Error that is drawn per problem, `"x_l2"` or `"y_l2"`.
    """
    methods = list(dict.fromkeys(record.method for records in problems.values() for record in records))
    figure = Figure(figsize=(11, 3.6 * len(problems) + 0.6), layout="constrained")
    grid = figure.subplots(len(problems), 2, sharey="row", squeeze=False)
    for row, (problem, records) in zip(grid, problems.items(), strict=True):
        quantity = quantities[problem]
        for i, method in enumerate(methods):
            runs = [record for record in records if record.method == method]
            if not runs:
                continue
            style: dict[str, Any] = {
                "color": COLORS[i],
                "linestyle": DASHES[i % len(DASHES)],
                "label": method,
                "lw": 3 if i == 0 else 1.6,
            }
            errors = [np.asarray(getattr(run, quantity)) for run in runs]
            _range(row[0], [np.cumsum(run.seconds) for run in runs], errors, style)
            _range(row[1], [np.arange(1.0, len(found) + 1) for found in errors], errors, style)
        row[0].set(ylabel=LABELS[quantity], xlabel="seconds of processor time")
        row[1].set(xlabel="training step")
        for axes in row:
            draw_level(axes, alone[problem], "the inverse alone")
            axes.set(xscale="log", yscale="log", title=problem)
            for axis in (axes.xaxis, axes.yaxis):
                _plain_numbers(axis)
            axes.grid(True, which="both", alpha=0.2)
    shown = {label: line for axes in grid.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _range(axes: Axes, places: Sequence[np.ndarray], errors: Sequence[np.ndarray], style: dict[str, Any]) -> None:
    """Draws the mean and the range of several runs, as far as all of them go and are finite."""
    steps = [int(np.isfinite(found).sum()) for found in errors]
    if not all(steps):
        return
    start, end = max(p[0] for p in places), min(p[n - 1] for p, n in zip(places, steps, strict=True))
    x = np.geomspace(start, max(end, start), 200)
    curves = []
    for place, found, n in zip(places, errors, steps, strict=True):
        curves.append(np.interp(np.log(x), np.log(place[:n]), _running_mean(np.log(found[:n]))))
    axes.fill_between(x, np.exp(np.min(curves, 0)), np.exp(np.max(curves, 0)), color=style["color"], alpha=0.15, lw=0)
    axes.plot(x, np.exp(np.mean(curves, 0)), **style)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Averages over a sixth of the steps so far to each side, so that the first steps are shown as they were."""
    n = len(values)
    half = np.arange(1, n + 1) // 6
    first, end = np.arange(n) - half, np.minimum(np.arange(n) + half + 1, n)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[end] - sums[first]) / (end - first))
