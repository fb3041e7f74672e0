"""What a framework keeps for each size of data where it compiles every operation by itself."""

from __future__ import annotations

import warnings
from collections.abc import Hashable

from phiml.backend import Backend

from ..errors import PerformanceWarning
from ..frameworks import framework_of

SIZES_KEPT = 8

_sizes: set[Hashable] = set()


def limit_sizes(backend: Backend, sizes: Hashable) -> None:
    """
    Drops all compiled operations of a framework after updates of `SIZES_KEPT` sizes, before one of another size.

    JAX compiles every operation of an update that runs step by step for every size, and keeps it for ever: more than
    100 MB for each size.

    Args:
        backend: PhiML's, on which the next update runs step by step.
        sizes: What tells the sizes of its data apart.
    """
    framework = framework_of(backend)
    if not framework.COMPILES_OPERATIONS or sizes in _sizes:
        return
    if len(_sizes) >= SIZES_KEPT:
        _sizes.clear()
        framework.drop_operations()
        warnings.warn(
            f"Updates of more than {SIZES_KEPT} sizes of data run step by step on {backend.name}, which compiles each "
            f"operation anew for each size. All that it has compiled is dropped now, so that memory does not grow for "
            f"ever. Use few sizes, e.g. leave out the last, smaller batch, or let updates be compiled as a whole: "
            f"compile=True.",
            PerformanceWarning,
            stacklevel=2,
        )
    _sizes.add(sizes)
