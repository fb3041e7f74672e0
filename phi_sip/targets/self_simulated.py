"""Training on states that are simulated from the observations' own estimates: no true state is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor, batch

from ..contract.inputs import Observed
from ..contract.physics import InvertiblePhysics
from ..contract.target import Corrected, Lesson, Random, SimulatingTarget, TargetContext
from ..errors import ParameterError, UnsupportedError
from ..inversion.noise import noise_facts
from ..inversion.operator import invert
from ..regularization import ResidualFilter
from ..states import order, trees
from ..states.checks import check_count, check_parameter
from ..states.parameters import as_tensor
from .transforms import RandomTransform

COPY = "_copy"  # the batch dim along which a state is shown several times


@dataclass(frozen=True)
class SelfSimulated(SimulatingTarget):
    """
    Lets the network recover states that look like those of the observations, from observations that are simulated of
    them:

        s = P⁻¹(y*)                                  what the inverse makes of an observation
        s ← s + c (s − P⁻¹(P(s) + n))                less the part of its bias that shows when it is asked again
        s ← s + K (y* − P(s))                        corrected in the modes that the observation determines
        t = T(s),   y₂ = P(t) + n                    a random transform T, noise n as the physics has it
        L = ½ ‖f(y₂; θ) − t‖²

    The states t are not the true ones, but the network learns what they have in common and no observation tells by
    itself: amortized empirical Bayes. Give it the estimate of the inverse, `inputs=("y", "estimate", "linear")`: it
    then begins with the answer of the inverse.

    With a teacher (`teacher=Teacher(net)`), the average of the network makes the states, f(y*; θ̄) in place of P⁻¹(y*),
    as soon as its buffer of simulated observations is full. States get better with the network, and the buffer, of
    which each batch is used several times, keeps its errors from growing from update to update; it also makes an update
    cost little more than one with labels. All that the update reports is then that of the simulated observations.

    Without a teacher, losses and `x_target` of the update are those of the simulated observations; `x`, `y` and the
    errors are those of the real ones.

    Args:
        refreshed: Part of the states in [0, 1] that the network makes in place of the inverse. Default: all with a
            teacher, none without.
        bias_correction: c ≥ 0. It costs another simulation and inversion.
        data_correction: Whether K is applied, the Wiener filter of `EmpiricalBayes()`, to physics that take a
            `regularization` rule. Others are left as they are.
        copies: How many simulated observations each state gives, with transforms and noise of their own. With a teacher
            each is for a batch of its own; without, a sample of the batch of the network. More cost less than more
            states, and teach less.
        transform: Random transform of the states; `None`: they stay as they are.
        noise_std: σ of the observations. Default: as the physics says, or measures it in each observation.
        batches: How many batches of simulated observations a teacher keeps. Each takes memory for its observations,
            their states, and what the network is shown of them.
        replays: In how many updates each is used, on average.

    Raises:
        ParameterError: if an argument is out of range; by an update, if σ is not known.

    Source: the parametric bootstrap and its correction of bias: Efron, Tibshirani, "An Introduction to the Bootstrap",
    1993, chapters 6 and 10; a network that learns from noisy copies of its own answers: Xie et al., "Self-training with
    Noisy Student", CVPR 2020. How they were put together and measured: `docs/learning.md`.
    """

    name: ClassVar[str] = "self-simulated"
    copied_along: ClassVar[str | None] = COPY

    refreshed: float | None = None
    bias_correction: float = 0.5
    data_correction: bool = True
    copies: int = 1
    transform: RandomTransform | None = field(default_factory=RandomTransform)
    noise_std: float | Tensor | None = None
    batches: int = 100
    replays: int = 3

    def __post_init__(self) -> None:
        check_parameter("SelfSimulated", "bias_correction", self.bias_correction)
        if self.refreshed is not None:
            check_parameter("SelfSimulated", "refreshed", self.refreshed)
            if isinstance(self.refreshed, Tensor) or self.refreshed > 1:
                raise ParameterError(
                    f"SelfSimulated: refreshed = {self.refreshed}, but it is a part: a number in [0, 1]."
                )
        if not isinstance(self.data_correction, bool):
            raise ParameterError(f"SelfSimulated: data_correction = {self.data_correction!r}. Give True or False.")
        for name in ("copies", "batches", "replays"):
            check_count("SelfSimulated", name, getattr(self, name))
        if self.noise_std is not None:
            check_parameter("SelfSimulated", "noise_std", self.noise_std)
        if self.transform is not None and not isinstance(self.transform, RandomTransform):
            raise ParameterError(
                f"SelfSimulated: transform is a {type(self.transform).__name__}. Give a RandomTransform, or None."
            )

    def with_teacher(self) -> SelfSimulated:
        return replace(self, refreshed=1.0 if self.refreshed is None else self.refreshed)

    def draws(self, physics: InvertiblePhysics, y_target: Any, random: Random) -> Any:
        values = y_target.values if isinstance(y_target, Field) else y_target
        if len(trees.leaves(values)) != len(list(_tensors(values))):
            raise UnsupportedError(
                f"SelfSimulated: y_target is {trees.describe(y_target)}, whose components have different sizes. Give "
                f"observations on centers, e.g. y.at_centers()."
            )
        shape = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(y_target)))
        samples = shape & batch(**{COPY: self.copies})

        def noise(dims: Shape) -> Any:
            return trees.tree_map(lambda leaf: random.normal(_in_order(leaf.shape & dims)), values)

        drawn = {
            "noise": noise(samples.only(COPY)),
            "noise of the bias": noise(EMPTY_SHAPE) if self.bias_correction else {},
            "refreshed": random.uniform(shape),
        }
        if self.transform is not None:
            states = trees.leaves(physics.initial_state(y_target))
            cells = math.merge_shapes(*(leaf.shape.spatial for leaf in states), allow_varying_sizes=True)
            drawn["transform"] = self.transform.draws(samples & cells, random)
        return drawn

    def lesson(self, context: TargetContext) -> Lesson:
        answer = context.evaluate(context.observed)

        def evaluate(observed: Observed) -> Any:
            return answer if observed is context.observed else context.evaluate(observed)

        shown, states = self.simulate(replace(context, evaluate=evaluate))

        def correct(answers: Sequence[Any]) -> list[Corrected]:
            return [Corrected(trees.scale(trees.subtract(answers[0], states), -1))]

        return Lesson([shown], correct, answer)

    def simulate(self, context: TargetContext) -> tuple[Observed, Any]:
        observed, draws = context.observed, context.draws
        physics = observed.physics
        known = self._noise(observed)

        def simulated(states: Any, noise: Any) -> Observed:
            y = physics.add_noise(physics.forward(states), noise, known)
            return context.observe(trees.stop_gradient(y))

        states = self._states(context, simulated)
        copied = trees.tree_map(lambda values: math.expand(values, batch(**{COPY: self.copies})), states)
        if self.transform is not None:
            copied = physics.admissible(self.transform.apply(copied, draws["transform"]))
        return simulated(copied, draws["noise"]), copied

    def _states(self, context: TargetContext, simulated: Callable[[Any, Any], Observed]) -> Any:
        """Returns the states s of the observations."""
        observed, draws = context.observed, context.draws
        physics, refreshed = observed.physics, self._refreshed(context)

        def found(observed: Observed) -> Any:
            """Returns what is made of an observation, by the network and by the inverse."""
            if refreshed == 0:
                return observed.inverted().x_target
            if refreshed == 1:
                return context.evaluate(observed)
            from_net = draws["refreshed"] < refreshed
            choices = context.evaluate(observed), observed.inverted().x_target
            return trees.tree_map(lambda a, b: order.where(from_net, a, b), *choices)

        states = found(observed)
        if self.bias_correction:
            other = simulated(states, draws["noise of the bias"])
            again = found(other)
            states = trees.add(states, trees.scale(trees.subtract(states, again), self.bias_correction))
        filtered = observed.by_rule(ResidualFilter()) if self.data_correction else None
        if filtered is not None:
            states = invert(filtered, observed.y_target, states, 1.0, None).x_target
        return trees.stop_gradient(physics.admissible(states))

    def _refreshed(self, context: TargetContext) -> float:
        """Returns the part of the states that the network makes: none until there is a buffer to learn from."""
        return 0.0 if context.taught is False else self.refreshed or 0.0

    def _noise(self, observed: Observed) -> dict[str, Any]:
        """
        Returns what is known of the noise of the observations: σ as `noise_std`, and what the inversion has measured.

        Raises:
            ParameterError: if nothing says it.
        """
        if self.noise_std is not None:
            return {"noise_std": as_tensor(self.noise_std)}
        facts = noise_facts(observed)
        if facts is None:
            raise ParameterError(
                f"SelfSimulated simulates observations with their noise, but {type(observed.physics).__name__} does "
                f"not say how large it is. Give SelfSimulated(noise_std=...); 0 where there is none."
            )
        return facts


def _tensors(tree: Any) -> Iterator[Tensor]:
    """Yields the tensors of a state, each of them whole."""
    if isinstance(tree, Field):
        yield tree.values
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from _tensors(part)
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _tensors(part)
    else:
        yield from trees.leaves(tree) if not isinstance(tree, Tensor) else (tree,)


def _in_order(shape: Shape) -> Shape:
    """Returns dims in the order in which random numbers are drawn, which does not depend on how data are stored."""
    return shape.only(order.canonical(shape), reorder=True)
