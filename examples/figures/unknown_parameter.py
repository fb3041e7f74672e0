"""Figure of the errors of a state and of a parameter, over processor time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from phi_sip.plots.style import COLORS, DASHES, draw_level


def plot_errors(runs: Mapping[str, Sequence[Any]], alone: tuple[float, float]) -> Figure:
    """
    Draws errors on logarithmic scales: of each method the mean and the range of its runs.

    Args:
        runs: Those of each method, with `seconds`, `u` and `nu`.
        alone: Errors of u and ν that the inverse alone leaves.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    titles = ("state u", "diffusivity ν")
    for axes, quantity, title, level in zip(panels, ("u", "nu"), titles, alone, strict=True):
        for i, (method, found) in enumerate(runs.items()):
            curves = [100 * np.array(getattr(run, quantity)) for run in found]
            if not curves or not np.any(curves[0]):  # ν is known
                continue
            count = min(map(len, curves))
            seconds, values = found[0].seconds[:count], np.array([curve[:count] for curve in curves])
            color, dash = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
            axes.fill_between(seconds, values.min(0), values.max(0), color=color, alpha=0.15, lw=0)
            axes.plot(seconds, values.mean(0), color=color, linestyle=dash, label=method, lw=2)
        draw_level(axes, 100 * level, "inverse alone")
        axes.set(xscale="log", yscale="log", title=title, xlabel="seconds of processor time", ylabel="error in %")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(True, which="both", alpha=0.2)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure
