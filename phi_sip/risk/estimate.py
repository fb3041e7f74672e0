"""The risk of an estimator: its mean error over the noise, without a true state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..inversion.noise import ObservationNoise
from ..inversion.observed import InvertedObservation
from ..states import trees
from .weight import Weight, weight_for
from .white_noise import white_noise

STEP = 0.1  # of y*, in units of σ, along which an estimator is differentiated
SEED = 20081  # of its direction, the same in each validation of a run


@dataclass(frozen=True, eq=False)
class RiskEstimate:
    """
    The risk of an estimator x = f(y*), less that of the inverse alone x̂, from observations y* = P(x*) + σ n alone:

        R(f) = ½ E‖u − u*‖²_W,   u a quantity of x, W a weight, see `DeterminedModes` and `ObservedQuantity`
        R(f) − R(x̂) = ½ ⟨d, W d⟩ − ⟨d, W (u_y − û)⟩ + σ² ⟨W ∂u_y b, (d(y* + ε b) − d(y*)) / ε⟩,   d = u − û

    with u_y what y* says of u by itself, of whose error the last term takes account: the more f follows the noise in
    y*, the less a small residual means. b is white noise of variance 1, and ε a small number. The estimate is right on
    average, over n and b, for any f that has derivatives almost everywhere. Below 0, f is better than the inverse.

    Attributes:
        y_target: Observations y*.
        probed: y* + ε b, on which f is to be evaluated too.
        known: Whether σ is known, per sample; others are left out.
        weight: u and W.
        reference, reference_probed: û for both.
        probe: σ² / ε · W ∂u_y b.

    Source: Stein, "Estimation of the Mean of a Multivariate Normal Distribution", Annals of Statistics 9, 1981; for
    inverse problems: Eldar, "Generalized SURE for Exponential Families", IEEE Transactions on Signal Processing 57,
    2009; the derivative by one random direction: Ramani, Blu, Unser, "Monte-Carlo SURE", IEEE Transactions on Image
    Processing 17, 2008. That the weight W = K h keeps it finite where h → 0 is ours.
    """

    y_target: Any
    probed: Any
    known: Tensor
    weight: Weight
    reference: Any
    reference_probed: Any
    probe: Any

    @staticmethod
    def of(physics: InvertiblePhysics, y_target: Any) -> RiskEstimate:
        """
        Prepares the estimate for some observations.

        Args:
            physics: Process that made them.
            y_target: Observations y*, with batch dims.

        Raises:
            ParameterError: if σ is not known of any of them.
            UnsupportedError: if the noise is not white.
        """
        with math.precision(trees.precision_of(y_target)):
            observed = InvertedObservation(physics, y_target)
            noise = ObservationNoise.white("The risk", observed)
            direction = white_noise(y_target, SEED)
            probed = physics.add_noise(y_target, direction, {"noise_std": noise.std * STEP})
            weight = weight_for(observed)
            reference = weight.reference(observed)
            change = trees.subtract(weight.unexplained(probed, reference), weight.unexplained(y_target, reference))
            return RiskEstimate(
                y_target,
                probed,
                math.all(noise.known, noise.known.shape.non_batch),
                weight,
                reference,
                weight.reference(InvertedObservation(physics, probed)),
                trees.scale(change, 1 / STEP**2),
            )

    @cached_property
    def _unexplained(self) -> Any:
        """W (u_y − û)."""
        return self.weight.unexplained(self.y_target, self.reference)

    def terms(self, x: Any, x_probed: Any) -> tuple[np.ndarray, np.ndarray]:
        """
        Estimates R(f) − R(x̂) = a + c, where û + g d has a g + c g², for each sample whose σ is known.

        Args:
            x: f(y*).
            x_probed: f of `probed`.

        Returns:
            a = σ² ⟨W ∂u_y b, (d(y* + ε b) − d(y*)) / ε⟩ − ⟨d, W (u_y − û)⟩ and c = ½ ⟨d, W d⟩.
        """
        with math.precision(trees.precision_of(self.y_target)):
            u, u_probed = self.weight.quantity(x), self.weight.quantity(x_probed)
            d, d_probed = trees.subtract(u, self.reference), trees.subtract(u_probed, self.reference_probed)
            weighted = trees.subtract(self._unexplained, self.weight.unexplained(self.y_target, u))
            linear = _inner(self.probe, trees.subtract(d_probed, d)) - _inner(d, self._unexplained)
            return self._of_known(linear), self._of_known(0.5 * _inner(d, weighted))

    def relative(self, x: Any, x_probed: Any) -> np.ndarray:
        """Estimates R(f) − R(x̂), see `terms`."""
        linear, quadratic = self.terms(x, x_probed)
        found: np.ndarray = linear + quadratic
        return found

    def _of_known(self, found: Tensor) -> np.ndarray:
        """Returns the values of the samples whose σ is known."""
        samples = found.shape & self.known.shape
        values, known = (math.expand(part, samples).numpy([samples]) for part in (found, self.known))
        kept: np.ndarray = values[known]
        return kept


def _inner(a: Any, b: Any) -> Tensor:
    """Computes Σ a b over all values of each sample."""
    products = zip(trees.leaves(a), trees.leaves(b, like=a), strict=True)
    return sum((math.sum(u * v, (u * v).shape.non_batch) for u, v in products), math.wrap(0.0))
