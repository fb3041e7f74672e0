"""Checks of how inversions behave as errors shrink, as units change, and as they are repeated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..inversion.default import correct
from ..states import trees
from .report import NotApplicableError, require
from .sample import SIZES, Sample, total

SOLVED = 0.01  # of the residual: what is left of it then says nothing about scale
HALF = 0.5  # of the residual: solvers whose tolerance is a fraction of x may leave as much of a small error
LEAST_STEP, LONGEST_MULTIPLE = 0.5, 10.0  # best multiples of a step that has the scale of x
LEAST_ORDER = 0.9
REPETITIONS = 5
UNIT = 1024.0  # a power of 2, so that rounding is the same in both units


def check_scale_invariant(sample: Sample) -> str:
    """
    Checks that one inversion is of the right length for large and for small errors.

    The best multiple of the step is between 0.5, below which the residual grows, and 10, and the fraction of the
    residual that is removed does not fall below half.
    """
    removed, before_it = [], None
    for size in SIZES:
        before, after = sample.misfits(size)
        counts = (before > 2 * sample.unexplained) & (after > SOLVED * before)
        multiple = sample.best_multiple(size)[counts]
        wrong = multiple[~((multiple > LEAST_STEP) & (multiple < LONGEST_MULTIPLE))]
        require(
            wrong.size == 0,
            f"At an error of {size:.1%} the best step would be {wrong[0] if wrong.size else 1:.1e} times as long. "
            f"Return a correction in the units of x, J⁻¹ (y* − y) to first order: neither the gradient, whose length "
            f"depends on the units of y, nor a step of fixed length.",
        )
        fraction = 1 - after / np.where(before > 0, before, 1)
        if before_it is not None:
            falls = counts & (after > sample.unexplained) & (fraction < np.minimum(before_it - 0.1, HALF))
            worst = np.argmin(np.where(falls, fraction, np.inf))
            require(
                not falls.any(),
                f"At an error of {size:.1%} an inversion removes {fraction[worst]:.0%} of the residual, at one ten "
                f"times as large {before_it[worst]:.0%}. Let the correction shrink with the residual: "
                f"no steps of fixed length, no thresholds but that of the noise.",
            )
        before_it = fraction
        removed.append(f"{np.min(fraction[counts], initial=1.0):.0%}")
    return f"removes {', '.join(removed)} of errors of 10 %, 1 %, 0.1 %"


def check_units(sample: Sample) -> str:
    """Checks that a numerical inverse finds the same dx for c P(x) = c y*."""
    if sample.solver is None and sample.physics.has_inverse:
        raise NotApplicableError("closed form, whose units are those of its equation")
    x, target, solver = sample.guess(SIZES[-1]), sample.y_target, sample.solver
    y, physics = sample.forward(x), InOtherUnits(sample.physics, UNIT)
    try:
        plain = correct(sample.physics, target, x, y, solver).dx
        scaled = correct(physics, trees.scale(target, UNIT), x, trees.scale(y, UNIT), solver).dx
    except UnsupportedError as reason:
        raise NotApplicableError("the solver needs more than `forward`") from reason
    error = total(sample.norm(trees.subtract(scaled, plain))) / (total(sample.norm(plain)) or 1.0)
    require(
        error < 1e3 * sample.tolerance,
        f"With y in other units, {UNIT:g} P(x) = {UNIT:g} y*, dx differs by {error:.1e}. Make tolerances, thresholds "
        f"and damping of the solver relative to the residual or to J, or use another solver.",
    )
    return f"relative difference {error:.0e}"


def check_order(sample: Sample) -> str:
    """Checks p ≥ 0.9 in ‖P(x̃) − y*‖ ∝ ε^p, where an inversion leaves half of the residual or more."""
    orders, left = [], 0.0
    for large, small in pairwise(SIZES):
        (before_large, at_large), (before, at_small) = sample.misfits(large), sample.misfits(small)
        slow = at_small > np.maximum(sample.unexplained, HALF * before)
        seen = (at_large > SOLVED * before_large) & (at_small > sample.unexplained)
        order = np.log(np.fmax(at_large, sample.unexplained) / np.fmax(at_small, sample.unexplained))
        order = order / np.log(large / small)
        require(
            not (slow & ~(order >= LEAST_ORDER)).any(),
            f"What is left of the residual falls as the error to the power {np.min(order[slow], initial=9):.2f}; it "
            f"should be 2 for Newton-like inverses and 1 for those that remove a fixed fraction. Check derivatives and "
            f"stopping rules of `inverse`, and let `noise_energy` say what cannot be explained.",
        )
        orders.extend(order[slow | seen])
        open_ = before > sample.unexplained
        left = max(left, np.max(at_small[open_] / before[open_], initial=0.0))
    return f"p = {min(orders):.2f}" if orders else f"solved at once, residual × {left:.0e}"


def check_round_trip(sample: Sample) -> str:
    """Checks that ‖P(x̃) − y*‖ falls to half or less by up to five inversions, each from the last one's result."""
    step = sample.step()
    before, after = sample.misfits(SIZES[0])
    enough = np.maximum(SOLVED * before, sample.unexplained)
    count = 1
    while count < REPETITIONS and not (after <= enough).all():
        step = sample.invert(step.x_target)
        after, count = sample.misfit(step.x_target), count + 1
    ratio = after / np.where(before > 0, before, 1)
    require(
        bool(((ratio <= HALF) | (after <= sample.unexplained)).all()),
        f"After {count} inversions, each from the result of the last, the residual is {np.max(ratio):.1e} of what it "
        f"was. Solve for all that y* determines, not for the best-conditioned part alone; check that `inverse` is made "
        f"for P at x, not at some other state; let `noise_energy` say what cannot be explained.",
    )
    return f"residual × {np.max(ratio):.0e} after {count}"


@dataclass(frozen=True, eq=False)
class InOtherUnits(InvertiblePhysics):
    """c P(x), without a closed form."""

    name: ClassVar[str] = "in-other-units"

    physics: InvertiblePhysics
    unit: float

    @property
    def is_linear(self) -> bool:
        return self.physics.is_linear

    def forward(self, x: Any) -> Any:
        return trees.scale(self.physics.forward(x), self.unit)

    @property
    def default_solver(self) -> str | None:
        return self.physics.default_solver

    @property
    def rule_of_state(self) -> Any:
        return self.physics.rule_of_state

    @property
    def noise_std(self) -> Any:
        std = getattr(self.physics, "noise_std", None)
        return std * self.unit if isinstance(std, (Real, Tensor)) else None

    def noise_energy(self, y: Any) -> Tensor | None:
        energy = self.physics.noise_energy(trees.scale(y, 1 / self.unit))
        return None if energy is None else energy * self.unit**2
