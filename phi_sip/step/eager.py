"""What runs step by step, and what a framework keeps of it."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import TypeVar

from phiml.backend import Backend

from ..contract.trainable import Trainable
from ..contract.update import UpdateRequest
from ..errors import PerformanceWarning
from ..frameworks import operations_of
from .computation import Computation, Result
from .kind import sizes_of

SIZES_KEPT = 8

R = TypeVar("R", bound=Result)
_sizes: set[Hashable] = set()


def step_by_step(computation: Computation[R], trainable: Trainable, request: UpdateRequest) -> R:
    """Computes something where a framework compiles, but this is not compiled as a whole."""
    limit_sizes(trainable.backend, sizes_of(request))
    return computation(trainable, request)


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
