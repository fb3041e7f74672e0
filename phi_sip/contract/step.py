"""What one local inversion gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from phiml import math

from ..errors import GridMismatchError, UnsupportedError
from ..states import trees
from ..states.checks import check_count
from ..states.draws import seeded_generator
from .physics import Draw

SAMPLES = "posterior_samples"


@dataclass(frozen=True, eq=False)
class SipStep:
    """
    One local inversion x̃ = P⁻¹(y + η (y* − y); x).

    Plugins that wrap `sip_inverse` change a step with `replace(dx=...)`; where that changes what is known about the
    spread of x̃, they replace `compute_uncertainty` and `draw` too.

    Attributes:
        x: State around which was inverted.
        dx: Correction x̃ − x, like `x`.
        y: P(x).
        residual: y* − y.
        compute_uncertainty: What `uncertainty` calls, or `None`.
        stats: Report of the method by name, see the physics or the solver.
        draw: What `posterior_samples` calls, see `Correction`, or `None`.
    """

    x: Any
    dx: Any
    y: Any
    residual: Any
    compute_uncertainty: Callable[[], Any] | None = field(default=None, repr=False)
    stats: Mapping[str, Any] = field(default_factory=dict, repr=False)
    draw: Draw | None = field(default=None, repr=False)

    @cached_property
    def x_target(self) -> Any:
        """Corrected state x̃ = x + dx."""
        return trees.add(self.x, self.dx)

    @cached_property
    def uncertainty(self) -> Any:
        """
        Standard deviation per cell of x̃ as a full step (η = 1) makes it, or `None`. Computed when first read.

        With a prior it is that of the posterior, the error to be expected; else the spread that the noise causes.
        """
        if self.compute_uncertainty is None:
            return None
        with math.precision(trees.precision_of(self.dx)):
            return self.compute_uncertainty()

    def posterior_samples(self, count: int) -> Any:
        """
        Draws states of the posterior p(x | y*), independent of each other, whatever the step size η was. Their mean is
        x̃ as a full step makes it, their standard deviation per cell is `uncertainty`.

        The random numbers are NumPy's, from a generator that its global one seeds: `math.seed` decides them, and all
        frameworks draw the same.

        Args:
            count: How many.

        Returns:
            A state like `x` with the batch dim `posterior_samples` in front.

        Raises:
            ParameterError: if `count` is no positive whole number.
            UnsupportedError: if the inverse has no posterior, or within a graph, which would repeat what it drew.
            GridMismatchError: if x has a dim of that name.
        """
        check_count("SipStep.posterior_samples", "count", count)
        if self.draw is None:
            raise UnsupportedError(
                "The inverse that made this step has no posterior, so there are no states to be drawn of it. Closed "
                "forms have one with regularization=EmpiricalBayes(), Wiener() or Unregularized(); other physics "
                "has one with solver='maximum-a-posteriori'."
            )
        if not all(leaf.available for leaf in trees.leaves(self.dx)):
            raise UnsupportedError("posterior_samples: a graph would repeat what it drew. Call it outside of graphs.")
        if any(SAMPLES in leaf.shape for leaf in trees.leaves(self.x)):
            raise GridMismatchError(
                f"x is {trees.describe(self.x)}, but states that are drawn get the batch dim '{SAMPLES}'. Rename that "
                f"of x, e.g. by math.rename_dims(values, '{SAMPLES}', batch('batch'))."
            )
        with math.precision(trees.precision_of(self.dx)):
            return self.draw(count, seeded_generator())

    def replace(self, **changes: Any) -> SipStep:
        """Returns a copy with other attributes."""
        return dataclasses.replace(self, **changes)
