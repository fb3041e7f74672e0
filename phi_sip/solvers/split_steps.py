"""The most likely state where something with a prior of its own is split off from it, on native matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import DType

from ..compilation.iterations import Algorithm, repeat
from ..regularization.field_edges import FieldEdges
from ..regularization.field_grid import FieldGrid
from ..regularization.splits import RELAXATION, Bound, Split
from ..spectral.conjugate_gradients import ConjugateGradients
from .least_squares import LeastSquares
from .whitening import Whitening

CHECK_EVERY = 4  # iterations
TOLERANCE = 1e-3  # of σ² γ: what a step for x may leave of its objective
ROUNDING = 10  # units of floating point numbers, of y*: what it may leave in any case
NOTHING = 1e-12  # of the largest curvature: modes of less do not move


class SplitState(NamedTuple):
    """
    Where the iteration is.

    Attributes:
        moving: Which rows go on, shape (rows, 1).
        count: How many iterations each row has done, shape (rows, 1).
        x: The state, in the unit of what is split off, shape (rows, columns).
        left: r − J x, in the same unit, shape (rows, values).
        products: How many products with J or Jᵀ each row took, shape (rows, 1).
        z: What each part has split off, shape (rows, *sizes).
        u: The scaled dual of each part.
    """

    moving: Any
    count: Any
    x: Any
    left: Any
    products: Any
    z: tuple[Any, ...]
    u: tuple[Any, ...]


@dataclass(frozen=True)
class SplitSolve:
    """
    min_x ½ ‖J x − r‖² + λ Σ_a ‖D_a x‖₁, x ≥ minimum if given, by the alternating direction method of multipliers:

        x ← argmin ½ ‖J x − r‖² + ½ ρ Σ ‖A x − (z − u)‖²,   z, u ← what `Split.move` makes of A x

    over-relaxed. The step for x is by conjugate gradients from the last x, in coordinates x = Φᵀ (d + ρ |A|²)^(−½) w
    of the modes Φ of A, with d about diag(Φ JᵀJ Φᵀ).

    Attributes:
        grid: Of the state.
        edges: What is split off.
        inner_iterations: Of each step for x, at most.

    Source: Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.4.3, 4.3.
    """

    grid: FieldGrid
    edges: FieldEdges
    inner_iterations: int

    def answer(self, problem: LeastSquares) -> Algorithm:
        """
        Returns the algorithm that explains y* by the linearization at x:
        (x, y*, d, σ², γ, λ/ρ, |A|², matrices…) ↦ (most likely state, ‖what is left of y*‖², iterations, whether it came
        to rest, products with J or Jᵀ)
        """

        def run(
            x: Any, target: Any, curvature: Any, noise: Any, number: Any, unit: Any, own: Any, *matrices: Any
        ) -> tuple[Any, ...]:
            y, push, pull = problem.linearize(x)
            rounding = ROUNDING * float(np.finfo(f"float{problem.precision}").eps)
            known = rounding**2 * problem.square(target - y + push(x))
            enough = problem.backend.maximum(TOLERANCE * noise * number, known) / unit**2
            iteration = _Iteration(self, problem, push, pull, unit, curvature, own, matrices, enough)
            found = iteration.run(x / unit, (target - y) / unit, noise / unit**2, number)
            state = self.edges.admissible(problem.backend, found.x * unit)
            left = problem.square(target - y - push(state - x))
            return state, left, found.count, ~found.moving, found.products + 4

        return run


@dataclass(frozen=True, eq=False)
class _Iteration:
    """
    The iteration for one problem, all in the unit of what is split off.

    Attributes:
        solve: Its options.
        problem: What is observed.
        push, pull: Products with J and Jᵀ.
        unit: λ/ρ, shape (rows, 1).
        curvature: d, shape (rows, columns).
        own: |A|², shape (1, columns).
        matrices: Modes of each axis.
        enough: Square of the gradient at which a step for x ends, shape (rows, 1).
    """

    solve: SplitSolve
    problem: LeastSquares
    push: Callable[[Any], Any]
    pull: Callable[[Any], Any]
    unit: Any
    curvature: Any
    own: Any
    matrices: tuple[Any, ...]
    enough: Any

    def run(self, x: Any, left: Any, noise: Any, number: Any) -> SplitState:
        """
        Returns the last state.

        Args:
            x: First state.
            left: What it leaves of y*.
            noise: σ².
            number: γ.
        """
        edges, b = self.solve.edges, self.backend
        x, left, products = self._first(x, left, edges.damping(noise))
        split = self._applied(self.parts, x)
        size = least = self._size(split)
        nothing = tuple(part * 0 for part in split)
        state = SplitState(size > 0, size * 0, x, left, products, tuple(split), nothing)
        refits = [refit for refit in edges.refits if refit < edges.iterations]
        for begin, end in pairwise((*refits, edges.iterations)):
            penalty = edges.penalty(b, noise, number, size, least)
            iterate = self._iterate(penalty, begin, stops=end == edges.iterations)
            with math.precision(self.real.precision):  # to which PhiML converts
                state = repeat(b, iterate, state, end - begin)
            size = self._size(state.z)
        return state

    def _first(self, x: Any, left: Any, damping: Any) -> tuple[Any, Any, Any]:
        """Computes min ½ ‖J x − r‖² + ½ μ ‖x − x̄‖², μ = `damping`, what it leaves of y*, and counts products."""
        grid, cells, whole = self.solve.grid, self._cells(x), (Bound(self.backend, None),)
        around = cells * 0
        if grid.holds_constant:
            around = around + self.backend.mean(cells, tuple(axis + 1 for axis in grid.cells.axes), keepdims=True)
        dx, left, products = self._step(x, left, whole, [around], damping, self._root(damping, 1.0))
        return x + dx, left, products

    def _root(self, penalty: Any, own: Any) -> Any:
        """Computes (d + ρ |A|²)^(−½); 0 where that is as good as nothing."""
        b, total = self.backend, self.curvature + penalty * own
        usable = total > NOTHING * b.max(total, 1, keepdims=True)
        return b.where(usable, b.where(usable, total, total * 0 + 1) ** -0.5, total * 0)

    def _iterate(self, penalty: Any, begin: int, *, stops: bool) -> Callable[[SplitState], SplitState]:
        """
        Returns one iteration. If it `stops`, rows come to rest.

        Args:
            penalty: ρ.
            begin: After how many iterations rows may come to rest, at the earliest.
        """
        b, root, still = self.backend, self._root(penalty, self.own), self.solve.edges.still(self.problem.states.size)

        def iterate(state: SplitState) -> SplitState:
            relaxed = self._cells(RELAXATION * state.x)
            pulled = [part.move(relaxed, z, u) for part, z, u in zip(self.parts, state.z, state.u, strict=True)]
            z, u = zip(*pulled, strict=True)
            pull = [one - other for one, other in pulled]
            dx, left, products = self._step(state.x, state.left, self.parts, pull, penalty, root)
            looks = (state.count > begin) & (state.count % CHECK_EVERY == 0)
            going_on = state.moving & (~looks | (self.problem.square(dx) > still)) if stops else state.moving
            now = b.cast(state.moving, self.real)
            left = b.where(state.moving, left, state.left)
            return SplitState(
                going_on, state.count + now, state.x + now * dx, left, state.products + now * products, z, u
            )

        return iterate

    def _step(
        self, x: Any, left: Any, parts: Sequence[Split], pull: Sequence[Any], penalty: Any, root: Any
    ) -> tuple[Any, Any, Any]:
        """
        Computes the change of x to argmin ½ ‖J x − r‖² + ½ ρ Σ ‖A x − pull‖², what that leaves of y*, and how many
        products with J or Jᵀ it took.

        Args:
            x: Where to begin.
            left: r − J x.
            parts: A.
            pull: What they are drawn to.
            penalty: ρ.
            root: See `_root`.
        """
        b, values, white, weight = self.backend, self.problem.observations.size, self._white, penalty**0.5

        def pushed(w: Any) -> Any:
            d = white.state(root * w)
            return b.concat([self.push(d), *(weight * self._flat(part) for part in self._applied(parts, d))], 1)

        def pulled(rows: Any) -> Any:
            gradient, start = self.pull(rows[:, :values]), values
            for part, like in zip(parts, pull, strict=True):
                stop = start + int(np.prod(like.shape[1:]))
                own = b.reshape(b.cast(rows[:, start:stop], b.dtype(like)), like.shape)
                gradient, start = gradient + weight * self._flat(part.adjoint(own)), stop
            return root * white.coefficients(gradient)

        away = [weight * self._flat(there - here) for there, here in zip(pull, self._applied(parts, x), strict=True)]
        method = ConjugateGradients(pushed, pulled, self.problem.square, b.where, tolerance=1.0)
        begin = method.start(b.concat([left, *away], 1))
        end = repeat(b, lambda descent: method.step(descent, self.enough), begin, self.solve.inner_iterations)
        return white.state(root * end.d), end.left[:, :values], 2 * end.count + 1

    def _applied(self, parts: Sequence[Split], x: Any) -> list[Any]:
        """Computes A x of each part."""
        cells = self._cells(x)
        return [part.apply(cells) for part in parts]

    @property
    def backend(self) -> Backend:
        """Framework of the matrices."""
        return self.problem.backend

    @property
    def real(self) -> DType:
        """Type of states."""
        return DType(float, self.problem.precision)

    @cached_property
    def parts(self) -> tuple[Split, ...]:
        """What is split off."""
        ones = [1] * len(self.solve.grid.cells.sizes)
        unit = self.backend.reshape(self.unit, (-1, *ones))
        return self.solve.edges.parts(self.backend, self.solve.grid, self._split(unit))

    @cached_property
    def _white(self) -> Whitening:
        grid = self.solve.grid.cells
        return Whitening(self.backend, grid.sizes, grid.axes, self.matrices, None, None, None)

    def _cells(self, x: Any) -> Any:
        """Returns values per cell, in the type of what is split off."""
        return self._split(self.backend.reshape(x, (-1, *self.solve.grid.cells.sizes)))

    def _split(self, values: Any) -> Any:
        return self.backend.cast(values, DType(float, 32)) if self.solve.edges.single else values

    def _flat(self, cells: Any) -> Any:
        """Returns rows of values, in the type of states."""
        return self.backend.cast(self.backend.reshape(cells, (-1, int(np.prod(cells.shape[1:])))), self.real)

    def _size(self, split: Sequence[Any]) -> Any:
        return self.backend.cast(self.solve.edges.size(self.backend, self.solve.grid, split), self.real)
