"""What is known of the state of each batch entry where physics is linearized: exactly, or by iterations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..compilation.iterations import Algorithm
from ..gaussian_process import FieldLaw, GridModes, Posteriors, Response, StateGrid
from .least_squares import LeastSquares, run
from .local_response import side_by_side
from .newton_steps import CONFIDENCE
from .posterior_steps import WhitenedSolve

DRAWS = 64  # of the posterior, by which its deviation is known
LEAST = 0.02  # of the values, that are left for noise
SMALLEST = 1e-300  # σ²
SHELLS = 32  # of wave numbers, in which the preconditioner is the same


class MostLikely(NamedTuple):
    """
    The most likely states.

    Attributes:
        states: What they are, native.
        simulations: How many they took, shape (entries, 1).
        left: ‖y* − P(x) − J (x̃ − x)‖², shape (entries, 1), where iterations found them.
    """

    states: Any
    simulations: np.ndarray
    left: np.ndarray | None = None


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
    def most_likely(self, target: Any) -> MostLikely:
        """Computes the most likely states for y*."""

    @abstractmethod
    def noise_left(self, found: MostLikely) -> np.ndarray | None:
        """Computes σ² anew from all values, shape (entries,); `None` if all have been taken account of before."""

    @abstractmethod
    def followed(self) -> np.ndarray:
        """Computes γ, how many values the state follows, shape (entries, 1)."""

    @abstractmethod
    def deviation(self) -> np.ndarray:
        """Computes the standard deviation of the states, shape (entries, columns)."""

    @abstractmethod
    def errors(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws differences of states of the posterior to the most likely ones, shape (entries, count, columns)."""

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
        posteriors: What it is.
    """

    posteriors: Posteriors

    @property
    def noise_variance(self) -> np.ndarray:
        return self.posteriors.noise_variance[:, None]

    def most_likely(self, target: Any) -> MostLikely:
        return MostLikely(self.problem.native(self.posteriors.mean), self.observed[:, None])

    def noise_left(self, found: MostLikely) -> None:
        return None

    def followed(self) -> np.ndarray:
        return self.posteriors.followed()[:, None]

    def deviation(self) -> np.ndarray:
        deviation: np.ndarray = np.sqrt(self.posteriors.variance())
        return deviation

    def errors(self, count: int, rng: np.random.Generator) -> np.ndarray:
        errors: np.ndarray = self.posteriors.draw(count, rng) - self.posteriors.mean[:, None]
        return errors


@dataclass(frozen=True, eq=False)
class WhiteningOfEntry:
    """
    The coordinates in which the prior of one batch entry is white, see `WhitenedSolve`.

    Attributes:
        law: Prior and noise.
        preconditioner: D^(−¼) per column.
        constants: What is added without a prior, shape (components, columns); 0 where the values do not say it.
        start: The state that consists of constants only and explains the values best, per column.
        scale: σ², or 1 where there is neither noise nor signal.
    """

    law: FieldLaw
    preconditioner: np.ndarray
    constants: np.ndarray
    start: np.ndarray
    scale: float

    @staticmethod
    def of(law: FieldLaw, response: Response, values: np.ndarray, grid: StateGrid) -> WhiteningOfEntry:
        """
        Returns the coordinates. D is averaged over shells of wave numbers.

        Args:
            law: Prior and noise.
            response: J for a sample of the values.
            values: The sample, y* − y₀.
            grid: Grid of the state.
        """
        squares = (law.modes.transform(response.rows) ** 2).sum(0) * (response.observed / len(response.rows))
        scale = law.noise_variance if law.noise_variance > SMALLEST else 1.0
        root = (1 + law.power * shell_means(law.modes, squares) / scale) ** -0.25
        largest = (np.sqrt(law.power) * root).max()
        start = response.constants.added(np.zeros((1, len(root))), values[None])[0]
        return WhiteningOfEntry(law, root, largest * response.constants.units(grid), start, scale)


@dataclass(frozen=True, eq=False)
class IterativePosterior(LinearizedPosterior):
    """
    The posterior by conjugate gradients.

    Attributes:
        entries: Coordinates of each entry.
        solve: The conjugate gradients.
    """

    entries: Sequence[WhiteningOfEntry]
    solve: WhitenedSolve

    @property
    def noise_variance(self) -> np.ndarray:
        return np.array([[entry.law.noise_variance] for entry in self.entries])

    def most_likely(self, target: Any) -> MostLikely:
        start = self.problem.native(np.stack([entry.start for entry in self.entries]))
        states, left, simulations = self._by_modes(self.problem, 1, self.solve.answer, self.x, start, target)
        return MostLikely(states, self.problem.numpy(simulations), self.problem.numpy(left))

    def noise_left(self, found: MostLikely) -> np.ndarray:
        """
        Computes σ² = ‖y* − P(x̃)‖² / (n − γ), with γ values that the state follows.

        Source: MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, eqs. 4.8–4.11.
        """
        count = self.observed[:, None]
        free = np.clip(count - self.followed(), LEAST * count, count)
        variance: np.ndarray = (np.asarray(found.left) / free)[:, 0]
        return variance

    def followed(self) -> np.ndarray:
        """
        Computes γ, which white noise tells, the same for all entries.

        Source: Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix", 1989.
        """
        noise = np.random.default_rng(0).standard_normal(self.problem.observations.size)
        natives = self.x, self.problem.native(np.tile(noise, (len(self.entries), 1)))
        followed, _ = self._by_modes(self.problem, 1, self.solve.explained, *natives)
        return self.problem.numpy(followed)

    def deviation(self) -> np.ndarray:
        """Computes the standard deviation of the states from draws that are the same always, and for all entries."""
        squares = self._errors(1, DRAWS, np.random.default_rng(0)) ** 2
        deviation: np.ndarray = np.sqrt(squares.mean(1))
        return deviation

    def errors(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return self._errors(len(self.entries), count, rng)

    def _errors(self, drawing: int, count: int, rng: np.random.Generator) -> np.ndarray:
        """
        Computes what iterations miss of drawn states with drawn noise, shape (entries, count, columns).

        Args:
            drawing: How many entries draw, all or one for all.
            count: How many states of each.
            rng: Where the numbers come from.
        """
        entries = len(self.entries)
        deviations = np.sqrt(np.stack([entry.law.mean_power for entry in self.entries]))[:, None]
        sigma = np.sqrt(self.noise_variance)[:, None]
        wide, copies = side_by_side(self.problem, self.x, count)
        x, found = wide.states.pack(wide.states.template), []
        white = rng.standard_normal((drawing, count, wide.states.size + wide.observations.size))  # however many at once
        for start in range(0, count, copies):
            own = np.take(white, range(start, start + copies), 1, mode="wrap")
            parts = deviations * own[..., : wide.states.size], sigma * own[..., wide.states.size :]
            natives = [wide.native(drawn.reshape(entries * copies, -1)) for drawn in parts]
            (error,) = self._by_modes(wide, copies, self.solve.error, x, *natives)
            found.append(wide.numpy(error).reshape(entries, copies, -1))
        return np.concatenate(found, 1)[:, :count]

    def _by_modes(
        self, problem: LeastSquares, copies: int, make: Callable[[LeastSquares], Algorithm], *natives: Any
    ) -> tuple[Any, ...]:
        """
        Runs an algorithm (natives…, deviations, D^(−¼), constants, 1/σ, matrices of the modes…) by the modes of each
        entry.

        Args:
            problem: That of so many copies of each entry.
            copies: How many.
            make: Builds the algorithm.
            *natives: Its first arguments.
        """
        deviations = np.sqrt(np.stack([entry.law.power for entry in self.entries]))
        preconditioner = np.stack([entry.preconditioner for entry in self.entries])
        constants = np.stack([entry.constants for entry in self.entries])
        weight = np.array([[entry.scale] for entry in self.entries]) ** -0.5
        parts = deviations, preconditioner, constants, weight
        law = [problem.native(np.repeat(rows, copies, 0)) for rows in parts]
        modes_of, found = [entry.law.modes for entry in self.entries], ()
        for modes in dict.fromkeys(modes_of):
            result = run(make, self.solve, problem, *natives, *law, *map(problem.native, modes_per_axis(modes)))
            own = np.repeat([[other == modes] for other in modes_of], copies, 0)
            where = partial(problem.backend.where, problem.backend.as_tensor(own))
            found = tuple(map(where, result, found or result))
        return found


def shell_means(modes: GridModes, of_modes: np.ndarray) -> np.ndarray:
    """Returns for each mode the mean over those whose wave number is about the same."""
    k = np.sqrt(modes.k_squared())
    shell = np.minimum((k / max(k.max(), np.finfo(float).tiny) * SHELLS).astype(int), SHELLS - 1)
    mean = np.bincount(shell, of_modes, SHELLS) / np.maximum(np.bincount(shell, minlength=SHELLS), 1)
    means: np.ndarray = mean[shell]
    return means


def modes_per_axis(modes: GridModes) -> Sequence[np.ndarray]:
    """Computes the orthonormal modes of each axis, shape (modes, cells)."""
    sizes = [modes.grid.sizes[axis] for axis in modes.grid.axes]
    return [kind.transform(np.eye(size), 0) for kind, size in zip(modes.kinds, sizes, strict=True)]
