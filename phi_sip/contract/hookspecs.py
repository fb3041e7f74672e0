"""The contract of a plugin: six hooks. See `docs/design.md` and `examples/custom_physics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..inversion.operator import SipStep
    from ..step.update import SipUpdate
    from .physics import InvertiblePhysics
    from .solver import InverseSolver
    from .training_state import TrainingState

PROJECT = "phi_sip"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    """The `InvertiblePhysics` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_solvers() -> Sequence[type[InverseSolver]]:
    """The `InverseSolver` classes that this plugin adds."""
    raise NotImplementedError


@hookspec
def sip_networks() -> Mapping[str, Callable[..., Any]]:
    """The networks that this plugin adds: by name, the function that makes one from keyword arguments of plain data."""
    raise NotImplementedError


@hookspec(firstresult=True)
def sip_inverse(
    physics: InvertiblePhysics, y_target: Any, x: Any, step_size: float, solver: InverseSolver | None
) -> SipStep | None:
    """Inverts `physics` around `x`. The first plugin that returns a step wins; `None` passes on."""


@hookspec(firstresult=True)
def sip_update_weights(
    net: Any,
    optimizer: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    predict: Callable[[Any], Any] | None,
    step_size: float,
    solver: InverseSolver | None,
    x_true: Any,
    training: bool | None,
    compile: bool | None,
    micro_batches: int,
) -> SipUpdate | None:
    """Updates the weights of `net`. The plugin of the network's framework answers; `None` passes on."""


@hookspec(firstresult=True)
def sip_training_state(net: Any, optimizer: Any, schedule: Any) -> TrainingState | None:
    """What can save, restore and evaluate `net` in `train`. The plugin of its framework answers; `None` passes on."""
