"""The heat equation: diffusion of a field, and its regularized inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..noise import NoiseLaw
from ..regularization import Regularization
from ..regularization.noise import EmptyModes
from ..spectral import SpectralBasis
from ..spectral.steady_state import steady_state
from ..states.checks import check_axes, check_parameter
from .spectral import SpectralPhysics

GIVEN = ("diffusivity", "time")


@dataclass(frozen=True)
class HeatEquation(SpectralPhysics):
    """
    Heat conduction ∂u/∂t = ∇·(ν ∇u) from x = u(0) to y = u(t), exact in the eigenfunctions φ_k of the domain:

        F(y − w)_k = F(x − w)_k · h_k,   h_k = exp(−t Σ_a ν_a k_a²)
        x̃ = x + F⁻¹(K_k · F(y* − y)),    K_k → 1 / h_k where the observation holds signal

    with F the transform of the boundary condition, and w the steady state that has the fixed boundary values (0 if they
    are 0), see `steady_state`:

    | boundary of an axis of length L | φ_k | k |
    |---|---|---|
    | `PERIODIC` | exp(i k x) | 2π n / L |
    | `ZERO_GRADIENT` or `SYMMETRIC`: insulated | cos(k x), n = 0, 1, … | π n / L |
    | a number c: u = c at the outer faces | sin(k x), n = 1, 2, … | π n / L |
    | one side insulated, one fixed | cos(k x) or sin(k x), n = 0, 1, … | π (n + ½) / L |

    and products of these, as in `boundary={"x": PERIODIC, "y": (0, ZERO_GRADIENT)}`.

    1 / h_k grows without bound: at ν t = 8 cells² modes shorter than about seven cells are lost in double-precision
    rounding. `regularization` decides from the data, mode by mode, how far to invert.

    Works on centered and periodic staggered grids in any number of spatial dims, with any resolution and cell size,
    any batch dims, scalar or vector-valued. Where no side is fixed the mean is conserved: `constrain` gives x the mean
    of y*.

    Args:
        diffusivity: ν in length² / time, ≥ 0; a number, or a tensor with batch dims. A channel dim `vector` that names
            the axes gives each axis its own, e.g. `math.vec(x=1.0, y=0.25)`.
        time: Duration t ≥ 0; a number, or a tensor with batch dims. A channel dim gives several observation times:
            `math.tensor([2.0, 8.0], channel("times"))`. y then has that dim, and x has it not; pass `predict` in
            training.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y; a number, or a tensor with batch
            dims; 0 is nothing but rounding. Default `"auto"`: measured in each observation, in the modes that the
            physics has emptied, see `EmptyModes`; `EmptyModes(pooled=True)` measures it in the whole batch.
        regularization: Rule that keeps the inverse stable. Default: `CrossValidated()`.
        noise: How the noise is distributed, by name or as an object: `PoissonNoise()`, `MultiplicativeNoise()`,
            `NoisePerCell(std)`, `ColoredNoise(spectrum)`, `Outliers()`. `noise_std` is then the root mean square of all
            noise, unless the law says it. Default: white and Gaussian.

    Raises:
        ParameterError: if a parameter is negative, not finite, or has other dims than these; by `forward` and
            `inverse`, if `diffusivity` names other axes than the grid has.
        BoundaryError: by `forward` and `inverse`, for any other boundary, and for staggered grids unless periodic.
        UnsupportedError: by `forward` and `inverse`, if given anything but a `Field` on a uniform grid.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    heat-equation experiment; the modes: separation of variables.
    """

    name: ClassVar[str] = "heat"
    diffusivity: float | Tensor
    time: float | Tensor
    noise_std: float | Tensor | EmptyModes | str = "auto"
    regularization: Regularization | None = None
    noise: NoiseLaw | str | None = None

    def __post_init__(self) -> None:
        check_parameter("HeatEquation", "diffusivity", self.diffusivity, per_axis=True)
        check_parameter("HeatEquation", "time", self.time, other_dims=1)
        self._check_noise_and_rule()

    @property
    def constants(self) -> tuple[str, ...]:  # type: ignore[override]
        """
        ν and t decide in which modes noise is measured, and which ones a rule may leave out. Where σ is given, those
        that differ from sample to sample are inputs of what is compiled: it serves for all batches.
        """
        varying = [] if self.measures_noise else [name for name in GIVEN if _has_batch(getattr(self, name))]
        return tuple(name for name in GIVEN if name not in varying)

    @property
    def _observations(self) -> Shape:
        """The dim of the observation times, if there are several."""
        return self.time.shape.non_batch if isinstance(self.time, Tensor) else EMPTY_SHAPE

    def _log_gain(self, basis: SpectralBasis) -> Tensor:
        """Computes log h_k = −t Σ_a ν_a k_a² in double precision, rounded to the current one."""
        with math.precision(64):
            exponent = -basis.k_squared(self.diffusivity * self.time)
        return math.to_float(exponent)

    def _combination(self, log_gain: Tensor) -> tuple[Tensor, Tensor]:
        """
        Computes weights that make one observation of several, without loss, and its log gain:

            â = Σ_t h_t ŷ_t / g,   g² = Σ_t h_t²,   so that E â = g x̂ and the noise keeps its standard deviation

        Args:
            log_gain: log h_k, with the dim of the observation times if there are several.
        """
        times = self._observations
        if not times:
            return super()._combination(log_gain)
        largest = math.max(log_gain, times)
        combined = largest + 0.5 * math.log(math.sum(math.exp(2 * (log_gain - largest)), times))
        return math.exp(log_gain - combined), combined

    def _offsets(self, basis: SpectralBasis) -> tuple[Tensor, Tensor]:
        """Returns the steady state, for both."""
        steady = steady_state(basis, self.diffusivity)
        return steady, steady

    def _mean_of_state(self, y_target: Field, cells: Shape) -> Tensor:
        """Returns the mean of y*, as the mean is conserved."""
        return math.mean(y_target.values, cells & self._observations)

    def _check_grid(self, field: Field) -> None:
        """
        Checks the axes of `diffusivity`.

        Raises:
            ParameterError: if it names other axes than the grid has.
        """
        check_axes("HeatEquation", "diffusivity", self.diffusivity, field.resolution.names)


def _has_batch(value: float | Tensor) -> bool:
    return isinstance(value, Tensor) and bool(value.shape.batch)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [HeatEquation]
