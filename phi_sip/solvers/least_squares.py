"""The problem that numerical inverses solve: explain an observation, batch entry by batch entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

from phiml import math
from phiml.backend import Backend, choose_backend, default_backend

from .. import trees
from ..errors import UnsupportedError
from ..frameworks import framework_of
from ..physics.base import InvertiblePhysics
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
        y, push, pull = framework_of(self.backend).linearize(self.forward, x)
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


def compiled(make: Callable[[LeastSquares], Algorithm], method: Any, problem: LeastSquares) -> Algorithm:
    """
    The algorithm `make(problem)`, compiled where the framework compiles, once per kind of problem.

    Args:
        make: Builds the algorithm: a function of native tensors.
        method: The solver, whose options distinguish algorithms.
        problem: What to solve; values do not matter.
    """
    key = (
        _signature(method),
        _signature(problem.physics),
        problem.states.signature,
        problem.observations.signature,
        problem.precision,
    )
    return _compiled(_Key(key, make, method, problem))


class _Key:
    """Compares the signature alone, and keeps what it was made from alive."""

    def __init__(self, signature: tuple[Any, ...], make: Any, method: Any, problem: LeastSquares) -> None:
        self.signature, self.make, self.method, self.problem = signature, make, method, problem

    def __hash__(self) -> int:
        return hash(self.signature)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.signature == other.signature


@lru_cache(maxsize=32)
def _compiled(key: _Key) -> Algorithm:
    algorithm: Algorithm = framework_of(key.problem.backend).compile(key.make(key.problem))
    return algorithm


def _signature(item: Any) -> tuple[Any, ...]:
    """Type and plain parameters by value, all else by identity."""
    if not is_dataclass(item):
        return (type(item), id(item))
    values = ((field.name, getattr(item, field.name)) for field in fields(item))
    return (type(item), *((name, v if isinstance(v, (int, float, str, type(None))) else id(v)) for name, v in values))
