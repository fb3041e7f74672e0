"""What iterations need of a rule, where physics has no closed form."""

from __future__ import annotations

from dataclasses import dataclass, field

from .field_edges import FieldEdges
from .field_filter import FieldFilter
from .gaussian_fields import GaussianFields, PowerLaws


@dataclass(frozen=True)
class FieldPrior:
    """
    A prior of fields on a grid, whatever is observed of them.

    Attributes:
        edges: What is split off from the field, with a prior of its own; `None`: the prior is Gaussian.
        filter: A filter of singular values in place of a prior; `None`: there is none.
        gaussian: The Gaussian priors. Where something is split off, they say how large the noise is, and how much of
            the field the observation determines.
    """

    edges: FieldEdges | None = None
    filter: FieldFilter | None = None
    gaussian: GaussianFields = field(default_factory=PowerLaws)
