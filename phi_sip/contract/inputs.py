"""What a network is shown of an observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from phi.field import Field

from .physics import InvertiblePhysics
from .solver import InverseSolver
from .step import SipStep


class Observed(ABC):
    """
    An observation y*, and what its inversions tell. Nothing is inverted twice.

    Args:
        physics: Process that made the observation.
        y_target: Observation y*.
        seen: What a network is shown of it, if that is known already.
    """

    def __init__(self, physics: InvertiblePhysics, y_target: Any, seen: Sequence[Any] = ()) -> None:
        self.physics, self.y_target, self.seen = physics, y_target, seen

    @abstractmethod
    def inverted(self, iterations: int = 1, solver: InverseSolver | None = None) -> SipStep:
        """
        Inverts the observation without a network, from the state x₀ that `physics.initial_state` gives:

            xₖ = P⁻¹(y*; xₖ₋₁)

        Args:
            iterations: How many times.
            solver: Numerical inverse. Default: the physics' own.

        Returns:
            The last step; its `x_target` is the estimate x̂.
        """

    @abstractmethod
    def by_rule(self, rule: Any) -> InvertiblePhysics | None:
        """
        Returns the physics with another regularization rule, to invert this observation only: what rules fit to it is
        fitted once. `None` if the physics takes no rules.

        Args:
            rule: `Regularization`.
        """


class NetworkInput(ABC):
    """
    A quantity that a network is shown, with the cells of the state.

    Attributes:
        name: Registry key of the class, as in `inputs=("y", "estimate")`.
        is_estimate: Whether the quantity is an estimate of the state. The network then learns the difference between
            the state and the first such estimate.
    """

    name: ClassVar[str] = ""
    is_estimate: ClassVar[bool] = False

    @property
    def on_host(self) -> bool:
        """Whether computing it leaves the framework, so that an update with it cannot be compiled."""
        return False

    @abstractmethod
    def of(self, observed: Observed) -> Any:
        """
        Computes the quantity. No derivative is taken through it.

        Args:
            observed: The observation.

        Returns:
            A `Field` or `Tensor` with the cells of the state, and any channels.
        """

    def fixed(self, physics: InvertiblePhysics) -> NetworkInput:
        """
        Returns the same input with all said that it takes from the physics of the training, to be kept with a trained
        inverse, whose physics may have other parameters. Default: the input itself.

        Args:
            physics: That of the training.
        """
        return self

    def channels(self, observed: Observed, shown: Any) -> Sequence[str]:
        """
        Returns what each channel is called in messages. Default: the name of the input, with a number if there are
        several.

        Args:
            observed: The observation.
            shown: What `of` returned for it.
        """
        values = shown.values if isinstance(shown, Field) else shown
        count = values.shape.channel.volume
        return [self.name] if count == 1 else [f"{self.name} ({number})" for number in range(1, count + 1)]
