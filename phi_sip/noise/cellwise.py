"""Noise that differs from cell to cell: what the laws share, and how observations with it are inverted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from phiml import math
from phiml.math import Shape, Tensor

from ..contract.physics import Correction
from ..states.checks import check_count
from .base import STD, NoiseLaw, NoisyObservation, replaced

RELAXATION = 1.4


@dataclass(frozen=True, eq=False)
class CellWeights:
    """
    How much the cells of an observation count.

    Attributes:
        weight: W = σ² / σ_i² per cell.
        std: σ, with batch dims and components at most.
        stats: What the law has measured, by name.
    """

    weight: Tensor
    std: Tensor
    stats: Mapping[str, Tensor] = field(default_factory=dict)


class CellwiseLaw(NoiseLaw):
    """
    Noise that is independent from cell to cell, with a standard deviation σ_i of its own in each. y* is explained by
    the rule for white noise, given other observations d in its place, by the alternating direction method of
    multipliers with P(x) = z split off:

        x ← argmin ½ ‖P(x) − d‖² / σ² + R(x),   d = z − u          the rule, as for white noise of standard deviation σ
        z ← (W y* + P(x) + u) / (W + 1),   W = σ² / σ_i²           per cell
        u ← u + P(x) − z

    over-relaxed. For a rule whose prior R is fixed this converges to argmin ½ Σ_i (P(x) − y*)_i² / σ_i² + R(x). Rules
    that fit R to the data fit it to d. What σ_i depends on is taken from the x found so far.

    The uncertainty is that for white noise of the same σ; there is no posterior to draw states from.

    Attributes:
        iterations: How many times the observation is explained after the first.

    Source: Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.1, 3.4.3; a rule
    in place of R: Venkatakrishnan, Bouman, Wohlberg, "Plug-and-Play Priors for Model Based Reconstruction", 2013.
    """

    iterations: int

    def __post_init__(self) -> None:
        check_count(type(self).__name__, "iterations", self.iterations)

    @abstractmethod
    def weights(self, observed: Tensor, predicted: Tensor, std: Tensor, alike: Shape, iteration: int) -> CellWeights:
        """
        Computes W.

        Args:
            observed: y* per cell.
            predicted: P(x) per cell.
            std: σ, as the physics knows or has measured it.
            alike: See `NoisyObservation`.
            iteration: How many times weights were computed before.
        """

    def correction(self, observation: NoisyObservation) -> Correction:
        first = found = observation.explain(observation.y_target, observation.noise_std)
        observed = observation.y_target.values
        predicted = split = observation.simulate(found.dx, observation.y_target)
        dual = math.zeros_like(observed)
        for iteration in range(self.iterations):
            cells = self.weights(observed, predicted, first.stats[STD], observation.alike, iteration)
            moved = RELAXATION * predicted + (1 - RELAXATION) * split + dual
            split = (cells.weight * observed + moved) / (cells.weight + 1)
            dual = moved - split
            target = replaced(observation.y_target, split - dual)
            found = observation.explain(target, cells.std)
            predicted = observation.simulate(found.dx, target)
        measured = {name: first.stats[name] for name in ("noise_relative_error", "noise_known")}
        return Correction(found.dx, found.uncertainty, {**found.stats, **measured, **cells.stats})
