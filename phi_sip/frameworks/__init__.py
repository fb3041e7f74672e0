"""The frameworks, each in a folder of its own. `operations_of` and `framework_for` find what is needed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from phiml.backend import Backend

from ..contract.framework import Framework, TrainingFramework
from ..contract.operations import Operations
from ..errors import UnsupportedError
from ..plugins.collection import Registered, collect, objects
from ..plugins.manager import DISABLE_VARIABLE, PluginManager, get_plugin_manager

OF_PHIFLOW = ("tensorflow", "torch", "jax")


def registered_frameworks() -> Registered[Framework]:
    """Returns all frameworks, those of plugins too."""
    return collect("sip_frameworks", Framework, objects)


def operations_of(backend: Backend) -> Operations:
    """
    Returns the native operations for the tensors of `backend`.

    Raises:
        UnsupportedError: if no plugin provides it.
        DuplicateNameError: if two plugins do.
    """
    return _operations(backend.name, get_plugin_manager())


@lru_cache(maxsize=64)
def _operations(name: str, _: PluginManager) -> Operations:
    """Finds the operations by name. It keeps what a manager has found, as they are needed at every transform."""
    registered = registered_frameworks()
    if name not in registered.classes:
        raise UnsupportedError(
            f"phi_sip has no operations for tensors of '{name}'. Use TensorFlow, PyTorch, JAX or NumPy.{_blocked()}"
        )
    framework: Framework = registered.named("framework", name)
    return framework.operations


def training_frameworks() -> dict[str, TrainingFramework]:
    """Returns the frameworks that train networks, by name: those of PhiFlow first, in its order."""
    registered = registered_frameworks()
    names = sorted(registered.names(), key=lambda name: (OF_PHIFLOW.index(name) if name in OF_PHIFLOW else 3, name))
    found = {name: registered.named("framework", name) for name in names}
    return {name: framework for name, framework in found.items() if isinstance(framework, TrainingFramework)}


def _blocked() -> str:
    """Names the frameworks that are left out, for messages."""
    blocked = [name for name in (*OF_PHIFLOW, "numpy") if get_plugin_manager().is_blocked(name)]
    return f" {DISABLE_VARIABLE} leaves out {', '.join(blocked)}." if blocked else ""


def training_framework(name: str) -> TrainingFramework:
    """
    Returns the framework with a name.

    Raises:
        UnknownNameError: if no plugin provides it, or it trains no networks.
        DuplicateNameError: if two plugins provide it.
    """
    known = training_frameworks()
    if name in known:
        return known[name]
    registered = registered_frameworks()
    if name not in registered.contested:
        registered.classes.pop(name, None)
    return cast("TrainingFramework", registered.named("framework", name))  # raises


def framework_for(net: Any) -> TrainingFramework:
    """
    Returns the framework of a network.

    Raises:
        UnsupportedError: if no plugin knows the network.
    """
    for framework in training_frameworks().values():
        if framework.is_network(net):
            return framework
    raise UnsupportedError(
        f"No plugin can train a {type(net).__module__}.{type(net).__qualname__}. Use a Keras model, a torch.nn.Module "
        f"or a JAX network of phiml.nn, or register a plugin that implements `sip_frameworks`.{_blocked()}"
    )
