"""Figures of training runs, from records and the arrays of `samples.npz` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from scipy.stats import norm

from .noise_plots import COLORS, MARKERS
from .plots import LABELS, plot_damping, plot_reconstructions
from .training.records import RunRecord

DASHES = ("-", "--", "-.", ":")
Arrays = Mapping[str, np.ndarray]


def plot_curves(runs: Sequence[RunRecord]) -> Figure:
    """
    Errors in x (where known) and y over steps and over time: lines of the training, marks of the validation.

    Args:
        runs: One or several; a color and a line style each.
    """
    known = any(record.x_l2 is not None for run in runs for record in run.steps)
    quantities = ("x_l2", "y_l2") if known else ("y_l2",)
    figure = Figure(figsize=(9.5, 3.4 * len(quantities) + 0.5), layout="constrained")
    grid = figure.subplots(len(quantities), 2, squeeze=False, sharey="row", sharex="col")
    for row, quantity in zip(grid, quantities, strict=True):
        for i, run in enumerate(runs):
            for axes, place in zip(row, ("step", "elapsed"), strict=True):
                _curve(axes, run, quantity, place, i)
        row[0].set_ylabel(LABELS[quantity])
        for axes in row:
            axes.set_yscale("log")
            axes.grid(True, which="both", alpha=0.25)
            for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                set_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    grid[-1, 0].set_xlabel("training step")
    grid[-1, 1].set_xlabel("seconds of training")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _curve(axes: Axes, run: RunRecord, quantity: str, place: str, i: int) -> None:
    color = COLORS[i % len(COLORS)]
    kinds: list[tuple[Sequence[Any], str, dict[str, Any]]] = [
        (run.steps, f"{run.name}, training", {"linestyle": DASHES[i % len(DASHES)], "lw": 1.4, "alpha": 0.8}),
        (run.validations, f"{run.name}, validation", {"linestyle": "", "marker": MARKERS[i % len(MARKERS)], "ms": 7}),
    ]
    for records, label, extra in kinds:
        points = [(getattr(r, place), getattr(r, quantity)) for r in records if getattr(r, quantity) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=color, markeredgecolor="white", **extra)


def plot_samples(samples: Arrays) -> Figure:
    """The first sample of a validation: observation, prediction, corrected state, and the truth if known."""
    shown = {"prediction x": _slice(samples["x"]), "corrected x̃": _slice(samples["x_target"])}
    if "x_true" in samples:
        return plot_reconstructions(_slice(samples["x_true"]), _slice(samples["y_target"]), shown, "value")
    panels = {"observation y*": _slice(samples["y_target"]), **shown}
    figure = Figure(figsize=(3.1 * len(panels), 3.2), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        image = axes.imshow(values.T, origin="lower", cmap="inferno")
        axes.set(title=name, xticks=[], yticks=[])
        figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def plot_spectra(samples: Arrays) -> Figure:
    """Mean power over |k|, in units of the largest wavenumber of the grid, of the states and the observation."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    names = {"x_true": "truth x*", "x": "prediction x", "x_target": "corrected x̃", "y_target": "observation y*"}
    for i, (name, label) in enumerate((n, text) for n, text in names.items() if n in samples):
        k, power = _radial_power(samples[name])
        axes.plot(k, power, color=COLORS[i], linestyle=DASHES[i], lw=2, label=label)
    axes.set(xlabel="wavenumber |k| ÷ largest of an axis", ylabel="mean power per mode", yscale="log")
    axes.grid(True, alpha=0.25)
    axes.legend(frameon=False)
    return figure


def plot_uncertainty(samples: Arrays) -> Figure:
    """The standard deviation per cell of the first sample; where the truth is known, the error against it."""
    deviation = _slice(samples["uncertainty"])
    panels = 2 if "x_true" in samples else 1
    figure = Figure(figsize=(4.6 * panels, 3.8), layout="constrained")
    grid = figure.subplots(1, panels, squeeze=False)[0]
    image = grid[0].imshow(deviation.T, origin="lower", cmap="cividis")
    grid[0].set(title="standard deviation of x̃", xticks=[], yticks=[])
    figure.colorbar(image, ax=grid[0], shrink=0.9)
    if panels == 2:
        _coverage(grid[1], samples)
    return figure


