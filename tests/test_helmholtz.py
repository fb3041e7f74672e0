"""Helmholtz' equation against analytic modes, manufactured solutions and finite differences; resonance; rules."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg
from fields import array, grid, smooth
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation
from scipy import sparse
from test_boundaries import MODES, VALUES, bounded, laplacian, mode, with_values

from phi_sip import (
    BoundaryError,
    CrossValidated,
    EmpiricalBayes,
    Helmholtz,
    ParameterError,
    Poisson,
    PowerLaw,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Unregularized,
    UnsupportedError,
    Wiener,
    get_physics,
    sip_inverse,
)

PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT


@pytest.mark.parametrize("row", MODES, ids=lambda row: "x".join(row[0]))
@pytest.mark.parametrize("ratio", [0.4, 1.7])
def test_single_modes_on_both_sides_of_resonance(framework, double, row, ratio):
    kinds, cells, dx, index, _, _ = row
    values, squares = mode(kinds, cells, dx, index)
    x = bounded(values, kinds, dx)
    physics = Helmholtz(float(np.sqrt(ratio * squares.sum())))
    y = physics.forward(x)
    size = 1 / squares.sum()
    np.testing.assert_allclose(array(y), values * size / (ratio - 1), rtol=0, atol=1e-11 * size)
    step = sip_inverse(physics, y, x * 0)
    np.testing.assert_allclose(array(step.x_target), values, atol=1e-9)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("boundary", [PERIODIC, INSULATED, 0, {"x": PERIODIC, "y": (INSULATED, 0)}], ids=str)
@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=str)
def test_the_inverse_is_exact(backend, boundary, precision):
    rng = np.random.default_rng(0)
    with backend, math.precision(precision):
        x, guess = (
            grid(rng.standard_normal((3, 12, 9)).astype(f"float{precision}"), (0.5, 0.7), boundary) for _ in range(2)
        )
        physics = Helmholtz(math.tensor([0.3, 1.3, 4.0], batch("batch")))
        y = physics.forward(x)
        step = sip_inverse(physics, y, guess, step_size=0.5)
        assert y.values.dtype.precision == step.dx.values.dtype.precision == precision
        expected = 0.5 * (array(x) + array(guess))
        np.testing.assert_allclose(array(step.x_target), expected, atol=1e-11 if precision == 64 else 5e-3)


def test_it_is_its_own_adjoint(framework, double):
    rng = np.random.default_rng(0)
    for boundary in (PERIODIC, INSULATED, 0):
        u, v = (grid(rng.standard_normal((2, 8, 6)), None, boundary) for _ in range(2))
        pu, pv = (array(Helmholtz(0.9).forward(w)) for w in (u, v))
        np.testing.assert_allclose((pu * array(v)).sum(), (array(u) * pv).sum(), rtol=1e-12)


def test_manufactured_periodic_solution_to_rounding(double):
    """y = exp(sin s), with all its harmonics."""
    s = 2 * np.pi * (np.arange(48) + 0.5) / 48
    y = np.exp(np.sin(s))
    source = y * (np.cos(s) ** 2 - np.sin(s)) + 2.5**2 * y
    x = grid(source[None], (2 * np.pi / 48,), PERIODIC)
    np.testing.assert_allclose(array(Helmholtz(2.5).forward(x))[0], y, atol=1e-13)


def test_manufactured_solution_with_boundary_values_to_second_order(double):
    """y = e^s for x = (1 + κ²) e^s, which is 1 and e at the sides."""
    errors = []
    for n in (16, 32, 64):
        y = np.exp((np.arange(n) + 0.5) / n)
        x = grid((1 + 4.2**2) * y[None], (1 / n,), {"x": (1.0, float(np.e))})
        errors.append(abs(array(Helmholtz(4.2).forward(x))[0] - y).max())
    assert min(np.log2(np.divide(errors[:-1], errors[1:]))) > 1.9, errors
    assert errors[-1] < 1e-3


@pytest.mark.parametrize("sides", VALUES, ids=str)
@pytest.mark.parametrize("wavenumber", [1.0, 4.0])
def test_finite_differences_agree_to_second_order(double, sides, wavenumber):
    lengths, errors = (1.0, 2.0), []
    for refinement in (3, 9):
        cells = tuple(refinement * n for n in (6, 8)[: len(sides)])
        centers = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in cells], indexing="ij")
        values = 5 * np.cos(3 * sum(centers))
        parts = [laplacian(n, length, s) for n, length, s in zip(cells, lengths, sides, strict=False)]
        operator, constant = sparse.csr_matrix(parts[0][0]), parts[0][1]
        if len(parts) == 2:
            operator = sparse.kronsum(sparse.csr_matrix(parts[1][0]), operator)
            constant = (parts[0][1][:, None] + parts[1][1][None]).ravel()
        operator = (operator + wavenumber**2 * sparse.identity(values.size)).tocsc()
        expected = scipy.sparse.linalg.spsolve(operator, values.ravel() - constant).reshape(cells)
        y = array(Helmholtz(wavenumber).forward(with_values(sides, cells, values[None], lengths)))[0]
        inner = tuple(slice(refinement // 2, None, refinement) for _ in cells)
        errors.append(abs(y - expected)[inner][tuple(slice(1, -1) for _ in cells)].max() / abs(expected).max())
    assert errors[1] < errors[0] / 5, errors
    assert errors[1] < 0.01, errors


@pytest.mark.parametrize("boundary", [0, {"x": (1.0, 2.0), "y": PERIODIC}], ids=str)
def test_without_waves_it_is_the_equation_of_poisson(framework, double, boundary):
    x = grid(np.random.default_rng(0).standard_normal((2, 8, 6)), (0.5, 2.0), boundary)
    y = Poisson().forward(x)
    np.testing.assert_allclose(array(Helmholtz(0.0).forward(x)), array(y), atol=1e-13)
    found = sip_inverse(Helmholtz(0.0), y, x * 0)
    np.testing.assert_allclose(array(found.dx), array(sip_inverse(Poisson(), y, x * 0).dx), atol=1e-11)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
def test_the_size_of_the_domain_does_not_matter(double, size):
    """It scales y and its noise by size²."""
    rng = np.random.default_rng(0)
    values, guess = smooth(rng, 2, 12, 10), smooth(rng, 2, 12, 10)
    noise = 1e-3 * rng.standard_normal(values.shape)
    found = []
    for scale in (1.0, size):
        x, start, error = (grid(v, (scale, scale), PERIODIC) for v in (values, guess, noise * scale**2))
        physics = Helmholtz(0.8 / scale, 1e-3 * scale**2, Tikhonov(1e-4))
        found.append(array(sip_inverse(physics, physics.forward(x) + error, start).dx))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-9 * abs(found[0]).max())


def test_the_mean_is_known_where_no_side_is_fixed(double):
    rng = np.random.default_rng(0)
    for boundary, known in ((PERIODIC, True), (INSULATED, True), ({"x": PERIODIC, "y": (0, INSULATED)}, False)):
        x, guess = (grid(rng.standard_normal((2, 8, 6)), None, boundary) for _ in range(2))
        found = Helmholtz(1.1).constrain(guess, Helmholtz(1.1).forward(x))
        expected = array(guess) + (array(x) - array(guess)).mean((1, 2), keepdims=True) * known
        np.testing.assert_allclose(array(found), expected, atol=1e-12)


RESONANCES = [
    # cells, length, boundary, wave number of a mode
    ((16,), (3.0,), PERIODIC, 2 * np.pi / 3.0 * 5),
    ((16,), (3.0,), INSULATED, np.pi / 3.0 * 4),
    ((9, 8), (1.0, 1.0), 0, np.sqrt(2) * np.pi),
    ((9, 8), (1.0, 2.0), {"x": PERIODIC, "y": (0, INSULATED)}, np.sqrt((2 * np.pi) ** 2 + (np.pi / 4) ** 2)),
]


@pytest.mark.parametrize("row", RESONANCES, ids=str)
@pytest.mark.parametrize("precision", [32, 64])
def test_resonance(row, precision):
    """Up to 100 rounding errors, and not beyond: there the inverse is what rounding lets it be."""
    cells, lengths, boundary, wavenumber = row
    dx = tuple(length / n for n, length in zip(cells, lengths, strict=True))
    eps = float(np.finfo(f"float{precision}").eps)
    with NUMPY, math.precision(precision):
        x = grid(np.random.default_rng(0).standard_normal((2, *cells)).astype(f"float{precision}"), dx, boundary)
        for near in (0.0, 20 * eps, -20 * eps):
            with pytest.raises(ParameterError, match=r"resonance with a mode.*Change wavenumber or the size"):
                Helmholtz(float(wavenumber * (1 + near))).forward(x)
        with pytest.raises(ParameterError, match="resonance"):
            Helmholtz(float(wavenumber)).inverse(x, x, x)
        physics = Helmholtz(math.wrap([0.1, wavenumber * (1 + 1e4 * eps)], batch("batch")))
        step = sip_inverse(physics, physics.forward(x), x * 0)
        assert abs(array(step.x_target) - array(x)).max() < 2e-2 * abs(array(x)).max()


def test_a_constant_without_waves_is_in_resonance(double):
    x = grid(np.ones((1, 8, 6)), None, PERIODIC)
    with pytest.raises(ParameterError, match=r"k = 0:.*for 0, use Poisson\(\)"):
        Helmholtz(0.0).forward(x)
    np.testing.assert_allclose(array(Helmholtz(1e-3).forward(x)), 1e6, rtol=1e-9)


def matrix(physics, cells):
    """P as a matrix, on an insulated grid."""
    n = int(np.prod(cells))
    return array(physics.forward(grid(np.eye(n).reshape(n, *cells), None, INSULATED))).reshape(n, n).T


def test_rules_are_those_of_dense_linear_algebra(double):
    rng, cells = np.random.default_rng(0), (8, 7)
    with NUMPY:
        a = matrix(Helmholtz(1.0), cells)
        x = smooth(rng, 1, *cells)
        y = (a @ x.ravel()) + 0.05 * rng.standard_normal(56)
        observed = grid(y.reshape(1, *cells), None, INSULATED)
        strongest = np.linalg.norm(a, 2)
        found = array(sip_inverse(Helmholtz(1.0, 0.05, Tikhonov(1e-2)), observed, observed * 0).x_target).ravel()
        penalty = np.eye(56) - 1 / 56  # none for the mean, here as in all rules
        expected = np.linalg.solve(a.T @ a + 1e-2 * strongest**2 * penalty, a.T @ y)
        np.testing.assert_allclose(found, expected, atol=1e-10)
        prior = matrix(Poisson(), cells)  # −1 / k², so that its square is the covariance of a power law, without mean
        found = array(sip_inverse(Helmholtz(1.0, 0.05, Wiener(PowerLaw(1.0, 4.0))), observed, observed * 0).x_target)
        covariance = prior @ prior + 1e6 / 56
        expected = covariance @ a.T @ np.linalg.solve(a @ covariance @ a.T + 0.05**2 * np.eye(56), y)
        np.testing.assert_allclose(found.ravel(), expected, atol=2e-5 * abs(expected).max())


@pytest.mark.parametrize("rule", [EmpiricalBayes(), None, TotalVariation(), TruncatedSVD()], ids=str)
def test_rules_use_what_is_told(double, rule):
    """Smooth sources from noisy fields: every rule is better than none, of which the error is 20 times larger."""
    rng = np.random.default_rng(0)
    with NUMPY:
        x = grid(smooth(rng, 4, 32, 32), (0.3, 0.3), INSULATED)
        physics = Helmholtz(1.0, 1e-2, rule)
        y = physics.forward(x)
        y = y.with_values(y.values + math.tensor(1e-2 * rng.standard_normal((4, 32, 32)), y.values.shape))
        errors = []
        for used in (physics, Helmholtz(1.0)):
            found = array(sip_inverse(used, y, x * 0).x_target)
            errors.append(np.linalg.norm(found - array(x)) / np.linalg.norm(array(x)))
    assert errors[0] < 0.35 < 3 < errors[1], errors


def test_which_rule():
    assert isinstance(Helmholtz(1.0).rule, Unregularized)
    assert isinstance(Helmholtz(1.0, 0.3).rule, CrossValidated)
    assert isinstance(Helmholtz(1.0, "auto").rule, CrossValidated)


def test_vector_valued(double):
    rng = np.random.default_rng(0)
    x = grid(rng.standard_normal((2, 8, 6, 2)), None, 0, vector=True)
    step = sip_inverse(Helmholtz(1.0), Helmholtz(1.0).forward(x), x * 0)
    np.testing.assert_allclose(array(step.x_target), array(x), atol=1e-12)


def test_by_name():
    assert get_physics("helmholtz", wavenumber=2.0) == Helmholtz(2.0)
    assert Helmholtz(2.0).is_linear


ERRORS = {
    "negative": (lambda: Helmholtz(-1.0), ParameterError, "wavenumber = -1.0"),
    "per axis": (lambda: Helmholtz(math.vec(x=1.0, y=2.0)), ParameterError, "may vary between batch entries only"),
    "a channel": (lambda: Helmholtz(math.wrap([1.0], channel("c"))), ParameterError, "batch entries only"),
    "not finite": (lambda: Helmholtz(float("inf")), ParameterError, "not finite"),
    "noise": (lambda: Helmholtz(1.0, -1.0), ParameterError, "noise_std = -1.0"),
    "a tensor": (lambda: Helmholtz(1.0).forward(math.wrap(1.0)), UnsupportedError, "Helmholtz needs x as a Field"),
    "another boundary": (
        lambda: Helmholtz(1.0).forward(grid(np.zeros((1, 8)), None, extrapolation.ANTIREFLECT)),
        BoundaryError,
        "has no basis",
    ),
}


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_errors(row):
    call, error, message = row
    with pytest.raises(error, match=message):
        call()
