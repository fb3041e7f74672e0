"""How well the network of a trained inverse explained observations like those of its training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..errors import MisfitWarning
from ..states import trees

QUANTILE = 0.95
SAMPLES = 256  # that are looked at, at most
LARGEST_RATIO = 5.0  # of a misfit to that quantile, unless the misfits of the training are spread more widely
ROUNDING = 1e-6  # of y*, by which no answer of a network in single precision can be told from a better one
NAMED = 8  # samples in a message


@dataclass(frozen=True)
class TrainingMisfit:
    """
    The mean of (P(x) − y*)² over the values of an observation, which does not depend on their number, for x = f(y*; θ)
    and observations like those of the training.

    Attributes:
        median: Half of them have less.
        high: 95 % of them have less.
    """

    median: float
    high: float

    @staticmethod
    def of(residual: Any) -> TrainingMisfit | None:
        """
        Returns the misfit of P(x) − y*; `None` if the misfit of any sample is not finite.

        Args:
            residual: P(x) − y*, with batch dims.
        """
        misfits = per_sample(mean_square(residual))
        if not np.isfinite(misfits).all():
            return None
        return TrainingMisfit(*(float(q) for q in np.quantile(misfits, [0.5, QUANTILE])))

    @staticmethod
    def of_description(description: Mapping[str, Any]) -> TrainingMisfit:
        """Makes what `describe` has described."""
        return TrainingMisfit(float(description["median"]), float(description["high"]))

    def describe(self) -> dict[str, float]:
        """Returns it as plain data."""
        return asdict(self)

    @property
    def largest_ratio(self) -> float:
        """
        The ratio that hardly any observation like those of the training has: 5, or if it is more, that of the 95 %
        quantile to the median.
        """
        spread = self.high / self.median if self.median > 0 else 0.0
        return max(LARGEST_RATIO, spread)

    def ratio(self, residual: Any, y_target: Any) -> Tensor:
        """
        Returns the misfit of each sample ÷ that which 95 % in training stay below.

        Args:
            residual: P(x) − y*.
            y_target: y*; what is rounding compared with it counts as that.
        """
        return mean_square(residual) / math.maximum(self.high, _positive(ROUNDING**2 * mean_square(y_target)))

    def warn(self, ratios: np.ndarray) -> None:
        """Warns of samples with more than `largest_ratio`: `MisfitWarning`."""
        (unlike,) = np.nonzero(~(ratios <= self.largest_ratio))
        if not len(unlike):
            return
        named = ", ".join(map(str, unlike[:NAMED])) + (", …" if len(unlike) > NAMED else "")
        warnings.warn(
            f"The states of {len(unlike)} of {len(ratios)} samples do not explain their observations as in training: "
            f"½‖P(x) − y*‖² per cell is up to {np.max(ratios[unlike]):.3g} times what {QUANTILE:.0%} of the samples "
            f"had there (counted from 0: {named}). These observations are unlike those of the training: another "
            f"physics, amplitude or kind, or nothing but noise. Do not trust these states; let the physics' own "
            f"inverse go on from them, refine=1 (--refine 1), or train with such observations.",
            MisfitWarning,
            stacklevel=3,
        )


def mean_square(tree: Any) -> Tensor:
    """Returns the mean of u² over all values of each sample."""
    return 2 * trees.l2_loss(tree) / sum(leaf.shape.non_batch.volume for leaf in trees.leaves(tree))


def per_sample(values: Tensor) -> np.ndarray:
    """Returns one number per sample as a NumPy array."""
    found: np.ndarray = values.numpy(values.shape).ravel()
    return found


def _positive(values: Tensor) -> Tensor:
    return math.maximum(values, float(np.finfo(f"float{values.dtype.precision}").tiny))
