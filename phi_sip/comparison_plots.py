"""Figures that compare methods: over the conditioning of the physics, over time and over steps."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from .noise_plots import COLORS, MARKERS

DASHES = ("-", "--", "-.", ":")


def plot_distances(distances: Mapping[str, Mapping[tuple[float, float], float]]) -> Figure:
    """
    Distance of trained networks from the truth: over ξ at the greatest and the least φ, and over φ at the greatest ξ.

    Args:
        distances: Mean ‖x − x*‖ per method and (ξ, φ), φ in degrees.
    """
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    points = {point for found in distances.values() for point in found}
    hardest, least, greatest = (function(values) for function, values in (
        (max, [ξ for ξ, _ in points]), (min, [φ for _, φ in points]), (max, [φ for _, φ in points])
    ))  # fmt: skip
    for i, (method, found) in enumerate(distances.items()):
        style = {"color": COLORS[i], "marker": MARKERS[i], "linestyle": DASHES[i % len(DASHES)], "lw": 2, "ms": 7 - i}
        lines = (
            {ξ: d for (ξ, φ), d in found.items() if φ == greatest},
            {ξ: d for (ξ, φ), d in found.items() if φ == least},
            {φ: d for (ξ, φ), d in found.items() if ξ == hardest},
        )
        for axes, line in zip(panels, lines, strict=True):
            axes.plot(*zip(*sorted(line.items()), strict=True), label=method, **style)
    for axes, angle in zip(panels, (greatest, least), strict=False):
        axes.set(xscale="log", yscale="log", xlabel="conditioning ξ", title=f"φ = {angle:g}°")
        axes.set_xticks(sorted({ξ for ξ, φ in points if φ == angle}))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
    panels[2].set(xlabel="angle φ in degrees", title=f"ξ = {hardest:g}")
    panels[2].set_xticks(sorted({φ for ξ, φ in points if ξ == hardest}))
    panels[0].set_ylabel("mean ‖x − x*‖")
    for axes in panels:
        axes.grid(True, alpha=0.25)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure
