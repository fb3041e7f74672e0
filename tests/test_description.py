"""Physics, rules and solvers as plain data, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fields import periodic, smooth
from hypothesis import given
from hypothesis import strategies as st
from phiml import math
from phiml.math import batch, channel, spatial

import phi_sip
from phi_sip import (
    Burgers,
    Composite,
    CrossValidated,
    DifferentiablePhysics,
    EmpiricalBayes,
    EmptyModes,
    Exponential,
    HeatEquation,
    Masked,
    NetworkSpec,
    ParameterError,
    Poisson,
    PowerLaw,
    RotatedSine,
    Tikhonov,
    TotalVariation,
    UnknownNameError,
    UnsupportedError,
    Wave,
    Wiener,
)
from phi_sip.description import construct, describe

SMOOTH = periodic(smooth(np.random.default_rng(0), 4, 8))
ITEMS = [
    HeatEquation(1.0, 8.0),
    HeatEquation(1.0, 8.0, 1e-3, TotalVariation(minimum=0.0, iterations=5)),
    HeatEquation(1.0, 8.0, EmptyModes(pooled=True), CrossValidated(edges=TotalVariation(minimum=0.0))),
    HeatEquation(1.0, 8.0, 0.1, Wiener(PowerLaw(1.0, 3.0))),
    HeatEquation(1.0, 8.0, 0.1, Tikhonov(1e-3)),
    HeatEquation(1.0, 8.0, 0.1, Tikhonov(phi_sip.DiscrepancyPrinciple())),
    Poisson(),
    Burgers(0.1, 0.2, 3),
    Wave(1.0, 0.5, 4),
    Exponential(2.0),
    RotatedSine(32.0, 0.5),
    phi_sip.GaussNewton(iterations=3),
    phi_sip.get_solver("gradient"),
    None,
    [1, 2.5, "three", True],
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_there_and_back(item):
    data = json.loads(json.dumps(describe(item)))
    assert construct(data) == item


def test_it_is_short():
    assert describe(HeatEquation(1.0, 8.0, 1e-3, TotalVariation(minimum=0.0))) == {
        "name": "heat",
        "parameters": {
            "diffusivity": 1.0,
            "time": 8.0,
            "noise_std": 1e-3,
            "regularization": {"type": "TotalVariation", "minimum": 0.0},
        },
    }


def test_tensors():
    physics = HeatEquation(math.vec(x=1.0, y=0.25), math.tensor([2.0, 8.0], channel("times")), 0.1)
    data = json.loads(json.dumps(describe(physics)))
    assert data["parameters"]["diffusivity"] == {"vector": {"x": 1.0, "y": 0.25}}
    again = construct(data)
    math.assert_close(again.diffusivity, physics.diffusivity)
    assert again.diffusivity.shape == physics.diffusivity.shape
    math.assert_close(again.time, physics.time)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (DifferentiablePhysics(lambda x: x), "no plugin registers it"),
        (
            HeatEquation(math.tensor([1.0, 2.0], batch("b")), 1.0, 0.1),
            r"HeatEquation.diffusivity: A tensor with the dims",
        ),
        (
            Composite(Exponential(), DifferentiablePhysics(lambda x: x)),
            r"Composite.stages: DifferentiablePhysics cannot",
        ),
        (Masked(HeatEquation(1.0, 1.0, 0.1), math.ones(spatial(x=4))), r"Masked.mask: A tensor with the dims"),
        (
            HeatEquation(1.0, 1.0, 0.1, Wiener.from_samples(SMOOTH)),
            "MeasuredSpectrum",
        ),
        ({1, 2}, "A set cannot be written"),
    ],
)
def test_what_cannot_be_written_is_named(item, message):
    with pytest.raises(UnsupportedError, match=message):
        describe(item)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"name": "heet", "parameters": {}}, UnknownNameError, "Did you mean 'heat'"),
        ({"name": "heat", "parameters": {"difusivity": 1.0}}, ParameterError, "diffusivity"),
        ({"name": "heat", "time": 1.0}, ParameterError, "not time"),
        ({"type": "TotalVariaton"}, UnknownNameError, "Did you mean 'TotalVariation'"),
        ({"type": "TotalVariation", "min": 0.0}, ParameterError, "minimum"),
        ({"minimum": 0.0}, ParameterError, "neither physics"),
    ],
)
def test_bad_data_are_named(data, error, message):
    with pytest.raises(error, match=message):
        construct(data)


@given(
    st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e3), st.sampled_from([None, EmpiricalBayes(), Tikhonov(0.5)])
)
def test_any_numbers(diffusivity, time, noise_std, rule):
    physics = HeatEquation(diffusivity, time, noise_std, rule)
    assert construct(json.loads(json.dumps(describe(physics)))) == physics


def test_networks(framework):
    spec = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 4})
    assert NetworkSpec(**json.loads(json.dumps(spec.describe()))) == spec
    net = spec.build()
    y = periodic(math.random_normal(batch(batch=2), spatial(x=8, y=8)).numpy("batch,x,y"))
    with math.precision(32):
        assert math.native_call(net, y.values).shape.spatial == y.values.shape.spatial


def make_network(filters: int):
    return ["a network", filters]


def test_networks_of_ones_own():
    assert NetworkSpec(f"{__name__}:make_network", {"filters": 3}).build() == ["a network", 3]


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("unet", {}, UnknownNameError, "Did you mean 'u_net'"),
        ("u_net", {"in_chanels": 1}, ParameterError, "in_channels"),
        ("no_such_module:f", {}, UnknownNameError, "no module 'no_such_module'"),
        ("math:no_such_function", {}, UnknownNameError, "has no object"),
        ("math:pi", {}, UnknownNameError, "is a float, not a function"),
    ],
)
def test_bad_networks(name, arguments, error, message):
    with pytest.raises(error, match=message):
        NetworkSpec(name, arguments)
