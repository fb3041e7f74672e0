"""Checks of the derivatives of `forward`, J = ∂P/∂x, which numerical inverses and training through the physics need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from phiml.backend import Backend, choose_backend

from ..errors import UnsupportedError
from ..solvers.derivatives import differentiated
from ..solvers.least_squares import LeastSquares
from ..states import trees
from .report import NotApplicableError, require
from .sample import Sample, total


def gradient(sample: Sample, x: Any, cotangent_of: Callable[[Any], Any]) -> Any:
    """
    Computes Jᵀ c at x with c = cotangent_of(P(x)).

    Raises:
        NotApplicableError: if the framework of x cannot differentiate.
    """
    y, pull = differentiated(sample.physics, x, _differentiating_backend(sample))
    return pull(trees.cast(cotangent_of(y), sample.precision))


def check_differentiable(sample: Sample) -> str:
    """Checks ⟨Jᵀ s, d⟩ = ‖s‖² with s the change of P along d by central differences."""
    direction = sample.direction()
    size = 1e-5 if sample.precision > 32 else 1e-2
    ahead = sample.forward(trees.add(sample.x, trees.scale(direction, size)))
    behind = sample.forward(trees.subtract(sample.x, trees.scale(direction, size)))
    slope = trees.scale(trees.subtract(ahead, behind), 0.5 / size)
    expected = float(np.sum(sample.dot(slope, slope)))
    found = float(np.sum(sample.dot(gradient(sample, sample.x, lambda y: slope), direction)))
    error = abs(found - expected) / (abs(expected) or 1.0)
    require(
        error < (1e-5 if sample.precision > 32 else 5e-2),
        f"The derivative of `forward` differs by {error:.1e} from finite differences. Use operations that the "
        f"framework can differentiate, no stop_gradient, and check derivatives written by hand.",
    )
    return f"relative error {error:.0e}"


def check_adjoint(sample: Sample) -> str:
    """Checks ⟨J d, v⟩ = ⟨d, Jᵀ v⟩, with J d by forward and Jᵀ v by reverse mode."""
    backend = _differentiating_backend(sample)
    try:
        problem = LeastSquares.of(sample.physics, sample.y_target, sample.x, sample.y_target)
        x = problem.states.pack(sample.x)
        _, push, pull = problem.linearize(x)
        d = problem.states.pack(trees.to_backend(sample.direction(), backend))
        image = push(d)
    except UnsupportedError as reason:
        raise NotApplicableError(str(reason)) from reason
    except Exception as reason:
        raise NotApplicableError(
            f"{backend.name} cannot compute J d here ({type(reason).__name__}), nor can solvers that need it: use "
            f"LBFGS, or a closed form"
        ) from reason
    noise = trees.scale(trees.tree_map(sample.noise, sample.y_target), _rms(sample))
    v = problem.observations.pack(trees.to_backend(noise, backend))
    forward, reverse = _dot(backend, image, v), _dot(backend, d, pull(v))
    size = np.sqrt(_dot(backend, image, image) * _dot(backend, v, v))
    error = abs(forward - reverse) / (size or 1.0)
    require(
        error < 10 * sample.tolerance,
        f"⟨J d, v⟩ and ⟨d, Jᵀ v⟩ differ by {error:.1e} of ‖J d‖ ‖v‖: forward and reverse mode are not the same "
        f"derivative. Let derivatives written by hand be linear in what they are applied to: clip and normalize none.",
    )
    return f"relative difference {error:.0e}"


def _differentiating_backend(sample: Sample) -> Backend:
    backend = choose_backend(*trees.natives(sample.x))
    if not backend.supports(Backend.jacobian):
        raise NotApplicableError(f"{backend.name} cannot differentiate: give x on TensorFlow, PyTorch or JAX")
    return backend


def _rms(sample: Sample) -> float:
    """Computes the root mean square of y*."""
    values = sum(leaf.shape.volume for leaf in trees.leaves(sample.y_target))
    return float(total(sample.norm(sample.y_target)) / np.sqrt(values))


def _dot(backend: Backend, a: Any, b: Any) -> float:
    return float(np.sum(backend.numpy(a).astype(float) * backend.numpy(b).astype(float)))
