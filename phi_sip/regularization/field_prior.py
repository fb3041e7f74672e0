"""What iterations need of a rule, where physics has no closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..gaussian_process import Prior, StateGrid, priors_of
from .field_edges import FieldEdges


@dataclass(frozen=True)
class FieldPrior:
    """
    A prior of fields on a grid, whatever is observed of them.

    Attributes:
        edges: What is split off from the field, with a prior of its own; `None`: the prior is Gaussian.
        priors: Returns the Gaussian priors, among which the evidence of an observation chooses. Where something is
            split off, they say how large the noise is, and how much of the field the observation determines.
    """

    edges: FieldEdges | None = None
    priors: Callable[[StateGrid], Iterable[Prior]] = priors_of
