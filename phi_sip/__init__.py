"""
Scale-invariant physics (SIP) training for PhiFlow.

Call `sip_update_weights` where a PhiFlow script calls `update_weights`. See `docs/design.md`.
"""

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
from .operator import SipStep, sip_inverse
from .physics.base import Correction, InvertiblePhysics
from .physics.heat import HeatEquation
from .registry import available_physics, available_solvers, get_physics, get_solver
from .regularization import ProbabilisticDamping, PublishedDamping, Regularization
from .solvers.base import InverseSolver
from .trainers.optax import OptaxOptimizer
from .update import SipUpdate, sip_update_weights

__version__ = "0.1.0"

__all__ = [
    "BoundaryError",
    "Correction",
    "DuplicateNameError",
    "FallbackWarning",
    "GridMismatchError",
    "HeatEquation",
    "InverseSolver",
    "InvertiblePhysics",
    "NetworkOutputError",
    "NonFiniteError",
    "OptaxOptimizer",
    "ParameterError",
    "PluginWarning",
    "ProbabilisticDamping",
    "PublishedDamping",
    "Regularization",
    "SipError",
    "SipStep",
    "SipUpdate",
    "UnknownNameError",
    "UnsupportedError",
    "available_physics",
    "available_solvers",
    "get_physics",
    "get_solver",
    "hookimpl",
    "sip_inverse",
    "sip_update_weights",
]
