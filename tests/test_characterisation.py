"""Small nonlinear physics with a closed-form inverse: the exponential and the rotated sine."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array, periodic
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, spatial

from phi_sip import Exponential, ParameterError, RotatedSine, UnsupportedError, get_physics, sip_inverse
from phi_sip.states import trees


def values_of(tensor):
    return tensor.numpy(tensor.shape)


def pairs(values, dim="vector"):
    """(…, 2) → a tensor with batch dims a, b, … and a channel dim."""
    values = np.asarray(values, float)
    return math.tensor(values, *(batch(name) for name in "abc"[: values.ndim - 1]), channel(dim))


# --- exponential


@pytest.mark.parametrize("rate", [1.0, -2.5])
def test_exponential_is_inverted_in_one_step(framework, double, rate):
    x = math.tensor(np.linspace(-12, 0, 25), batch("batch"))
    y = Exponential(rate).forward(x)
    np.testing.assert_allclose(values_of(y), np.exp(rate * np.linspace(-12, 0, 25)), rtol=1e-14)
    step = sip_inverse(Exponential(rate), y, x * 0 - 3)
    np.testing.assert_allclose(values_of(step.x_target), values_of(x), atol=1e-13)
    assert step.dx.default_backend is framework.backend


def test_step_size_of_the_exponential_acts_on_y(double):
    """x̃ = log(y + η (y* − y))."""
    x, target = (math.tensor([v], batch("batch")) for v in (-1.0, -3.0))
    step = sip_inverse(Exponential(), math.exp(target), x, step_size=0.3)
    expected = np.log(np.exp(-1) + 0.3 * (np.exp(-3) - np.exp(-1)))
    np.testing.assert_allclose(values_of(step.x_target), [expected], rtol=1e-14)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_units_of_y_do_not_matter(framework, double, factor):
    """y → c y is x → x + log c: Δx stays, while the gradient through the physics grows by c²."""
    x, target = (math.tensor(v, batch("batch")) for v in (np.linspace(-2, 1, 7), np.linspace(1, -3, 7)))
    shift, physics = float(np.log(factor)), Exponential()
    for solver, power in ((None, 0), ("gradient", 2)):
        plain = sip_inverse(physics, math.exp(target), x, solver=solver).dx
        scaled = sip_inverse(physics, factor * math.exp(target), x + shift, solver=solver).dx
        np.testing.assert_allclose(values_of(scaled), values_of(plain) * factor**power, rtol=1e-9, atol=1e-12)


def test_the_inverse_holds_where_y_is_lost_in_rounding(double):
    x = math.tensor([-2000.0, 5.0], batch("batch"))
    step = sip_inverse(Exponential(), math.tensor([1e-5, 2.0], batch("batch")), x)
    np.testing.assert_allclose(values_of(step.x_target), np.log([1e-5, 2.0]), atol=1e-12)


@given(
    values=npst.arrays(np.float64, npst.array_shapes(max_dims=3, max_side=4), elements=st.floats(-5, 5)),
    precision=st.sampled_from([32, 64]),
    form=st.sampled_from(["tensor", "tree"]),
)
@settings(max_examples=40)
@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=str)
def test_exponential_on_any_state(backend, values, precision, form):
    dims = batch("b"), spatial("x"), channel("c")
    with backend, math.precision(precision):
        x = math.tensor(values.astype(f"float{precision}"), *dims[: values.ndim])
        x = x if form == "tensor" else {"a": x, "b": (x + 1, x * 0.5)}
        y = Exponential().forward(x)
        step = sip_inverse(Exponential(), y, x)
        leaves = [(step.dx, x)] if form == "tensor" else [(step.dx["a"], x["a"]), (step.dx["b"][1], x["b"][1])]
        for dx, like in leaves:
            assert dx.shape == like.shape
            assert dx.dtype.precision == precision
            np.testing.assert_allclose(values_of(dx), 0, atol=1e-12 if precision == 64 else 1e-5)


def test_exponential_on_fields_and_per_batch_entry(framework):
    field = periodic(np.random.default_rng(0).standard_normal((2, 6, 5)))
    rates = Exponential(math.tensor([1.0, -2.0], batch("batch")))
    y = rates.forward(field)
    np.testing.assert_allclose(array(y)[1], np.exp(-2 * array(field)[1]), rtol=1e-4)
    np.testing.assert_allclose(array(sip_inverse(rates, y, field * 0).x_target), array(field), atol=1e-5)


# --- rotated sine


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("condition", [1.0, 0.01, 30.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
def test_rotated_sine_is_what_the_equation_says(framework, double, condition, angle):
    x = np.random.default_rng(0).uniform(-4, 4, (5, 3, 2))
    rotated = 1.5 * x @ rotation(angle).T
    expected = np.stack([np.sin(rotated[..., 0]) / condition, condition * rotated[..., 1]], -1)
    y = RotatedSine(condition, angle, 1.5).forward(pairs(x))
    np.testing.assert_allclose(y.numpy("a,b,vector"), expected, atol=1e-13 * max(condition, 1 / condition))


@pytest.mark.parametrize("branch", [-3, -1, 0, 1, 2])
@pytest.mark.parametrize("condition", [0.01, 1.0, 100.0])
def test_the_inverse_is_exact_on_the_branch_of_x(framework, double, branch, condition):
    """x̂₁ within a quarter wave of the same crest-to-trough flank."""
    rng = np.random.default_rng(1)
    physics = RotatedSine(condition, 0.6, 0.7)
    hat, guess_hat = (np.stack([np.pi * branch + rng.uniform(-1.5, 1.5, 20), rng.uniform(-9, 9, 20)], -1) for _ in "ab")
    x, guess = (h @ rotation(0.6) / 0.7 for h in (hat, guess_hat))
    step = sip_inverse(physics, physics.forward(pairs(x)), pairs(guess))
    np.testing.assert_allclose(step.x_target.numpy("a,vector"), x, atol=1e-10)


def test_what_no_state_explains_gives_the_nearest(double):
    """The crest of the branch on which x lies."""
    physics = RotatedSine(2.0, 0.0)
    y_target = pairs([[0.9, 0.0], [-0.9, 0.0], [0.9, 0.0]])
    step = sip_inverse(physics, y_target, pairs([[0.1, 1.0], [0.1, 1.0], [3.0, 1.0]]))
    np.testing.assert_allclose(step.x_target.numpy("a,vector")[:, 0], [np.pi / 2, -np.pi / 2, np.pi / 2], atol=1e-12)


@pytest.mark.parametrize("condition", [1e-3, 1e3])
def test_conditioning_does_not_matter_to_the_inverse_and_does_to_the_gradient(framework, double, condition):
    rng = np.random.default_rng(0)
    x, guess = (pairs(rng.uniform(-0.5, 0.5, (8, 2))) for _ in range(2))
    steps = {}
    for ξ in (1.0, condition):
        physics = RotatedSine(ξ, 0.6)
        for solver in (None, "gradient"):
            steps[ξ, solver] = sip_inverse(physics, physics.forward(x), guess, solver=solver).dx.numpy("a,vector")
    np.testing.assert_allclose(steps[condition, None], steps[1.0, None], atol=1e-11)
    assert abs(steps[condition, "gradient"]).max() > 100 * abs(steps[1.0, "gradient"]).max()


@given(
    shape=st.lists(st.integers(1, 4), max_size=3),
    angle=st.floats(-7, 7),
    condition=st.floats(0.1, 10),
    precision=st.sampled_from([32, 64]),
    dim=st.sampled_from(["vector", "state"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=str)
def test_rotated_sine_on_any_batch(backend, shape, angle, condition, precision, dim, seed):
    hat = np.random.default_rng(seed).uniform(-1.4, 1.4, (*shape, 2))
    with backend, math.precision(precision):
        x = trees.cast(pairs(hat @ rotation(angle), dim), precision)
        physics = RotatedSine(condition, angle)
        step = sip_inverse(physics, physics.forward(x), x * 0)
        assert set(step.dx.shape.names) == set(x.shape.names)
        assert step.dx.shape.channel.names == (dim,)
        assert step.dx.dtype.precision == precision
        np.testing.assert_allclose(values_of(step.x_target - x), 0, atol=1e-11 if precision == 64 else 1e-3)


def test_rotated_sine_keeps_names_of_components_and_takes_parameters_per_entry(framework):
    x = math.tensor(np.random.default_rng(0).uniform(-0.5, 0.5, (3, 2)), batch("batch"), channel(vector="u,v"))
    physics = RotatedSine(math.tensor([0.5, 1.0, 2.0], batch("batch")), 0.3)
    y = physics.forward(x)
    assert y.vector.item_names == ("u", "v")
    np.testing.assert_allclose(
        sip_inverse(physics, y, x * 0).x_target.numpy("batch,vector"), x.numpy("batch,vector"), atol=1e-5
    )
    field = periodic(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 6, 5, 2)), vector=True)
    target = sip_inverse(RotatedSine(2.0, 0.3), RotatedSine(2.0, 0.3).forward(field), field * 0).x_target
    np.testing.assert_allclose(array(target), array(field), atol=1e-5)


def test_by_name():
    assert get_physics("exponential", rate=2.0) == Exponential(2.0)
    assert get_physics("rotated-sine", condition=2.0, angle=0.1) == RotatedSine(2.0, 0.1)
    assert not Exponential().is_linear
    assert not RotatedSine(1.0, 0.0).is_linear


ERRORS = {
    "no rate": (lambda: Exponential(0.0), ParameterError, "rate = 0 makes y = 1"),
    "NaN rate": (lambda: Exponential(float("nan")), ParameterError, "not finite"),
    "rate by name": (lambda: Exponential("1"), ParameterError, "rate is a str"),
    "negative observation": (
        lambda: sip_inverse(Exponential(), math.tensor([1.0, -0.5], batch("b")), math.tensor([0.0, 0.0], batch("b"))),
        ParameterError,
        "an observation is -0.5, but",
    ),
    "too long a step": (
        lambda: sip_inverse(Exponential(), math.wrap(0.1), math.wrap(1.0), step_size=2.0),
        ParameterError,
        "step_size of at most 1",
    ),
    "no condition": (lambda: RotatedSine(0.0, 1.0), ParameterError, "condition = 0.0, but it must be > 0"),
    "negative scale": (lambda: RotatedSine(1.0, 1.0, -1.0), ParameterError, "scale = -1.0"),
    "infinite angle": (lambda: RotatedSine(1.0, float("inf")), ParameterError, "not finite"),
    "no pairs": (lambda: RotatedSine(1.0, 0.0).forward(math.wrap([1.0], batch("b"))), UnsupportedError, "channel dim"),
    "triples": (
        lambda: RotatedSine(1.0, 0.0).forward(math.wrap([1.0, 2.0, 3.0], channel("vector"))),
        UnsupportedError,
        "of size 2",
    ),
}


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_errors(row):
    call, error, message = row
    with pytest.raises(error, match=message):
        call()
