"""The frameworks that a command can be told to use."""

from __future__ import annotations

import importlib
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import UnsupportedError

if TYPE_CHECKING:
    from phiml.backend import Backend


class Framework(str, Enum):
    """By name."""

    tensorflow = "tensorflow"
    torch = "torch"
    jax = "jax"


# framework → PhiFlow's module for it, the name of the backend there, what to install
_BACKENDS = {
    Framework.tensorflow: ("phi.tf", "TENSORFLOW", "tensorflow"),
    Framework.torch: ("phi.torch", "TORCH", "'phi-sip[torch]'"),
    Framework.jax: ("phi.jax", "JAX", "'phi-sip[jax]'"),
}


def backend_of(framework: Framework) -> Backend:
    """
    Imports a framework and returns PhiML's backend of it.

    Raises:
        UnsupportedError: if the framework is not installed.
    """
    module, name, distribution = _BACKENDS[framework]
    try:
        backend: Backend = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in (framework.value, "jaxlib"):
            raise
        raise UnsupportedError(f"{error.name} is not installed. Install it: pip install {distribution}") from error
    return backend
