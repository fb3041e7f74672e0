"""Priors on what is split off from x, whose mode is found by iterations on the whole grid."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any, ClassVar, NamedTuple, TypeVar

from phiml import math
from phiml.backend import Backend
from phiml.math import EMPTY_SHAPE, Shape, Tensor, spatial

from ..compilation import keys
from ..compilation.iterations import Algorithm, CompiledIterations, repeat
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
Self = TypeVar("Self", bound="SplitPrior")

_compiled = CompiledIterations()


@dataclass(frozen=True)
class SplitPrior(Regularization):
    """
    The mode of the posterior of a prior exp(−λ/σ² ‖A x‖₁), by the alternating direction method of multipliers: z = A x
    is split off, over-relaxed, with the step for x solved exactly in the modes. Every batch entry stands for itself,
    and x̃ depends on y* alone. The uncertainty is that of the linear posterior with the spectrum of `EmpiricalBayes`.

    Attributes:
        minimization: The algorithm.
        minimum, strength, iterations, tolerance, single: See `TotalVariation` and `Sparse`.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.1, 3.4.3.
    """

    minimization: ClassVar[type[Minimization]]

    minimum: float | None = None
    strength: float = 1.0
    iterations: int = 14
    tolerance: float = 1e-3
    single: bool = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_parameter(name, "strength", self.strength, positive=True)
        check_parameter(name, "tolerance", self.tolerance)
        check_count(name, "iterations", self.iterations)
        if not isinstance(self.single, bool):
            raise ParameterError(f"{name}: single = {self.single!r}. Give True or False.")
        if self.minimum is not None and not (isinstance(self.minimum, Real) and isfinite(self.minimum)):
            raise ParameterError(f"{name}: minimum = {self.minimum}, but it must be a finite number or None.")

    @abstractmethod
    def number(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
        """Computes the number that λ depends on, per batch entry."""

    def admissible(self, values: Tensor) -> Tensor:
        return values if self.minimum is None else math.maximum(values, self.minimum)

    @property
    def control(self) -> Regularization:
        return EmpiricalBayes()

    @property
    def for_networks(self: Self) -> Self:
        return dataclasses.replace(self, single=True)

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        return self.minimize(problem, problem.power_law())

    def minimize(
        self, problem: SpectralProblem, spectrum: SpectrumEstimate, wanted: Tensor | None = None
    ) -> SpectralEstimate:
        """
        Computes the estimate, with λ and the uncertainty from the spectrum S_k.

        Args:
            problem: Observation.
            spectrum: S_k.
            wanted: 1 for batch entries that are to be computed, 0 for those of which 0 is returned. Default: all.
        """
        coefficients, iterations = self.minimizer(problem, self.number(problem, spectrum), wanted)
        return SpectralEstimate(
            coefficients,
            stats={"iterations": iterations},
            mode_variance=lambda: posterior_variance(problem, spectrum),
        )

    def minimizer(
        self, problem: SpectralProblem, number: Tensor, wanted: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Computes x̃ for `number`.

        Returns:
            Coefficients of x̃, and the number of iterations of each batch entry.
        """
        basis, backend = problem.basis, problem.target.default_backend
        floor = math.to_float(math.wrap(self.minimum or 0.0)) - problem.offset
        shape = problem.target.shape & problem.log_gain.shape & problem.noise_power.shape & floor.shape
        rows = shape.without(basis.resolution)
        chosen = math.to_float(math.wrap(1.0)) if wanted is None else wanted
        observed = _observed(problem, number, floor, chosen, rows)
        limits = Limits(self.minimum is not None, self.strength, self.iterations, self.tolerance, self.single)
        found, iterations = _run(self.minimization, limits, basis, backend, observed, maybe_none=wanted is not None)
        return (
            math.reshaped_tensor(found, [rows, *basis.modes], convert=False),
            math.reshaped_tensor(iterations, [rows], convert=False),
        )


class _Found(NamedTuple):
    """
    What a minimization has found.

    Attributes:
        wanted: Which rows are still to be computed, shape (rows,).
        coefficients: Those of x̃, shape (rows, *modes).
        iterations: Shape (rows,).
    """

    wanted: Any
    coefficients: Any
    iterations: Any


def _observed(problem: SpectralProblem, number: Tensor, floor: Tensor, wanted: Tensor, rows: Shape) -> Observed:
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
        native(math.expand(number, ones), ones),
        native(floor, basis.resolution),
        native(log_power, log_power.shape.only(basis.resolution)),
        native(math.expand(wanted, ones), ones),
    )


def _run(
    method: type[Minimization],
    limits: Limits,
    basis: SpectralBasis,
    backend: Backend,
    observed: Observed,
    *,
    maybe_none: bool,
) -> tuple[Any, ...]:
    """
    Computes the minimization, compiled where the framework compiles, once for each kind of problem. Where `maybe_none`,
    it is skipped if no row is wanted, by a loop that is run once or never, as all frameworks have loops.
    """

    def minimize(*data: Any) -> tuple[Any, ...]:
        return method(limits, basis, backend, Observed(*data)).run()

    def minimize_if_wanted(*data: Any) -> tuple[Any, ...]:
        seen, axes = Observed(*data), (1,) * basis.resolution.rank
        rows = backend.reshape(backend.cast(seen.wanted, backend.dtype(seen.noise)), (-1,))
        rows = backend.tile(rows, (seen.target.shape[0],)) if rows.shape[0] == 1 else rows

        def once(state: _Found) -> _Found:
            """With data that depend on the state: compilers compute in advance what a loop does not change."""
            wanted = backend.cast(backend.reshape(state.wanted, (-1, *axes)), backend.dtype(seen.target))
            return _Found(state.wanted & False, *minimize(*seen._replace(target=seen.target * wanted)))

        found = repeat(backend, once, _Found(rows > 0, seen.target * 0, rows * 0), 1)
        return found.coefficients, found.iterations

    def make(_: Any) -> Algorithm:
        return minimize_if_wanted if maybe_none else minimize

    def settings() -> Hashable:
        return keys.of_value((method.name, maybe_none, limits, basis.resolution, basis.size, basis.sides))

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
