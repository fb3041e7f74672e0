"""The chapter's problem, and networks to train on it: what all sections measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import chapter
import numpy as np
from native import use
from phi.field import Field
from phiml import math, nn
from phiml.backend import default_backend
from phiml.math import Shape, batch, spatial
from settings import Settings

from phi_sip import HeatEquation, InvertiblePhysics, Regularization
from phi_sip.compilation.inputs import without_values
from phi_sip.data import Samples, heat_rectangle_samples
from phi_sip.frameworks import operations_of
from phi_sip.states import trees

Pair = tuple[Field, Field]


def heat(rule: Regularization | None = None) -> HeatEquation:
    """The process, inverted by `rule`."""
    return HeatEquation(1.0, chapter.AMOUNT, regularization=rule)


def dims(samples: int, cells: int) -> tuple[Shape, Shape]:
    return batch(batch=samples), spatial(x=cells, y=cells)


def observed_rectangles(samples: int, cells: int) -> Samples[np.ndarray, Pair]:
    """Pairs (x, y*) by seed, which can be drawn ahead."""
    rectangles = heat_rectangle_samples(*dims(samples, cells))

    def finish(drawn: np.ndarray) -> Pair:
        x = rectangles.finish(drawn)
        return x, heat().forward(x)

    return Samples(rectangles.draw, finish)


def new_network(settings: Settings, rate: float = 1e-3, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """The chapter's network in single precision, or with other options, and its optimizer; the same for one seed."""
    native = use(settings.framework)
    native.seed(seed)
    with math.precision(32):
        net = nn.u_net(1, 1, **settings.sizes.network, **options)
    return net, native.adam(net, rate)


def array(field: Field) -> np.ndarray:
    """Values (batch, x, y, …)."""
    values: np.ndarray = field.values.numpy(["batch", *field.resolution.names])
    return values


def compiled(function: Callable[..., Field], states: Sequence[Field]) -> Callable[[], Any]:
    """A function of states, compiled over their values as a training step is; ends when native values are there."""
    backend = default_backend()
    native = use(backend.name)
    templates = [trees.tree_map(without_values, state) for state in states]
    precision = trees.precision_of(states[0])

    def run(*natives: Any) -> Any:
        with backend, math.precision(precision):
            traced = [trees.with_natives(state, [value]) for state, value in zip(templates, natives, strict=True)]
            return trees.natives(function(*traced), like=templates[0])[0]

    call = operations_of(backend).compile(run)
    inputs = [trees.natives(state)[0] for state in states]
    return lambda: native.finished(call(*inputs))


def forward_and_inverse(physics: InvertiblePhysics, y_target: Field, x: Field) -> Field:
    """Δx at x, as a training step computes it."""
    return physics.inverse(y_target, x, physics.forward(x)).dx


def inversion(rule: Regularization | None, states: Sequence[Field]) -> Callable[[], Any]:
    """Δx of y*, x and P(x) by a rule, see `compiled`."""
    physics = heat(rule)
    return compiled(lambda y_target, x, y: physics.inverse(y_target, x, y).dx, states)
