"""Whatever fields are given: the answer is finite, or an error of phi_sip says why, and nothing has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from phi.field import CenteredGrid, PointCloud, StaggeredGrid
from phi.geom import Box, Point
from phi.torch import TORCH
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import Burgers, EmpiricalBayes, HeatEquation, Poisson, SipError, sip_inverse, sip_update_weights
from phi_sip.states import trees

HEAT = HeatEquation(1.0, 0.5, 1e-3, EmpiricalBayes())
PHYSICS = (HEAT, Poisson(noise_std=1e-3, regularization=EmpiricalBayes()), Burgers(0.1, 0.05, 2))
BOUNDARIES = (
    *[extrapolation.PERIODIC] * 5,
    extrapolation.ZERO,
    extrapolation.ZERO_GRADIENT,
    extrapolation.ConstantExtrapolation(2.0),
    extrapolation.combine_sides(x=extrapolation.PERIODIC, y=extrapolation.ZERO),
)
SPOILS = (*[None] * 5, float("nan"), float("inf"), -float("inf"), 1e300, -1e30, 1e-300)
TYPES = (*["float64"] * 4, "float32", "int64", "bool", "complex128")
BATCHES = (*[batch(batch=2)] * 4, batch(), batch(batch=1), batch(batch=3), batch(a=2, b=2), batch(other=2))
CHANNELS = (*[channel()] * 4, channel(c=1), channel(vector="x,y"), channel(vector="x"), channel(c=2))


@st.composite
def descriptions(draw: Any) -> dict[str, Any]:
    """What `made` makes a field of: mostly a periodic grid of ordinary numbers."""
    return {
        "axes": draw(st.sampled_from((*["xy"] * 4, "x", "xyz", "ab", "yx"))),
        "sizes": draw(st.tuples(*[st.sampled_from((8, 8, 8, 8, 1, 2, 5))] * 3)),
        "cell_sizes": draw(st.tuples(*[st.sampled_from((1.0, 1.0, 1.0, 0.25))] * 3)),
        "samples": draw(st.sampled_from(BATCHES)),
        "components": draw(st.sampled_from(CHANNELS)),
        "boundary": draw(st.sampled_from(BOUNDARIES)),
        "dtype": draw(st.sampled_from(TYPES)),
        "spoil": draw(st.sampled_from(SPOILS)),
        "seed": draw(st.integers(0, 9)),
        "kind": draw(st.sampled_from((*["centered"] * 7, "staggered", "points", "tensor", "uniform"))),
    }


def numbers(description: dict[str, Any], *dims: Any) -> Any:
    """Numbers of any type, with one of them spoiled now and then."""
    shape = math.concat_shapes(*dims)
    random = np.random.default_rng(description["seed"])
    values = random.standard_normal(shape.sizes)
    if description["spoil"] is not None and description["dtype"] in ("float64", "complex128"):
        values.flat[random.integers(values.size)] = description["spoil"]
    return math.tensor(values.astype(description["dtype"]), *shape)


def made(description: dict[str, Any]) -> Any:
    """A grid, points or a tensor; None where PhiFlow itself refuses it."""
    axes, boundary, samples = description["axes"], description["boundary"], description["samples"]
    sizes = dict(zip(axes, description["sizes"], strict=False))
    bounds = {axis: h * sizes[axis] for axis, h in zip(axes, description["cell_sizes"], strict=False)}
    try:
        match description["kind"]:
            case "points":
                places = np.random.default_rng(0).random((4, len(axes)))
                points = Point(math.tensor(places, math.instance(points=4), channel(vector=list(axes))))
                return PointCloud(points, numbers(description, samples, math.instance(points=4)))
            case "uniform":
                return CenteredGrid(numbers(description, samples) if samples else 1.0, boundary, Box(**bounds), **sizes)
            case "tensor":
                return numbers(description, samples, spatial(**sizes), description["components"])
            case "staggered":
                return StaggeredGrid(1.0, boundary, Box(**bounds), **sizes)
            case _:
                values = numbers(description, samples, spatial(**sizes), description["components"])
                return CenteredGrid(values, boundary, Box(**bounds), **sizes)
    except (AssertionError, ValueError, KeyError, math.IncompatibleShapes):
        event("PhiFlow refuses the field")
        return None


FIELDS = descriptions().map(made)


@pytest.mark.usefixtures("double")
@given(data=st.data())
@settings(max_examples=150)
def test_inverses_are_finite_or_refused(data):
    physics = data.draw(st.sampled_from(PHYSICS))
    y_target = data.draw(FIELDS)
    x = y_target if data.draw(st.booleans()) else data.draw(FIELDS)
    if x is None or y_target is None:
        return
    try:
        step = sip_inverse(physics, y_target, x)
    except SipError as error:
        event(type(error).__name__)
        return
    event("inverted")
    assert trees.all_finite(step.x_target)
    assert set(step.x_target.shape.spatial.names) == set(x.shape.spatial.names)


class Scaling(torch.nn.Module):
    """x = w y, which suits fields of any kind."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.9, dtype=torch.float64))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.weight * values


@pytest.mark.usefixtures("double")
@given(data=st.data())
@settings(max_examples=100)
def test_updates_are_finite_or_leave_all_as_it_was(data):
    net = Scaling()
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    y_target = data.draw(FIELDS)
    x_true = data.draw(st.one_of(st.none(), st.just(y_target), FIELDS))
    if y_target is None:
        return

    def predict(y: Any) -> Any:
        return y * math.wrap(net.weight)

    try:
        with TORCH:
            sip_update_weights(net, optimizer, HEAT, y_target, predict=predict, x_true=x_true)
        event("updated")
        assert optimizer.state
        assert np.isfinite(float(net.weight.detach()))
    except SipError as error:
        event(type(error).__name__)
        assert not optimizer.state
        assert float(net.weight.detach()) == 0.9
