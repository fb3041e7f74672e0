"""Bad input, row by row: each has its own error with a remedy, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import phiml.nn
import pytest
from fields import periodic, smooth
from frameworks import TABLE
from hypothesis import given
from hypothesis import strategies as st
from phi.field import CenteredGrid, PointCloud
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import (
    BoundaryError,
    GridMismatchError,
    HeatEquation,
    NetworkOutputError,
    NonFiniteError,
    ParameterError,
    ProbabilisticDamping,
    PublishedDamping,
    UnknownNameError,
    UnsupportedError,
    get_physics,
    sip_inverse,
    sip_update_weights,
)

HEAT = HeatEquation(1.0, 0.5, 1e-3)
RNG = np.random.default_rng(0)


def good(n: int = 8, samples: int = 2, **options: Any):
    return periodic(1 + smooth(RNG, samples, n, n), **options)


def with_bad_cell(value: float):
    values = 1 + smooth(RNG, 2, 8, 8)
    values[1, 2, 3] = value
    return periodic(values)


def insulated():
    return CenteredGrid(1.0, extrapolation.ZERO_GRADIENT, x=8, y=8)


def half_insulated():
    return CenteredGrid(1.0, {"x": extrapolation.PERIODIC, "y": extrapolation.ZERO_GRADIENT}, x=8, y=8)


CONSTRUCTION: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "negative time": (lambda: HeatEquation(1.0, -1.0), ParameterError, "time = -1.0, but it must be ≥ 0"),
    "negative diffusivity": (lambda: HeatEquation(-1.0, 1.0), ParameterError, "diffusivity = -1.0"),
    "negative noise": (lambda: HeatEquation(1.0, 1.0, -1e-3), ParameterError, "noise_std"),
    "NaN diffusivity": (lambda: HeatEquation(float("nan"), 1.0), ParameterError, "not finite"),
    "infinite time": (lambda: HeatEquation(1.0, float("inf")), ParameterError, "not finite"),
    "text as time": (lambda: HeatEquation(1.0, "8"), ParameterError, "time is a str"),
    "one bad entry of a tensor": (
        lambda: HeatEquation(math.tensor([1.0, -1.0], batch("batch")), 1.0),
        ParameterError,
        "diffusivity",
    ),
    "spatial diffusivity": (
        lambda: HeatEquation(math.ones(spatial(x=8)), 1.0),
        ParameterError,
        "may vary between batch entries only",
    ),
    "rule by name": (lambda: HeatEquation(1.0, 1.0, 0.0, "wiener"), ParameterError, "ProbabilisticDamping"),
    "negative uncertainty": (lambda: ProbabilisticDamping(-1.0), ParameterError, "relative_uncertainty"),
    "NaN uncertainty": (lambda: PublishedDamping(float("nan")), ParameterError, "relative_uncertainty"),
    "unknown physics": (lambda: get_physics("heet"), UnknownNameError, "Did you mean 'heat'"),
}


@pytest.mark.parametrize("row", CONSTRUCTION)
def test_construction(row):
    make, error, message = CONSTRUCTION[row]
    with pytest.raises(error, match=message):
        make()


# y*, x, options of sip_inverse → error, part of the message
INVERSION: dict[str, tuple[Callable[[], tuple], dict, type[Exception], str]] = {
    "insulated": (lambda: (insulated(), insulated()), {}, BoundaryError, "zero-gradient"),
    "partly insulated": (lambda: (half_insulated(), half_insulated()), {}, BoundaryError, "periodic boundaries only"),
    "NaN in y*": (
        lambda: (with_bad_cell(np.nan), good()),
        {},
        NonFiniteError,
        "y_target holds NaN or infinity in 1 of 128",
    ),
    "infinity in y*": (lambda: (with_bad_cell(np.inf), good()), {}, NonFiniteError, "y_target"),
    "NaN in x": (lambda: (good(), with_bad_cell(np.nan)), {}, NonFiniteError, "^x holds"),
    "another resolution": (lambda: (good(8), good(12)), {}, GridMismatchError, "dims differ"),
    "another cell size": (lambda: (good(), good(dx=(0.5, 0.5))), {}, GridMismatchError, "bounds"),
    "another batch size": (
        lambda: (good(samples=2), good(samples=3)),
        {},
        GridMismatchError,
        "batch dim 'batch' has two sizes",
    ),
    "other channels": (
        lambda: (good(), periodic(np.ones((2, 8, 8, 2)), vector=True)),
        {},
        GridMismatchError,
        "dims differ",
    ),
    "tensor for field": (lambda: (good(), good().values), {}, UnsupportedError, "CenteredGrid"),
    "text for field": (lambda: ("y", good()), {}, UnsupportedError, "not a state"),
    "tuple for field": (lambda: ((good(),), good()), {}, GridMismatchError, "structure"),
    "unknown solver": (lambda: (good(), good()), {"solver": "newton"}, UnknownNameError, "No solver is named 'newton'"),
    "solver of wrong type": (lambda: (good(), good()), {"solver": 3}, UnsupportedError, "solver is a int"),
    "zero step": (lambda: (good(), good()), {"step_size": 0.0}, ParameterError, "step_size"),
    "NaN step": (lambda: (good(), good()), {"step_size": float("nan")}, ParameterError, "step_size"),
}


@pytest.mark.parametrize("row", INVERSION)
def test_inversion(row):
    make, options, error, message = INVERSION[row]
    y_target, x = make()
    with pytest.raises(error, match=message):
        sip_inverse(HEAT, y_target, x, **options)


def test_physics_class_instead_of_object():
    with pytest.raises(UnsupportedError, match="physics is a"):
        sip_inverse(HeatEquation, good(), good())
    with pytest.raises(UnsupportedError, match="physics is a str"):
        sip_update_weights(None, None, "heat", good())


TRAINING: dict[str, tuple[Callable[[], Any], dict, type[Exception], str]] = {
    "NaN in y*": (lambda: with_bad_cell(np.nan), {}, NonFiniteError, "y_target"),
    "insulated": (insulated, {}, BoundaryError, "zero-gradient"),
    "unknown solver": (good, {"solver": "newton"}, UnknownNameError, "newton"),
    "a tensor for a field": (lambda: good().values, {}, UnsupportedError, "uniform grid"),
    "step sizes for other samples": (
        good,
        {"step_size": math.tensor([1.0, 0.5], batch("run"))},
        GridMismatchError,
        "batch dim",
    ),
    "negative step": (good, {"step_size": -1.0}, ParameterError, "step_size"),
    "truth on another grid": (good, {"x_true": good(12)}, GridMismatchError, "x_true"),
    "wrong prediction shape": (
        good,
        {"predict": lambda y: CenteredGrid(math.ones(batch(batch=2)), extrapolation.PERIODIC, x=4, y=4)},
        GridMismatchError,
        "dims differ",
    ),
    "prediction of wrong type": (good, {"predict": lambda y: "x"}, UnsupportedError, "not a state"),
    "prediction that ignores the network": (good, {"predict": lambda y: y}, NetworkOutputError, "does not depend"),
    "NaN prediction": (good, {"predict": lambda y: y * float("nan")}, NonFiniteError, "prediction"),
    "training and predict": (good, {"training": True, "predict": lambda y: y}, ParameterError, "predict"),
    "a tree without predict": (lambda: (good(), good()), {}, ParameterError, "predict"),
}


@pytest.mark.parametrize("row", TRAINING)
def test_training(framework, row):
    make, options, error, message = TRAINING[row]
    net = framework.u_net(batch_norm=True)
    optimizer = framework.adam(net)
    sip_update_weights(net, optimizer, HEAT, good())
    before = framework.everything(net, optimizer)
    with pytest.raises(error, match=message):
        sip_update_weights(net, optimizer, HEAT, make(), **options)
    for a, b in zip(before, framework.everything(net, optimizer), strict=True):
        np.testing.assert_array_equal(a, b)


def test_network_with_wrong_output(framework):
    with framework.backend, math.precision(32):
        net = phiml.nn.u_net(1, 3, levels=2, filters=4)
    optimizer = framework.adam(net)
    before = framework.everything(net, optimizer)
    with pytest.raises(NetworkOutputError, match=r"1 channel\(s\) in and out"):
        sip_update_weights(net, optimizer, HEAT, good())
    for a, b in zip(before, framework.everything(net, optimizer), strict=True):
        np.testing.assert_array_equal(a, b)


def test_optimizer_of_another_framework(framework):
    net = framework.u_net()
    with pytest.raises(UnsupportedError, match="optimizer"):
        sip_update_weights(net, object(), HEAT, good())


def test_keras_optimizer_of_another_network():
    row = TABLE[0]
    with row.backend:
        nets = [row.u_net() for _ in range(2)]
        optimizer = row.adam(nets[0])
        sip_update_weights(nets[0], optimizer, HEAT, good())
        before = row.everything(nets[1], optimizer)
        with pytest.raises(UnsupportedError, match="optimizer for each network"):
            sip_update_weights(nets[1], optimizer, HEAT, good())
        for a, b in zip(before, row.everything(nets[1], optimizer), strict=True):
            np.testing.assert_array_equal(a, b)


def test_numbers_of_numpy_are_numbers():
    HeatEquation(np.float32(1), np.int64(2), np.float64(0.1))


def test_network_of_no_framework():
    with pytest.raises(UnsupportedError, match="No plugin can train a"):
        sip_update_weights(lambda v: v, None, HEAT, good())


def test_training_mode_is_for_keras(framework):
    net = framework.u_net()
    if framework.name != "tensorflow":
        with pytest.raises(ParameterError, match="Keras"):
            sip_update_weights(net, framework.adam(net), HEAT, good(), training=True)


def test_fields_without_grid():
    points = PointCloud(math.random_normal(math.instance(points=5), channel(vector="x,y")), 1.0)
    with pytest.raises(UnsupportedError, match="uniform grid"):
        HEAT.forward(points)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_parameter_slips_through(value):
    """Whatever number is given, the physics either works with it or refuses it."""
    field = periodic(np.ones((1, 4, 4)))
    try:
        physics = HeatEquation(value, 1.0, abs(value) if np.isfinite(value) else value)
    except ParameterError:
        assert not value >= 0 or not np.isfinite(value)
    else:
        assert np.isfinite(physics.forward(field).values.numpy("batch,x,y")).all()


def test_bounds_that_differ_by_rounding_are_the_same_grid():
    a, b = (CenteredGrid(1.0, extrapolation.PERIODIC, x=8, bounds=Box(x=size)) for size in (0.3, 0.1 + 0.2))
    sip_inverse(HeatEquation(1e-4, 1.0), a, b)
