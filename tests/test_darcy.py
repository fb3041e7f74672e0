"""Darcy flow against manufactured solutions, a sparse direct solver, finite differences, and its symmetries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from derivatives import assert_derivatives
from fields import array, grid, periodic, smooth
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial
from scipy.sparse.linalg import spsolve

from phi_sip import (
    BoundaryError,
    Darcy,
    EmpiricalBayes,
    GridMismatchError,
    ParameterError,
    Poisson,
    Sensors,
    Sparse,
    UnsupportedError,
    get_physics,
    sip_inverse,
)
from phi_sip.frameworks import operations_of
from phi_sip.inversion.default import solver_of

INSULATED, PERIODIC = extrapolation.ZERO_GRADIENT, extrapolation.PERIODIC
MIXED = {"x": (INSULATED, 1.5), "y": PERIODIC}
BOUNDARIES = {"walls": 0, "values": {"x": (1.0, 2.0), "y": (INSULATED, 0.5)}, "mixed": MIXED}
ALIKE = pytest.mark.slow_on("tensorflow", "jax")  # with other settings it computes alike on all frameworks


def on_cells(values: np.ndarray) -> Any:
    return math.tensor(values, batch("batch"), spatial(",".join("xyz"[: values.ndim - 1])))


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return smooth(np.random.default_rng(seed), *shape)


def sparse_solution(log_a: np.ndarray, source: np.ndarray, sides: tuple[Any, ...], dx: tuple[float, ...]) -> np.ndarray:
    """u of one sample, face by face, by a direct solver; `sides` are "periodic", or pairs of `None` and values."""
    a, number = np.exp(log_a), np.arange(log_a.size).reshape(log_a.shape)
    matrix, right = sp.lil_matrix((a.size, a.size)), source.ravel().copy()
    for axis, (pair, cell) in enumerate(zip(sides, dx, strict=True)):
        n = a.shape[axis]
        for j in range(n if pair == "periodic" else n - 1):
            below, above = (np.take(number, [j, (j + 1) % n][i], axis).ravel() for i in range(2))
            c = 2 / (1 / a.ravel()[below] + 1 / a.ravel()[above]) / cell**2
            for p, q, conductance in zip(below, above, c, strict=True):
                matrix[p, p] += conductance
                matrix[q, q] += conductance
                matrix[p, q] -= conductance
                matrix[q, p] -= conductance
        for place, value in zip((0, n - 1), pair if pair != "periodic" else (None, None), strict=True):
            if value is not None:
                for p in np.take(number, place, axis).ravel():
                    matrix[p, p] += 2 * a.ravel()[p] / cell**2
                    right[p] += 2 * a.ravel()[p] / cell**2 * value
    return spsolve(matrix.tocsc(), right).reshape(a.shape)


SIDES = {"walls": ((0, 0), (0, 0)), "values": ((1.0, 2.0), (None, 0.5)), "mixed": ((None, 1.5), "periodic")}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_it_is_the_solution_of_the_same_equations_by_a_sparse_solver(framework, double, name):
    log_a, source = 2 * random(2, 9, 7), random(2, 9, 7, seed=1)
    expected = [sparse_solution(a, f, SIDES[name], (0.5, 2.0)) for a, f in zip(log_a, source, strict=True)]
    unknown_a = Darcy(source=on_cells(source)).forward(grid(log_a, (0.5, 2.0), BOUNDARIES[name]))
    unknown_f = Darcy(coefficient=on_cells(np.exp(log_a))).forward(grid(source, (0.5, 2.0), BOUNDARIES[name]))
    np.testing.assert_allclose(array(unknown_a), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(array(unknown_f), expected, rtol=1e-10, atol=1e-11)


@ALIKE
@pytest.mark.parametrize("contrast", [1e2, 1e5])
def test_high_contrast_is_solved_to_rounding(framework, double, contrast):
    log_a = random(1, 20, 16)
    log_a = (log_a - log_a.min()) / np.ptp(log_a) * np.log(contrast)
    expected = sparse_solution(log_a[0], np.ones((20, 16)), SIDES["walls"], (1.0, 1.0))
    found = array(Darcy(source=1.0).forward(grid(log_a, None, 0)))[0]
    assert np.linalg.norm(found - expected) < 1e-9 * np.linalg.norm(expected)


@ALIKE
def test_it_is_second_order(framework, double):
    """a = e^{sin 3x + y²}, u = sin πx · sin 2πy on the unit square."""
    errors = []
    for n in (16, 32, 64):
        x, y = np.meshgrid(*2 * [(np.arange(n) + 0.5) / n], indexing="ij")
        log_a, u = np.sin(3 * x) + y**2, np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        slope = 3 * np.cos(3 * x) * np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        slope += 2 * y * np.sin(np.pi * x) * 2 * np.pi * np.cos(2 * np.pi * y)
        source = np.exp(log_a) * (5 * np.pi**2 * u - slope)
        found = array(Darcy(source=on_cells(source[None])).forward(grid(log_a[None], (1 / n, 1 / n), 0)))[0]
        errors.append(np.abs(found - u).max())
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (np.abs(rates - 2) < 0.15).all(), (errors, rates)


@ALIKE
def test_constant_permeability_is_poissons_equation(framework, double):
    for boundary in (0, MIXED, PERIODIC):
        source = random(2, 64, 48)
        source -= source.mean((1, 2), keepdims=True)
        x = grid(source, (1 / 64, 1 / 48), boundary)
        # Poisson's is exact in its modes, this is of second order in the size of a cell; -∇·(½ ∇u) = f
        expected, found = array(Poisson().forward(x * -2.0)), array(Darcy(coefficient=0.5).forward(x))
        assert np.abs(found - expected).max() < 3e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["walls", *(pytest.param(name, marks=ALIKE) for name in ("values", "mixed"))])
def test_derivatives_are_those_of_finite_differences_and_adjoint(framework, double, name):
    """Also compiled."""
    shape, rng = (2, 6, 5), np.random.default_rng(0)
    physics = Darcy(source=on_cells(random(*shape, seed=1)))
    template = grid(random(*shape), None, BOUNDARIES[name])
    assert_derivatives(framework, physics, template, *rng.normal(size=(3, *shape)))


@ALIKE
def test_second_derivatives(framework, double):
    backend, shape = framework.backend, (2, 3, 2)
    template, physics = grid(random(*shape), None, 0), Darcy(source=1.0)

    def misfit(rows: Any) -> Any:
        native = backend.reshape(rows, shape)
        values = math.reshaped_tensor(native, [batch(batch=2), *template.resolution], convert=False)
        return backend.sum(physics.forward(template.with_values(values)).values.native("batch,x,y") ** 2, (1, 2))

    hessian, rng = operations_of(backend).hessian, np.random.default_rng(0)
    rows, change = (backend.as_tensor(rng.normal(size=(2, 6))) for _ in range(2))
    behind, before = (np.asarray(hessian(misfit, rows + s * change)[0]) for s in (-1e-5, 1e-5))
    found = np.einsum("rij,rj->ri", np.asarray(hessian(misfit, rows)[1]), np.asarray(change))
    np.testing.assert_allclose(found, (before - behind) / 2e-5, atol=1e-7 * np.abs(found).max())


@ALIKE
def test_the_source_is_found_exactly(framework, double):
    for boundary in (*BOUNDARIES.values(), PERIODIC, INSULATED):
        x = grid(random(3, 9, 7), (0.5, 2.0), boundary)
        physics = Darcy(coefficient=on_cells(np.exp(2 * random(3, 9, 7, seed=1))))
        x = physics.constrain(x, x)
        step = sip_inverse(physics, physics.forward(x), x * 0)
        np.testing.assert_allclose(array(step.x_target), array(x), atol=1e-10)
    assert abs(array(x).mean((1, 2))).max() < 1e-14  # no side is fixed
    walls = grid(random(3, 9, 7), None, 0)
    assert Darcy(coefficient=1.0).constrain(walls, walls) is walls


@ALIKE
def test_the_permeability_is_found_and_is_positive(framework, double):
    """From the pressure of all cells, between walls that drive a flow through."""
    x = grid(random(2, 6, 5), None, {"x": (0.0, 1.0), "y": INSULATED})
    physics = Darcy(source=1.0)
    y = physics.forward(x)
    found = sip_inverse(physics, y, x * 0).x_target
    before, after = (np.abs(array(physics.forward(state)) - array(y)).max() for state in (x * 0, found))
    assert after < 1e-2 * before
    assert np.abs(array(found) - array(x)).max() < 0.3 * np.abs(array(x)).max()
    assert (np.exp(array(found)) > 0).all()


@ALIKE
def test_scaling(framework, double):
    """u for 10 a is u / 10; samples have sources of their own."""
    x = grid(random(2, 9, 7), None, 0)
    one = array(Darcy(source=1.0).forward(x))
    np.testing.assert_allclose(array(Darcy(source=1.0).forward(x + np.log(10.0))), one / 10, rtol=1e-11)
    each = Darcy(source=math.wrap([2.0, -3.0], batch("batch"))).forward(x)
    np.testing.assert_allclose(array(each), one * np.array([2.0, -3.0])[:, None, None], rtol=1e-11)
    line = grid(random(2, 9), None, 0)
    two = Darcy(coefficient=math.wrap([2.0, 4.0], batch("batch"))).forward(line)
    np.testing.assert_allclose(array(two)[0], 2 * array(Darcy(coefficient=4.0).forward(line))[0], rtol=1e-11)


def test_single_precision(framework):
    log_a, source = random(2, 16, 12), random(2, 16, 12, seed=1)
    with math.precision(64):
        exact = array(Darcy(source=on_cells(source)).forward(grid(log_a, None, 0)))
    with math.precision(32):
        y = Darcy(source=on_cells(source)).forward(grid(log_a, None, 0))
    assert y.values.dtype.precision == 32
    assert np.abs(array(y) - exact).max() < 2e-5 * np.abs(exact).max()


def test_who_inverts():
    """The closed form has no noise and no prior."""

    def name(physics: Any) -> str | None:
        solver = solver_of(physics, None)
        return None if solver is None else solver.name

    assert name(Darcy(coefficient=1.0)) is name(Darcy(coefficient=1.0, noise_std=0.0)) is None
    assert name(Darcy(coefficient=1.0, noise_std=0.1)) == "linear"
    assert name(Darcy(coefficient=1.0, regularization=EmpiricalBayes())) == "maximum-a-posteriori"
    assert name(Darcy(source=1.0, regularization=EmpiricalBayes())) == "maximum-a-posteriori"
    assert name(Darcy(source=1.0)) == "levenberg-marquardt"
    assert Darcy(coefficient=1.0, regularization=EmpiricalBayes()).measures_noise
    y = grid(np.zeros((2, 4)), None, 0)
    assert Darcy(source=1.0).noise_energy(y) is None
    assert float(Darcy(source=1.0, noise_std=0.5).noise_energy(y)) == pytest.approx(1.0)
    assert get_physics("darcy", source=2.0).source == 2.0


@ALIKE
def test_sources_from_sensors(framework, double):
    """With a prior, from a fifth as many values as there are cells."""
    x = grid(random(2, 16, 16), (1 / 16, 1 / 16), 0)
    places = np.random.default_rng(0).uniform(size=(50, 2))
    points = math.wrap(places, math.instance("sensors"), channel(vector="x,y"))
    medium = math.wrap(np.exp(random(1, 16, 16, seed=5)[0]), spatial("x,y"))
    physics = Sensors(Darcy(coefficient=medium, regularization=EmpiricalBayes()), points, x)
    step = sip_inverse(physics, physics.forward(x), x * 0)
    error = np.linalg.norm(array(step.x_target) - array(x)) / np.linalg.norm(array(x))
    assert error < 0.4
    assert step.uncertainty is not None


LINE = grid(random(1, 8), None, 0)
REFUSED = {
    "neither": (lambda: Darcy(), ParameterError, "neither of source and coefficient"),
    "both": (lambda: Darcy(1.0, 1.0), ParameterError, "both of source and coefficient"),
    "a word": (lambda: Darcy(source="rain"), UnsupportedError, "source is a str"),
    "sealed": (lambda: Darcy(coefficient=0.0), ParameterError, "must be > 0"),
    "not finite": (lambda: Darcy(source=float("nan")), ParameterError, "not finite"),
    "negative noise": (lambda: Darcy(1.0, noise_std=-1.0), ParameterError, "noise_std = -1.0"),
    "rule of modes": (lambda: Darcy(1.0, regularization=Sparse()), ParameterError, "Give EmpiricalBayes"),
    "a rule of modes": (lambda: Darcy(1.0, regularization=Sparse()), ParameterError, "modes of a closed form"),
    "other cells": (
        lambda: Darcy(math.ones(spatial(x=9))).forward(LINE),
        GridMismatchError,
        "source has the cells",
    ),
    "a tensor": (lambda: Darcy(1.0).forward(math.ones(spatial(x=9))), UnsupportedError, "scalar centered grids"),
    "a vector": (
        lambda: Darcy(1.0).forward(periodic(np.zeros((1, 4, 4, 2)), vector=True)),
        UnsupportedError,
        "scalar centered grids",
    ),
    "no boundary": (
        lambda: Darcy(1.0).forward(grid(np.zeros((1, 8)), None, extrapolation.ANTIREFLECT)),
        BoundaryError,
        "boundary",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
