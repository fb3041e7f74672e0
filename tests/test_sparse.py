"""Sparse: its minimum against another algorithm, soft thresholding, units, and where the default rule takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
from fields import array, grid
from phi.field import Field
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation, spatial
from test_total_variation import GRIDS, bounded, noisy

from phi_sip import HeatEquation, Poisson, sip_inverse
from phi_sip.data import heat_photographs, heat_rectangles, point_sources, smooth_fields
from phi_sip.regularization import (
    CrossValidated,
    EmpiricalBayes,
    PowerLaw,
    Regularization,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Wiener,
)
from phi_sip.regularization.admm_points import PointsMinimization

PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT
SIGMA = 1e-3
SOME = (("periodic",), ("fixed",), ("periodic", "insulated"))  # the others take longer
ROWS = [pytest.param(row, marks=() if row[0] in SOME else pytest.mark.slow, id="x".join(row[0])) for row in GRIDS[:-1]]


def points(cells: tuple[int, ...], seed: int = 0, count: int = 2, sign: float = 1.0) -> np.ndarray:
    """One sample of points from 0.5 to 2."""
    rng = np.random.default_rng(seed)
    values = np.zeros(int(np.prod(cells)))
    values[rng.choice(values.size, count, replace=False)] = rng.uniform(0.5, 2, count) * sign ** np.arange(count)
    return values.reshape(1, *cells)


def fields(samples: int, n: int = 64, seed: int = 0, count: int = 10) -> Field:
    return point_sources(batch(batch=samples), spatial(x=n, y=n), count=(count, count), seed=seed)


def observe(x: Field, amount: float = 1.0, sigma: float = SIGMA, seed: int = 1) -> Field:
    y = HeatEquation(amount, 1.0).forward(x)
    noise = sigma * np.random.default_rng(seed).standard_normal(array(y).shape)
    return y + math.tensor(noise, batch("batch"), *y.resolution)


def invert(y: Field, rule: Any, noise_std: Any = "auto", amount: float = 1.0) -> np.ndarray:
    return array(sip_inverse(HeatEquation(amount, 1.0, noise_std, rule), y, y * 0).x_target)


def relative_error(found: np.ndarray, x: Field) -> float:
    return float(np.linalg.norm(found - array(x)) / np.linalg.norm(array(x)))


@pytest.mark.parametrize("minimum", [None, 0.0])
@pytest.mark.parametrize("row", ROWS)
def test_converges_to_the_minimum(double, monkeypatch, row, minimum):
    """The dual for the last weights, least squares in a box |p| ≤ λ w, q ≥ 0: x = (PᵀP)⁻¹ (Pᵀ y − p + q)."""
    kinds, cells, dx = row
    limits = []
    refit = PointsMinimization._stage

    def refit_and_note(self: Any, state: Any, before: Any) -> Any:
        state, stage = refit(self, state, before)
        weights = np.asarray(stage.parts[0].limit) / stage.threshold
        limits.append((self._strength() * weights).ravel())
        return state, stage

    monkeypatch.setattr(PointsMinimization, "_stage", refit_and_note)
    with NUMPY:
        physics = HeatEquation(0.3 * min(dx) ** 2, 1.0, 0.05, Sparse(minimum, iterations=900, tolerance=0.0))
        truth = points(cells, sign=1.0 if minimum == 0 else -1.0)
        y_target = noisy(physics.forward(bounded(truth, kinds, dx)), 0.05)
        found = array(sip_inverse(physics, y_target, y_target * 0).x_target).ravel()
        columns = np.eye(found.size).reshape(-1, *cells)
        p = array(physics.forward(bounded(columns, kinds, dx))).reshape(found.size, -1).T
    assert len(limits) == 5
    y, limit = array(y_target).ravel(), limits[-1] * np.linalg.norm(p, 2) ** 2
    none, sides = np.eye(y.size), minimum is not None
    signs = np.concatenate([none, -none], 1) if sides else none
    upper = np.concatenate([limit, np.full(y.size, np.inf)]) if sides else limit
    lower = np.concatenate([-limit, np.zeros(y.size)]) if sides else -limit
    dual = scipy.optimize.lsq_linear(np.linalg.solve(p.T, signs), y, (lower, upper), tol=1e-14, max_iter=2000).x
    expected = np.linalg.solve(p.T @ p, p.T @ y - signs @ dual)

    def objective(x: np.ndarray) -> float:
        return float(0.5 * np.sum((p @ x - y) ** 2) + limit @ np.abs(x))

    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert objective(found) == pytest.approx(objective(expected), rel=1e-4)
    assert (np.abs(found) < 1e-12).mean() > 0.5
    assert minimum is None or found.min() >= -1e-12


@pytest.mark.parametrize("minimum", [None, 0.0])
def test_without_blur_it_is_soft_thresholding(double, minimum):
    """With the threshold λ = σ √(2 log N), and weights that are fitted four times."""
    cells, sigma = (16, 16), 0.2
    with NUMPY:
        y = grid(points(cells, count=20, sign=-1.0), None, PERIODIC)
        y_target = noisy(y, sigma)
        found = invert(y_target, Sparse(minimum, iterations=600, tolerance=0.0), sigma, amount=1e-12)
    data, threshold, weights = array(y_target), sigma * np.sqrt(2 * np.log(256)), 1.0
    for _ in range(5):
        x = np.sign(data) * np.maximum(np.abs(data) - threshold * weights, 0)
        x = x if minimum is None else np.maximum(x, minimum)
        size = np.sum(x**2) / np.sum(np.abs(x))
        weights = 0.1 * size / (np.abs(x) + 0.1 * size)
    np.testing.assert_allclose(found, x, atol=1e-6)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**30])
def test_units_of_x_and_y_do_not_matter(precision, scale):
    with NUMPY, math.precision(precision):
        x = grid(points((16, 12)), None, INSULATED)
        y_target = observe(x)
        for sigma, other in ((SIGMA, SIGMA * scale), ("auto", "auto")):
            found, scaled = invert(y_target, Sparse(), sigma), invert(y_target * scale, Sparse(), other)
            np.testing.assert_allclose(scaled, scale * found, rtol=1e-6, atol=0)


def test_the_unit_of_length_does_not_matter(double):
    """y = −∇⁻² x is larger by the square of it."""
    found = []
    with NUMPY:
        for dx in (1.0, 4.0):
            x = grid(points((16, 12), sign=-1.0), (dx, dx), 0)
            y_target = noisy(Poisson().forward(x), 1e-2 * dx**2)
            found.append(array(sip_inverse(Poisson(1e-2 * dx**2, Sparse()), y_target, x * 0).x_target))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize(
    ("kinds", "cells"),
    [
        (("periodic",), (64,)),
        (("insulated",), (64,)),
        (("fixed", "insulated-fixed"), (24, 20)),
        (("periodic", "fixed", "insulated"), (12, 12, 12)),
    ],
    ids=lambda value: "x".join(map(str, value)),
)
def test_points_are_found_on_any_grid(precision, kinds, cells):
    dx = (1.0,) * len(cells)
    with NUMPY, math.precision(precision):
        x = bounded(points(cells, seed=3), kinds, dx)
        y_target = observe(x)
        for rule in (Sparse(), Sparse(minimum=0.0)):
            found = sip_inverse(HeatEquation(1.0, 1.0, SIGMA, rule), y_target, x * 0).x_target
            assert found.values.dtype.precision == precision
            assert relative_error(array(found), x) < 0.05
            assert set(np.flatnonzero(array(x))) <= set(np.flatnonzero(np.abs(array(found)) > 0.1))


LINEAR: dict[str, Regularization] = {
    "empirical Bayes": EmpiricalBayes(),
    "Wiener, fitted": Wiener(),
    "Tikhonov": Tikhonov(),
    "truncated SVD": TruncatedSVD(),
}


@pytest.mark.parametrize("seed", range(3))
def test_half_the_error_of_the_best_linear_rule(double, seed):
    """And a twentieth; the rules that are told the true spectrum, or these very samples, included."""
    with NUMPY:
        x = fields(4, seed=seed)
        y_target = observe(x, seed=seed + 10)
        flat = PowerLaw(float((array(x) ** 2).mean()), 0.0)
        told = {"true spectrum": Wiener(flat), "these samples": Wiener.from_samples(x)}
        linear = {name: relative_error(invert(y_target, rule), x) for name, rule in {**LINEAR, **told}.items()}
        for noise_std in ("auto", SIGMA):
            for rule in (Sparse(), Sparse(minimum=0.0), None):
                assert relative_error(invert(y_target, rule, noise_std), x) < 0.05 * min(linear.values())


OTHER = {
    "rectangles": heat_rectangles,
    "smooth": smooth_fields,
    "photographs": heat_photographs,
    "white": lambda *shape, seed: grid(np.random.default_rng(seed).random((32, 64, 64)), None, PERIODIC),
}


@pytest.mark.parametrize("sigma", [1e-3, 1e-2])
@pytest.mark.parametrize("name", OTHER)
def test_other_data_never_come_to_iterations_on_points(double, monkeypatch, name, sigma):
    def refuse(*_: Any) -> None:
        raise AssertionError("it was tried")

    with NUMPY:
        x = OTHER[name](batch(batch=32), spatial(x=64, y=64), seed=0)
        y_target = observe(x, 2.0, sigma)
        before = invert(y_target, CrossValidated(points=None), amount=2.0)
        monkeypatch.setattr(PointsMinimization, "__init__", refuse)
        np.testing.assert_array_equal(invert(y_target, None, amount=2.0), before)


def mixed() -> Field:
    """Observations of points, rectangles, and points."""
    shape = spatial(x=32, y=32)
    parts = [fields(2, 32, count=3), heat_rectangles(batch(batch=3), shape, seed=0), fields(1, 32, 5, count=3)]
    return observe(grid(np.concatenate([array(part) for part in parts]), None, PERIODIC))


@pytest.mark.slow_on("tensorflow", "jax")  # for what all frameworks share
def test_the_default_finds_points_among_other_data(framework, double):
    """On all frameworks alike, whether compiled or not, and as each by itself."""
    y_target = mixed()
    step = sip_inverse(HeatEquation(1.0, 1.0), y_target, y_target * 0)
    chosen, found = step.stats["points"].numpy("batch"), array(step.x_target)
    assert (chosen > 0).tolist() == [True, True, False, False, False, True]
    assert chosen.max() == 1
    others, weight = invert(y_target, CrossValidated(points=None)), chosen[:, None, None]
    np.testing.assert_allclose(found, others + weight * (invert(y_target, Sparse()) - others), atol=1e-9)
    with NUMPY:
        alone = [invert(grid(one[None], None, PERIODIC), None) for one in array(y_target)]
    np.testing.assert_allclose(found, np.concatenate(alone), atol=1e-9)


def test_the_default_takes_the_least_value_of_edges_for_points(double):
    with NUMPY:
        y_target = observe(fields(4, count=30), sigma=1e-2)
        found = invert(y_target, CrossValidated(edges=TotalVariation(minimum=0.0)))
        np.testing.assert_allclose(found, invert(y_target, Sparse(minimum=0.0)), atol=1e-12)
    assert found.min() >= -1e-12


def test_rows_stop_by_themselves(double):
    with NUMPY:
        y_target = observe(fields(4))
        steps = [
            sip_inverse(HeatEquation(1.0, 1.0, regularization=Sparse(iterations=400, tolerance=t)), y_target, y_target)
            for t in (1e-3, 0.0)
        ]
    counts = [step.stats["iterations"].numpy("batch") for step in steps]
    assert (counts[0] < 400).all()
    assert (counts[1] == 400).all()
    np.testing.assert_allclose(*(array(step.x_target) for step in steps), atol=0.02)


@pytest.mark.parametrize("minimum", [0.0, -1.0])
def test_points_stand_out_from_the_steady_state(double, minimum):
    """Of boundary values, which are no points; the minimum is that of u itself."""
    with NUMPY:
        boundary = {"x": (1.0, 1.0), "y": (INSULATED, 1.0)}
        x = grid(1 + points((16, 12), seed=2), None, boundary)
        y_target = noisy(HeatEquation(1.0, 1.0).forward(x), SIGMA)
        found = array(sip_inverse(HeatEquation(1.0, 1.0, SIGMA, Sparse(minimum)), y_target, x * 0).x_target)
        low = grid(1 + 3 * points((16, 12), seed=2) * -1, None, boundary)
        y_low = noisy(HeatEquation(1.0, 1.0).forward(low), SIGMA)
        bound = array(sip_inverse(HeatEquation(1.0, 1.0, SIGMA, Sparse(minimum)), y_low, x * 0).x_target)
    np.testing.assert_allclose(found, array(x), atol=0.05)
    assert bound.min() == pytest.approx(minimum, abs=1e-9)


@pytest.mark.slow_on("tensorflow", "jax")  # which compile it for each case
def test_single_precision_finds_the_same(framework, double):
    y_target = observe(fields(2, 32, count=3))
    exact, single = (invert(y_target, Sparse(single=s)) for s in (False, True))
    np.testing.assert_allclose(single, exact, atol=1e-4)
    assert np.abs(single - exact).max() > 0
