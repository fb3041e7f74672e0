"""Figures from plain arrays and records of a user's own runs, in colours that all can tell apart."""

from .inversions import plot_damping, plot_reconstructions
from .losses import plot_losses
from .runs import plot_curves, plot_final_errors
from .samples import plot_samples, plot_spectra, plot_uncertainty
from .style import STYLES

__all__ = [
    "STYLES",
    "plot_curves",
    "plot_damping",
    "plot_final_errors",
    "plot_losses",
    "plot_reconstructions",
    "plot_samples",
    "plot_spectra",
    "plot_uncertainty",
]
