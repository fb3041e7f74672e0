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
from phi.field import CenteredGrid, PointCloud, StaggeredGrid
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
from phi_sip.data import heat_photographs
from phi_sip.regularization import (
    CrossValidated,
    LCurve,
    MeasuredSpectrum,
    PowerLaw,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Wiener,
)

HEAT = HeatEquation(1.0, 0.5, 1e-3, ProbabilisticDamping())  # compiles quickly
RNG = np.random.default_rng(0)


def good(n: int = 8, samples: int = 2, **options: Any):
    return periodic(1 + smooth(RNG, samples, n, n), **options)


def with_bad_cell(value: float):
    values = 1 + smooth(RNG, 2, 8, 8)
    values[1, 2, 3] = value
    return periodic(values)


def bounded(boundary: Any):
    return CenteredGrid(1.0, boundary, x=8, y=8)


def staggered(boundary: Any):
    return StaggeredGrid(1.0, boundary, x=8, y=8)


def vector_valued():
    return CenteredGrid(math.vec(x=1.0, y=1.0), math.vec(x=1.0, y=2.0), x=8, y=8)


def half_periodic():
    return bounded(extrapolation.combine_sides(x=(extrapolation.PERIODIC, 0), y=0))


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
    "diffusivity of unnamed axes": (
        lambda: HeatEquation(math.wrap([1.0, 2.0], channel("vector")), 1.0),
        ParameterError,
        "names the axes",
    ),
    "time per axis": (lambda: HeatEquation(1.0, math.vec(x=1.0, y=2.0)), ParameterError, "batch entries only"),
    "negative along an axis": (lambda: HeatEquation(math.vec(x=1.0, y=-2.0), 1.0), ParameterError, "diffusivity"),
    "rule by name": (lambda: HeatEquation(1.0, 1.0, 0.0, "wiener"), ParameterError, "EmpiricalBayes"),
    "negative uncertainty": (lambda: ProbabilisticDamping(-1.0), ParameterError, "relative_uncertainty"),
    "NaN uncertainty": (lambda: PublishedDamping(float("nan")), ParameterError, "relative_uncertainty"),
    "noise by another word": (lambda: HeatEquation(1.0, 1.0, "some"), ParameterError, "'auto' to measure"),
    "spectrum as a number": (lambda: Wiener(2.0), ParameterError, "spectrum is a float"),
    "spectrum without samples": (
        lambda: MeasuredSpectrum.of(good().batch[0]),
        ParameterError,
        "mean over samples",
    ),
    "spectrum of one sample": (lambda: Wiener.from_samples(good(samples=1)), ParameterError, "mean over samples"),
    "power law of no power": (lambda: PowerLaw(0.0, 2.0), ParameterError, "amplitude = 0.0, but it must be > 0"),
    "power law that grows": (lambda: PowerLaw(1.0, -2.0), ParameterError, "exponent"),
    "choice of α by name": (lambda: Tikhonov("gcv"), ParameterError, "parameter is a str"),
    "choice of α by class": (lambda: TruncatedSVD(LCurve), ParameterError, "parameter is a ABCMeta"),
    "negative α": (lambda: Tikhonov(-1e-3), ParameterError, "alpha = -0.001, but it must be > 0"),
    "α of truth": (lambda: Tikhonov(True), ParameterError, "parameter is a bool"),
    "NaN minimum": (lambda: TotalVariation(minimum=float("nan")), ParameterError, "minimum = nan"),
    "infinite minimum": (lambda: TotalVariation(minimum=-float("inf")), ParameterError, "minimum = -inf"),
    "total variation of no strength": (lambda: TotalVariation(strength=0.0), ParameterError, "strength = 0.0"),
    "no iterations": (lambda: TotalVariation(iterations=0), ParameterError, "iterations = 0"),
    "half an iteration": (lambda: TotalVariation(iterations=2.5), ParameterError, "iterations = 2.5"),
    "negative tolerance": (lambda: TotalVariation(tolerance=-1e-3), ParameterError, "tolerance"),
    "infinite minimum of points": (lambda: Sparse(minimum=float("inf")), ParameterError, "Sparse: minimum = inf"),
    "points of no strength": (lambda: Sparse(strength=0.0), ParameterError, "Sparse: strength = 0.0"),
    "points without iterations": (lambda: Sparse(iterations=0), ParameterError, "Sparse: iterations = 0"),
    "edges as points": (lambda: CrossValidated(points=TotalVariation()), ParameterError, "points is a TotalVariation"),
    "edges as linear rule": (lambda: CrossValidated(TotalVariation()), ParameterError, "linear is a TotalVariation"),
    "linear rule for edges": (lambda: CrossValidated(edges=Wiener()), ParameterError, "edges a Wiener"),
    "photographs of a line": (
        lambda: heat_photographs(batch(batch=1), spatial(x=8)),
        ParameterError,
        "pictures are 2-D",
    ),
    "unknown physics": (lambda: get_physics("heet"), UnknownNameError, "Did you mean 'heat'"),
}


