"""Nothing depends on the order in which dims, axes of a grid and named components are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import phiml.nn
import pytest
from fields import periodic, smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import Tensor, batch, channel, extrapolation, spatial
from test_conformance import CASES

from phi_sip import (
    Burgers,
    Composite,
    HeatEquation,
    IncompressibleFlow,
    Masked,
    SipUpdate,
    get_solver,
    sip_inverse,
    sip_update_weights,
    trees,
)
from phi_sip.data import heat_rectangles, smooth_fields
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.networks import NetworkSpec
from phi_sip.predict import call_network
from phi_sip.testing import PhysicsCheckError, check_physics
from phi_sip.training.validation import samples_of


def stored(tensor: Tensor, order: list[str], components: bool) -> Tensor:
    """The same values with dims sorted as in `order`, and named components backwards."""
    names = sorted(tensor.shape.names, key=lambda name: (order.index(name) if name in order else -1, name))
    dims = tensor.shape.only(names, reorder=True)
    with math.precision(tensor.dtype.precision):
        tensor = math.reshaped_tensor(tensor.native(dims), [*dims], convert=False)
        for dim in tensor.shape.channel if components else ():
            if tensor.shape.get_item_names(dim.name):
                tensor = tensor[{dim.name: tensor.shape.get_item_names(dim.name)[::-1]}]
    return tensor


class Turned:
    """States stored in another order: of dims, of axes in resolution and bounds, of components."""

    def __init__(self, order: list[str], axes: bool, components: bool) -> None:
        self.order, self.axes, self.components = order, axes, components

    def __repr__(self) -> str:
        return f"Turned({self.order}, axes={self.axes}, components={self.components})"

    def __call__(self, tree: Any) -> Any:
        if isinstance(tree, tuple):
            return tuple(map(self, tree))
        if isinstance(tree, Field):
            return self.field(tree)
        return stored(tree, self.order, self.components) if isinstance(tree, Tensor) else tree

    def field(self, field: Field) -> Field:
        values = stored(field.values, self.order, self.components)
        if not self.axes:
            return field.with_values(values)
        names = field.resolution.names[::-1]
        bounds = Box(**{a: (float(field.bounds.lower.vector[a]), float(field.bounds.upper.vector[a])) for a in names})
        return CenteredGrid(
            values, field.boundary, bounds=bounds, resolution=field.resolution.only(names, reorder=True)
        )


@st.composite
def turns(draw: Any) -> Turned:
    order = draw(st.permutations(["batch", "x", "y", "z", "vector", "times"]))
    return Turned(order, draw(st.booleans()), draw(st.booleans()))


def arrays(tree: Any) -> list[np.ndarray]:
    """Values in one order of dims and components."""
    if isinstance(tree, tuple):
        return [values for item in tree for values in arrays(item)]
    values = tree.values if isinstance(tree, Field) else tree
    for dim in values.shape.channel:
        names = values.shape.get_item_names(dim.name)
        if names:
            values = values[{dim.name: sorted(names)}]
    return [values.numpy(sorted(values.shape.names))]


def assert_same(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    for a, b in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (np.abs(b).max() + 1e-30))


def names(tree: Any) -> list[tuple[str, ...]]:
    return [leaf.shape.names for leaf in trees.leaves(tree)]


def turned_physics(physics: Any, turned: Turned) -> Any:
    """The physics with its mask, marker and parameters stored in another order."""
    if isinstance(physics, Masked):
        return Masked(physics.physics, turned(physics.mask))
    if isinstance(physics, IncompressibleFlow):
        return IncompressibleFlow(turned(physics.marker), physics.time_step, physics.steps)
    if isinstance(physics, HeatEquation):
        return HeatEquation(
            turned(physics.diffusivity), turned(physics.time), physics.noise_std, physics.regularization
        )
    return physics


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", [case for case in CASES if "1d" not in case])
@given(turned=turns())
@settings(max_examples=2)
def test_physics_and_inverses_go_by_name(case, turned):
    make_physics, make_x = CASES[case]
    physics = make_physics()
    with NUMPY if physics.has_inverse and not isinstance(physics, Composite) else TORCH:
        x = make_x()
        y = physics.forward(x)
        expected = sip_inverse(physics, y, trees.scale(x, 0.9))
        other = turned_physics(physics, turned)
        assert_same(other.forward(turned(x)), y)
        found = sip_inverse(other, turned(y), trees.scale(turned(x), 0.9))
        assert names(found.dx) == names(found.x) == names(turned(x))
        assert names(found.y) == names(turned(y))
        tolerance = 1e-9 if case != "poisson-noise" else 1e-7
        for name in ("y", "residual", "dx", "x_target"):
            assert_same(getattr(found, name), getattr(expected, name), tolerance)
        if expected.uncertainty is not None:
            assert_same(found.uncertainty, expected.uncertainty, tolerance)
        constrained = other.constrain(turned(x), turned(y))
        assert_same(constrained, physics.constrain(x, y))
        assert names(constrained) == names(turned(x))
