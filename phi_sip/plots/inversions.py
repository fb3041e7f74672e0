"""Reconstructed states, and which modes an inverse corrects, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from .style import STYLES, show_cells


def plot_reconstructions(
    truth: np.ndarray, observation: np.ndarray, predictions: Mapping[str, np.ndarray], quantity: str = "heat"
) -> Figure:
    """
    Draws reconstructions next to the truth, with their errors below.

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
        heat = show_cells(grid[0, column], value, "inferno", low, high)
        grid[0, column].set_title(name)
        if name not in errors:
            grid[1, column].axis("off")
            continue
        difference = show_cells(grid[1, column], errors[name], "RdBu_r", -largest, largest)
        grid[1, column].set_title(f"error, ½‖·‖² = {0.5 * np.sum(errors[name] ** 2):.1f}")
    figure.colorbar(heat, ax=grid[0, :], label=quantity, shrink=0.9)
    if errors:
        figure.colorbar(difference, ax=grid[1, :], label="x − x*", shrink=0.9)
    return figure


def plot_damping(wavenumber: np.ndarray, gain: np.ndarray, recovered: np.ndarray) -> Figure:
    """
    Draws the share of the error in each mode that one step corrects.

    A local inverse is compared with the gradient through the physics.

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
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
