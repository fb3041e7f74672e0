"""Figures of inversions under noise, drawn from plain arrays: error against noise, reconstructions, uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory
from scipy.stats import norm

from phi_sip.plots.style import COLORS, MARKERS, STYLES, show_cells

LEVELS = np.linspace(0.02, 0.98, 25)


def plot_error_against_noise(noise: Sequence[float], errors: Mapping[str, np.ndarray], bound: np.ndarray) -> Figure:
    """
    Draws the relative error of each rule against the noise, and the same in units of the best linear filter.

    Args:
        noise: σ of growing size, the first of which may be 0: it is drawn left of a break in the axis.
        errors: ‖x̃ − x*‖ / ‖x* − mean x*‖ per rule, one value for each σ.
        bound: That of the Wiener filter with the true spectrum and the true σ.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    absolute, relative = figure.subplots(1, 2)
    sigma, bound = np.asarray(noise, float), np.asarray(bound, float)
    _curve(absolute, sigma, bound, color="0.75", lw=6, label="linear bound", zorder=1)
    _curve(relative, sigma, np.ones_like(bound), color="0.75", lw=6, zorder=1)
    widths = np.linspace(2.4, 1.2, len(errors))  # what lies on top of another leaves it visible
    for i, (name, error) in enumerate(errors.items()):
        style = {"color": COLORS[i % len(COLORS)], "linestyle": ((0, (4, 2)), "-")[i % 2], "lw": widths[i]}
        style |= {"marker": MARKERS[i % len(MARKERS)], "ms": 2.5 + 2 * widths[i], "mec": "white", "mew": 0.5}
        _curve(absolute, sigma, np.asarray(error), label=name, **style)
        _curve(relative, sigma, np.asarray(error) / bound, **style)
    absolute.set(ylabel="error ‖x̃ − x*‖ / ‖x* − mean‖", yscale="log", title="error")
    relative.set(ylabel="error ÷ linear bound", ylim=(0, 2), title="in units of the linear bound")
    for axes in (absolute, relative):
        _noise_axis(axes, sigma)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def _curve(axes: Axes, sigma: np.ndarray, values: np.ndarray, **style: object) -> None:
    """Draws one line for σ > 0, and one apart from it for σ = 0."""
    exact = sigma == 0
    (line,) = axes.plot(sigma[~exact], values[~exact], **style)  # type: ignore[arg-type]
    if exact.any():
        (low, high), width = _place_of_zero(sigma), line.get_linewidth()
        axes.plot([low, high], np.repeat(values[exact], 2), color=line.get_color(), lw=width, zorder=line.get_zorder())
        if line.get_marker() != "None":
            axes.plot([np.sqrt(low * high)], values[exact], **{**style, "label": "_"})  # type: ignore[arg-type]


def _place_of_zero(sigma: np.ndarray) -> tuple[float, float]:
    """Returns where σ = 0 is drawn on a logarithmic axis: one to two decades below the least σ."""
    least = float(sigma[sigma > 0].min())
    return least * 10**-1.8, least * 10**-1.0


def _noise_axis(axes: Axes, sigma: np.ndarray) -> None:
    axes.set(xscale="log", xlabel="noise σ")
    axes.grid(True, alpha=0.25)
    if not (sigma == 0).any():
        return
    low, high = _place_of_zero(sigma)
    least, most = sigma[sigma > 0].min(), sigma.max()
    decades = 10.0 ** np.arange(np.ceil(np.log10(least) - 1e-9), np.floor(np.log10(most) + 1e-9) + 1)
    labels = [f"$10^{{{round(np.log10(v))}}}$" for v in decades]
    axes.set_xticks([np.sqrt(low * high), *decades], ["0", *labels])
    axes.minorticks_off()
    axes.set_xlim(low / 1.6, most * 1.6)
    foot = blended_transform_factory(axes.transData, axes.transAxes)
    axes.text(np.sqrt(high * least), 0, "//", transform=foot, ha="center", va="center", backgroundcolor="white")


