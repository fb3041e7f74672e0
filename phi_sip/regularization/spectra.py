"""Power spectra of states: what the Wiener filter takes as its prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..errors import GridMismatchError, ParameterError, UnsupportedError
from ..spectral import SpectralBasis
from ..states import order
from ..states.checks import check_parameter
from .base import power


class Spectrum(ABC):
    """Expected power S_k = E|x̂_k|² of the orthonormal coefficients of x."""

    @abstractmethod
    def log_power(self, basis: SpectralBasis) -> Tensor:
        """Computes log S_k of the modes of `basis`."""


@dataclass(frozen=True)
class PowerLaw(Spectrum):
    """
    S_k = amplitude · |k|^(−exponent), the mode k = 0 left out.

    Args:
        amplitude: Power at |k| = 1 / length, > 0, in units of x².
        exponent: Decay; 0 is white noise.
    """

    amplitude: float
    exponent: float

    def __post_init__(self) -> None:
        check_parameter("PowerLaw", "amplitude", self.amplitude, positive=True)
        check_parameter("PowerLaw", "exponent", self.exponent)

    def log_power(self, basis: SpectralBasis) -> Tensor:
        return math.to_float(math.log(self.amplitude) - self.exponent * log_wavenumber(basis))


@dataclass(frozen=True)
class MeasuredSpectrum(Spectrum):
    """
    S_k = mean |x̂_k|² over samples.

    Attributes:
        power: S_k per mode of `basis`; other dims, e.g. components, are kept.
        basis: Where it was measured.

    Raises:
        UnsupportedError: if these are something else.
    """

    power: Tensor
    basis: SpectralBasis

    def __post_init__(self) -> None:
        if not isinstance(self.power, Tensor) or not isinstance(self.basis, SpectralBasis):
            raise UnsupportedError(
                f"MeasuredSpectrum: power is a {type(self.power).__name__}, basis a {type(self.basis).__name__}. "
                f"Measure it: MeasuredSpectrum.of(samples)."
            )

    @staticmethod
    def of(samples: Field) -> MeasuredSpectrum:
        """
        Computes the spectrum of sample states.

        Args:
            samples: States x on a uniform grid, with a batch dim; dozens of samples or more.

        Raises:
            ParameterError: if there is no batch dim of size 2 or more.
            BoundaryError: if the boundary has no basis.
        """
        if samples.shape.batch.volume < 2:
            raise ParameterError(
                f"A spectrum is the mean over samples, but samples have the shape {samples.shape}. Stack dozens of "
                f"typical states along a batch dim, e.g. math.stack(states, batch('samples'))."
            )
        basis = SpectralBasis.of(samples)
        found = math.mean(power(basis.transform(samples.values)), samples.shape.batch)
        return MeasuredSpectrum(found, basis)

    def log_power(self, basis: SpectralBasis) -> Tensor:
        same = basis.sides == self.basis.sides and basis.resolution == self.basis.resolution
        if not same or not math.close(basis.size, self.basis.size):
            raise GridMismatchError(
                f"The spectrum was measured on a grid of {self.basis.resolution} with size {self.basis.size} and "
                f"sides {self.basis.sides}, but y* lives on {basis.resolution} with size {basis.size} and sides "
                f"{basis.sides}. Measure it on samples of the same grid."
            )
        smallest = 1e-30 if self.power.dtype.precision == 32 else 1e-250
        return math.log(math.maximum(self.power, smallest))


def log_wavenumber(basis: SpectralBasis) -> Tensor:
    """Computes log |k| in float64; 0 for k = 0."""
    with math.precision(64):
        k_squared = basis.k_squared()
        return 0.5 * math.log(order.where(k_squared > 0, k_squared, 1.0))
