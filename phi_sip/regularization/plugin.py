"""The rules that `phi_sip` itself provides, by the hook that any plugin uses."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.markers import hookimpl
from . import (
    CrossValidated,
    EmpiricalBayes,
    ProbabilisticDamping,
    PublishedDamping,
    Regularization,
    ResidualFilter,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Unregularized,
    Wiener,
)


@hookimpl
def sip_rules() -> Sequence[type[Regularization]]:
    return [
        CrossValidated,
        EmpiricalBayes,
        ProbabilisticDamping,
        PublishedDamping,
        ResidualFilter,
        Sparse,
        Tikhonov,
        TotalVariation,
        TruncatedSVD,
        Unregularized,
        Wiener,
    ]
