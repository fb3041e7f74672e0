"""JAX with the networks of PhiML and optax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...contract.framework import Framework
from ...contract.markers import hookimpl
from ..folder import FrameworkFolder
from ..origin import defined_in


class Jax(FrameworkFolder):
    """JAX with the networks of PhiML and optax."""

    name: ClassVar[str] = "jax"
    of_phiflow = ("phi.jax", "JAX")
    trainable_class = "JaxTrainable"
    state_class = "JaxState"

    def is_network(self, net: Any) -> bool:
        return defined_in(net, "phiml.backend.jax") and hasattr(net, "parameters") and callable(net)


@hookimpl
def sip_frameworks() -> Sequence[Framework]:
    return [Jax()]
