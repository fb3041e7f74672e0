"""The heat equation: diffusion of a field, and its regularized inverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor, expand

from .. import trees
from ..checks import check_axes, check_parameter
from ..errors import ParameterError, UnsupportedError
from ..hookspecs import hookimpl
from ..lifting import around_steady_state, steady_state
from ..noise import EmptyModes, NoiseEstimate, resolve_noise
from ..regularization import CrossValidated, Regularization, SpectralProblem
from ..regularization.base import power
from ..spectral import SpectralBasis
from .base import Correction, InvertiblePhysics


@dataclass(frozen=True)
class HeatEquation(InvertiblePhysics):
    """
    Heat conduction ∂u/∂t = ∇·(ν ∇u) from x = u(0) to y = u(t), exact in the eigenfunctions φ_k of the domain:

        F(y − w)_k = F(x − w)_k · h_k,   h_k = exp(−t Σ_a ν_a k_a²)
        x̃ = x + F⁻¹(K_k · F(y* − y)),    K_k → 1 / h_k where the observation holds signal

    with F the transform of the boundary condition, and w the steady state that has the fixed boundary values (0 if they
    are 0), see `lifting.steady_state`:

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

    def __post_init__(self) -> None:
        check_parameter("HeatEquation", "diffusivity", self.diffusivity, per_axis=True)
        check_parameter("HeatEquation", "time", self.time, other_dims=1)
        object.__setattr__(self, "noise_std", resolve_noise("HeatEquation", self.noise_std))
        if self.regularization is not None and not isinstance(self.regularization, Regularization):
            raise ParameterError(
                f"HeatEquation: regularization is a {type(self.regularization).__name__}. Give an object such as "
                f"EmpiricalBayes() or TotalVariation()."
            )

    @property
    def is_linear(self) -> bool:
        """Yes."""
        return True

    @property
    def rule(self) -> Regularization:
        """The regularization in use."""
        return self.regularization or CrossValidated()

    def forward(self, x: Field) -> Field:
        """
        y = w + F⁻¹(h · F(x − w)).

        Args:
            x: Initial heat u(0) as a `Field` on a uniform grid.

        Returns:
            Heat u(t) on the same grid.
        """
        basis = self._basis(x, "x")
        with math.precision(trees.precision_of(x)):
            gain = math.exp(self._log_gain(basis))

            def diffuse(values: Tensor) -> Tensor:
                return basis.inverse(basis.transform(values) * gain)

            return x.with_values(around_steady_state(diffuse, x.values, basis, self.diffusivity))

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """
        Δx = F⁻¹(K · F(y_target − y)) with K from `regularization`; x itself does not matter, as the physics is linear.

        Args:
            y_target: Observed heat at time t.
            x: Initial heat to be corrected.
            y: `forward(x)`.

        Returns:
            `Correction` with `stats`: `kernel` K and `signal_probability` per kept mode, `noise_std` per cell as
            reckoned with, and `log_gain` log h.
        """
        basis = self._basis(y_target, "y_target")
        with math.precision(trees.precision_of(y_target)):
            return self._invert(basis, y_target, x, y)

    def _invert(self, basis: SpectralBasis, y_target: Field, x: Field, y: Field) -> Correction:
        steady = steady_state(basis, self.diffusivity)
        weights, log_gain = _combination(self._log_gain(basis), self._times)
        target = math.sum(weights * basis.transform(y_target.values - steady), self._times)
        noise = self._noise(target, log_gain, basis)
        problem = SpectralProblem(
            target,
            basis.transform(x.values - steady),
            math.sum(weights * basis.transform(y_target.values - y.values), self._times),
            log_gain,
            noise.std,
            basis,
            steady,
        )
        estimate = self.rule.estimate(problem)
        stats = {
            "noise_std": noise.std,
            "noise_relative_error": noise.relative_error,
            "noise_known": noise.known,
            "log_gain": log_gain,
            **estimate.stats,
        }
        return Correction(
            x.with_values(basis.inverse(estimate.correction)), _deviation(x, basis, estimate.variance), stats
        )

    def _noise(self, target: Tensor, log_gain: Tensor, basis: SpectralBasis) -> NoiseEstimate:
        if isinstance(self.noise_std, EmptyModes):
            return self.noise_std.estimate(power(target), log_gain, basis)
        given = math.to_float(math.wrap(self.noise_std))
        return NoiseEstimate(given, given * 0, given >= 0)

    def noise_energy(self, y: Field) -> Tensor | None:
        """σ² times the number of values, where σ is given."""
        if isinstance(self.noise_std, EmptyModes):
            return None
        return math.to_float(math.wrap(self.noise_std)) ** 2 * y.values.shape.non_batch.volume

    def constrain(self, x: Field, y_target: Field) -> Field:
        """x + mean y* − mean x, the mean of every component being conserved; x itself if a side is fixed."""
        basis = self._basis(x, "x")
        self._basis(y_target, "y_target")
        if not basis.conserves_mean:
            return x
        cells = basis.resolution
        with math.precision(trees.precision_of(x)):
            mean = math.mean(y_target.values, cells & self._times)
            return x.with_values(x.values + (mean - math.mean(x.values, cells)))

    def _log_gain(self, basis: SpectralBasis) -> Tensor:
        """log h_k = −t Σ_a ν_a k_a², computed in double precision and rounded to the current one."""
        with math.precision(64):
            exponent = -basis.k_squared(self.diffusivity * self.time)
        return math.to_float(exponent)

    @property
    def _times(self) -> Shape:
        """The dim of the observation times, if there are several."""
        return self.time.shape.non_batch if isinstance(self.time, Tensor) else EMPTY_SHAPE

    def _basis(self, field: Field, name: str) -> SpectralBasis:
        """The basis of the grid of `field`, after checks."""
        if not isinstance(field, Field) or not field.is_grid:
            raise UnsupportedError(
                f"HeatEquation needs {name} as a Field on a uniform grid, which knows its cell size and boundary, but "
                f"got {type(field).__name__}. Make one with CenteredGrid(values, extrapolation.PERIODIC, bounds=...)."
            )
        check_axes("HeatEquation", "diffusivity", self.diffusivity, field.resolution.names)
        return SpectralBasis.of(field)


def _combination(log_gain: Tensor, times: Shape) -> tuple[Tensor, Tensor]:
    """
    Weights that make one observation of several, without loss, and its log gain; both as they are if there is one:

        â = Σ_t h_t ŷ_t / g,   g² = Σ_t h_t²,   so that E â = g x̂ and the noise keeps its standard deviation
    """
    if not times:
        return math.wrap(1.0), log_gain
    largest = math.max(log_gain, times)
    combined = largest + 0.5 * math.log(math.sum(math.exp(2 * (log_gain - largest)), times))
    return math.exp(log_gain - combined), combined


def _deviation(x: Field, basis: SpectralBasis, variance: Callable[[], Tensor] | None) -> Callable[[], Field] | None:
    if variance is None:
        return None
    return lambda: x.with_values(expand(math.sqrt(variance()), basis.resolution))


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [HeatEquation]
