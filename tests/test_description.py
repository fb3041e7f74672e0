"""Physics, rules and solvers as plain data, and back."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
from fields import periodic, smooth
from hypothesis import event, given
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
    Helmholtz,
    InvertiblePhysics,
    Masked,
    NetworkSpec,
    ParameterError,
    Poisson,
    PowerLaw,
    RotatedSine,
    SipError,
    Sparse,
    Tikhonov,
    TotalVariation,
    UnknownNameError,
    UnsupportedError,
    Wave,
    Wiener,
)
from phi_sip.descriptions.from_data import construct
from phi_sip.descriptions.parts import public_parts
from phi_sip.descriptions.to_data import describe
from phi_sip.plugins.collection import collect

SMOOTH = periodic(smooth(np.random.default_rng(0), 4, 8))
ITEMS = [
    HeatEquation(1.0, 8.0),
    HeatEquation(1.0, 8.0, 1e-3, TotalVariation(minimum=0.0, iterations=5)),
    HeatEquation(1.0, 8.0, EmptyModes(pooled=True), CrossValidated(edges=TotalVariation(minimum=0.0))),
    HeatEquation(1.0, 8.0, 1e-3, Sparse(minimum=0.0, iterations=200)),
    HeatEquation(1.0, 8.0, 1e-3, CrossValidated(points=None)),
    HeatEquation(1.0, 8.0, 0.1, Wiener(PowerLaw(1.0, 3.0))),
    HeatEquation(1.0, 8.0, 0.1, Tikhonov(1e-3)),
    HeatEquation(1.0, 8.0, 0.1, Tikhonov(phi_sip.DiscrepancyPrinciple())),
    Poisson(),
    Helmholtz(2.0, 0.1),
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
        ({"name": "poisson", "parameters": {"name": "b"}}, ParameterError, "argument 'name'"),
        ({"name": ["heat"]}, ParameterError, "its name is a word"),
        ({"name": "heat", "parameters": [1.0]}, ParameterError, "its parameters are a table"),
        ({"type": ["Wiener"]}, UnknownNameError, r"\['Wiener'\]"),
        ({"vector": {"x": "fast"}}, ParameterError, "are not numbers"),
        ({"vector": {"x": True}}, ParameterError, "are not numbers"),
        ({"vector": {"a b": 1.0}}, ParameterError, "'a b': axes and dims are named by"),
        ({"channel": {"time": 1.0}}, ParameterError, "no list of numbers"),
        ({"channel": {"time": []}}, ParameterError, "at least one"),
        ({"name": "composite", "parameters": {"stages": 1}}, UnsupportedError, "stages is a int"),
        ({"type": "TotalVariation", "minimum": {"type": "TotalVariation"}}, ParameterError, "minimum"),
        ({"type": "EmptyModes", "significance": 1.0}, ParameterError, "between 0 and 1"),
        ({"type": "EmptyModes", "pooled": "yes"}, ParameterError, "True or False"),
        ({"type": "MeasuredSpectrum", "power": [], "basis": []}, UnsupportedError, r"MeasuredSpectrum.of\(samples\)"),
    ],
)
def test_bad_data_are_named(data, error, message):
    with pytest.raises(error, match=message):
        construct(data)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["auto", "x"])
TENSORS = st.sampled_from(["vector", "channel"]).flatmap(
    lambda kind: st.fixed_dictionaries({kind: st.dictionaries(st.text(max_size=2), SCALARS | st.lists(SCALARS))})
)
PHYSICS = {name: cls for name, (cls, _) in collect("sip_physics", InvertiblePhysics).classes.items()}
CLASSES = {"name": PHYSICS, "type": public_parts()}


@st.composite
def tables(draw: Any, values: Any) -> Any:
    """Physics or parts by their names, with arguments that they have, and values of any kind."""
    key = draw(st.sampled_from(sorted(CLASSES)))
    name = draw(st.sampled_from(sorted(CLASSES[key])))
    known = inspect.signature(CLASSES[key][name]).parameters
    arguments = st.dictionaries(st.sampled_from([*known, "name"]), values, max_size=5)
    return {"name": name, "parameters": draw(arguments)} if key == "name" else {"type": name, **draw(arguments)}


@given(tables(st.recursive(SCALARS | TENSORS, lambda inner: st.lists(inner, max_size=3) | tables(inner), max_leaves=6)))
def test_any_table_is_made_or_refused(data):
    try:
        construct(data)
    except SipError as error:
        event(type(error).__name__)


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
