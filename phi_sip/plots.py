"""Figures of training runs and inversions, drawn from plain arrays and records, in colours that all can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogFormatter
from scipy.ndimage import gaussian_filter1d

from .records import TrainingRecord

# Okabe and Ito, "Color Universal Design", 2008; the line styles tell the curves apart in black and white.
STYLES = (("#D55E00", "-"), ("#0072B2", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#000000", (0, (5, 1, 1, 1))))
DASHES = ("-", "--", "-.", ":")
LABELS = {"x_l2": "½ ‖x − x*‖²  (mean over batch)", "y_l2": "½ ‖y − y*‖²  (mean over batch)", "loss": "½ ‖x − x̃‖²"}


def plot_losses(records: Sequence[TrainingRecord], quantity: str, *, smooth: float = 0.0) -> Figure:
    """
    A loss against the step, one line per run, on a logarithmic scale.

    Args:
        records: Runs to compare.
        quantity: `"x_l2"`, `"y_l2"` or `"loss"`.
        smooth: Standard deviation in steps of a Gaussian filter; the raw curve stays visible behind it. 0: none.
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
    axes.set(xlabel="training step", ylabel=LABELS[quantity], yscale="log")
    label_log_axis(axes.yaxis)
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    return figure


class DecimalLogFormatter(LogFormatter):
    """0.2 and 20 rather than 2·10⁻¹ and 2·10¹."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def label_log_axis(axis: Axis) -> None:
    """Labels a logarithmic axis by decimal numbers, also between the powers of ten where there is room."""
    axis.set_major_formatter(DecimalLogFormatter(minor_thresholds=(2, 0.5)))
    axis.set_minor_formatter(DecimalLogFormatter(minor_thresholds=(2, 0.5)))


def plot_reconstructions(
    truth: np.ndarray, observation: np.ndarray, predictions: Mapping[str, np.ndarray], quantity: str = "heat"
) -> Figure:
    """
    Reconstructions next to the truth, with their errors below.

    Args:
        truth: True state x*, axes (x, y).
        observation: Observation y*, axes (x, y).
        predictions: Predicted state per method, axes (x, y).
        quantity: What the colors show.
    """
    columns = {"observation y*": observation, **predictions, "truth x*": truth}
    errors = {name: value - truth for name, value in predictions.items()}
    figure = Figure(figsize=(2.6 * len(columns), 5.2), layout="constrained")
    grid = figure.subplots(2, len(columns), squeeze=False)
    low, high = min(0.0, float(truth.min())), float(truth.max())
    largest = max(float(np.abs(error).max()) for error in errors.values()) if errors else 1.0
    for column, (name, value) in enumerate(columns.items()):
        heat = _show(grid[0, column], value, "inferno", low, high)
        grid[0, column].set_title(name)
        if name not in errors:
            grid[1, column].axis("off")
            continue
        difference = _show(grid[1, column], errors[name], "RdBu_r", -largest, largest)
        grid[1, column].set_title(f"error, ½‖·‖² = {0.5 * np.sum(errors[name] ** 2):.1f}")
    figure.colorbar(heat, ax=grid[0, :], label=quantity, shrink=0.9)
    if errors:
        figure.colorbar(difference, ax=grid[1, :], label="x − x*", shrink=0.9)
    return figure


def plot_damping(wavenumber: np.ndarray, gain: np.ndarray, recovered: np.ndarray) -> Figure:
    """
    How much of the error in each mode one step corrects: a local inverse against the gradient through the physics.

    Args:
        wavenumber: |k| per mode, in 1/length.
        gain: h_k of the physics, same axes.
        recovered: K_k h_k of the inverse, with leading axes for samples.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    k, bins = np.ravel(wavenumber), 40
    edges = np.linspace(0, k.max() * (1 + 1e-9), bins + 1)
    which = np.digitize(k, edges) - 1
    samples = recovered.reshape(-1, k.size)
    used = [b for b in range(bins) if np.any(which == b)]
    centers = [k[which == b].mean() for b in used]
    mean, low, high = (
        [function(samples[:, which == b]) for b in used]
        for function in (np.mean, lambda v: np.quantile(v, 0.05), lambda v: np.quantile(v, 0.95))
    )
    (sip, sip_style), (dp, dp_style) = STYLES[:2]
    axes.fill_between(centers, low, high, color=sip, alpha=0.2, lw=0, label="SIP: 5 % to 95 % of modes and samples")
    axes.plot(centers, mean, color=sip, linestyle=sip_style, lw=2, label="SIP: $K_k h_k$, mean")
    order = np.argsort(k)
    axes.plot(k[order], np.ravel(gain)[order] ** 2, color=dp, linestyle=dp_style, lw=2, label="gradient: $h_k^2$")
    axes.set(xlabel="wavenumber |k|", ylabel="share of the error corrected in one step", ylim=(-0.03, 1.08))
    axes.grid(True, alpha=0.25)
    axes.legend()
    return figure


def _show(axes: Axes, values: np.ndarray, colors: str, low: float, high: float) -> AxesImage:
    axes.set(xticks=[], yticks=[])
    return axes.imshow(values.T, origin="lower", cmap=colors, vmin=low, vmax=high)
