"""NumPy: states are simulated and inverted, networks are not trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from phiml.backend import NUMPY, Backend

from ...contract.framework import Framework
from ...contract.markers import hookimpl
from ...contract.operations import Operations


class NumPy(Framework):
    """NumPy: states are simulated and inverted, networks are not trained."""

    name: ClassVar[str] = "numpy"

    @property
    def backend(self) -> Backend:
        return NUMPY

    @property
    def operations(self) -> Operations:
        from . import operations

        return operations


@hookimpl
def sip_frameworks() -> Sequence[Framework]:
    return [NumPy()]
