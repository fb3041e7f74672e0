"""A simulation together with its derivatives, for solvers that need both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from phiml import math
from phiml.backend import choose_backend

from ..compilation.host_random import RandomNumbersError, without_random_numbers
from ..compilation.inputs import that_remembers_nothing
from ..contract.physics import InvertiblePhysics
from ..frameworks import operations_of
from ..states import trees
from ..states.scales import StateScales
from .derivatives import differentiating_backend
from .least_squares import LeastSquares, check_real, not_repeatable
from .vectors import Vectors


@dataclass(frozen=True, eq=False)
class Simulation:
    """
    P(x), d ↦ J d and v ↦ Jᵀ v with J = ∂P/∂x at x, of one simulation.

    Attributes:
        problem: What the rows of native matrices mean.
        start: x, one row per batch entry.
        rows: P(x).
        push, pull: J d and Jᵀ v.
    """

    problem: LeastSquares
    start: Any
    rows: Any
    push: Callable[[Any], Any]
    pull: Callable[[Any], Any]

    @staticmethod
    def of(physics: InvertiblePhysics, x: Any) -> Simulation | None:
        """
        Simulates x; returns `None` where the caller should simulate by itself: outside of graphs on frameworks that
        compile, where x is not of a framework that differentiates, and where parameters of the physics have batch dims
        that x has not.

        Raises:
            UnsupportedError: if a leaf is not real floating point, or the framework cannot differentiate.
        """
        check_real(x)
        backend = differentiating_backend(x)
        operations = operations_of(backend)
        is_other = choose_backend(*trees.natives(x)) is not backend
        if is_other or (operations.COMPILES and all(leaf.available for leaf in trees.leaves(x))):
            return None
        entries = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(x)))
        states, precision = Vectors(x, entries, backend).without_values(), trees.precision_of(x)
        states = replace(states, scales=StateScales(physics.x_scale))
        made: list[Vectors] = []

        def simulate(rows: Any) -> Any:
            y = traced.forward(states.unpack(rows))
            check_real(y)
            if any(leaf.shape.batch not in entries for leaf in trees.leaves(y)):
                raise _MoreEntriesError
            made.append(Vectors(y, entries, backend).without_values())
            return made[-1].pack(y)

        start = states.pack(x)
        traced = that_remembers_nothing(physics) if operations.COMPILES else physics
        alike = without_random_numbers() if operations.COMPILES else nullcontext()
        try:
            with math.precision(precision), alike:
                rows, push, pull = operations.linearize(simulate, start)
        except _MoreEntriesError:
            return None
        except RandomNumbersError as error:
            raise not_repeatable(physics, error) from error
        return Simulation(LeastSquares(physics, states, made[-1], precision), start, rows, push, pull)

    @property
    def y(self) -> Any:
        """P(x), as the physics gives it."""
        return self.problem.observations.unpack(self.rows)


class _MoreEntriesError(Exception):
    """Observations have batch dims that states have not."""
