"""Noise with a known spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Shape, Tensor

from ..errors import ParameterError
from ..regularization import Spectrum
from ..spectral import SpectralBasis
from ..states.parameters import as_tensor
from .base import STD, NoiseLaw

LEAST = 1e-6  # least power of a mode, in units of the mean: no rule divides by less


@dataclass(frozen=True)
class ColoredNoise(NoiseLaw):
    """
    Gaussian noise with a known spectrum, independent from mode to mode:

        n̂_k ~ N(0, σ² v_k),   Σ_k v_k = number of cells

    Modes are divided by √v_k, in which the noise is white: every rule then works as it does for white noise, and so
    does the measurement of σ in modes without signal. `kernel` and `log_gain` in the `stats` are those of the modes so
    divided.

    Args:
        spectrum: v_k up to a factor: `PowerLaw(1.0, 1.0)` for noise of power 1 / |k|, or `MeasuredSpectrum.of(noise)`
            of noise that was recorded without a signal. No v_k counts for less than 1e-6.

    Raises:
        ParameterError: if `spectrum` is no `Spectrum`.
        GridMismatchError: when inverting, if the spectrum was measured on another grid.

    Source: whitening, e.g. Hansen, "Discrete Inverse Problems", SIAM 2010, section 4.8.2.
    """

    name: ClassVar[str] = "colored"

    spectrum: Spectrum

    def __post_init__(self) -> None:
        if not isinstance(self.spectrum, Spectrum):
            raise ParameterError(
                f"ColoredNoise: spectrum is a {type(self.spectrum).__name__}. Give PowerLaw(1.0, exponent), or "
                f"MeasuredSpectrum.of(noise) of recorded noise."
            )

    @property
    def explains_once(self) -> bool:
        return True

    def log_power(self, basis: SpectralBasis) -> Tensor:
        found = self.spectrum.log_power(basis)
        relative = math.exp(found - math.max(found, basis.resolution.names))
        mean = basis.sum(math.expand(relative, basis.modes)) / basis.resolution.volume
        return math.to_float(math.log(math.maximum(relative / mean, LEAST)))

    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        coefficients = basis.transform(normal) * math.exp(0.5 * self.log_power(basis))
        return basis.inverse(coefficients) * as_tensor(known[STD])
