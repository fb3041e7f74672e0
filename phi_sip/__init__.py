"""
Scale-invariant physics (SIP) training for PhiFlow.

Call `sip_update_weights` where a PhiFlow script calls `update_weights`. See `docs/design.md`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data.batches import Batch
    from .errors import (
        BoundaryError,
        CheckpointError,
        CheckpointWarning,
        DuplicateNameError,
        FileWarning,
        GridMismatchError,
        MisfitWarning,
        NetworkOutputError,
        NonFiniteError,
        ParameterError,
        PerformanceWarning,
        PluginError,
        PluginWarning,
        RecordError,
        RecordWarning,
        RunFolderError,
        SipError,
        SipWarning,
        TrainingError,
        UnknownNameError,
        UnsupportedError,
        UntrustedError,
    )
    from .hookspecs import hookimpl
    from .networks import NetworkSpec
    from .noise import EmptyModes
    from .operator import SipStep, sip_inverse
    from .physics.base import Correction, InvertiblePhysics
    from .physics.burgers import Burgers
    from .physics.composite import Composite
    from .physics.differentiable import DifferentiablePhysics
    from .physics.evolution import Evolution, Reversible, TimeStepping
    from .physics.exponential import Exponential
    from .physics.flow import IncompressibleFlow
    from .physics.heat import HeatEquation
    from .physics.masked import Masked
    from .physics.poisson import Poisson
    from .physics.rotated_sine import RotatedSine
    from .physics.wave import Wave
    from .registry import available_networks, available_physics, available_solvers, get_physics, get_solver
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
        Unregularized,
        Wiener,
    )
    from .solvers.base import InverseSolver
    from .solvers.conjugate_gradient import ConjugateGradient
    from .solvers.gauss_newton import GaussNewton
    from .solvers.lbfgs import LBFGS
    from .solvers.levenberg_marquardt import LevenbergMarquardt
    from .solvers.saddle_free_newton import SaddleFreeNewton
    from .solvers.time_reversal import TimeReversal
    from .trainers.optax import OptaxOptimizer
    from .training import Callback, EarlyStopping, RunRecord, StoppingRule, Target, WallTime, read_run, train
    from .update import SipUpdate, sip_update_weights

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "Batch",
    "BoundaryError",
    "Burgers",
    "Callback",
    "CheckpointError",
    "CheckpointWarning",
    "Composite",
    "ConjugateGradient",
    "Correction",
    "CrossValidated",
    "DifferentiablePhysics",
    "DiscrepancyPrinciple",
    "DuplicateNameError",
    "EarlyStopping",
    "EmpiricalBayes",
    "EmptyModes",
    "Evolution",
    "Exponential",
    "FileWarning",
    "GaussNewton",
    "GeneralizedCrossValidation",
    "GridMismatchError",
    "HeatEquation",
    "IncompressibleFlow",
    "InverseSolver",
    "InvertiblePhysics",
    "LCurve",
    "LevenbergMarquardt",
    "Masked",
    "MeasuredSpectrum",
    "MisfitWarning",
    "NetworkOutputError",
    "NetworkSpec",
    "NonFiniteError",
    "OptaxOptimizer",
    "ParameterError",
    "PerformanceWarning",
    "PluginError",
    "PluginWarning",
    "Poisson",
    "PowerLaw",
    "ProbabilisticDamping",
    "PublishedDamping",
    "RecordError",
    "RecordWarning",
    "Regularization",
    "Reversible",
    "RotatedSine",
    "RunFolderError",
    "RunRecord",
    "SaddleFreeNewton",
    "SipError",
    "SipStep",
    "SipUpdate",
    "SipWarning",
    "StoppingRule",
    "Target",
    "Tikhonov",
    "TimeReversal",
    "TimeStepping",
    "TotalVariation",
    "TrainingError",
    "TruncatedSVD",
    "UnknownNameError",
    "Unregularized",
    "UnsupportedError",
    "UntrustedError",
    "WallTime",
    "Wave",
    "Wiener",
    "available_networks",
    "available_physics",
    "available_solvers",
    "get_physics",
    "get_solver",
    "hookimpl",
    "read_run",
    "sip_inverse",
    "sip_update_weights",
    "train",
]

# Names are imported when they are first used, so that `import phi_sip` costs nothing.
_MODULES = {
    ".data.batches": ("Batch",),
    ".errors": (
        "TrainingError",
        "RunFolderError",
        "RecordError",
        "RecordWarning",
        "PerformanceWarning",
        "CheckpointWarning",
        "CheckpointError",
        "BoundaryError",
        "DuplicateNameError",
        "FileWarning",
        "GridMismatchError",
        "MisfitWarning",
        "NetworkOutputError",
        "NonFiniteError",
        "ParameterError",
        "PluginError",
        "PluginWarning",
        "SipError",
        "SipWarning",
        "UnknownNameError",
        "UnsupportedError",
        "UntrustedError",
    ),
    ".hookspecs": ("hookimpl",),
    ".networks": ("NetworkSpec",),
    ".noise": ("EmptyModes",),
    ".operator": ("SipStep", "sip_inverse"),
    ".physics.base": ("Correction", "InvertiblePhysics"),
    ".physics.burgers": ("Burgers",),
    ".physics.composite": ("Composite",),
    ".physics.differentiable": ("DifferentiablePhysics",),
    ".physics.evolution": ("Evolution", "Reversible", "TimeStepping"),
    ".physics.exponential": ("Exponential",),
    ".physics.flow": ("IncompressibleFlow",),
    ".physics.heat": ("HeatEquation",),
    ".physics.masked": ("Masked",),
    ".physics.poisson": ("Poisson",),
    ".physics.rotated_sine": ("RotatedSine",),
    ".physics.wave": ("Wave",),
    ".registry": ("available_networks", "available_physics", "available_solvers", "get_physics", "get_solver"),
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
        "Unregularized",
        "Wiener",
    ),
    ".solvers.base": ("InverseSolver",),
    ".solvers.conjugate_gradient": ("ConjugateGradient",),
    ".solvers.gauss_newton": ("GaussNewton",),
    ".solvers.lbfgs": ("LBFGS",),
    ".solvers.levenberg_marquardt": ("LevenbergMarquardt",),
    ".solvers.saddle_free_newton": ("SaddleFreeNewton",),
    ".solvers.time_reversal": ("TimeReversal",),
    ".trainers.optax": ("OptaxOptimizer",),
    ".training": (
        "Callback",
        "EarlyStopping",
        "RunRecord",
        "StoppingRule",
        "Target",
        "WallTime",
        "read_run",
        "train",
    ),
    ".update": ("SipUpdate", "sip_update_weights"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'phi_sip' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULE_OF[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
