"""The Jacobian of network and physics together, for one micro-batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Shape

from ..contract.trainable import PullBackRows
from ..errors import GridMismatchError
from ..frameworks import operations_of
from ..solvers.least_squares import check_real
from ..solvers.vectors import Vectors
from ..states import trees
from ..states.checks import check_same_grid
from .part import Part


@dataclass(frozen=True, eq=False)
class Linearized:
    """
    y ≈ P(f(y*; θ)) + J dθ for one micro-batch.

    Attributes:
        x: f(y*; θ).
        y: P(x), stored like y*.
        residual: y* − y, native, shape (entries, values).
        rows: Computes the rows of J, one for each entry and value, in this order, when called: for each weight a native
            tensor (entries · values, *shape of the weight), or `None` if y does not depend on it.
    """

    x: Any
    y: Any
    residual: Any
    rows: Callable[[], list[Any]]


def linearized(part: Part, y_target: Any) -> Linearized:
    """
    Linearizes network and physics at the weights of now.

    J is the product of the derivatives of the physics, which has one block per sample, and of those of the network. So
    the physics is differentiated once for each value of one observation, in all samples at once.

    Args:
        part: The micro-batch.
        y_target: Its observations.

    Raises:
        GridMismatchError: if P(x) and y* cannot be compared, or P(x) has batch dims that neither y* nor x have.
    """
    physics, backend = part.request.physics, part.trainable.backend
    predict, seen = part.prediction(y_target), math.merge_shapes(*(t.shape.batch for t in trees.leaves(y_target)))
    states: list[Vectors] = []
    observations: list[Vectors] = []

    def evaluate() -> Any:
        x = predict()
        entries = math.merge_shapes(seen, *(leaf.shape.batch for leaf in trees.leaves(x)))
        packed = Vectors(x, entries, backend)
        states.append(packed.without_values())
        return packed.pack(x)

    def simulate(x: Any) -> list[Any]:
        y = trees.to_backend(physics.forward(states[-1].unpack(x)), backend)
        check_real(y)
        check_same_grid("y_target", y_target, f"the observation that {type(physics).__name__} simulates", y)
        _check_entries(y, states[-1].entries, y_target)
        packed = Vectors(y, states[-1].entries, backend)
        observations.append(packed.without_values())
        return [packed.pack(y)]

    flat_x, pull_back_rows = part.trainable.record_rows(evaluate)
    x = states[-1].unpack(flat_x)
    part.check_prediction(x)
    outputs, pull = operations_of(backend).vjp(simulate, [flat_x])
    y = trees.stop_gradient(observations[-1].unpack(outputs[0]))
    residual = observations[-1].pack(y_target) - observations[-1].pack(y)
    count, values = states[-1].entries.volume, observations[-1].size
    precision = trees.precision_of(y_target)

    def rows() -> list[Any]:
        return _rows(pull_back_rows, lambda v: pull([v]), backend, count, values, precision)

    return Linearized(x, trees.in_order_of(y, y_target), residual, rows)


def _check_entries(y: Any, entries: Shape, y_target: Any) -> None:
    """Raises `GridMismatchError` if a simulation has samples of which the observations know nothing."""
    more = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(y))).without(entries)
    if more:
        raise GridMismatchError(
            f"The physics has parameters along {more}, which y_target, {trees.describe(y_target)}, has not. Nothing "
            f"was changed. Give each entry its observation: "
            f"math.expand(y_target, batch({more.names[0]}={more.sizes[0]}))."
        )


def _rows(
    pull_back_rows: PullBackRows,
    pull: Callable[[Any], list[Any]],
    backend: Any,
    count: int,
    values: int,
    precision: int,
) -> list[Any]:
    """Pulls each of `values` of `count` samples back through the physics, then through the network."""

    def native(array: np.ndarray) -> Any:
        return backend.as_tensor(array.astype(f"float{precision}"))

    ones = np.broadcast_to(np.eye(values)[:, None], (values, count, values))
    (of_physics,) = operations_of(backend).vmap(pull, native(ones))  # (values, entries, columns of x)
    blocks = backend.transpose(of_physics, [1, 0, 2])
    cotangents = blocks[:, :, None, :] * native(np.eye(count)[:, None, :, None])
    return pull_back_rows(backend.reshape(cotangents, (count * values, count, -1)))
