"""Nothing depends on the order in which dims, axes of a grid and named components are stored."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fields import grid, smooth
from frameworks import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import Tensor, batch, channel, extrapolation, spatial
from test_conformance import CASES, SOLVERS

from phi_sip import (
    AffineSubspace,
    Composite,
    EmpiricalBayes,
    Evolution,
    GridMismatchError,
    HeatEquation,
    HeterogeneousHeat,
    IncompressibleFlow,
    InvertiblePhysics,
    Masked,
    Projected,
    PublishedDamping,
    RotatedSine,
    SipUpdate,
    TotalVariation,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.contract.update import UpdateRequest
from phi_sip.data import heat_rectangles, smooth_fields
from phi_sip.descriptions.networks import NetworkSpec
from phi_sip.files import GridArray, read_grid, write_grids
from phi_sip.inference import invert_file, load_inverse, save_inverse
from phi_sip.states import order, trees
from phi_sip.step.micro_batches import split
from phi_sip.step.network import call_network
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
    if isinstance(physics, Projected):
        family = physics.project
        origin = None if family.origin is None else turned(family.origin)
        project = AffineSubspace([turned(field) for field in family.basis], origin)
        return Projected(turned_physics(physics.physics, turned), project)
    if isinstance(physics, HeterogeneousHeat):
        return dataclasses.replace(physics, diffusivity=turned(physics.diffusivity))
    if isinstance(physics, HeatEquation):
        return HeatEquation(
            turned(physics.diffusivity), turned(physics.time), physics.noise_std, physics.regularization
        )
    return physics


SEVERAL_AXES = [case for case in CASES if "1d" not in case]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", SEVERAL_AXES)
def test_physics_and_inverses_go_by_name(case):
    check_by_name(case, Turned(["times", "vector", "z", "y", "x", "batch"], axes=True, components=True))


@pytest.mark.usefixtures("double")
@given(case=st.sampled_from(SEVERAL_AXES), turned=turns())
@settings(max_examples=20)
def test_physics_and_inverses_go_by_name_in_any_order(case, turned):
    check_by_name(case, turned)


def check_by_name(case: str, turned: Turned) -> None:
    make_physics, make_x = CASES[case]
    physics = make_physics()
    with NUMPY if physics.has_inverse and not isinstance(physics, (Composite, Projected)) else TORCH:
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


def observations(channels: tuple[str, ...] = ()) -> Field:
    values = np.random.default_rng(0).standard_normal((2, 8, 12, *([len(channels)] if channels else [])))
    dims = [batch("batch"), spatial("x,y"), *([channel(vector=list(channels))] if channels else [])]
    return CenteredGrid(math.tensor(values, *dims), extrapolation.PERIODIC, bounds=Box(x=8.0, y=6.0))


@pytest.mark.parametrize("channels", [(), ("x", "y")])
@given(turned=turns())
@settings(max_examples=8)
def test_networks_see_one_order(channels, turned):
    """That of the names, which is the usual one."""
    with NUMPY, math.precision(64):
        y = observations(channels)
        seen = []

        def network(native: Any) -> Any:
            seen.append(native)
            return native * np.arange(2, 2 + native.shape[-1]) + native[:, :1]

        found = call_network(network, turned(y))
        expected = y.values.numpy(["batch", "x", "y", *(["vector"] if channels else [])]).reshape(seen[0].shape)
        np.testing.assert_allclose(seen[0], expected, rtol=1e-6)
        assert names(found) == names(turned(y))
        assert_same(found, call_network(network, y), 1e-6)


def test_networks_see_components_in_the_order_of_their_names():
    with NUMPY:
        y = math.tensor(np.arange(4.0).reshape(1, 2, 2), batch("batch"), channel(c=["u", "p"]), spatial("x"))
        seen = []
        x = call_network(lambda native: seen.append(native) or native, y)
    np.testing.assert_array_equal(seen[0], [[[2, 0], [3, 1]]])
    assert x.shape.get_item_names("c") == ("u", "p")
    np.testing.assert_array_equal(x.numpy("batch,c,x"), y.numpy("batch,c,x"))


def updated(framework: Any, y: Field, x_true: Field, physics: Any) -> tuple[SipUpdate, list[np.ndarray]]:
    net = framework.u_net(2)
    before = framework.weights(net)
    update = sip_update_weights(net, framework.sgd(net, 0.01), physics, y, x_true=x_true)
    return update, [new - old for new, old in zip(framework.weights(net), before, strict=True)]


def test_updates_go_by_name(framework):
    """Conduction along x mostly, between walls across y: nothing here is the same after a transposition."""
    physics = HeatEquation(math.vec(x=0.5, y=0.05), 1.0, 1e-3, EmpiricalBayes())
    boundary = {"x": extrapolation.PERIODIC, "y": extrapolation.ZERO_GRADIENT}
    values = smooth(np.random.default_rng(0), 2, 8, 4)
    with math.precision(64):
        tensor = math.tensor(
            np.stack([values, 2 - values**2], -1), batch("batch"), spatial("x,y"), channel(vector="x,y")
        )
        x = CenteredGrid(tensor, boundary, bounds=Box(x=8.0, y=2.0))
        y = physics.forward(x)
        turned = Turned(["vector", "y", "batch", "x"], axes=True, components=True)
        other_y, other_x = turned(y), turned(x)
    expected, step = updated(framework, y, x, physics)
    found, other_step = updated(framework, other_y, other_x, turned_physics(physics, turned))
    assert names(found.x) == names(found.y) == names(found.x_target) == names(other_y)
    for name in ("x", "y", "x_target", "loss", "y_l2", "x_l2"):
        assert_same(getattr(found, name), getattr(expected, name), 1e-5)
    largest = max(np.abs(change).max() for change in step)
    for a, b in zip(other_step, step, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * largest)


def test_truth_with_components_in_another_order_is_compared_by_name():
    with TORCH:
        y = observations(("x", "y"))
        truth = y.with_values(Turned([], axes=False, components=True)(y.values))
        net = TABLE[1].u_net(2)
        found = sip_update_weights(
            net, TABLE[1].sgd(net), HeatEquation(0.1, 1.0, 1e-3, EmpiricalBayes()), y, x_true=truth
        )
        np.testing.assert_allclose(found.x_l2.numpy(), trees.l2_loss(trees.subtract(found.x, y)).numpy(), rtol=1e-5)
        other = y.with_values(math.rename_dims(y.values, "vector", channel(vector=["u", "v"])))
        with pytest.raises(GridMismatchError, match="called x, y in one and u, v in the other"):
            sip_update_weights(net, TABLE[1].sgd(net), HeatEquation(0.1, 1.0), y, x_true=other)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_go_by_name(solver):
    physics = RotatedSine(5.0, 0.7, 2.0)
    values = 0.3 * np.random.default_rng(0).standard_normal((2, 3, 2))
    with TORCH:
        if solver == "conjugate-gradient":
            physics = Masked(HeatEquation(0.3, 1.0, 0.0), math.tensor(np.eye(3)[:, :2], spatial("x,y")))
        if solver == "time-reversal":
            physics = Evolution(lambda u, dt: u - dt * u**3, 0.1, 2)
        x = math.tensor(values, batch("batch"), spatial("x"), channel(vector="x,y"))
        if solver == "conjugate-gradient":
            x = CenteredGrid(math.tensor(values, batch("batch"), spatial("x,y")), extrapolation.PERIODIC, Box(x=3, y=2))
        y = physics.forward(x)
        turned = Turned(["vector", "y", "x", "batch"], axes=False, components=True)
        expected = sip_inverse(physics, y, x * 0.9, solver=solver)
        found = sip_inverse(physics, turned(y), turned(x * 0.9), solver=solver)
        assert_same(found.dx, expected.dx)
        assert names(found.dx) == names(turned(x))
        assert set(found.stats) == set(expected.stats)
        for name in found.stats:
            assert_same(found.stats[name], expected.stats[name])


@pytest.mark.usefixtures("double")
def test_posterior_and_noise_do_not_depend_on_the_order():
    """Of modes of equal gain, and of which half is kept: square, periodic, with noise that is measured."""
    rng = np.random.default_rng(0)
    with NUMPY:
        x = grid(smooth(rng, 2, 12, 12), None, extrapolation.PERIODIC)
        y = HeatEquation(0.5, 1.0).forward(x)
        y = y.with_values(
            y.values + 1e-4 * math.tensor(rng.standard_normal((2, 12, 12)), batch("batch"), spatial("x,y"))
        )
        turned = Turned(["y", "x"], axes=True, components=False)
        for rule in (None, EmpiricalBayes(), PublishedDamping(), TotalVariation()):
            physics = HeatEquation(0.5, 1.0, regularization=rule)
            expected, found = sip_inverse(physics, y, y), sip_inverse(physics, turned(y), turned(y))
            assert_same(found.stats["noise_std"], expected.stats["noise_std"], 1e-12)
            assert_same(found.x_target, expected.x_target)


@pytest.mark.parametrize("make", [smooth_fields, heat_rectangles])
def test_one_seed_gives_one_field(make):
    with NUMPY:
        expected = make(batch(a=2, b=3), spatial(x=8, y=6), seed=1)
        found = make(batch(b=3, a=2), spatial(y=6, x=8), seed=1)
    assert found.values.shape.names == ("b", "a", "y", "x")
    assert found.resolution.names == ("y", "x")
    assert_same(found, expected, 0)


@pytest.mark.usefixtures("double")
def test_samples_of_runs_are_in_the_order_of_their_axes():
    with NUMPY:
        y = observations()
        physics = HeatEquation(math.vec(x=0.5, y=0.1), 1.0, 1e-3, EmpiricalBayes())
        turned = Turned(["y", "x", "batch"], axes=True, components=False)
        expected = samples_of(sip_inverse(physics, y, y), y, y)
        found = samples_of(sip_inverse(physics, turned(y), turned(y)), turned(y), turned(y))
    assert list(found["axes"]) == ["x", "y"]
    assert set(found) == set(expected)
    for name in set(found) - {"axes"}:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)


def test_micro_batches_divide_the_same_dim():
    with TORCH:
        y = math.tensor(np.random.default_rng(0).standard_normal((2, 2, 8, 8)), batch("a,b"), spatial("x,y"))
        physics = Evolution(lambda u, dt: u - dt * u**3, 0.1, 2)
        requests = [
            UpdateRequest(physics, stored(y, order, False), micro_batches=2) for order in (["a", "b"], ["b", "a"])
        ]
        assert [part.y_target.shape.only("a,b").sizes for part in split(requests[0])] == [(1, 2)] * 2
        assert [part.y_target.shape.only("b,a").sizes for part in split(requests[1])] == [(2, 1)] * 2


@pytest.mark.usefixtures("double")
def test_trained_inverses_go_by_name(tmp_path):
    """The same picture, stored in any order, as a field and in files, between walls."""
    spec = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 2})
    physics = HeatEquation(math.vec(x=0.5, y=0.05), 1.0, 1e-3, EmpiricalBayes())
    with TORCH:
        x = grid(smooth(np.random.default_rng(0), 2, 8, 4), (1.0, 0.5), extrapolation.ZERO_GRADIENT)
        y = physics.forward(x)
        turned = Turned(["y", "x", "batch"], axes=True, components=False)
        save_inverse(tmp_path / "model", spec.build(), physics, spec, turned(y))
        inverse = load_inverse(tmp_path / "model")
        assert inverse.grid.axes == ("x", "y")
        assert inverse.grid.cell_size == (1.0, 0.5)
        expected = inverse.invert(y, refine=1)
        found = inverse.invert(turned(y), refine=1)
        assert_same(found.x, expected.x, 1e-5)
        assert_same(found.uncertainty, expected.uncertainty, 1e-5)
        assert_same(inverse.predict(turned(y)), inverse.predict(y), 1e-6)
        write_grids(tmp_path / "xy.npz", {"T": GridArray.of_field(y)})
        write_grids(tmp_path / "yx.npz", {"T": GridArray.of_field(turned(y))})
        for name in ("xy", "yx"):
            invert_file(inverse, tmp_path / f"{name}.npz", tmp_path / f"out_{name}.npz", refine=1)
            state = read_grid(tmp_path / f"out_{name}.npz", "state").to_field()
            assert_same(state, expected.x, 1e-5)


class SeesMemory(InvertiblePhysics):
    name = "sees-memory"

    def forward(self, x):
        return x.with_values(x.values + 0.1 * math.cumulative_sum(x.values, x.values.shape.spatial[0].name))


def test_physics_that_go_by_memory_are_caught():
    with TORCH, math.precision(64):
        x = grid(smooth(np.random.default_rng(0), 2, 6, 4), None, extrapolation.PERIODIC)
        with pytest.raises(PhysicsCheckError, match=r"order of dims does not matter *FAILED.*by name"):
            check_physics(dataclass(frozen=True)(SeesMemory)(), x)


def test_where_takes_components_of_unlike_sizes():
    """As on staggered grids between walls."""
    with NUMPY:
        x = math.wrap(np.arange(4.0), spatial("x"))
        one = math.stack([x, x.x[:3]], channel(vector="x,y"))
        found = order.where(math.wrap(np.array([True, False]), batch("batch")), one, -one)
    np.testing.assert_array_equal(found.vector["y"].numpy("batch,x"), [[0, 1, 2], [0, -1, -2]])


@pytest.mark.parametrize("stored", ["batch,x,y", "y,x,batch"])
def test_where_stores_as_its_widest_argument(stored):
    """PhiML's own stores in an order that differs from process to process."""
    names = stored.split(",")
    sizes = {"batch": 2, "x": 3, "y": 4}
    kinds = [batch(name) if name == "batch" else spatial(name) for name in names]
    with NUMPY:
        wide = math.wrap(np.arange(24.0).reshape([sizes[name] for name in names]), *kinds)
        column = math.wrap(np.array([0.5, 30.0]), batch("batch"))
        found = order.where(column < wide, wide, column)
    assert found.shape.names == wide.shape.names
    expected = np.maximum(wide.numpy("batch,x,y"), np.array([0.5, 30.0])[:, None, None])
    np.testing.assert_array_equal(found.numpy("batch,x,y"), expected)
