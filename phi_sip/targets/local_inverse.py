"""Scale-invariant physics training as published: the network is drawn to a local inverse of the physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.target import Corrected, Lesson, Random, TargetContext, TrainingTarget
from ..errors import ParameterError
from ..inversion.default import for_training
from ..inversion.operator import invert
from ..inversion.rules import rule_of
from ..regularization.subsampled import Subsampled
from ..states import order, trees

SAMPLES_WITH_EDGES, LEAST_PART = 16, 1 / 8  # in one update: more hardly change its gradient


@dataclass(frozen=True)
class LocalInverse(TrainingTarget):
    """
    Draws the prediction to the state near it that explains the observation better:

        x = f(y*; θ),   x̃ = P⁻¹(y + η (y* − y); x),   L = ½ ‖x − x̃‖²

    It is the default of `sip_update_weights`. Each observation is explained by itself: the network learns to give what
    the inverse gives, and no more.

    Rules that look for edges cost much more than linear ones. In batches of more than 16 samples they are computed for
    16 of them, but at least for an eighth, drawn anew in each update, or for another part p of the batch:

        x̃ = x̃_linear + b/p (x̃_edges − x̃_linear),   b = 1 for a part p of the samples, 0 for the others

    The mean of x̃, and of the gradient, over these draws is that of p = 1. The target of a single sample is not: the
    linear estimate, or a state 1/p times as far from it as the edge-aware one. Losses are those of this target. With
    any p such rules iterate in single precision here, which is that of most networks.

    Args:
        subset: p in (0, 1], for physics whose closed-form inverse obeys a rule with a `control`: `TotalVariation`,
            `Sparse`, and `CrossValidated`, the default of many. Of each micro-batch at least one sample is taken.
            Default: 16 samples of each micro-batch, but at least an eighth, or all if there are fewer. 1.0: always all.

    Raises:
        ParameterError: if `subset` is no number in (0, 1]; by an update, if it is less than 1 and the physics has no
            such rule, or `solver=` takes its place.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Algorithm 1. The part of the batch: control variates, see `Subsampled`.
    """

    name: ClassVar[str] = "local-inverse"
    uses: ClassVar[tuple[str, ...]] = ("step_size", "solver")

    subset: float | None = None

    def __post_init__(self) -> None:
        if self.subset is None:
            return
        if isinstance(self.subset, bool) or not isinstance(self.subset, Real) or not 0 < self.subset <= 1:
            raise ParameterError(f"LocalInverse: subset = {self.subset!r}, but it is a part: a number in (0, 1].")

    def draws(self, physics: InvertiblePhysics, y_target: Any, random: Random) -> Tensor | None:
        rule, shape = rule_of(physics), math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(y_target)))
        if rule is None or rule.control is None:
            if self.subset is None or self.subset == 1:
                return None
            obeyed = "no rule of modes" if rule is None else f"{type(rule).__name__}, which costs little"
            raise ParameterError(
                f"LocalInverse: subset = {self.subset}, but the inverse of {type(physics).__name__} obeys {obeyed}. "
                f"Leave out subset; it is for rules of closed forms that look for edges or points, such as "
                f"TotalVariation and CrossValidated."
            )
        if self._part(shape.volume) == 1:
            return None
        return random.uniform(shape.only(order.canonical(shape), reorder=True))

    def _part(self, samples: int) -> float:
        """Returns p for a batch of so many samples."""
        return min(1.0, max(LEAST_PART, SAMPLES_WITH_EDGES / samples)) if self.subset is None else self.subset

    def lesson(self, context: TargetContext) -> Lesson:
        observed, physics = context.observed, self._inverted(context)

        def correct(answers: Sequence[Any]) -> list[Corrected]:
            with for_training():
                step = invert(physics, observed.y_target, answers[0], context.step_size, context.solver)
            return [Corrected(step.dx, step.y)]

        return Lesson([observed], correct)

    def _inverted(self, context: TargetContext) -> InvertiblePhysics:
        """Returns the physics with the rule that it is inverted by."""
        physics, numbers, rule = context.observed.physics, context.draws, rule_of(context.observed.physics)
        if self.subset is not None and numbers is not None and context.solver is not None:
            raise ParameterError(
                f"LocalInverse: subset = {self.subset}, but solver=... inverts without the rule of "
                f"{type(physics).__name__}. Leave out one of them."
            )
        if rule is None or context.solver is not None or (numbers is None and rule.for_networks is rule):
            return physics
        used = rule.for_networks
        if numbers is not None and (part := self._part(numbers.shape.volume)) < 1:
            used = Subsampled(used, part, numbers)
        return context.observed.by_rule(used) or physics