def _coverage(axes: Axes, samples: Arrays) -> None:
    levels = np.linspace(0.2, 3.0, 15)
    deviation = np.maximum(samples["uncertainty"], 1e-300)
    for i, (name, label) in enumerate((("x_target", "corrected x̃"), ("x", "prediction x"))):
        ratio = np.abs(samples[name] - samples["x_true"]) / deviation
        style: dict[str, Any] = {"color": COLORS[i], "linestyle": DASHES[i], "marker": MARKERS[i], "ms": 5}
        axes.plot(levels, [(ratio <= level).mean() for level in levels], label=label, **style)
    axes.plot(levels, 2 * norm.cdf(levels) - 1, color="0.5", lw=4, alpha=0.5, zorder=0, label="a Gaussian error")
    axes.set(xlabel="interval, in standard deviations", ylabel="share of cells within", ylim=(0, 1.03))
    axes.grid(True, alpha=0.25)
    axes.legend(frameon=False)


def plot_final_errors(runs: Sequence[RunRecord]) -> Figure:
    """The last validation error of each run, in x where known, else in y."""
    known = all(run.validations and run.validations[-1].x_l2 is not None for run in runs)
    quantity = "x_l2" if known else "y_l2"
    values = [getattr(run.validations[-1], quantity) if run.validations else np.nan for run in runs]
    figure = Figure(figsize=(7, 0.55 * len(runs) + 1.3), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh([run.name for run in runs], values, color=[COLORS[i % len(COLORS)] for i in range(len(runs))])
    axes.bar_label(bars, fmt="%.4g", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(f"{LABELS[quantity]}, last validation")
    return figure


def figures_of(run: RunRecord, samples: Arrays) -> dict[str, Figure]:
    """All figures that can be drawn of one run, by name."""
    found: dict[str, Figure] = {}
    if run.steps:
        found["curves"] = plot_curves([run])
    for name, (needed, plot) in _OF_SAMPLES.items():
        if needed <= set(samples) and samples["x"].ndim >= 3:
            found[name] = plot(samples)
    return found


def _damping(samples: Arrays) -> Figure:
    return plot_damping(samples["wavenumber"], samples["gain"], samples["kernel"] * samples["gain"])


_OF_SAMPLES: dict[str, tuple[set[str], Callable[[Arrays], Figure]]] = {
    "reconstructions": ({"x", "x_target", "y_target"}, plot_samples),
    "spectra": ({"x", "x_target", "y_target"}, plot_spectra),
    "damping": ({"x", "wavenumber", "gain", "kernel"}, _damping),
    "uncertainty": ({"x", "x_target", "uncertainty"}, plot_uncertainty),
}


def _slice(values: np.ndarray) -> np.ndarray:
    """Two axes of the first sample: the middle of a third, the first component."""
    sample: np.ndarray = values[0]
    while sample.ndim > 2:
        sample = sample[..., sample.shape[-1] // 2] if sample.shape[-1] > 3 else sample[..., 0]
    return sample


def _radial_power(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sample = np.stack([_slice(values[i : i + 1]) for i in range(len(values))])
    power = (np.abs(np.fft.fft2(sample - sample.mean((1, 2), keepdims=True), norm="ortho")) ** 2).mean(0)
    k = np.sqrt(sum(f**2 for f in np.meshgrid(*(2 * np.fft.fftfreq(n) for n in sample.shape[1:]), indexing="ij")))
    edges = np.linspace(0, 1, max(4, min(sample.shape[1:]) // 2))
    which = np.digitize(k.ravel(), edges)
    used = [b for b in range(1, len(edges)) if np.any((which == b) & (k.ravel() > 0))]
    mean = [power.ravel()[(which == b) & (k.ravel() > 0)].mean() for b in used]
    return np.array([(edges[b - 1] + edges[b]) / 2 for b in used]), np.maximum(mean, np.finfo(float).tiny)
