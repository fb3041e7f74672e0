"""The Wiener filter: the best linear estimate for a known power spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field
from phiml import math

from ..errors import ParameterError
from .base import SpectralProblem, SpectrumEstimate
from .field_prior import FieldPrior
from .field_spectra import FieldSpectrum
from .gaussian import GaussianPrior
from .spectra import MeasuredSpectrum, Spectrum


@dataclass(frozen=True)
class Wiener(GaussianPrior):
    """
    The best linear estimate of x for a given power spectrum S_k:

        x̃̂_k = S_k h_k / (S_k h_k² + σ²) · â_k

    `Wiener()` fits the spectrum to the batch: power laws weighted by their evidence, see `EmpiricalBayes`, with one
    set of weights for all batch entries, which must then be alike. `Wiener.from_samples(x)` measures it on typical
    states. Its uncertainty is the standard deviation of the posterior, and right if the spectrum is. With a spectrum it
    needs no closed form, see `MaximumAPosteriori`.

    Args:
        spectrum: `PowerLaw`, `MeasuredSpectrum` or another `Spectrum`. Default: fitted to the batch.

    Raises:
        ParameterError: if `spectrum` is something else.
        GridMismatchError: when inverting, if the spectrum was measured on another grid.

    Source: Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series", 1949; as deconvolution:
    Gonzalez, Woods, "Digital Image Processing", section 5.8.
    """

    name: ClassVar[str] = "wiener"

    spectrum: Spectrum | None = None

    def __post_init__(self) -> None:
        if self.spectrum is not None and not isinstance(self.spectrum, Spectrum):
            raise ParameterError(
                f"Wiener: spectrum is a {type(self.spectrum).__name__}. Give PowerLaw(amplitude, exponent), or use "
                f"Wiener.from_samples(x) to measure it, or nothing to fit it to the batch."
            )

    @staticmethod
    def from_samples(samples: Field) -> Wiener:
        """Returns the filter for states like `samples`, see `MeasuredSpectrum.of`."""
        return Wiener(MeasuredSpectrum.of(samples))

    @property
    def field_prior(self) -> FieldPrior | None:
        """The spectrum, if it is given; one that is fitted to a batch needs the modes of a closed form."""
        return None if self.spectrum is None else FieldPrior(gaussian=FieldSpectrum(self.spectrum))

    def spectrum_of(self, problem: SpectralProblem) -> SpectrumEstimate:
        if self.spectrum is None:
            return problem.power_law(pooled=True)
        precision = problem.noise_std.dtype.precision
        log_power = math.cast(self.spectrum.log_power(problem.basis), math.DType(float, precision))
        return SpectrumEstimate(log_power, lambda: log_power)