@pytest.mark.parametrize("row", CONSTRUCTION)
def test_construction(row):
    make, error, message = CONSTRUCTION[row]
    with pytest.raises(error, match=message):
        make()


# y*, x, options of sip_inverse → error, part of the message
INVERSION: dict[str, tuple[Callable[[], tuple], dict, type[Exception], str]] = {
    "reflecting": (lambda: (bounded(extrapolation.REFLECT),) * 2, {}, BoundaryError, "'reflect' at 'x-'"),
    "reflecting side": (lambda: (bounded({"x": 0, "y": (0, extrapolation.REFLECT)}),) * 2, {}, BoundaryError, "'y.'"),
    "periodic at one side": (lambda: (half_periodic(),) * 2, {}, BoundaryError, "one side of axis 'x' only"),
    "boundary values per component": (lambda: (vector_valued(),) * 2, {}, BoundaryError, "one finite number"),
    "infinite boundary value": (lambda: (bounded(float("inf")),) * 2, {}, BoundaryError, "one finite number"),
    "insulated staggered": (
        lambda: (staggered(extrapolation.ZERO_GRADIENT),) * 2,
        {},
        BoundaryError,
        "no common basis",
    ),
    "another boundary value": (lambda: (bounded(0), bounded(1)), {}, GridMismatchError, "boundary"),
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
    "complex numbers": (lambda: (good() * 1j, good()), {}, UnsupportedError, "holds complex numbers"),
    "another order of axes": (
        lambda: (CenteredGrid(1.0, 0, x=8, y=8), CenteredGrid(1.0, 0, y=8, x=8)),
        {},
        GridMismatchError,
        "one order of axes",
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


@pytest.mark.parametrize(
    "other",
    [good(12), good(dx=(0.5, 0.5)), good().with_boundary(extrapolation.ZERO_GRADIENT)],
    ids=["cells", "size", "sides"],
)
def test_spectrum_of_another_grid(other):
    physics = HeatEquation(1.0, 0.5, 1e-3, Wiener.from_samples(good()))
    with pytest.raises(GridMismatchError, match="spectrum was measured on a grid"):
        sip_inverse(physics, other, other)


def test_physics_class_instead_of_object():
    with pytest.raises(UnsupportedError, match="physics is a"):
        sip_inverse(HeatEquation, good(), good())
    with pytest.raises(UnsupportedError, match="physics is a str"):
        sip_update_weights(None, None, "heat", good())


TRAINING: dict[str, tuple[Callable[[], Any], dict, type[Exception], str]] = {
    "NaN in y*": (lambda: with_bad_cell(np.nan), {}, NonFiniteError, "y_target"),
    "reflecting": (lambda: bounded(extrapolation.REFLECT), {}, BoundaryError, "reflect"),
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
    if framework.name == "tensorflow":
        optimizer.build(net.trainable_variables)  # else the update does, which adds variables
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


@pytest.mark.parametrize("diffusivity", [math.vec(x=1.0), math.vec(x=1.0, z=2.0), math.vec(x=1.0, y=1.0, z=1.0)])
def test_diffusivity_of_other_axes(diffusivity):
    with pytest.raises(ParameterError, match=r"given for the axes .* the grid has the axes x, y"):
        HeatEquation(diffusivity, 1.0).forward(good())


def test_no_conduction_between_boundary_values_on_two_axes():
    with pytest.raises(ParameterError, match="not unique"):
        HeatEquation(math.vec(x=1.0, y=0.0), 1.0).forward(bounded({"x": (0, 1), "y": 0}))


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
