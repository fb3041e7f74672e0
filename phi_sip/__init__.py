"""
Scale-invariant physics (SIP) training for PhiFlow.

Call `sip_update_weights` where a PhiFlow script calls `update_weights`. See `docs/design.md`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        BoundaryError,
        DuplicateNameError,
        FallbackWarning,
        GridMismatchError,
        NetworkOutputError,
        NonFiniteError,
        ParameterError,
        PluginWarning,
        SipError,
        UnknownNameError,
        UnsupportedError,
    )
    from .hookspecs import hookimpl
    from .noise import EmptyModes
    from .operator import SipStep, sip_inverse
    from .physics.base import Correction, InvertiblePhysics
    from .physics.heat import HeatEquation
    from .physics.masked import Masked
    from .registry import available_physics, available_solvers, get_physics, get_solver
    from .regularization import (
        CrossValidated,
        DiscrepancyPrinciple,
        EmpiricalBayes,
        GeneralizedCrossValidation,
        LCurve,
        MeasuredSpectrum,
        PowerLaw,
        ProbabilisticDamping,
        PublishedDamping,
        Regularization,
        Tikhonov,
        TotalVariation,
        TruncatedSVD,
        Wiener,
    )
    from .solvers.base import InverseSolver
    from .solvers.conjugate_gradient import ConjugateGradient
    from .trainers.optax import OptaxOptimizer
    from .update import SipUpdate, sip_update_weights

__version__ = "0.1.0"

__all__ = [
    "BoundaryError",
    "ConjugateGradient",
    "Correction",
    "CrossValidated",
    "DiscrepancyPrinciple",
    "DuplicateNameError",
    "EmpiricalBayes",
    "EmptyModes",
    "FallbackWarning",
    "GeneralizedCrossValidation",
    "GridMismatchError",
    "HeatEquation",
    "InverseSolver",
    "InvertiblePhysics",
    "LCurve",
    "Masked",
    "MeasuredSpectrum",
    "NetworkOutputError",
    "NonFiniteError",
    "OptaxOptimizer",
    "ParameterError",
    "PluginWarning",
    "PowerLaw",
    "ProbabilisticDamping",
    "PublishedDamping",
    "Regularization",
    "SipError",
    "SipStep",
    "SipUpdate",
    "Tikhonov",
    "TotalVariation",
    "TruncatedSVD",
    "UnknownNameError",
    "UnsupportedError",
    "Wiener",
    "available_physics",
    "available_solvers",
    "get_physics",
    "get_solver",
    "hookimpl",
    "sip_inverse",
    "sip_update_weights",
]

# Names are imported when they are first used, so that `import phi_sip` costs nothing.
_MODULES = {
    ".errors": (
        "BoundaryError",
        "DuplicateNameError",
        "FallbackWarning",
        "GridMismatchError",
        "NetworkOutputError",
        "NonFiniteError",
        "ParameterError",
        "PluginWarning",
        "SipError",
        "UnknownNameError",
        "UnsupportedError",
    ),
    ".hookspecs": ("hookimpl",),
    ".noise": ("EmptyModes",),
    ".operator": ("SipStep", "sip_inverse"),
    ".physics.base": ("Correction", "InvertiblePhysics"),
    ".physics.heat": ("HeatEquation",),
    ".physics.masked": ("Masked",),
    ".registry": ("available_physics", "available_solvers", "get_physics", "get_solver"),
    ".regularization": (
        "CrossValidated",
        "DiscrepancyPrinciple",
        "EmpiricalBayes",
        "GeneralizedCrossValidation",
        "LCurve",
        "MeasuredSpectrum",
        "PowerLaw",
        "ProbabilisticDamping",
        "PublishedDamping",
        "Regularization",
        "Tikhonov",
        "TotalVariation",
        "TruncatedSVD",
        "Wiener",
    ),
    ".solvers.base": ("InverseSolver",),
    ".solvers.conjugate_gradient": ("ConjugateGradient",),
    ".trainers.optax": ("OptaxOptimizer",),
    ".update": ("SipUpdate", "sip_update_weights"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'phi_sip' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULE_OF[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
