"""The classes that plain data name by their types: regularization rules, their parts, and numerical inverses."""

from __future__ import annotations

import inspect

from .. import regularization
from ..contract.solver import InverseSolver
from ..plugins.collection import collect
from ..regularization import ParameterChoice, Regularization, Spectrum
from ..regularization.noise import EmptyModes

PARTS = (Regularization, Spectrum, ParameterChoice, EmptyModes, InverseSolver)


def public_parts() -> dict[str, type]:
    """Returns the classes of parts that `phi_sip` has or plugins register, by name."""
    known = [getattr(regularization, name) for name in regularization.__all__]
    registered = [
        cls
        for hook, base in (("sip_rules", Regularization), ("sip_solvers", InverseSolver))
        for cls, _ in collect(hook, base).classes.values()
    ]
    return {
        cls.__name__: cls
        for cls in (*known, EmptyModes, *registered)
        if issubclass(cls, PARTS) and not inspect.isabstract(cls)
    }
