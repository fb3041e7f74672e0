"""The hooks that a plugin can implement. See `docs/design.md` and `examples/custom_physics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .framework import Framework
from .inputs import NetworkInput
from .markers import hookspec
from .physics import InvertiblePhysics
from .solver import InverseSolver
from .step import SipStep
from .target import TrainingTarget
from .trainable import Trainable
from .update import SipUpdate, UpdateRequest


@hookspec
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    """Returns the `InvertiblePhysics` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_solvers() -> Sequence[type[InverseSolver]]:
    """Returns the `InverseSolver` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_rules() -> Sequence[type[Any]]:
    """Returns the `Regularization` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_noise() -> Sequence[type[Any]]:
    """Returns the `NoiseLaw` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_inputs() -> Sequence[type[NetworkInput]]:
    """Returns the `NetworkInput` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_targets() -> Sequence[type[TrainingTarget]]:
    """Returns the `TrainingTarget` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_networks() -> Mapping[str, Callable[..., Any]]:
    """
    Returns the networks that this plugin adds: by name, the function that makes one from keyword arguments of plain
    data.
    """
    raise NotImplementedError


@hookspec
def sip_frameworks() -> Sequence[Framework]:
    """Returns the frameworks that this plugin adds: one object each."""
    raise NotImplementedError


@hookspec
def sip_file_formats() -> Sequence[type[Any]]:
    """Returns the `FileFormat` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_record(update: SipUpdate) -> Mapping[str, float]:
    """Returns numbers by name that a step of `train` records besides its own."""
    raise NotImplementedError


@hookspec(firstresult=True)
def sip_inverse(
    physics: InvertiblePhysics, y_target: Any, x: Any, step_size: float, solver: InverseSolver | None
) -> SipStep | None:
    """Inverts `physics` around `x`. The first plugin that returns a step wins; `None` passes on."""


@hookspec(firstresult=True)
def sip_update_weights(trainable: Trainable, request: UpdateRequest) -> SipUpdate | None:
    """
    Updates the weights of `trainable`. The first plugin that returns an update wins; `None` passes on to the SIP
    update. `phi_sip.step.transaction.make_update` gives an implementation predictions, micro-batches and rollback.
    """