def plot_rules(truth: np.ndarray, observation: np.ndarray, estimates: Mapping[str, np.ndarray]) -> Figure:
    """
    Draws one row per rule, in two blocks.

    A row holds the estimate, its error, and a cut through the hottest cell next to the truth.

    Args:
        truth: True state x*, axes (x, y).
        observation: Observation y*, axes (x, y).
        estimates: x̃ per rule, axes (x, y).
    """
    entries = {"truth x*": truth, "observation y*": observation, **estimates}
    rows = -(-len(entries) // 2)
    figure = Figure(figsize=(13, 1.6 * rows + 0.9), layout="constrained")
    grid = figure.subplots(rows, 6, squeeze=False, gridspec_kw={"width_ratios": (1, 1, 1.75) * 2})
    heat, span = (min(0.0, float(truth.min())), float(truth.max())), 0.5 * float(np.ptp(truth))
    for axes in grid.flat:
        axes.set_axis_off()
    for i, (name, value) in enumerate(entries.items()):
        image, error, cut = grid[i % rows, 3 * (i // rows) : 3 * (i // rows) + 3]
        shown = show_cells(image, value, "inferno", *heat)
        image.set_title(name, loc="left", fontsize=10)
        _cut(cut, truth, value)
        if value is not truth:
            off = show_cells(error, value - truth, "RdBu_r", -span, span)
            relative = np.linalg.norm(value - truth) / np.linalg.norm(truth - truth.mean())
            error.set_title(f"{relative:.3g}", loc="right", fontsize=10)
    figure.colorbar(shown, ax=grid[:, :3], label="heat", location="bottom", aspect=60, pad=0.01)
    error_label = "error x̃ − x*, with its relative size above each map"
    figure.colorbar(off, ax=grid[:, 3:], label=error_label, location="bottom", aspect=60, pad=0.01, extend="both")
    return figure


def _cut(axes: Axes, truth: np.ndarray, value: np.ndarray) -> None:
    """Draws the heat along x through the hottest cell of the truth."""
    row = np.unravel_index(np.argmax(truth), truth.shape)[1]
    axes.set_axis_on()
    axes.plot(truth[:, row], color="0.7", lw=3)
    if value is not truth:
        axes.plot(value[:, row], color=COLORS[0], lw=1.2)
    margin = 0.25 * float(np.ptp(truth))
    axes.set(xticks=[], ylim=(float(truth.min()) - margin, float(truth.max()) + margin))
    axes.tick_params(labelsize=8)


def coverage(z: np.ndarray, levels: np.ndarray = LEVELS) -> np.ndarray:
    """
    Computes the share of errors within the central interval of a Gaussian, for each nominal probability.

    Args:
        z: (x̃ − x*) / uncertainty, any shape.
        levels: Nominal probabilities.
    """
    return np.array([np.mean(np.abs(z) <= norm.ppf(0.5 + level / 2)) for level in levels])


def plot_uncertainty(
    error: np.ndarray, uncertainty: np.ndarray, calibration: Mapping[str, np.ndarray], levels: np.ndarray = LEVELS
) -> Figure:
    """
    Draws where an estimate errs and where it expects to err.

    The last panel shows whether its intervals hold the truth as often as they say.

    Args:
        error: x̃ − x*, axes (x, y).
        uncertainty: Standard deviation per cell, axes (x, y).
        calibration: Actual coverage per kind of data, for each of `levels`, see `coverage`.
        levels: Nominal coverage.
    """
    figure = Figure(figsize=(14.5, 3.2), layout="constrained")
    grid = figure.subplots(1, 4, gridspec_kw={"wspace": 0.08})
    maps = {
        "error |x̃ − x*|": (np.abs(error), "viridis", 0.0, float(np.quantile(np.abs(error), 0.995))),
        "uncertainty": (uncertainty, "viridis", float(uncertainty.min()), float(uncertainty.max())),
        "|error| ÷ uncertainty": (np.abs(error) / uncertainty, "magma", 0.0, 4.0),
    }
    for axes, (title, (values, colors, low, high)) in zip(grid, maps.items(), strict=False):
        image = show_cells(axes, values, colors, low, high)
        axes.set_title(title)
        figure.colorbar(image, ax=axes, fraction=0.05, extend="max" if values.max() > high else "neither")
    _calibration(grid[-1], calibration, levels)
    return figure


def _calibration(axes: Axes, calibration: Mapping[str, np.ndarray], levels: np.ndarray) -> None:
    axes.plot([0, 1], [0, 1], color="0.75", lw=5, label="as it should be")
    for (name, actual), (color, style) in zip(calibration.items(), STYLES, strict=False):
        axes.plot(levels, actual, color=color, linestyle=style, lw=2, label=name)
    axes.set(xlabel="nominal", ylabel="share of cells inside", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_title("coverage of x̃ ± z · uncertainty")
    axes.grid(True, alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
