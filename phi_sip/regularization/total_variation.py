"""Total variation: a prior of flat regions with sharp edges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any, ClassVar

from phiml import math
from phiml.backend import Backend
from phiml.math import EMPTY_SHAPE, Shape, Tensor, spatial

from ..compilation import keys
from ..compilation.iterations import Algorithm, CompiledIterations
from ..errors import ParameterError
from ..frameworks import operations_of
from ..spectral import SpectralBasis
from ..states.checks import check_count, check_parameter
from .admm import Minimization
from .admm_state import Limits, Observed
from .base import Regularization, SpectralEstimate, SpectralProblem, SpectrumEstimate
from .empirical_bayes import EmpiricalBayes
from .gaussian import posterior_variance

BLOCK = 2**16  # cells that a processor iterates on at once where nothing is compiled, so that they stay in its cache

_compiled = CompiledIterations()


@dataclass(frozen=True)
class TotalVariation(Regularization):
    """
    The state with the least edges that explains the observation:

        x̃ = argmin_x ½ ‖P(x) − y*‖² + λ Σ_a ‖D_a x‖₁,   x ≥ minimum if given

    with D_a the difference between neighbours along axis a. λ is fitted to each observation by the fixed point of its
    evidence, for a prior exp(−λ/σ² Σ‖D x‖₁) and γ modes that the data determine, S_k being that of `EmpiricalBayes`:

        λ = 1.5 σ² γ / Σ_a ‖D_a x‖₁,   γ = Σ_k S_k h_k² / (S_k h_k² + σ²)

    by the alternating direction method of multipliers, z = D x and v = x split off, over-relaxed, with the step for x
    solved exactly in the modes. Every batch entry stands for itself, and x̃ depends on y* alone. On data with edges it
    goes well below what any linear rule can; on smooth fields it is worse (`docs/noise.md`). The
    uncertainty is that of the linear posterior with the spectrum S_k, larger than the error where there are edges.

    Args:
        minimum: Least value that x may have, e.g. 0.0 for concentrations; `None`: any.
        strength: Factor on λ, > 0.
        iterations: At most this many; 14 are within a few percent of convergence.
        tolerance: Stops when x changes by less than this fraction of its fluctuation in every batch entry; 0: never.
        single: Whether the iterations run in single precision on data in double, with what the data say in theirs:
            twice as fast, and x̃ is the same but for some 1e-6 of its fluctuation.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Rudin, Osher, Fatemi, "Nonlinear Total Variation Based Noise Removal Algorithms", Physica D 60, 1992;
    Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.1, 3.4.3 (algorithm);
    MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, eq. 4.11 (λ).
    """

    name: ClassVar[str] = "total-variation"

    minimum: float | None = None
    strength: float = 1.0
    iterations: int = 14
    tolerance: float = 1e-3
    single: bool = False

    def __post_init__(self) -> None:
        check_parameter("TotalVariation", "strength", self.strength, positive=True)
        check_parameter("TotalVariation", "tolerance", self.tolerance)
        check_count("TotalVariation", "iterations", self.iterations)
        if not isinstance(self.single, bool):
            raise ParameterError(f"TotalVariation: single = {self.single!r}. Give True or False.")
        if self.minimum is not None and not (isinstance(self.minimum, Real) and isfinite(self.minimum)):
            raise ParameterError(f"TotalVariation: minimum = {self.minimum}, but it must be a finite number or None.")

    def admissible(self, values: Tensor) -> Tensor:
        return values if self.minimum is None else math.maximum(values, self.minimum)

    @property
    def control(self) -> Regularization:
        return EmpiricalBayes()

    @property
    def for_networks(self) -> TotalVariation:
        return dataclasses.replace(self, single=True)

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        return self.minimize(problem, problem.power_law())

    def minimize(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> SpectralEstimate:
        """Computes the estimate, with γ from the spectrum S_k."""
        coefficients, iterations = self.minimizer(problem, _determined_modes(problem, spectrum.log_power))
        return SpectralEstimate(
            coefficients,
            stats={"iterations": iterations},
            mode_variance=lambda: posterior_variance(problem, spectrum),
        )

    def minimizer(self, problem: SpectralProblem, determined: Tensor) -> tuple[Tensor, Tensor]:
        """
        Computes x̃ for γ = `determined`.

        Returns:
            Coefficients of x̃, and the number of iterations of each batch entry.
        """
        basis, backend = problem.basis, problem.target.default_backend
        floor = math.to_float(math.wrap(self.minimum or 0.0)) - problem.offset
        shape = problem.target.shape & problem.log_gain.shape & problem.noise_power.shape & floor.shape
        rows = shape.without(basis.resolution)
        observed = _observed(problem, determined, floor, rows)
        limits = Limits(self.minimum is not None, self.strength, self.iterations, self.tolerance, self.single)
        found, iterations = _run(limits, basis, backend, observed)
        return (
            math.reshaped_tensor(found, [rows, *basis.modes], convert=False),
            math.reshaped_tensor(iterations, [rows], convert=False),
        )


def _observed(problem: SpectralProblem, determined: Tensor, floor: Tensor, rows: Shape) -> Observed:
    """Returns what is to be explained as native tensors with these rows."""
    basis, backend = problem.basis, problem.target.default_backend

    def native(values: Tensor, sizes: Shape) -> Any:
        """Returns one row per entry, or a single one that stands for all."""
        shared = not values.shape.only(rows)
        whole = math.expand(math.convert(values, backend), sizes if shared else rows & sizes)
        return backend.as_tensor(whole.native([EMPTY_SHAPE if shared else rows, *sizes.names]))

    ones = spatial(**dict.fromkeys(basis.resolution.names, 1))
    white = math.expand(math.to_float(math.wrap(0.0)), ones)
    log_power = white if problem.log_power is None else math.expand(problem.log_power, basis.modes)
    return Observed(
        backend.as_tensor(math.expand(problem.target, rows & basis.modes).native([rows, *basis.modes.names])),
        native(problem.log_gain, basis.modes),
        native(math.expand(problem.noise_power, ones), ones),
        native(math.expand(determined, ones), ones),
        native(floor, basis.resolution),
        native(log_power, log_power.shape.only(basis.resolution)),
    )


def _run(limits: Limits, basis: SpectralBasis, backend: Backend, observed: Observed) -> tuple[Any, ...]:
    """Computes the minimization, compiled where the framework compiles, once for each kind of problem."""

    def make(_: Any) -> Algorithm:
        return lambda *data: Minimization(limits, basis, backend, Observed(*data)).run()

    def settings() -> Hashable:
        return keys.of_value((limits, basis.resolution, basis.size, basis.sides))

    framework = operations_of(backend)
    if framework.COMPILES:
        return _compiled.run(backend, framework.compile, make, settings, *observed)
    on_processor = backend.get_device(observed.target).device_type == "CPU"
    if not on_processor or not all(backend.is_available(native) for native in observed):
        return make(None)(*observed)
    return _in_blocks(make(None), basis, backend, observed)


def _in_blocks(
    minimize: Callable[..., Any], basis: SpectralBasis, backend: Backend, observed: Observed
) -> tuple[Any, ...]:
    """Computes some rows after the other: where nothing is compiled, each operation passes over all of its data. A GPU
    is given all rows at once, as there each operation costs the same for few rows as for many."""
    size = max(1, BLOCK // basis.resolution.volume)
    starts = range(0, observed.target.shape[0], size)
    blocks = [minimize(*(v if v.shape[0] == 1 else v[i : i + size] for v in observed)) for i in starts]
    return tuple(backend.concat(parts, 0) for parts in zip(*blocks, strict=True))


def _determined_modes(problem: SpectralProblem, log_spectrum: Tensor) -> Tensor:
    """Computes γ, how many modes of x the data determine, at least 1."""
    log_ratio = log_spectrum + 2 * problem.log_gain - math.log(problem.noise_power)
    informed = (1 - problem.is_constant) / (1 + math.exp(-math.maximum(log_ratio, -80.0)))
    return math.maximum(problem.basis.sum(informed), 1.0)
