"""The situation in which all checks look at a physics: an observation, and guesses around the true state."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.step import SipStep
from ..errors import ParameterError
from ..inversion.operator import sip_inverse
from ..states import order, trees

SIZES = (0.1, 0.01, 0.001)  # of perturbations, relative to x

Array = Any  # of one number per batch entry


class Sample:
    """
    y* = P(x) and inversions from x + ε · noise, each made once. To be made and used in the precision of x.

    Args:
        physics: Physics to check.
        x: Sample states.
        solver: Numerical inverse, or `None` for the physics' own.
        tolerance: Relative tolerance for equality.
        seed: Seed of the perturbation.
    """

    def __init__(
        self, physics: InvertiblePhysics, x: Any, solver: InverseSolver | None, tolerance: float | None, seed: int
    ) -> None:
        batch_dims = [
            name for leaf in trees.leaves(x) for name in leaf.shape.batch.names if leaf.shape.get_size(name) > 1
        ]
        if not batch_dims:
            raise ParameterError("check_physics needs x with a batch dim of size 2 or more: stack several samples.")
        self.physics, self.x, self.solver = physics, x, solver
        self.batch_dim: str = batch_dims[0]
        self.precision = trees.precision_of(x)
        self.tolerance = tolerance or (1e-9 if self.precision > 32 else 1e-4)
        self.rng = np.random.default_rng(seed)
        self.perturbation = self.direction()
        self._steps: dict[float, SipStep] = {}
        self._simulated: dict[float, Any] = {}

    def direction(self) -> Any:
        """Draws noise of the size of x."""
        return trees.tree_map(lambda u: self.noise(u) * math.sqrt(math.mean(u**2, u.shape)), self.x)

    def noise(self, like: Tensor) -> Tensor:
        """Draws normally distributed numbers of variance 1, with the dims of `like`."""
        drawn = like.shape.only(order.canonical(like.shape), reorder=True)
        values = self.rng.standard_normal(drawn.sizes).astype(f"float{self.precision}")
        return order.in_order_of(math.reshaped_tensor(values, [*drawn], convert=False), like.shape)

    def forward(self, x: Any) -> Any:
        """Computes P(x)."""
        return self.physics.forward(x)

    @cached_property
    def y_target(self) -> Any:
        """y* = P(x)."""
        return self.forward(self.x)

    def guess(self, size: float) -> Any:
        """Computes x + ε · noise with ε = `size`."""
        return trees.add(self.x, trees.scale(self.perturbation, size))

    def step(self, size: float = SIZES[0]) -> SipStep:
        """Returns the inversion from `guess(size)`; from the solution for size 0."""
        if size not in self._steps:
            self._steps[size] = self.invert(self.guess(size))
        return self._steps[size]

    def invert(self, x: Any) -> SipStep:
        """Computes the inversion from x."""
        return sip_inverse(self.physics, self.y_target, x, solver=self.solver)

    def misfit(self, x: Any) -> Array:
        """Computes ‖P(x) − y*‖ per batch entry."""
        return self.norm(trees.subtract(self.forward(x), self.y_target))

    def misfits(self, size: float) -> tuple[Array, Array]:
        """Computes ‖P(x) − y*‖ before and after the inversion from `guess(size)`."""
        return self.norm(self.step(size).residual), self.norm(trees.subtract(self._after(size), self.y_target))

    def best_multiple(self, size: float) -> Array:
        """Computes the multiple of the step that explains most, ⟨ΔP, y* − y⟩ / ‖ΔP‖² with ΔP = P(x̃) − P(x)."""
        change = trees.subtract(self._after(size), self.step(size).y)
        square = self.dot(change, change)
        return np.where(square > 0, self.dot(change, self.step(size).residual), np.inf) / np.where(
            square > 0, square, 1
        )

    def _after(self, size: float) -> Any:
        """Returns P(x̃) after the inversion from `guess(size)`."""
        if size not in self._simulated:
            self._simulated[size] = self.forward(self.step(size).x_target)
        return self._simulated[size]

    @cached_property
    def unexplained(self) -> Array:
        """
        The misfit per batch entry that no inversion need lower: twice that of the noise, twice the bias that the
        inverse has at the solution, see `check_rests`, and rounding.
        """
        energy = self.physics.noise_energy(self.y_target)
        noise = 0.0 if energy is None else 2 * np.sqrt(self._per_entry(energy))
        rounding = 64 * float(np.finfo(f"float{self.precision}").eps) * self.norm(self.y_target)
        return np.fmax(np.maximum(noise, rounding), 2 * self.misfits(0.0)[1])

    def dot(self, a: Any, b: Any) -> Array:
        """Computes ⟨a, b⟩ per batch entry."""
        with math.precision(64):
            pairs = zip(trees.leaves(trees.cast(a, 64)), trees.leaves(trees.cast(b, 64)), strict=True)
            return sum(self._per_entry(math.sum(u * v, math.merge_shapes(u, v).non_batch)) for u, v in pairs)

    def norm(self, tree: Any) -> Array:
        """Computes ‖tree‖ per batch entry."""
        return np.sqrt(self.dot(tree, tree))

    def _per_entry(self, tensor: Tensor) -> Array:
        return math.expand(tensor, self._entries).numpy([self._entries]).astype(float)

    @cached_property
    def _entries(self) -> Any:
        states = (*trees.leaves(self.x), *trees.leaves(self.y_target))
        return math.merge_shapes(*(leaf.shape.batch for leaf in states))


def total(values: Array) -> float:
    """Computes ‖tree‖ from its norms per batch entry."""
    return float(np.linalg.norm(values))
