"""Derivatives of a process with respect to its state, where the framework can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phiml.backend import Backend, choose_backend, default_backend

from ..compilation.inputs import without_values
from ..contract.physics import InvertiblePhysics
from ..frameworks import operations_of
from ..states import trees


def differentiating_backend(x: Any) -> Backend:
    """Returns the framework of the state, or the default one if that of the state cannot differentiate."""
    backend = choose_backend(*trees.natives(x))
    if not backend.supports(Backend.jacobian) and default_backend().supports(Backend.jacobian):
        return default_backend()
    return backend


def differentiated(physics: InvertiblePhysics, x: Any, backend: Backend) -> tuple[Any, Callable[[Any], Any]]:
    """
    Computes y = P(x) and v ↦ Jᵀ v with J = ∂P/∂x at x, which may be applied any number of times, by one simulation.

    Args:
        physics: P.
        x: State at which to differentiate.
        backend: Framework that differentiates. x and v are converted to it. v has the structure and dims of y.

    Raises:
        UnsupportedError: if it cannot differentiate.
    """
    x = trees.to_backend(x, backend)
    simulated: list[Any] = []

    def simulate(*values: Any) -> list[Any]:
        y = trees.to_backend(physics.forward(trees.with_natives(x, values)), backend)
        simulated.append(trees.tree_map(without_values, y))
        return trees.natives(y)

    natives, pull = operations_of(backend).vjp(simulate, trees.natives(x))
    y = trees.stop_gradient(trees.with_natives(simulated[-1], natives))
    return y, lambda v: trees.with_natives(x, pull(trees.natives(trees.to_backend(v, backend), like=y)))
