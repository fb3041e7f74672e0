"""Losses over steps, from plain records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d

from ..records import TrainingRecord
from .style import LABELS, STYLES, draw_level, label_log_axis


def plot_losses(
    records: Sequence[TrainingRecord],
    quantity: str,
    *,
    smooth: float = 0.0,
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """
    Draws a loss against the step, one line per run, on a logarithmic scale.

    Args:
        records: Runs to compare.
        quantity: `"x_l2"`, `"y_l2"` or `"loss"`.
        smooth: Standard deviation in steps of a Gaussian filter; the raw curve stays visible behind it. 0: none.
        levels: Errors that do not change over the steps by name, such as that of the inverse alone: level lines.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for record, (color, style) in zip(records, STYLES, strict=False):
        values = np.asarray(getattr(record, quantity))
        steps = np.arange(1, len(values) + 1)
        if smooth and len(values):
            axes.plot(steps, values, color=color, lw=0.8, alpha=0.35)
            values = gaussian_filter1d(values, smooth, mode="nearest")
        axes.plot(steps, values, color=color, linestyle=style, lw=2, label=record.method)
    for i, (name, value) in enumerate((levels or {}).items()):
        draw_level(axes, value, name, i)
    axes.set(xlabel="training step", ylabel=LABELS[quantity], yscale="log")
    label_log_axis(axes.yaxis)
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    return figure
