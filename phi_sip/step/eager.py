"""Updates that run step by step, and what a framework keeps of them."""

from __future__ import annotations

import warnings
from collections.abc import Hashable

from phiml.backend import Backend

from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import PerformanceWarning
from ..frameworks import operations_of
from .kind import sizes_of
from .target_gradient import target_gradient
from .transaction import make_update

SIZES_KEPT = 8
USES = ("step_size", "solver", "compile", "targets")

_sizes: set[Hashable] = set()


def sip_update(trainable: Trainable, request: UpdateRequest) -> SipUpdate:
    """Makes one update by the gradient of its target, which uses all that the request asks for."""
    return make_update(trainable, request, target_gradient, USES)


def step_by_step(trainable: Trainable, request: UpdateRequest) -> SipUpdate:
    """Makes one update by the SIP gradient where a framework compiles, but this update is not compiled as a whole."""
    limit_sizes(trainable.backend, sizes_of(request))
    return sip_update(trainable, request)


def limit_sizes(backend: Backend, sizes: Hashable) -> None:
    """
    Drops all compiled operations of a framework after updates of `SIZES_KEPT` sizes, before one of another size.

    JAX compiles every operation of an update that runs step by step for every size, and keeps it for ever: more than
    100 MB for each size.

    Args:
        backend: PhiML's, on which the next update runs step by step.
        sizes: What tells the sizes of its data apart.
    """
    operations = operations_of(backend)
    if not operations.COMPILES_OPERATIONS or sizes in _sizes:
        return
    if len(_sizes) >= SIZES_KEPT:
        _sizes.clear()
        operations.drop_operations()
        warnings.warn(
            f"Updates of more than {SIZES_KEPT} sizes of data run step by step on {backend.name}, which compiles each "
            f"operation anew for each size. All that it has compiled is dropped now, so that memory does not grow for "
            f"ever. Use few sizes, e.g. leave out the last, smaller batch, or let updates be compiled as a whole: "
            f"compile=True.",
            PerformanceWarning,
            stacklevel=2,
        )
    _sizes.add(sizes)
