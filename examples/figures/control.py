"""Figures of controlled processes, drawn from plain arrays and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from phi_sip.plots.style import LEVELS, STYLES, label_log_axis

SHOWN = 9  # states of a path


def plot_paths(target: np.ndarray, paths: Mapping[str, np.ndarray]) -> Figure:
    """
    Draws states from the start (dark) to the end (bright), and the target that they are to reach.

    Args:
        target: On the cells of a line.
        paths: States by method, axes (time, x).
    """
    figure = Figure(figsize=(2.6 * len(paths) + 0.8, 2.9), layout="constrained")
    colors = matplotlib.colormaps["viridis"]
    for axes, (name, states) in zip(figure.subplots(1, len(paths), sharey=True), paths.items(), strict=True):
        last = len(states) - 1
        for t in np.linspace(0, last, SHOWN).astype(int):
            axes.plot(states[t], color=colors(0.92 * t / last), lw=2.2 if t in (0, last) else 0.9)
        axes.plot(target, color="#D55E00", ls="--", lw=1.8, label="target")
        left = np.linalg.norm(states[-1] - target) / np.linalg.norm(paths["no force"][-1] - target)
        axes.set_title(name if name == "no force" else f"{name}: {100 * left:.0f} % left", fontsize=10)
        axes.set_xlabel("x")
        axes.grid(True, alpha=0.25)
    figure.axes[0].set_ylabel("u, from the start (dark) to the end")
    figure.axes[0].legend(fontsize=8)
    return figure


def plot_errors(found: Mapping[str, Any]) -> Figure:
    """
    Draws errors on held-out samples over the processor time of training: geometric mean and range of the seeds.

    Args:
        found: By problem: `"levels"`, errors of what is not trained; `"runs"`, by method the `"rate"` and the
            `"curves"`, one for each seed, of (step, seconds, error).
    """
    figure = Figure(figsize=(4.3 * len(found), 3.9), layout="constrained")
    for axes, (problem, results) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        for (method, run), (color, style) in zip(results["runs"].items(), STYLES, strict=False):
            curves = [np.array(curve) for curve in run["curves"]]
            seconds = np.linspace(0, min(curve[-1, 1] for curve in curves), 40)
            errors = np.array([np.interp(seconds, curve[:, 1], np.log(curve[:, 2])) for curve in curves])
            label = f"{method}, rate {run['rate']:g}"
            axes.plot(seconds, np.exp(errors.mean(0)), color=color, linestyle=style, lw=2, label=label)
            axes.fill_between(seconds, np.exp(errors.min(0)), np.exp(errors.max(0)), color=color, alpha=0.15)
        alone = results["levels"]["inverse alone"]
        if alone > 1e-3:
            axes.axhline(alone, color="0.35", linestyle=LEVELS[0], lw=1.6, label="inverse alone")
        else:
            axes.annotate(f"↓ inverse alone: {alone:.1g}", (0.03, 0.03), xycoords="axes fraction", color="0.35")
        axes.set(xlabel="processor time of training in s", ylabel="error", yscale="log", title=problem)
        label_log_axis(axes.yaxis)
        axes.grid(True, which="both", alpha=0.25)
        axes.legend(fontsize=8)
    return figure
