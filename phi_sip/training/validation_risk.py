"""The risk of the network on validation samples, which needs no true states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from phiml.backend import Backend

from ..risk import RiskEstimate
from ..states import trees
from .batch_physics import PhysicsBatch
from .predictions import Predictions


class ValidationRisk:
    """
    The risk of a network less that of the inverse alone, see `RiskEstimate`. The samples are inverted once.

    Args:
        batches: Validation samples, and their physics.
        evaluation: See `Predictions`.
        backend: That of the network, so that both round alike.

    Raises:
        ParameterError: if σ is not known of a batch.
    """

    def __init__(
        self,
        batches: Sequence[PhysicsBatch],
        evaluation: Callable[[PhysicsBatch], Callable[[], Any]],
        backend: Backend,
    ) -> None:
        with backend:
            self._estimates = [RiskEstimate.of(b.physics, trees.to_backend(b.y_target, backend)) for b in batches]
        probed = [PhysicsBatch(e.probed, None, b.physics) for e, b in zip(self._estimates, batches, strict=True)]
        self._probed = Predictions(probed, evaluation)

    def of(self, states: Sequence[Any]) -> float:
        """
        Returns the mean over all samples whose σ is known.

        Args:
            states: x = f(y*) of each batch, as the network gives it now.
        """
        triples = zip(self._estimates, states, self._probed.states(), strict=True)
        return float(np.mean(np.concatenate([estimate.relative(x, x_probed) for estimate, x, x_probed in triples])))
