"""Training on states that are simulated from the observations' own estimates: no true state is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..contract.inputs import Observed
from ..contract.step import SipStep
from ..contract.target import Corrected, Lesson, Random, TargetContext, TrainingTarget
from ..errors import ParameterError
from ..states import order, trees
from ..states.checks import check_parameter
from ..states.parameters import as_tensor
from .transforms import RandomTransform


@dataclass(frozen=True)
class SelfSimulated(TrainingTarget):
    """
    Lets the network recover states that look like those of the observations, from observations that are simulated of
    them:

        x̂ = f(y*; θ) or P⁻¹(y*),   t = T(x̂),   y₂ = P(t) + σ n,   L = ½ ‖f(y₂; θ) − t‖²

    T is a random transform, n white noise. The states t are not the true ones, but the network learns what all of them
    have in common and no observation tells by itself: amortized empirical Bayes. As the network gets better, so do the
    states that it makes from the observations, on which it is trained. Give the network the estimate of the inverse,
    `inputs=("y", "estimate")`: it then begins with the answer of the inverse.

    Args:
        refreshed: Part of the states in [0, 1] that come from the network as it is; the others come from the inverse.
        transform: Random transform of the states; `None`: they stay as they are.
        noise_std: σ of the observations. Default: as the physics says, or measures it in each observation.

    Raises:
        ParameterError: if an argument is out of range; by an update, if σ is not known.

    Source: the parametric bootstrap, Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 6; a student
    that learns from noisy copies of its own answers, Xie et al., "Self-training with Noisy Student", CVPR 2020.
    """

    name: ClassVar[str] = "self-simulated"

    refreshed: float = 1.0
    transform: RandomTransform | None = field(default_factory=RandomTransform)
    noise_std: float | Tensor | None = None

    def __post_init__(self) -> None:
        check_parameter("SelfSimulated", "refreshed", self.refreshed)
        if isinstance(self.refreshed, Tensor) or self.refreshed > 1:
            raise ParameterError(f"SelfSimulated: refreshed = {self.refreshed}, but it is a part: a number in [0, 1].")
        if self.noise_std is not None:
            check_parameter("SelfSimulated", "noise_std", self.noise_std)
        if self.transform is not None and not isinstance(self.transform, RandomTransform):
            raise ParameterError(
                f"SelfSimulated: transform is a {type(self.transform).__name__}. Give a RandomTransform, or None."
            )

    def draws(self, y_target: Any, random: Random) -> Any:
        shape = math.merge_shapes(*(leaf.shape for leaf in trees.leaves(y_target)), allow_varying_sizes=True)
        samples = shape.batch
        return {
            "noise": trees.tree_map(lambda leaf: random.normal(_in_order(leaf.shape)), _values(y_target)),
            "refreshed": random.uniform(samples),
            "transform": {} if self.transform is None else self.transform.draws(samples & shape.spatial, random),
        }

    def lesson(self, context: TargetContext) -> Lesson:
        observed, draws = context.observed, context.draws
        physics = observed.physics
        step = observed.inverted()
        answer = context.evaluate(observed)
        states = answer
        if self.refreshed < 1:
            from_net = draws["refreshed"] < self.refreshed
            states = trees.tree_map(lambda a, b: math.where(from_net, a, b), answer, step.x_target)
        if self.transform is not None:
            states = self.transform.apply(states, draws["transform"])
        states = trees.stop_gradient(physics.admissible(states))
        noise = trees.scale(draws["noise"], self._deviation(observed, step))
        simulated = context.observe(trees.stop_gradient(physics.add_noise(physics.forward(states), noise)))

        def correct(answers: Sequence[Any]) -> list[Corrected]:
            return [Corrected(trees.scale(trees.subtract(answers[0], states), -1))]

        return Lesson([simulated], correct, answer)

    def _deviation(self, observed: Observed, step: SipStep) -> Tensor:
        """
        Returns σ of the observations.

        Raises:
            ParameterError: if nothing says it.
        """
        known = self.noise_std if self.noise_std is not None else step.stats.get("noise_std")
        if known is None:
            known = getattr(observed.physics, "noise_std", None)
        if known is None or isinstance(known, str):
            raise ParameterError(
                f"SelfSimulated simulates observations with their noise, but {type(observed.physics).__name__} does "
                f"not say how large it is. Give SelfSimulated(noise_std=...); 0 where there is none."
            )
        return as_tensor(known)


def _values(y_target: Any) -> Any:
    return y_target.values if isinstance(y_target, Field) else y_target


def _in_order(shape: Shape) -> Shape:
    """Returns dims in the order in which random numbers are drawn, which does not depend on how data are stored."""
    return shape.only(order.canonical(shape), reorder=True)
