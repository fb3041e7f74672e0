"""In which quantity, and with which weight, the error of an estimate is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from phiml import math

from ..contract.inputs import Observed
from ..contract.physics import InvertiblePhysics
from ..inversion.observed import InvertedObservation
from ..inversion.operator import invert
from ..inversion.rules import with_rule
from ..regularization import Wiener
from ..states import trees
from .given_kernel import GivenKernel

AVERAGED = 4  # observations, as whose mean noise counts


class Weight(ABC):
    """A quantity u of the state whose weighted error ½ ‖u − u_true‖²_W the observations tell up to a constant."""

    @abstractmethod
    def quantity(self, x: Any) -> Any:
        """Computes u of a state."""

    @abstractmethod
    def unexplained(self, y_target: Any, u: Any) -> Any:
        """Computes W (u_y − u), where u_y is what the observation says of u by itself, linear in y* and u."""

    @abstractmethod
    def reference(self, observed: Observed) -> Any:
        """Returns u of the estimate with which others are compared."""


@dataclass(frozen=True, eq=False)
class DeterminedModes(Weight):
    """
    The state in the modes that the observations determine, for physics that is diagonal in modes:

        u = x,   W_k = K_k h_k,   W (u_y − u) = K (y* − P(x))
        K_k = S_k h_k / (S_k h_k² + σ² / 4)

    K is a Wiener filter, so that W_k is 1 where there is far more signal than noise, and 0 where there is none. S_k is
    the spectrum of all observations, see `Wiener`, as a filter that is fitted to one of them follows its noise. What a
    network learns lies in modes of which one observation shows little and many together more, so noise counts as if
    four were averaged. With more of it the estimate misses what is learned, with less it is too noisy itself: 4 was
    measured, see `benchmarks/risk.py`. Compared with the inverse alone.

    Attributes:
        filtered: The physics with the filter K in place of its rule.
    """

    filtered: InvertiblePhysics

    def quantity(self, x: Any) -> Any:
        return x

    def unexplained(self, y_target: Any, u: Any) -> Any:
        return invert(self.filtered, y_target, u, 1.0, None).dx

    def reference(self, observed: Observed) -> Any:
        return observed.inverted().x_target


@dataclass(frozen=True, eq=False)
class ObservedQuantity(Weight):
    """
    What is observed of the state, u = P(x), all of it alike, W = 1. Compared with the inverse alone where that has a
    closed form, else with y* itself: iterations stop earlier or later for a little change of y*, and so have no
    derivative.

    Attributes:
        physics: The process.
    """

    physics: InvertiblePhysics

    def quantity(self, x: Any) -> Any:
        return self.physics.forward(x)

    def unexplained(self, y_target: Any, u: Any) -> Any:
        return trees.subtract(y_target, u)

    def reference(self, observed: Observed) -> Any:
        if not self.physics.has_inverse:
            return observed.y_target
        return self.physics.forward(observed.inverted().x_target)


def weight_for(observed: Observed) -> Weight:
    """Returns what can be said of estimates from these observations."""
    physics = observed.physics
    linear = with_rule(physics, Wiener())
    if linear is None:
        return ObservedQuantity(physics)
    stats = InvertedObservation(linear, observed.y_target).inverted().stats
    kernel, gain = stats["kernel"], math.exp(stats["log_gain"])
    filtered = with_rule(physics, GivenKernel(AVERAGED * kernel / (1 + (AVERAGED - 1) * kernel * gain)))
    assert filtered is not None, "it has just taken a rule"
    return DeterminedModes(filtered)
