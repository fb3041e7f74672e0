"""The problem that numerical inverses solve: explain an observation, batch entry by batch entry."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from phiml import math
from phiml.backend import Backend, choose_backend, default_backend

from ..compilation.cache import CompiledFunctions
from ..compilation.host_random import RandomNumbersError, without_random_numbers
from ..compilation.inputs import tensors_of, that_remembers_nothing, with_tensors, without_tensors
from ..compilation.keys import grown, lists_in, of_parameters, of_value
from ..compilation.objects import NoKeyError
from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..frameworks import operations_of
from ..states import trees
from .vectors import Vectors


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """
    L(x) = ½ ‖P(x) − y*‖² for each row of native matrices.

    Attributes:
        physics: P.
        states, observations: What the rows of x and y mean.
        precision: Floating point precision in bits.
    """

    physics: InvertiblePhysics
    states: Vectors
    observations: Vectors
    precision: int

    @staticmethod
    def of(physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> LeastSquares:
        """
        The problem for states like `x` and observations like `y`.

        Raises:
            UnsupportedError: if a leaf is not real floating point.
        """
        for leaf in (*trees.leaves(x), *trees.leaves(y)):
            if leaf.dtype.kind is not float:
                raise UnsupportedError(
                    f"Numerical inverses need real floating point states, but found {leaf.dtype}. Give real and "
                    f"imaginary parts as two states, and keep integers as parameters of the physics."
                )
        backend = differentiating_backend(x)
        entries = math.merge_shapes(*(leaf.shape.batch for tree in (y_target, x, y) for leaf in trees.leaves(tree)))
        precision = max(trees.precision_of(x), trees.precision_of(y))
        return LeastSquares(physics, Vectors(x, entries, backend), Vectors(y, entries, backend), precision)

    @property
    def backend(self) -> Backend:
        """Framework of the matrices."""
        return self.states.backend

    def forward(self, x: Any) -> Any:
        """P(x), row by row."""
        with math.precision(self.precision):
            return self.observations.pack(self.physics.forward(self.states.unpack(x)))

    def linearize(self, x: Any) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
        """P(x), d ↦ J d and v ↦ Jᵀ v with J = ∂P/∂x at x."""
        y, push, pull = operations_of(self.backend).linearize(self.forward, x)
        return y, push, pull

    def square(self, rows: Any) -> Any:
        """‖row‖², shape (entries, 1)."""
        return self.backend.sum(rows * rows, 1, keepdims=True)


def differentiating_backend(x: Any) -> Backend:
    """The framework of the state, or the default one if that of the state cannot differentiate."""
    backend = choose_backend(*trees.natives(x))
    if not backend.supports(Backend.jacobian) and default_backend().supports(Backend.jacobian):
        return default_backend()
    return backend


Algorithm = Callable[..., tuple[Any, ...]]  # of native tensors
KEPT = 32  # compiled algorithms

_compiled = CompiledFunctions(KEPT)


def run(
    make: Callable[[LeastSquares], Algorithm], method: Any, problem: LeastSquares, *natives: Any
) -> tuple[Any, ...]:
    """
    Runs the algorithm `make(problem)`, compiled where the framework compiles, once for each kind of problem.

    Args:
        make: Builds the algorithm: a function of native tensors.
        method: The solver, whose options distinguish algorithms.
        problem: What to solve.
        *natives: What the algorithm takes.

    Raises:
        UnsupportedError: if the physics draws random numbers.
    """
    framework = operations_of(problem.backend)
    if not framework.COMPILES:
        return make(problem)(*natives)
    try:
        key = _key(make, method, problem, _compiled.logs)
        lists = [] if key in _compiled else lists_in(problem.physics)
    except NoKeyError:
        return make(problem)(*natives)
    algorithm: Algorithm = _compiled.find(key) or framework.compile(_algorithm(make, problem))
    try:
        result = algorithm(tensors_of(problem.physics, problem.backend), *natives)
    except RandomNumbersError as error:
        raise UnsupportedError(
            f"{type(problem.physics).__name__} cannot be inverted numerically: {error}. Draw noise where the data are "
            f"made, so that the same state has the same observation."
        ) from error
    if key not in _compiled:
        logs = grown(lists)
        with suppress(NoKeyError):  # what was run while it was compiled may have changed what it depends on
            key = _key(make, method, problem, {*_compiled.logs, *map(id, logs)})
        _compiled.keep(key, algorithm, logs)
    return result


def _key(
    make: Callable[[LeastSquares], Algorithm], method: Any, problem: LeastSquares, logs: Container[int]
) -> Hashable:
    return (
        of_value((make, method)),
        of_parameters(problem.physics, logs=logs),
        problem.states.signature,
        problem.observations.signature,
        problem.precision,
    )


def _algorithm(make: Callable[[LeastSquares], Algorithm], problem: LeastSquares) -> Algorithm:
    """The algorithm as a function of the tensors in the physics, too. It keeps no states in memory."""
    physics = without_tensors(problem.physics)
    states, observations = problem.states.without_values(), problem.observations.without_values()
    precision = problem.precision

    def algorithm(tensors: list[Any], *natives: Any) -> tuple[Any, ...]:
        traced = that_remembers_nothing(with_tensors(physics, tensors))
        with without_random_numbers():
            return make(LeastSquares(traced, states, observations, precision))(*natives)

    return algorithm
