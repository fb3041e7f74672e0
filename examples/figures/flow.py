"""Figures of flows and the markers that they carry, drawn from plain arrays and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from phi_sip.plots.style import COLORS, DASHES, LEVELS, show_cells
from phi_sip.records import TrainingRecord


def plot_velocities(truth: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Figure:
    """
    Draws velocities as arrows over their vorticity.

    Args:
        truth: True velocity on a grid with cells of size 1, axes (x, y, component).
        predictions: Predicted velocity per method, same axes.
    """
    columns = {"truth x*": truth, **predictions}
    figure = Figure(figsize=(2.9 * len(columns) + 0.8, 3.2), layout="constrained")
    grid = figure.subplots(1, len(columns), squeeze=False)
    largest = float(np.abs(_vorticity(truth)).max())
    for axes, (name, velocity) in zip(grid[0], columns.items(), strict=True):
        image = show_cells(axes, _vorticity(velocity), "RdBu_r", -largest, largest)
        every = max(1, truth.shape[0] // 11)
        i, j = np.mgrid[every // 2 : truth.shape[0] : every, every // 2 : truth.shape[1] : every]
        scale = float(np.abs(truth).max()) / (1.5 * every)
        axes.quiver(i, j, velocity[i, j, 0], velocity[i, j, 1], angles="xy", scale_units="xy", scale=scale, width=0.006)
        error = np.linalg.norm(velocity - truth) / np.linalg.norm(truth)
        axes.set_title(name if velocity is truth else f"{name}: error {100 * error:.0f} %")
    figure.colorbar(image, ax=grid[0, :], label="vorticity", shrink=0.9)
    return figure


def plot_markers(start: np.ndarray, target: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Figure:
    """
    Draws where the predicted velocities carry the marker, with the differences from the observation below.

    Args:
        start: Marker at the start, axes (x, y).
        target: Observed marker at the end, axes (x, y).
        predictions: Simulated marker at the end per method, axes (x, y).
    """
    columns = {"start m(0)": start, "observation y*": target, **predictions}
    figure = Figure(figsize=(2.6 * len(columns) + 0.8, 5.4), layout="constrained")
    grid = figure.subplots(2, len(columns), squeeze=False)
    low, high = float(target.min()), float(target.max())
    for column, (name, marker) in enumerate(columns.items()):
        image = show_cells(grid[0, column], marker, "viridis", low, high)
        grid[0, column].set_title(name)
        if name not in predictions and marker is target:
            grid[1, column].axis("off")
            continue
        difference = show_cells(grid[1, column], marker - target, "RdBu_r", low - high, high - low)
        share = np.linalg.norm(marker - target) / np.linalg.norm(start - target)
        grid[1, column].set_title(f"{100 * share:.0f} % of the motion left")
    figure.colorbar(image, ax=grid[0, :], label="marker", shrink=0.9)
    figure.colorbar(difference, ax=grid[1, :], label="difference from y*", shrink=0.9)
    return figure


def plot_errors_over_time(
    records: Sequence[TrainingRecord], scales: Mapping[str, float], levels: Mapping[str, Mapping[str, float]]
) -> Figure:
    """
    Draws relative errors in training against its processor time.

    Args:
        records: Runs to compare.
        scales: ½ ‖x*‖² by `"x_l2"` and ½ ‖m(0) − y*‖² by `"y_l2"`, means over samples.
        levels: Relative errors of what is not trained, by name and by `"x_l2"` and `"y_l2"`.
    """
    labels = {"x_l2": "velocity error ‖x − x*‖ / ‖x*‖", "y_l2": "marker error ‖y − y*‖ / ‖m(0) − y*‖"}
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (quantity, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        for i, record in enumerate(records):
            color, style = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
            values = np.sqrt(np.asarray(getattr(record, quantity)) / scales[quantity])
            seconds = np.cumsum(record.seconds)
            axes.plot(seconds, values, color=color, lw=0.6, alpha=0.3)
            axes.plot(seconds, _running_mean(values), color=color, linestyle=style, lw=2, label=record.method)
        for i, (name, errors) in enumerate(levels.items()):
            axes.axhline(errors[quantity], color="0.35", linestyle=LEVELS[i % len(LEVELS)], lw=1.4, label=name)
        axes.set(xlabel="processor time of training in s", ylabel=label, ylim=(0, 1.6))
        axes.grid(True, alpha=0.25)
    axes.legend(fontsize=8)
    return figure


def _running_mean(values: np.ndarray, width: int = 15) -> np.ndarray:
    """Averages over the last `width` values."""
    sums = np.cumsum(values)
    sums[width:] -= sums[:-width].copy()
    return np.asarray(sums / np.minimum(np.arange(1, len(values) + 1), width))


def _vorticity(velocity: np.ndarray) -> np.ndarray:
    """Computes the vorticity by central differences on a periodic grid."""
    x, y = velocity[..., 0], velocity[..., 1]
    along_x, along_y = ((np.roll(v, -1, axis) - np.roll(v, 1, axis)) / 2 for v, axis in ((y, 0), (x, 1)))
    return np.asarray(along_x - along_y)
