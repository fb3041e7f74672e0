"""The classes that plain data name by their types: rules, solvers, inputs and targets, and their parts."""

from __future__ import annotations

import inspect

from .. import regularization
from ..contract.inputs import NetworkInput
from ..contract.solver import InverseSolver
from ..contract.target import TrainingTarget
from ..noise import NoiseLaw
from ..plugins.collection import collect
from ..regularization import ParameterChoice, Regularization, Spectrum
from ..regularization.noise import EmptyModes
from ..targets import RandomTransform

OWN = (EmptyModes, RandomTransform)
REGISTERED = {
    "sip_rules": Regularization,
    "sip_noise": NoiseLaw,
    "sip_solvers": InverseSolver,
    "sip_inputs": NetworkInput,
    "sip_targets": TrainingTarget,
}
PARTS = (Spectrum, ParameterChoice, *OWN, *REGISTERED.values())


def public_parts() -> dict[str, type]:
    """Returns the classes of parts that `phi_sip` has or plugins register, by name."""
    known = [getattr(regularization, name) for name in regularization.__all__]
    registered = [cls for hook, base in REGISTERED.items() for cls, _ in collect(hook, base).classes.values()]
    return {
        cls.__name__: cls
        for cls in (*known, *OWN, *registered)
        if issubclass(cls, PARTS) and not inspect.isabstract(cls)
    }
