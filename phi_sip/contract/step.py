"""What one local inversion gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from phiml import math

from ..states import trees


@dataclass(frozen=True, eq=False)
class SipStep:
    """
    One local inversion x̃ = P⁻¹(y + η (y* − y); x).

    Plugins that wrap `sip_inverse` change a step with `replace(dx=...)`; where that changes what is known about the
    spread of x̃, they replace `compute_uncertainty` too.

    Attributes:
        x: State around which was inverted.
        dx: Correction x̃ − x, like `x`.
        y: P(x).
        residual: y* − y.
        compute_uncertainty: What `uncertainty` calls, or `None`.
        stats: Report of the method by name, see the physics or the solver.
    """

    x: Any
    dx: Any
    y: Any
    residual: Any
    compute_uncertainty: Callable[[], Any] | None = field(default=None, repr=False)
    stats: Mapping[str, Any] = field(default_factory=dict, repr=False)

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

    def replace(self, **changes: Any) -> SipStep:
        """Returns a copy with other attributes."""
        return dataclasses.replace(self, **changes)
