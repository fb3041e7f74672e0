"""Poisson's equation against analytic modes, manufactured solutions and finite differences; what is not determined."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from fields import array, grid, smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from phi import field as phi_field
from phi.field import StaggeredGrid
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation
from test_boundaries import MODES, SIDES, VALUES, bounded, laplacian, mode, with_values

from phi_sip import (
    BoundaryError,
    CrossValidated,
    EmptyModes,
    HeatEquation,
    ParameterError,
    Poisson,
    Tikhonov,
    Unregularized,
    UnsupportedError,
    get_physics,
    sip_inverse,
)

PERIODIC = extrapolation.PERIODIC


def determined(values, kinds):
    """The state without the mean where no side is fixed."""
    if any("fixed" in kind for kind in kinds):
        return values
    return values - values.mean(tuple(range(1, values.ndim)), keepdims=True)


@pytest.mark.parametrize("row", MODES, ids=lambda row: "x".join(row[0]))
def test_single_modes(framework, double, row):
    kinds, cells, dx, index, _, _ = row
    values, squares = mode(kinds, cells, dx, index)
    x = bounded(values, kinds, dx)
    y = Poisson().forward(x)
    np.testing.assert_allclose(array(y), -values / squares.sum(), rtol=0, atol=1e-12 / squares.sum())
    step = sip_inverse(Poisson(), y, x * 0)
    np.testing.assert_allclose(array(step.x_target), values, atol=1e-10)
    assert step.y.values.default_backend is framework.backend


@given(
    axes=st.lists(st.tuples(st.sampled_from(sorted(SIDES)), st.integers(1, 9)), min_size=1, max_size=3),
    precision=st.sampled_from([32, 64]),
    seed=st.integers(0, 99),
    step_size=st.sampled_from([1.0, 0.25]),
)
@settings(max_examples=60)
@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=str)
def test_the_inverse_is_exact_in_every_domain(backend, axes, precision, seed, step_size):
    kinds, sizes = zip(*axes, strict=True)
    rng = np.random.default_rng(seed)
    with backend, math.precision(precision):
        states = (determined(rng.standard_normal((2, *sizes)), kinds) for _ in range(2))
        x, guess = (bounded(values.astype(f"float{precision}"), kinds) for values in states)
        y = Poisson().forward(x)
        step = sip_inverse(Poisson(), y, guess, step_size=step_size)
        assert y.values.dtype.precision == step.dx.values.dtype.precision == precision
        assert set(y.values.shape.names) == set(x.values.shape.names)
        expected = array(guess) + step_size * (array(x) - array(guess))
        np.testing.assert_allclose(array(step.x_target), expected, atol=1e-10 if precision == 64 else 5e-3)


def test_vector_valued_and_staggered(framework, double):
    values = determined(np.random.default_rng(0).standard_normal((2, 8, 6, 2)), ["periodic"])
    fields = bounded(values - values.mean((1, 2), keepdims=True), ["periodic", "insulated"], vector=True)
    staggered = StaggeredGrid(lambda p: math.sin(2 * np.pi * p / math.vec(x=8, y=6)), PERIODIC, x=8, y=6)
    for state in (fields, staggered):
        x = Poisson().constrain(state, state)
        step = sip_inverse(Poisson(), Poisson().forward(x), x * 0)
        np.testing.assert_allclose((step.x_target - x).values.numpy(x.values.shape), 0, atol=1e-10)


def errors_of(solve, sizes):
    """Errors at sizes that double, and the orders of convergence."""
    errors = np.array([solve(n) for n in sizes])
    return errors, np.log2(errors[:-1] / errors[1:])


@pytest.mark.parametrize(
    ("boundary", "margin"),
    [
        (PERIODIC, 0),
        (extrapolation.ZERO_GRADIENT, 0),
        (0, 1),
        ({"x": PERIODIC, "y": (extrapolation.ZERO_GRADIENT, 0)}, 1),
    ],
    ids=["periodic", "insulated", "fixed", "mixed"],
)
def test_phiflow_laplacian_of_y_is_x_to_second_order(framework, double, boundary, margin):
    """Away from fixed sides, which PhiFlow puts at ghost cell centers."""

    def solve(n):
        s = (np.arange(n) + 0.5) / n
        bump = np.sin(np.pi * s) ** 2
        values = (bump[:, None] * bump * np.cos(2 * np.pi * s) ** 2)[None]
        x = grid(determined(values, ["fixed"] if margin else [""]), (1 / n, 1 / n), boundary)
        difference = array(phi_field.laplace(Poisson().forward(x))) - array(x)
        return abs(difference[:, margin : n - margin, margin : n - margin]).max()

    _, orders = errors_of(solve, (16, 32, 64))
    assert min(orders) > 1.8, orders


def test_manufactured_periodic_solution_to_rounding(double):
    """y = exp(sin s), with all its harmonics: spectral accuracy."""
    s = 2 * np.pi * (np.arange(48) + 0.5) / 48
    y = np.exp(np.sin(s))
    x = grid((y * (np.cos(s) ** 2 - np.sin(s)))[None], (2 * np.pi / 48,), PERIODIC)
    np.testing.assert_allclose(array(Poisson().forward(x))[0], y - y.mean(), atol=1e-13)


def test_manufactured_solution_with_fixed_sides_to_second_order(double):
    """y = s (1 − s) / 2 for x = −1, which does not vanish at the sides."""

    def solve(n):
        s = (np.arange(n) + 0.5) / n
        y = array(Poisson().forward(grid(-np.ones((1, n)), (1 / n,), 0)))[0]
        return abs(y - s * (1 - s) / 2).max()

    errors, orders = errors_of(solve, (16, 32, 64))
    assert min(orders) > 1.9, orders
    assert errors[-1] < 1e-4


@pytest.mark.parametrize("sides", VALUES, ids=str)
def test_boundary_values_agree_with_finite_differences_to_second_order(double, sides):
    lengths, errors = (1.0, 2.0), []
    for refinement in (1, 3):
        cells = tuple(refinement * n for n in (6, 8)[: len(sides)])
        centers = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in cells], indexing="ij")
        values = 5 * np.cos(3 * sum(centers))
        parts = [laplacian(n, length, s) for n, length, s in zip(cells, lengths, sides, strict=False)]
        operator, constant = parts[0]
        if len(parts) == 2:
            (a, p), (b, q) = parts
            operator = np.kron(a, np.eye(len(q))) + np.kron(np.eye(len(p)), b)
            constant = (p[:, None] + q[None]).ravel()
        expected = scipy.linalg.solve(operator, values.ravel() - constant).reshape(cells)
        y = array(Poisson().forward(with_values(sides, cells, values[None], lengths)))[0]
        inner = tuple(slice(refinement // 2, None, refinement) for _ in cells)
        errors.append(abs(y - expected)[inner][tuple(slice(1, -1) for _ in cells)].max())
    assert errors[1] < errors[0] / 5, errors
    assert errors[1] < 0.01, errors


def test_no_source_gives_the_steady_state_of_heat(framework, double):
    x = with_values(((1.0, 2.0), (None, 3.0)), (8, 6))
    y = Poisson().forward(x)
    np.testing.assert_allclose(array(y), array(HeatEquation(1.0, 1e3).forward(x)), atol=1e-12)
    np.testing.assert_allclose(array(sip_inverse(Poisson(), y, x + 1).x_target), 0, atol=1e-10)


RULES = {
    "exact": Poisson(),
    "default": Poisson(1e-3),
    "measured": Poisson("auto"),
    "Tikhonov": Poisson(1e-3, Tikhonov()),
}


@pytest.mark.parametrize("physics", RULES.values(), ids=RULES)
@pytest.mark.parametrize("kinds", [("periodic", "periodic"), ("insulated", "periodic")], ids="-".join)
def test_constants_do_not_matter(double, physics, kinds):
    """Not the one in y*, nor that in x, which has no influence and keeps it; `constrain` takes it out."""
    rng = np.random.default_rng(0)
    x, guess = (bounded(determined(smooth(rng, 2, 12, 10), kinds), kinds) for _ in range(2))
    y = physics.forward(x)
    np.testing.assert_allclose(array(physics.forward(x + 7)), array(y), atol=1e-13)
    np.testing.assert_allclose(array(y).mean((1, 2)), 0, atol=1e-13)
    dx = array(sip_inverse(physics, y, guess).dx)
    np.testing.assert_allclose(array(sip_inverse(physics, y + 5, guess).dx), dx, atol=1e-11)
    np.testing.assert_allclose(array(sip_inverse(physics, y, guess + 7).dx), dx, atol=1e-11)
    np.testing.assert_allclose(dx.mean((1, 2)), 0, atol=1e-13)
    np.testing.assert_allclose(array(physics.constrain(x + 7, y + 5)), array(x), atol=1e-13)


def test_with_a_fixed_side_nothing_is_constrained(double):
    x = bounded(1 + smooth(np.random.default_rng(0), 2, 12, 10), ["periodic", "fixed"])
    assert Poisson().constrain(x, x) is x


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("sigma", [0.0, 1e-3])
def test_the_size_of_the_domain_does_not_matter(framework, double, size, sigma):
    """It scales y and its noise by size²: scale invariance."""
    rng = np.random.default_rng(0)
    values, guess = (determined(smooth(rng, 2, 12, 10), [""]) for _ in range(2))
    noise = sigma * rng.standard_normal(values.shape)
    rule = Tikhonov(1e-4) if sigma else None
    found = []
    for scale in (1.0, size):
        x, start = (grid(v, (scale, scale), PERIODIC) for v in (values, guess))
        physics = Poisson(sigma * scale**2, rule)
        y_target = physics.forward(x) + grid(noise * scale**2, (scale, scale), PERIODIC)
        found.append(array(sip_inverse(physics, y_target, start).dx))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-9 * abs(found[0]).max())


def test_noise_is_told_or_measured_and_the_rule_follows(double):
    x = bounded(determined(smooth(np.random.default_rng(0), 4, 32, 32), [""]), ["periodic"] * 2)
    y = Poisson().forward(x)
    noisy = y + grid(np.random.default_rng(1).standard_normal((4, 32, 32)), None, PERIODIC)
    truth = array(x)

    def error(physics):
        return np.linalg.norm(array(sip_inverse(physics, noisy, x * 0).x_target) - truth) / np.linalg.norm(truth)

    assert isinstance(Poisson().rule, Unregularized)
    assert isinstance(Poisson(0.3).rule, CrossValidated)
    assert isinstance(Poisson("auto").rule, CrossValidated)
    assert isinstance(Poisson(math.tensor([0.0, 0.1], batch("batch"))).rule, CrossValidated)
    assert error(Poisson(1.0)) < 0.4 < 20 < error(Poisson())
    measured = sip_inverse(Poisson("auto"), noisy, x * 0).stats["noise_std"].numpy("batch")
    np.testing.assert_allclose(measured, 1.0, rtol=0.1)


def test_the_uncertainty_of_the_exact_inverse_is_the_propagated_noise(double):
    rng = np.random.default_rng(0)
    x = bounded(np.zeros((4000, 6, 5)), ["fixed", "periodic"])
    physics = Poisson(0.1, Unregularized())
    step = sip_inverse(physics, grid(0.1 * rng.standard_normal((4000, 6, 5)), None, x.boundary), x)
    np.testing.assert_allclose(array(step.uncertainty)[0], array(step.dx).std(0), rtol=0.06)


def test_noise_energy():
    y = bounded(np.zeros((2, 6, 5)), ["periodic"] * 2)
    assert float(Poisson(0.1).noise_energy(y)) == pytest.approx(0.3)
    assert Poisson(EmptyModes()).noise_energy(y) is None


def test_by_name():
    assert get_physics("poisson") == Poisson()
    assert Poisson().is_linear


ERRORS = {
    "negative noise": (lambda: Poisson(-1.0), ParameterError, "noise_std = -1.0"),
    "noise by another word": (lambda: Poisson("some"), ParameterError, "'auto'"),
    "rule by name": (lambda: Poisson(0.0, "tikhonov"), ParameterError, "Poisson: regularization is a str"),
    "a tensor": (lambda: Poisson().forward(math.wrap(1.0)), UnsupportedError, "Poisson needs x as a Field"),
    "another boundary": (
        lambda: Poisson().forward(grid(np.zeros((1, 8)), None, extrapolation.ANTIREFLECT)),
        BoundaryError,
        "has no basis",
    ),
}


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_errors(row):
    call, error, message = row
    with pytest.raises(error, match=message):
        call()
