"""Spectral filters against explicit matrices: normal equations, singular values, influence matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
from fields import array, grid
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation, spatial

from phi_sip import HeatEquation, sip_inverse
from phi_sip.contract.step import SipStep
from phi_sip.data import heat_rectangles
from phi_sip.regularization import (
    DiscrepancyPrinciple,
    GeneralizedCrossValidation,
    LCurve,
    Regularization,
    Tikhonov,
    TruncatedSVD,
)

N, SIGMA = 32, 1e-2
SPACING = (-2 * np.log(np.finfo(np.float64).eps) - 4) / 119  # of log α, where it is chosen


def line(values: np.ndarray) -> Field:
    """Fixed at both ends: no mode goes without regularization."""
    return grid(values, None, extrapolation.ZERO)


class Explicit(NamedTuple):
    """y = P x + n with P as a matrix whose largest singular value is `unit`."""

    matrix: np.ndarray
    x: np.ndarray
    y: np.ndarray
    unit: float

    def influence(self, alpha: float) -> np.ndarray:
        """A = P (PᵀP + α unit² I)⁻¹ Pᵀ."""
        p = self.matrix
        return p @ np.linalg.solve(p.T @ p + alpha * self.unit**2 * np.eye(N), p.T)


@pytest.fixture(scope="module")
def problem() -> Explicit:
    with NUMPY, math.precision(64):
        matrix = array(HeatEquation(3.0, 1.0).forward(line(np.eye(N)))).T
    x = (np.abs(np.arange(N) - 12) < 6) + 0.5 * (np.arange(N) > 24)
    y = matrix @ x + SIGMA * np.random.default_rng(0).standard_normal(N)
    return Explicit(matrix, x, y, float(np.linalg.norm(matrix, 2)))


def solve(problem: Explicit, rule: Regularization) -> SipStep:
    with NUMPY:
        y_target = line(problem.y[None])
        return sip_inverse(HeatEquation(3.0, 1.0, SIGMA, rule), y_target, y_target * 0)


def log_alpha(step: SipStep) -> float:
    return float(np.log(step.stats["alpha"].numpy("batch"))[0])


@pytest.mark.parametrize("alpha", [1e-5, 1e-2, 1.0])
def test_tikhonov_solves_the_damped_least_squares_problem(problem, double, alpha):
    damp, found = np.sqrt(alpha) * problem.unit, array(solve(problem, Tikhonov(alpha)).x_target)[0]
    expected = scipy.sparse.linalg.lsqr(problem.matrix, problem.y, damp, atol=0, btol=0, conlim=0, iter_lim=500)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    stacked = np.concatenate([problem.matrix, damp * np.eye(N)])
    exact = np.linalg.lstsq(stacked, np.concatenate([problem.y, np.zeros(N)]), rcond=None)[0]
    np.testing.assert_allclose(found, exact, atol=1e-9)


@pytest.mark.parametrize("kept", [1, 4, 9])
def test_truncated_svd_keeps_the_largest_singular_values(problem, double, kept):
    u, s, v = np.linalg.svd(problem.matrix)
    expected = v[:kept].T @ ((u[:, :kept].T @ problem.y) / s[:kept])
    between = s[kept - 1] * s[kept] / problem.unit**2
    np.testing.assert_allclose(array(solve(problem, TruncatedSVD(float(between))).x_target)[0], expected, atol=1e-9)


def test_uncertainty_is_the_propagated_noise(problem, double):
    alpha, p = 1e-3, problem.matrix
    reconstruction = np.linalg.solve(p.T @ p + alpha * problem.unit**2 * np.eye(N), p.T)
    expected = SIGMA * np.linalg.norm(reconstruction, axis=1)
    np.testing.assert_allclose(array(solve(problem, Tikhonov(alpha)).uncertainty).ravel(), expected)


def test_generalized_cross_validation_minimizes_the_textbook_formula(problem, double):
    def cost(log_alpha: float) -> float:
        rest = np.eye(N) - problem.influence(np.exp(log_alpha))
        return float(np.sum((rest @ problem.y) ** 2) / np.trace(rest) ** 2)

    candidates = np.linspace(-25, 0, 1000)
    best = candidates[np.argmin([cost(candidate) for candidate in candidates])]
    step = solve(problem, Tikhonov(GeneralizedCrossValidation()))
    assert abs(log_alpha(step) - best) < SPACING
    np.testing.assert_array_equal(array(step.dx), array(solve(problem, Tikhonov()).dx))


@pytest.mark.parametrize("tau", [1.0, 1.5])
def test_discrepancy_is_what_the_noise_explains(problem, double, tau):
    def excess(log_alpha: float) -> float:
        rest = np.eye(N) - problem.influence(np.exp(log_alpha))
        return float(np.sum((rest @ problem.y) ** 2) - tau**2 * SIGMA**2 * N)

    expected = scipy.optimize.brentq(excess, -25, 0)
    assert abs(log_alpha(solve(problem, Tikhonov(DiscrepancyPrinciple(tau)))) - expected) < SPACING


@pytest.mark.parametrize("choice", [GeneralizedCrossValidation(), LCurve(), DiscrepancyPrinciple()], ids=repr)
@pytest.mark.parametrize("sigma", [1e-4, 1e-2])
def test_chosen_parameters_are_near_the_best(double, choice, sigma):
    with NUMPY:
        x = heat_rectangles(batch(batch=8), spatial(x=64, y=64), seed=0)
        y = HeatEquation(8.0, 1.0).forward(x)
        noise = sigma * np.random.default_rng(0).standard_normal(array(y).shape)
        y_target = y + math.tensor(noise, batch("batch"), spatial("x,y"))

        def run(parameter) -> SipStep:
            return sip_inverse(HeatEquation(8.0, 1.0, sigma, Tikhonov(parameter)), y_target, x * 0)

        chosen = np.log10(run(choice).stats["alpha"].numpy("batch"))
        candidates = np.arange(-14.0, 0.0, 0.5)
        errors = [((array(run(float(10**c)).x_target) - array(x)) ** 2).sum((1, 2)) for c in candidates]
    best = candidates[np.argmin(errors, 0)]
    assert np.abs(chosen - best).max() < 2, (chosen, best)


@pytest.mark.parametrize("choice", [GeneralizedCrossValidation, DiscrepancyPrinciple, LCurve])
@pytest.mark.parametrize("cells", [(12, 8), (14, 8)])
def test_order_of_kinds_of_sides_does_not_matter(double, choice, cells):
    """The same problem with its axes swapped; of 14 periodic cells as many modes are kept as of 8 others."""
    values = np.random.default_rng(0).standard_normal((2, *cells))

    def inverted(first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
        sides = {first: extrapolation.PERIODIC, second: extrapolation.ZERO_GRADIENT}
        lengths = dict(zip((first, second), map(float, cells), strict=True))
        tensor = math.tensor(values, batch("batch"), spatial(first), spatial(second))
        x = CenteredGrid(tensor, sides, Box(**lengths))
        physics = HeatEquation(1.0, 1.0, noise_std=0.1, regularization=Tikhonov(choice()))
        step = sip_inverse(physics, x, x * 0)
        return step.dx.values.numpy(["batch", first, second]), step.stats["alpha"].numpy("batch")

    with NUMPY:
        for found, expected in zip(inverted("x", "y"), inverted("y", "x"), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
