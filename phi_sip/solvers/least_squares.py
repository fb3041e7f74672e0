"""The problem that numerical inverses solve: explain an observation, batch entry by batch entry."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..compilation import keys
from ..compilation.host_random import RandomNumbersError
from ..compilation.iterations import Algorithm, CompiledIterations
from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..frameworks import operations_of
from ..states import trees
from ..states.scales import StateScales
from .derivatives import differentiating_backend
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
    def of(physics: InvertiblePhysics, y_target: Any, x: Any, y: Any, *, scaled: bool = False) -> LeastSquares:
        """
        Returns the problem for states like `x` and observations like `y`.

        Args:
            physics, y_target, x, y: See `InverseSolver.solve`.
            scaled: Whether rows of x are in units of `physics.x_scale`.

        Raises:
            UnsupportedError: if a leaf is not real floating point.
        """
        check_real(x)
        check_real(y)
        backend = differentiating_backend(x)
        entries = math.merge_shapes(*(leaf.shape.batch for tree in (y_target, x, y) for leaf in trees.leaves(tree)))
        precision = max(trees.precision_of(x), trees.precision_of(y))
        states = Vectors(x, entries, backend, StateScales(physics.x_scale) if scaled else None)
        return LeastSquares(physics, states, Vectors(y, entries, backend), precision)

    @property
    def backend(self) -> Backend:
        """Framework of the matrices."""
        return self.states.backend

    def native(self, rows: np.ndarray) -> Any:
        """Returns the native matrix of NumPy values."""
        return self.backend.as_tensor(rows.astype(f"float{self.precision}"))

    def numpy(self, native: Any) -> np.ndarray:
        """Returns the NumPy values of a native matrix, in double precision."""
        rows: np.ndarray = np.asarray(self.backend.numpy(native), np.float64)
        return rows

    def forward(self, x: Any) -> Any:
        """Computes P(x), row by row."""
        with math.precision(self.precision):
            return self.observations.pack(self.physics.forward(self.states.unpack(x)))

    def linearize(self, x: Any) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
        """Computes P(x), d ↦ J d and v ↦ Jᵀ v with J = ∂P/∂x at x."""
        y, push, pull = operations_of(self.backend).linearize(self.forward, x)
        return y, push, pull

    def square(self, rows: Any) -> Any:
        """Computes ‖row‖², shape (entries, 1)."""
        return self.backend.sum(rows * rows, 1, keepdims=True)

    def ratio(self, a: Any, b: Any, otherwise: Any = 0.0) -> Any:
        """Computes a / b where b > 0, and returns `otherwise` elsewhere; all of one shape."""
        where = self.backend.where
        return where(b > 0, a / where(b > 0, b, b * 0 + 1), a * 0 + otherwise)

    def per_entry(self, column: Any) -> Tensor:
        """Returns the tensor with the dims of the rows for one value per row, shape (entries, 1)."""
        return math.reshaped_tensor(self.backend.reshape(column, (-1,)), [self.states.entries], convert=False)


def check_real(tree: Any) -> None:
    """Raises `UnsupportedError` if a leaf is not real floating point."""
    for leaf in trees.leaves(tree):
        if leaf.dtype.kind is not float:
            raise UnsupportedError(
                f"Numerical inverses need real floating point states, but found {leaf.dtype}. Give real and "
                f"imaginary parts as two states, and keep integers as parameters of the physics."
            )


def check_linear(solver: Any, physics: InvertiblePhysics) -> None:
    """Raises `UnsupportedError` if physics is given to a solver of linear ones that does not say that it is."""
    if not physics.is_linear:
        raise UnsupportedError(
            f"{type(solver).__name__} inverts linear physics, but {type(physics).__name__} does not say that it is "
            f"linear. Let its property `is_linear` return True, or use another solver."
        )


_compiled = CompiledIterations()


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

    Returns:
        What the algorithm returns.

    Raises:
        UnsupportedError: if the physics draws random numbers.
    """
    states, observations = problem.states.without_values(), problem.observations.without_values()
    precision = problem.precision

    def algorithm(physics: InvertiblePhysics) -> Algorithm:
        scales = None if states.scales is None else StateScales(physics.x_scale)
        return make(LeastSquares(physics, replace(states, scales=scales), observations, precision))

    def settings() -> Hashable:
        return keys.of_value((make, method)), problem.states.signature, problem.observations.signature, precision

    framework = operations_of(problem.backend)
    compile = framework.compile if framework.COMPILES else None
    try:
        return _compiled.run(problem.backend, compile, algorithm, settings, *natives, physics=problem.physics)
    except RandomNumbersError as error:
        raise not_repeatable(problem.physics, error) from error


def not_repeatable(physics: InvertiblePhysics, error: RandomNumbersError) -> UnsupportedError:
    """Returns the error for physics that draws random numbers."""
    return UnsupportedError(
        f"{type(physics).__name__} cannot be inverted numerically: {error}. Draw noise where the data are made, so "
        f"that the same state has the same observation."
    )
