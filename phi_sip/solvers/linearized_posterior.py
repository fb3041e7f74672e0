"""What is known of the state of each batch entry where physics is linearized: exactly, or by iterations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..compilation.iterations import Algorithm
from ..gaussian_process import FieldLaw, GridModes, Posterior
from .least_squares import LeastSquares, run
from .local_response import side_by_side
from .newton_steps import CONFIDENCE
from .posterior_steps import WhitenedSolve

DRAWS = 64  # of the posterior, by which its deviation is known


@dataclass(frozen=True, eq=False)
class LinearizedPosterior(ABC):
    """
    The posterior of each batch entry for y ≈ P(x) + J (x' − x).

    Attributes:
        problem: What is observed.
        x: Where physics is linearized, native, shape (entries, columns).
        observed: How many values of each entry depend on the state, shape (entries,).
    """

    problem: LeastSquares
    x: Any
    observed: np.ndarray

    @property
    @abstractmethod
    def noise_variance(self) -> np.ndarray:
        """σ², shape (entries, 1)."""

    @abstractmethod
    def most_likely(self, target: Any) -> tuple[Any, Any]:
        """Computes the most likely states for y*, and how many simulations that took, native."""

    @abstractmethod
    def deviation(self) -> Any:
        """Computes the standard deviation of the states, native."""

    @property
    def noise_energy(self) -> np.ndarray:
        """What the noise may explain, ‖n‖² two standard deviations above its mean, shape (entries, 1)."""
        count = self.observed[:, None]
        energy: np.ndarray = count * self.noise_variance * (1 + CONFIDENCE * np.sqrt(2 / count))
        return energy


@dataclass(frozen=True, eq=False)
class ExactPosterior(LinearizedPosterior):
    """
    The posterior where all values that depend on the state have been linearized.

    Attributes:
        posteriors: That of some entries, one after the other.
    """

    posteriors: Sequence[Posterior]

    @property
    def noise_variance(self) -> np.ndarray:
        return np.concatenate([found.noise_variance for found in self.posteriors])[:, None]

    def most_likely(self, target: Any) -> tuple[Any, Any]:
        means = np.concatenate([found.mean for found in self.posteriors])
        return self.problem.native(means), self.problem.native(self.observed[:, None])

    def deviation(self) -> Any:
        return self.problem.native(np.sqrt(np.concatenate([found.variance() for found in self.posteriors])))


@dataclass(frozen=True, eq=False)
class IterativePosterior(LinearizedPosterior):
    """
    The posterior by conjugate gradients.

    Attributes:
        laws: Prior and noise of each entry.
        preconditioner: D^(−¼), see `WhitenedSolve`, shape (entries, columns).
        solve: The conjugate gradients.
    """

    laws: Sequence[FieldLaw]
    preconditioner: np.ndarray
    solve: WhitenedSolve

    @property
    def noise_variance(self) -> np.ndarray:
        return np.array([[law.noise_variance] for law in self.laws])

    def most_likely(self, target: Any) -> tuple[Any, Any]:
        found, simulations = self._by_modes(self.problem, 1, self.solve.answer, self.x, target)
        return found, simulations

    def deviation(self) -> Any:
        """Computes the standard deviation of the states from draws that are always the same, native."""
        rng, entries = np.random.default_rng(0), len(self.laws)
        wide, copies = side_by_side(self.problem, self.x, DRAWS)
        x = wide.states.pack(wide.states.template)
        total = np.zeros(self.preconditioner.shape)
        for start in range(0, DRAWS, copies):  # the same for all entries, which do not depend on each other
            states = self._deviations[:, None] * rng.standard_normal((copies, wide.states.size))
            noise = np.sqrt(self.noise_variance)[:, None] * rng.standard_normal((copies, wide.observations.size))
            natives = [wide.native(drawn.reshape(entries * copies, -1)) for drawn in (states, noise)]
            (error,) = self._by_modes(wide, copies, self.solve.error, x, *natives)
            squares = wide.numpy(error).reshape(entries, copies, -1)[:, : DRAWS - start] ** 2
            total += squares.sum(1)
        return self.problem.native(np.sqrt(total / DRAWS))

    @property
    def _deviations(self) -> np.ndarray:
        deviations: np.ndarray = np.sqrt(np.stack([law.power for law in self.laws]))
        return deviations

    def _by_modes(
        self, problem: LeastSquares, copies: int, make: Callable[[LeastSquares], Algorithm], *natives: Any
    ) -> tuple[Any, ...]:
        """
        Runs an algorithm (natives…, deviations, D^(−¼), 1/σ, matrices of the modes…) by the modes of each entry.

        Args:
            problem: That of so many copies of each entry.
            copies: How many.
            make: Builds the algorithm.
            *natives: Its first arguments.
        """
        parts = self._deviations, self.preconditioner, self.noise_variance**-0.5
        law = [problem.native(np.repeat(rows, copies, 0)) for rows in parts]
        found: tuple[Any, ...] = ()
        for modes in dict.fromkeys(law.modes for law in self.laws):
            result = run(make, self.solve, problem, *natives, *law, *map(problem.native, _matrices(modes)))
            own = np.repeat([[law.modes == modes] for law in self.laws], copies, 0)
            where = partial(problem.backend.where, problem.backend.as_tensor(own))
            found = tuple(map(where, result, found or result))
        return found


def _matrices(modes: GridModes) -> Sequence[np.ndarray]:
    """Computes the orthonormal modes of each axis, shape (modes, cells)."""
    sizes = [modes.grid.sizes[axis] for axis in modes.grid.axes]
    return [kind.transform(np.eye(size), 0) for kind, size in zip(modes.kinds, sizes, strict=True)]
