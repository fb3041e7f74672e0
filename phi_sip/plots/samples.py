"""Figures of the samples of a validation, from the arrays of `samples.npz` alone, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from ..training.callbacks import Arrays
from ..training.samples import first_sample, scalars
from .inversions import plot_damping, plot_reconstructions
from .style import COLORS, DASHES, MARKERS, as_label, show_cells

NAMES = {
    "x_true": "truth x*",
    "x": "prediction x",
    "x_target": "corrected x̃",
    "x_alone": "inverse alone x̂",
    "y_target": "observation y*",
}


def figures_of_samples(samples: Arrays) -> dict[str, Figure]:
    """Returns all figures that can be drawn of these arrays, by name."""
    return {name: draw() for name, draw in drawings_of_samples(samples).items()}


def drawings_of_samples(samples: Arrays) -> dict[str, Callable[[], Figure]]:
    """Returns the functions that draw the figures of these arrays, by name."""
    drawn = {name: plot for name, (needed, plot) in _FIGURES.items() if {"axes", *needed} <= set(samples)}
    return {name: partial(plot, samples) for name, plot in drawn.items()}


def plot_samples(samples: Arrays) -> Figure:
    """Draws the first sample: the observation, the prediction, the corrected state, and the truth if it is known."""
    shown = {label: first_sample(samples, name) for name, label in NAMES.items() if name in samples}
    if shown[NAMES["x"]].ndim == 1:
        return _lines(samples, shown)
    observation = shown.pop(NAMES["y_target"])
    if NAMES["x_true"] in shown:
        return plot_reconstructions(shown.pop(NAMES["x_true"]), observation, shown, "value")
    panels = {NAMES["y_target"]: observation, **shown}
    figure = Figure(figsize=(3.1 * len(panels), 3.2), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        _image(figure, axes, values, name, "inferno")
    return figure


def _lines(samples: Arrays, shown: Mapping[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    for i, (label, values) in enumerate(shown.items()):
        axes.plot(values, color=COLORS[i], linestyle=DASHES[i % len(DASHES)], lw=2, label=label)
    if "uncertainty" in samples:
        center, deviation = shown[NAMES["x_target"]], first_sample(samples, "uncertainty")
        band = (center - 2 * deviation, center + 2 * deviation)
        axes.fill_between(np.arange(len(center)), *band, color="0.5", alpha=0.25, lw=0, label="x̃ ± 2 σ")
    axes.set(xlabel=_along(samples), ylabel="value")
    axes.grid(True, alpha=0.25)
    axes.legend(frameon=False)
    return figure


def _along(samples: Arrays) -> str:
    return f"cell along {as_label(str(samples['axes'][0]))}"


def plot_spectra(samples: Arrays) -> Figure:
    """Draws the mean power of states and observation over |k|, in units of the largest wavenumber of the grid."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, label) in enumerate((n, text) for n, text in NAMES.items() if n in samples):
        k, power = _radial_power(scalars(samples, name))
        axes.plot(k, power, color=COLORS[i], linestyle=DASHES[i % len(DASHES)], lw=2, label=label)
    axes.set(xlabel="wavenumber |k| ÷ largest of an axis", ylabel="mean power per mode", yscale="log")
    axes.grid(True, alpha=0.25)
    axes.legend(frameon=False)
    return figure


def plot_uncertainty(samples: Arrays) -> Figure:
    """Draws the standard deviation per cell of the first sample; where the truth is known, also how often it holds."""
    deviation = first_sample(samples, "uncertainty")
    panels = 2 if "x_true" in samples else 1
    figure = Figure(figsize=(4.6 * panels, 3.8), layout="constrained")
    grid = figure.subplots(1, panels, squeeze=False)[0]
    if deviation.ndim == 1:
        grid[0].plot(deviation, color=COLORS[0], lw=2)
        grid[0].set(title="standard deviation of x̃", xlabel=_along(samples), ylim=(0, None))
        grid[0].grid(True, alpha=0.25)
    else:
        _image(figure, grid[0], deviation, "standard deviation of x̃", "cividis")
    if panels == 2:
        _coverage(grid[1], samples)
    return figure


def _coverage(axes: Axes, samples: Arrays) -> None:
    levels = np.linspace(0.2, 3.0, 15)
    deviation = np.maximum(samples["uncertainty"], 1e-300)
    for i, name in enumerate(("x_target", "x")):
        ratio = np.abs(samples[name] - samples["x_true"]) / deviation
        style: dict[str, Any] = {"color": COLORS[i], "linestyle": DASHES[i], "marker": MARKERS[i], "ms": 5}
        axes.plot(levels, [(ratio <= level).mean() for level in levels], label=NAMES[name], **style)
    axes.plot(levels, 2 * norm.cdf(levels) - 1, color="0.5", lw=4, alpha=0.5, zorder=0, label="a Gaussian error")
    axes.set(xlabel="interval, in standard deviations", ylabel="share of cells within", ylim=(0, 1.03))
    axes.grid(True, alpha=0.25)
    axes.legend(frameon=False)


def _damping(samples: Arrays) -> Figure:
    return plot_damping(samples["wavenumber"], samples["gain"], samples["kernel"] * samples["gain"])


_FIGURES: dict[str, tuple[set[str], Callable[[Arrays], Figure]]] = {
    "reconstructions": ({"x", "x_target", "y_target"}, plot_samples),
    "spectra": ({"x", "x_target", "y_target"}, plot_spectra),
    "damping": ({"wavenumber", "gain", "kernel"}, _damping),
    "uncertainty": ({"x", "x_target", "uncertainty"}, plot_uncertainty),
}


def _image(figure: Figure, axes: Axes, values: np.ndarray, title: str, colors: str) -> None:
    image = show_cells(axes, values, colors)
    axes.set_title(title)
    figure.colorbar(image, ax=axes, shrink=0.8)


def _radial_power(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(1, values.ndim))
    power = (np.abs(np.fft.fftn(values - values.mean(axes, keepdims=True), axes=axes, norm="ortho")) ** 2).mean(0)
    k = np.sqrt(sum(f**2 for f in np.meshgrid(*(2 * np.fft.fftfreq(n) for n in values.shape[1:]), indexing="ij")))
    edges = np.linspace(0, 1, max(4, min(values.shape[1:]) // 2))
    which = np.digitize(k.ravel(), edges)
    used = [b for b in range(1, len(edges)) if np.any((which == b) & (k.ravel() > 0))]
    mean = [power.ravel()[(which == b) & (k.ravel() > 0)].mean() for b in used]
    return np.array([(edges[b - 1] + edges[b]) / 2 for b in used]), np.maximum(mean, np.finfo(float).tiny)
