"""What a network is drawn to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from phiml.math import Shape, Tensor

from .inputs import Observed
from .physics import InvertiblePhysics
from .solver import InverseSolver


class Random(Protocol):
    """Random numbers for one update."""

    def normal(self, shape: Shape) -> Tensor:
        """Draws from the standard normal distribution."""

    def uniform(self, shape: Shape) -> Tensor:
        """Draws from the uniform distribution on [0, 1)."""


@dataclass(frozen=True, eq=False)
class TargetContext:
    """
    The observations of one micro-batch, as a target sees them.

    Attributes:
        observed: The observations y*, their physics and their inversions.
        x_true: True states, `None` if they are not known.
        step_size: η, see `sip_update_weights`.
        solver: Numerical inverse that the user asked for, or `None`.
        evaluate: Computes x = f(y) of the network as it is used for inference, without derivatives.
        observe: Makes an `Observed` of other observations of the same physics.
        draws: What `TrainingTarget.draws` drew for these observations.
        taught: Whether `evaluate` is that of a teacher: `None` if there is none, `False` as long as its buffer is not
            full yet.
    """

    observed: Observed
    x_true: Any
    step_size: float | Tensor
    solver: InverseSolver | None
    evaluate: Callable[[Observed], Any]
    observe: Callable[[Any], Observed]
    draws: Any = None
    taught: bool | None = None


@dataclass(frozen=True, eq=False)
class Corrected:
    """
    How one answer of a network is corrected.

    Attributes:
        dx: Correction x̃ − x, like x.
        y: P(x), if it has been simulated.
    """

    dx: Any
    y: Any = None


@dataclass(frozen=True, eq=False)
class Lesson:
    """
    What a network is shown in one update, and how its answers are corrected:

        xᵢ = f(yᵢ; θ),   Δxᵢ = correct(x₁, x₂, …)ᵢ,   ∂L/∂xᵢ = −Δxᵢ

    Attributes:
        shown: Observations yᵢ.
        correct: Maps all answers xᵢ to their corrections. The loss that is reported is Σᵢ ½ ‖Δxᵢ‖².
        answer: f(y*; θ), if the target has computed it already. Otherwise y* is the first of those that are shown.
    """

    shown: Sequence[Observed]
    correct: Callable[[Sequence[Any]], Sequence[Corrected]]
    answer: Any = None


class TrainingTarget(ABC):
    """
    What a network is drawn to. Subclasses are frozen dataclasses.

    Attributes:
        name: Registry key of the class, as in `targets="local-inverse"`.
        uses: Arguments of `sip_update_weights` that the target uses, of `step_size`, `solver` and `x_true`. The first
            two are refused if they ask for something and are not used; `x_true` must be finite if it is used.
        on_host: Whether it leaves the framework, so that an update with it cannot be compiled.
    """

    name: ClassVar[str] = ""
    uses: ClassVar[tuple[str, ...]] = ()
    on_host: ClassVar[bool] = False

    def draws(self, physics: InvertiblePhysics, y_target: Any, random: Random) -> Any:
        """
        Draws all random numbers of an update, so that the rest depends on tensors alone.

        Args:
            physics: Process that made the observations.
            y_target: Observations, for their dims.
            random: Where the numbers come from.

        Returns:
            A tree of tensors; those with a batch dim are divided with the batch. Default: `None`.
        """
        return None

    def check(self, context_has_truth: bool) -> None:  # noqa: B027
        """
        Checks that an update has what the target needs.

        Args:
            context_has_truth: Whether `x_true` was given.

        Raises:
            ParameterError: if something is missing.
        """

    @abstractmethod
    def lesson(self, context: TargetContext) -> Lesson:
        """
        Decides what the network is shown, and how its answers are corrected.

        Args:
            context: The observations.
        """


class SimulatingTarget(TrainingTarget):
    """
    A target that simulates observations of states of its own, for a network to recover these states. With a teacher,
    each batch of them is used several times.

    Attributes:
        batches: How many batches of simulated observations a teacher keeps.
        replays: In how many updates each is used, on average.
        copied_along: Batch dim along which each state is simulated several times, if there is one.
    """

    copied_along: ClassVar[str | None] = None

    batches: int
    replays: int

    def with_teacher(self) -> SimulatingTarget:
        """Returns the target as it is with a teacher, if that changes what was not said."""
        return self

    @abstractmethod
    def simulate(self, context: TargetContext) -> tuple[Observed, Any]:
        """
        Simulates observations.

        Args:
            context: Real observations.

        Returns:
            The simulated observations, and their states, with the batch dims of the real ones and `copied_along`.
        """
