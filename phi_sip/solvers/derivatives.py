"""Derivatives of a process with respect to its state, where the framework can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phiml.backend import Backend, choose_backend, default_backend

from ..contract.physics import InvertiblePhysics
from ..frameworks import operations_of
from ..states import trees


def differentiating_backend(x: Any) -> Backend:
    """Returns the framework of the state, or the default one if that of the state cannot differentiate."""
    backend = choose_backend(*trees.natives(x))
    if not backend.supports(Backend.jacobian) and default_backend().supports(Backend.jacobian):
        return default_backend()
    return backend


def pullback(physics: InvertiblePhysics, x: Any, y: Any, backend: Backend) -> Callable[[Any], Any]:
    """
    Computes v ↦ Jᵀ v with J = ∂P/∂x at x, which may be applied any number of times.

    Args:
        physics: P.
        x: State at which to differentiate.
        y: P(x), whose structure and dims v has.
        backend: Framework that differentiates. x and v are converted to it.

    Raises:
        UnsupportedError: if it cannot differentiate.
    """
    x = trees.to_backend(x, backend)

    def simulate(*values: Any) -> list[Any]:
        return trees.natives(trees.to_backend(physics.forward(trees.with_natives(x, values)), backend), like=y)

    _, pull = operations_of(backend).vjp(simulate, trees.natives(x))
    return lambda v: trees.with_natives(x, pull(trees.natives(trees.to_backend(v, backend), like=y)))
