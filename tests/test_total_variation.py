"""Total variation: its differences, its minimum against another algorithm, its bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from fields import AXES, array, grid
from phi.field import Field
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation

from phi_sip import HeatEquation, sip_inverse
from phi_sip.regularization import EmpiricalBayes, TotalVariation
from phi_sip.regularization.admm_edges import EdgesMinimization
from phi_sip.spectral import SpectralBasis
from phi_sip.spectral.differences import differences, eigenvalues

PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT
KINDS = {
    "periodic": (PERIODIC, PERIODIC),
    "insulated": (INSULATED, INSULATED),
    "fixed": (0, 0),
    "insulated-fixed": (INSULATED, 0),
    "fixed-insulated": (0, INSULATED),
}
GRIDS = [
    # kind per axis, cells, cell sizes
    (("periodic",), (20,), (1.0,)),
    (("insulated",), (20,), (0.5,)),
    (("fixed",), (20,), (2.0,)),
    (("insulated-fixed",), (15,), (1.0,)),
    (("fixed-insulated",), (15,), (1.0,)),
    (("periodic", "insulated"), (8, 7), (1.0, 2.0)),
    (("fixed", "periodic"), (6, 9), (0.5, 0.25)),
    (("insulated", "fixed-insulated", "periodic"), (4, 5, 4), (1.0, 0.5, 2.0)),
]
every_grid = pytest.mark.parametrize("row", GRIDS, ids=lambda row: "x".join(row[0]))


def bounded(values: np.ndarray, kinds: tuple[str, ...], dx: tuple[float, ...]) -> Field:
    return grid(values, dx, {axis: KINDS[kind] for axis, kind in zip(AXES, kinds, strict=False)})


def difference_matrix(kind: str, n: int) -> np.ndarray:
    if kind == "periodic":
        return np.roll(np.eye(n), 1, axis=1) - np.eye(n)
    rows = [*np.diff(np.eye(n), axis=0)]
    lower, upper = (side == "fixed" for side in (kind.split("-")[0], kind.split("-")[-1]))
    ends = np.sqrt(2) * np.eye(n)
    return np.array([*([ends[0]] if lower else []), *rows, *([-ends[-1]] if upper else [])])


def all_differences(kinds: tuple[str, ...], cells: tuple[int, ...], dx: tuple[float, ...]) -> np.ndarray:
    """Σ over axes, stacked: rows are faces, columns cells."""
    parts = []
    for i, (kind, n, d) in enumerate(zip(kinds, cells, dx, strict=True)):
        factors = [difference_matrix(kind, n) * min(dx) / d if a == i else np.eye(m) for a, m in enumerate(cells)]
        matrix = np.ones((1, 1))
        for factor in factors:
            matrix = np.kron(matrix, factor)
        parts.append(matrix)
    return np.concatenate(parts)


@every_grid
def test_differences(double, row):
    kinds, cells, dx = row
    rng = np.random.default_rng(0)
    values, matrix = rng.standard_normal((2, *cells)), all_differences(*row)
    with NUMPY:
        field = bounded(values, kinds, dx)
        basis = SpectralBasis.of(field)
        steps = differences(basis, NUMPY)
        parts = [step.apply(values) for step in steps]
        found = np.concatenate([part.reshape(2, -1) for part in parts], 1)
        np.testing.assert_allclose(found, values.reshape(2, -1) @ matrix.T, atol=1e-14)
        for step, part in zip(steps, parts, strict=True):
            other = rng.standard_normal(part.shape)
            assert np.sum(part * other) == pytest.approx(np.sum(values * step.adjoint(other)), abs=1e-12)
        normal = sum(step.adjoint(part) for step, part in zip(steps, parts, strict=True))
        in_modes = basis.transform(field.with_values(math.tensor(normal, batch("batch"), *field.resolution)).values)
        expected = eigenvalues(basis) * basis.transform(field.values)
    names = ["batch", *field.resolution.names]
    np.testing.assert_allclose(in_modes.numpy(names), expected.numpy(names), atol=1e-12)


def blocks(cells: tuple[int, ...]) -> np.ndarray:
    """A block at 1 on a ground of 0, not on the edge."""
    inside = [(np.arange(n) >= n // 4) & (np.arange(n) < 3 * n // 4) for n in cells]
    return np.prod(np.meshgrid(*inside, indexing="ij"), axis=0)[None].astype(float)


def noisy(y: Field, sigma: float) -> Field:
    noise = sigma * np.random.default_rng(1).standard_normal(array(y).shape)
    return y + math.tensor(noise, batch("batch"), *y.resolution)


@pytest.mark.parametrize("minimum", [None, 0.0])
@pytest.mark.parametrize("row", GRIDS[:-1], ids=lambda row: "x".join(row[0]))
def test_converges_to_the_minimum(double, monkeypatch, row, minimum):
    """The dual, least squares in a box |p| ≤ λ, q ≥ 0, by another algorithm: x = (PᵀP)⁻¹ (Pᵀ y − Dᵀ p + q)."""
    kinds, cells, dx = row
    strengths = []
    fit = EdgesMinimization._strength

    def fit_and_note(self: Any, variation: Any) -> Any:
        penalty = fit(self, variation)
        strengths.append((penalty * self.threshold).item())  # λ = ρ · threshold
        return penalty

    monkeypatch.setattr(EdgesMinimization, "_strength", fit_and_note)
    with NUMPY:
        physics = HeatEquation(
            0.3 * min(dx) ** 2, 1.0, 0.05, TotalVariation(minimum=minimum, iterations=800, tolerance=0.0)
        )
        y_target = noisy(physics.forward(bounded(blocks(cells), kinds, dx)), 0.05)
        found = array(sip_inverse(physics, y_target, y_target * 0).x_target).ravel()
        columns = np.eye(found.size).reshape(-1, *cells)
        p = array(physics.forward(bounded(columns, kinds, dx))).reshape(found.size, -1).T
    y, d = array(y_target).ravel(), all_differences(*row)
    strength = strengths[-1] * np.linalg.norm(p, 2) ** 2

    def objective(x: np.ndarray) -> float:
        return float(0.5 * np.sum((p @ x - y) ** 2) + strength * np.abs(d @ x).sum())

    signs = [d.T] if minimum is None else [d.T, -np.eye(y.size)]
    limits = np.concatenate([np.full(len(d), strength), np.full(0 if minimum is None else y.size, np.inf)])
    lower = np.where(np.isinf(limits), 0.0, -limits)
    operator = np.linalg.solve(p.T, np.concatenate(signs, 1))
    dual = scipy.optimize.lsq_linear(operator, y, (lower, limits), tol=1e-14, max_iter=2000).x
    expected = np.linalg.solve(p.T @ p, p.T @ y - np.concatenate(signs, 1) @ dual)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert objective(found) == pytest.approx(objective(expected), rel=1e-4)
    assert minimum is None or found.min() >= -1e-12


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
def test_edges_are_found_on_any_grid(precision, kinds, cells):
    errors, dx = [], (1.0,) * len(cells)
    with NUMPY, math.precision(precision):
        x = bounded(blocks(cells), kinds, dx)
        y_target = noisy(HeatEquation(1.0, 1.0).forward(x), 1e-3)
        for rule in (EmpiricalBayes(), TotalVariation(), TotalVariation(minimum=0.0)):
            found = sip_inverse(HeatEquation(1.0, 1.0, 1e-3, rule), y_target, x * 0).x_target
            assert found.values.dtype.precision == precision
            errors.append(np.linalg.norm(array(found) - array(x)))
            if set(kinds) <= {"periodic", "insulated"} and rule == TotalVariation():
                np.testing.assert_allclose(array(found).mean(), array(y_target).mean(), rtol=1e-6)
    assert max(errors[1:]) < 0.6 * errors[0], errors


@pytest.mark.slow_on("tensorflow", "jax")  # which compile it for each case
@pytest.mark.parametrize("kinds", [("periodic", "periodic"), ("fixed", "insulated"), ("periodic", "insulated-fixed")])
@pytest.mark.parametrize("sigma", [0.0, 1e-2])
def test_iterations_in_single_precision_find_the_same(framework, double, sigma, kinds):
    """To 1e-5 of data in double, with which it agrees in the mean to their own rounding."""
    cells, dx = (24, 20), (1.0, 1.0)
    y_target = noisy(HeatEquation(1.0, 1.0).forward(bounded(blocks(cells), kinds, dx)), sigma)
    for minimum in (None, 0.0):
        exact, single = (
            sip_inverse(HeatEquation(1.0, 1.0, 1e-2, rule), y_target, y_target * 0).x_target.values
            for rule in (TotalVariation(minimum), TotalVariation(minimum, single=True))
        )
        assert single.dtype.precision == 64
        np.testing.assert_allclose(array(single), array(exact), atol=1e-5)
        assert np.abs(array(single) - array(exact)).max() > 0
        if kinds == ("periodic", "periodic") and minimum is None:
            np.testing.assert_allclose(array(single).mean(), array(y_target).mean(), rtol=1e-12)


@pytest.mark.parametrize("minimum", [0.0, 0.5, -1.0])
def test_minimum_holds_with_boundary_values(double, minimum):
    """What is bounded is u itself, not its distance from the steady state."""
    values = blocks((12, 10)) * 2 + minimum
    with NUMPY:
        x = grid(values, None, {"x": (minimum, minimum + 1.0), "y": (INSULATED, minimum + 0.3)})
        y_target = noisy(HeatEquation(1.0, 1.0).forward(x), 0.1)
        free, bound = (
            array(sip_inverse(HeatEquation(1.0, 1.0, 0.02, rule), y_target, x * 0).x_target)
            for rule in (TotalVariation(strength=0.05), TotalVariation(minimum, strength=0.05))
        )
    assert free.min() < minimum - 0.01
    assert bound.min() >= minimum - 1e-9
    assert np.linalg.norm(bound - values) < np.linalg.norm(free - values)
