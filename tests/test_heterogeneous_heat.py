"""Heat where the diffusivity varies, and around obstacles: against SciPy, analytic solutions, and HeatEquation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
from fields import array, grid, periodic, smooth
from phi.field import CenteredGrid, StaggeredGrid
from phi.geom import Box, Sphere
from phi.physics.fluid import Obstacle
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, instance, spatial
from scipy import sparse

from phi_sip import (
    BoundaryError,
    EmpiricalBayes,
    GridMismatchError,
    HeatEquation,
    HeterogeneousHeat,
    Masked,
    ParameterError,
    Sensors,
    Sparse,
    UnsupportedError,
    get_physics,
    sip_inverse,
)
from phi_sip.frameworks import operations_of
from phi_sip.spectral import chebyshev
from phi_sip.states import trees

PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT
CELLS, DX = (9, 7), (0.3, 0.25)

# boundary, and per axis: None where periodic, else the values at both sides, None where insulated
BOUNDARIES = {
    "periodic": (PERIODIC, (None, None)),
    "insulated": (INSULATED, ((None, None), (None, None))),
    "fixed": (0, ((0, 0), (0, 0))),
    "values": ({"x": (1.0, 2.0), "y": (INSULATED, 0.5)}, ((1.0, 2.0), (None, 0.5))),
    "mixed": ({"x": PERIODIC, "y": (-1.0, INSULATED)}, (None, (-1.0, None))),
}


def body(seed: int = 0, *samples: int) -> np.ndarray:
    """A diffusivity with a contrast of about a hundred, and cells that do not conduct."""
    nu = np.exp(np.random.default_rng(seed).standard_normal((*samples, *CELLS)))
    nu[..., 2:4, 1:3] = 0
    return nu


def per_cell(values: np.ndarray) -> Any:
    return math.wrap(values, *[batch("batch")] * (values.ndim - 2), spatial("x,y"))


def matrices(nu: np.ndarray, axes: Any, dx: tuple[float, ...]) -> tuple[sparse.csr_matrix, np.ndarray]:
    """du/dt = A u + b, cell by cell."""
    index, entries, b = np.arange(nu.size).reshape(nu.shape), sparse.lil_matrix((nu.size, nu.size)), np.zeros(nu.size)
    for cell in np.ndindex(*nu.shape):
        i = index[cell]
        for axis, end in ((a, e) for a in range(nu.ndim) for e in (0, 1)):
            at = cell[axis] + (-1, 1)[end]
            if axes[axis] is not None and not 0 <= at < nu.shape[axis]:
                value = axes[axis][end]
                if value is not None:
                    entries[i, i] -= 2 * nu[cell] / dx[axis] ** 2
                    b[i] += value * 2 * nu[cell] / dx[axis] ** 2
                continue
            other = tuple(at % nu.shape[axis] if a == axis else c for a, c in enumerate(cell))
            total = nu[cell] + nu[other]
            conductance = 2 * nu[cell] * nu[other] / total / dx[axis] ** 2 if total else 0.0
            entries[i, i] -= conductance
            entries[i, index[other]] += conductance
    return entries.tocsr(), b


def by_scipy(nu: np.ndarray, axes: Any, dx: tuple[float, ...], t: float, x: np.ndarray) -> np.ndarray:
    a, b = matrices(nu, axes, dx)
    whole = sparse.bmat([[a, b[:, None]], [None, sparse.csr_matrix((1, 1))]]).tocsr()
    columns = np.concatenate([x.reshape(len(x), -1), np.ones((len(x), 1))], 1).T
    return scipy.sparse.linalg.expm_multiply(t * whole, columns)[:-1].T.reshape(x.shape)


def sample(boundary: Any, samples: int = 2, seed: int = 1) -> Any:
    return grid(np.random.default_rng(seed).standard_normal((samples, *CELLS)), DX, boundary)


@pytest.mark.parametrize("kind", BOUNDARIES)
def test_it_is_the_exponential_by_scipy(framework, double, kind):
    boundary, axes = BOUNDARIES[kind]
    x = sample(boundary)
    for t in (1e-3, 0.1) if framework.name == "torch" else (0.1,):
        y = HeterogeneousHeat(per_cell(body()), t).forward(x)
        assert y.values.default_backend is framework.backend
        np.testing.assert_allclose(array(y), by_scipy(body(), axes, DX, t, array(x)), atol=1e-12)


@pytest.mark.parametrize("t", [0.0, 1e-6, 30.0])
def test_short_and_long_times(double, t):
    boundary, axes = BOUNDARIES["mixed"]
    with NUMPY:
        x = sample(boundary)
        expected = by_scipy(body(), axes, DX, t, array(x)) if t else array(x)
        np.testing.assert_allclose(array(HeterogeneousHeat(per_cell(body()), t).forward(x)), expected, atol=1e-10)


def test_single_precision():
    boundary, axes = BOUNDARIES["values"]
    with NUMPY, math.precision(32):
        x = grid(np.random.default_rng(1).standard_normal((2, *CELLS)).astype(np.float32), DX, boundary)
        y = HeterogeneousHeat(per_cell(body()), 0.1).forward(x)
        assert y.values.dtype.precision == 32
        np.testing.assert_allclose(array(y), by_scipy(body(), axes, DX, 0.1, array(x)), atol=2e-5)


@pytest.mark.parametrize("z", [1e-3, 0.5, 30.0, 3e3])
@pytest.mark.parametrize("rounding", [1.2e-7, 2.2e-16])
def test_polynomials_are_the_exponential(z, rounding):
    s = np.linspace(-1, 1, 1001)
    for coefficients, expected in (
        (chebyshev.exponential(z, rounding), np.exp(z * (s - 1))),
        (chebyshev.mean_exponential(z, rounding), np.append(np.expm1(z * (s - 1))[:-1] / (z * (s - 1))[:-1], 1.0)),
    ):
        assert len(coefficients) < 10 + np.sqrt(80 * z)
        found = np.polynomial.chebyshev.chebval(s, coefficients)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2 * rounding + 1e-13)


@pytest.mark.parametrize("boundary", [PERIODIC, INSULATED, {"x": (1.0, 2.0), "y": INSULATED}], ids=str)
def test_a_homogeneous_body_to_second_order(double, boundary):
    """`HeatEquation` is exact in space."""
    errors = []
    for n in (16, 32, 64):
        s = (np.arange(n) + 0.5) / n
        bump = np.sin(np.pi * s) ** 2 * np.cos(2 * np.pi * s)
        with NUMPY:
            x = grid(
                (1 + s[:, None] * isinstance(boundary, dict) + bump[:, None] * bump)[None], (1 / n, 1 / n), boundary
            )
            y, exact = (physics.forward(x) for physics in (HeterogeneousHeat(0.3, 0.1), HeatEquation(0.3, 0.1)))
        errors.append(abs(array(y) - array(exact)).max())
    assert min(np.log2(np.divide(errors[:-1], errors[1:]))) > 1.9, errors
    assert errors[-1] < 2e-4


def test_two_layers_to_second_order(double):
    """An eigenfunction of two materials, whose flux is continuous: sin(p s) and c sin(q (1 − s))."""
    nu, t, errors = (1.0, 0.05), 0.02, []

    def mismatch(rate: float) -> float:
        p, q = np.sqrt(rate / np.array(nu))
        return nu[0] * p * np.cos(p / 2) * np.sin(q / 2) + nu[1] * q * np.cos(q / 2) * np.sin(p / 2)

    rate = scipy.optimize.brentq(mismatch, 1.5, 3.0)
    p, q = np.sqrt(rate / np.array(nu))
    for n in (32, 64, 128):
        s = (np.arange(n) + 0.5) / n
        mode = np.where(s < 0.5, np.sin(p * s), np.sin(p / 2) / np.sin(q / 2) * np.sin(q * (1 - s)))
        with NUMPY:
            layers = math.wrap(np.where(s < 0.5, *nu), spatial("x"))
            y = array(HeterogeneousHeat(layers, t).forward(grid(mode[None], (1 / n,), 0)))[0]
        errors.append(np.abs(y - np.exp(-rate * t) * mode).max() / (rate * t))
    assert min(np.log2(np.divide(errors[:-1], errors[1:]))) > 1.7, errors
    assert errors[-1] < 4e-3, errors


@pytest.mark.parametrize("kind", BOUNDARIES)
def test_symmetric_conserving_and_bounded(double, kind):
    boundary, axes = BOUNDARIES[kind]
    physics, zero = HeterogeneousHeat(per_cell(body()), 0.2), HeterogeneousHeat(per_cell(body()), 0.2)
    with NUMPY:
        u, v = sample(boundary), sample(boundary, seed=2)
        offset = array(zero.forward(u * 0))
        pu, pv = (array(physics.forward(w)) - offset for w in (u, v))
        np.testing.assert_allclose((pu * array(v)).sum(), (array(u) * pv).sum(), atol=1e-12)
        twice = array(physics.forward(physics.forward(u)))
        np.testing.assert_allclose(twice, array(HeterogeneousHeat(per_cell(body()), 0.4).forward(u)), atol=1e-12)
    values = [value for pair in axes if pair for value in pair if value is not None]
    if not values:
        np.testing.assert_allclose(pu.sum((1, 2)), array(u).sum((1, 2)), atol=1e-12)
    lowest, highest = min([*values, array(u).min()]), max([*values, array(u).max()])
    assert (pu + offset).min() > lowest - 1e-12
    assert (pu + offset).max() < highest + 1e-12


def test_an_obstacle_lets_nothing_through(framework, double):
    """A wall with a hole in one corner, which another obstacle closes."""
    n = 12
    wall = Box(x=(5, 7), y=(0, 10))
    plug = Sphere(x=6, y=11, radius=1.5)
    values = np.random.default_rng(0).uniform(size=(2, n, n))
    values[:, 7:] = 0
    x = grid(values, None, INSULATED)
    open_, closed = (HeterogeneousHeat(1.0, 20.0, obstacles=o) for o in (wall, [Obstacle(wall), plug]))
    assert array(open_.forward(x))[:, 7:].min() > 1e-3
    y = array(closed.forward(x))
    np.testing.assert_allclose(y[:, 7:], 0, atol=0)
    np.testing.assert_allclose(y[:, 5:7], values[:, 5:7], atol=1e-14)
    np.testing.assert_allclose(y[:, :5].sum((1, 2)), values[:, :5].sum((1, 2)), rtol=1e-13)
    assert np.ptp(y[:, :5], axis=(1, 2)).max() < np.ptp(values[:, :5], axis=(1, 2)).min() / 5


def test_an_obstacle_is_where_nothing_conducts(double):
    """Inside of the geometry, of each sample its own."""
    with NUMPY:
        x = periodic(np.random.default_rng(0).standard_normal((2, 12, 10)))
        centers = math.wrap([[3.0, 4.0], [8.0, 5.0]], batch("batch"), channel(vector="x,y"))
        found = array(HeterogeneousHeat(0.7, 2.0, obstacles=Sphere(centers, radius=2.0)).forward(x))
        i, j = np.meshgrid(np.arange(12) + 0.5, np.arange(10) + 0.5, indexing="ij")
        for k, (a, b) in enumerate([(3, 4), (8, 5)]):
            free = 1.0 * ((i - a) ** 2 + (j - b) ** 2 > 4)
            expected = array(HeterogeneousHeat(per_cell(0.7 * free), 2.0).forward(x.batch[k]))
            np.testing.assert_allclose(found[k], expected.reshape(12, 10), atol=1e-13)


def test_each_sample_its_own_body_and_time(framework, double):
    nu, times, x = body(3, 3), [0.05, 0.1, 0.0], sample(BOUNDARIES["values"][0], 3)
    together = array(HeterogeneousHeat(per_cell(nu), math.wrap(times, batch("batch"))).forward(x))
    for i, t in enumerate(times):
        alone = HeterogeneousHeat(per_cell(nu[i]), t).forward(x.batch[i])
        np.testing.assert_allclose(together[i], array(alone).reshape(CELLS), atol=1e-13)


def test_per_axis_and_vector_valued(double):
    rng = np.random.default_rng(0)
    nu = math.stack([per_cell(body(4)), per_cell(0 * body())], channel(vector="y,x"))  # nothing flows along x
    with NUMPY:
        x = grid(rng.standard_normal((2, *CELLS, 2)), DX, INSULATED, vector=True)
        y = array(HeterogeneousHeat(nu, 0.1).forward(x))
        for i in range(CELLS[0]):
            line = math.wrap(body(4)[i], spatial("y"))
            column = CenteredGrid(x.values.x[i], INSULATED, y=CELLS[1], bounds=Box(y=CELLS[1] * DX[1]))
            expected = HeterogeneousHeat(line, 0.1).forward(column).values.numpy("batch,y,vector")
            np.testing.assert_allclose(y[:, i], expected, atol=1e-13)


def test_in_three_dimensions_and_of_one_cell(double):
    rng = np.random.default_rng(0)
    with NUMPY:
        x = grid(rng.standard_normal((2, 4, 1, 5)), (1.0, 0.1, 2.0), {"x": PERIODIC, "y": INSULATED, "z": (0, 1.0)})
        nu = np.exp(rng.standard_normal((4, 1, 5)))
        expected = by_scipy(nu, (None, (None, None), (0, 1.0)), (1.0, 0.1, 2.0), 0.3, array(x))
        y = HeterogeneousHeat(math.wrap(nu, spatial("x,y,z")), 0.3).forward(x)
    np.testing.assert_allclose(array(y), expected, atol=1e-13)


def test_derivatives(framework, double):
    """Of x: P itself. Of ν: as by differences, where a bound is given."""
    x, v = sample(INSULATED), sample(INSULATED, seed=2)
    nu, ops = per_cell(body() + 0.1), operations_of(framework.backend)
    n_x, n_v, n_nu = (trees.natives(trees.to_backend(t, framework.backend))[0] for t in (x.values, v.values, nu))

    def forward(values: Any, diffusivity: Any) -> list[Any]:
        physics = HeterogeneousHeat(trees.with_natives(nu, [diffusivity]), 0.05, max_diffusivity=30.0)
        return trees.natives(physics.forward(trees.with_natives(x, [values])))

    _, pull = ops.vjp(forward, [n_x, n_nu])
    by_x, by_nu = (np.asarray(g) for g in pull([n_v]))
    np.testing.assert_allclose(by_x, np.asarray(forward(n_v, n_nu)[0]), atol=1e-13)
    along, step = np.random.default_rng(5).standard_normal(CELLS), 1e-5
    ends = [np.asarray(forward(n_x, framework.backend.as_tensor(body() + 0.1 + s * along))[0]) for s in (step, -step)]
    expected = ((ends[0] - ends[1]) / (2 * step) * np.asarray(n_v)).sum()
    np.testing.assert_allclose((by_nu * along).sum(), expected, rtol=1e-6)


def test_products_with_the_derivative_in_a_graph(compiling, double):
    """In both directions, as solvers need them."""
    x, ops = sample(INSULATED), operations_of(compiling.backend)
    physics = HeterogeneousHeat(per_cell(body()), 0.02)

    def products(values: Any, along: Any) -> Any:
        _, push, pull = ops.linearize(lambda v: trees.natives(physics.forward(trees.with_natives(x, [v])))[0], values)
        return push(along), pull(along)

    inputs = [trees.natives(sample(INSULATED, seed=seed))[0] for seed in (1, 2)]
    for found in ops.compile(products)(*inputs):
        np.testing.assert_allclose(np.asarray(found), array(physics.forward(sample(INSULATED, seed=2))), atol=1e-13)


def test_a_bound_is_enough_and_lets_the_body_vary(double):
    free, bounded = (HeterogeneousHeat(per_cell(body()), 0.1, max_diffusivity=m) for m in (None, 40.0))
    with NUMPY:
        x = sample(PERIODIC)
        np.testing.assert_allclose(array(bounded.forward(x)), array(free.forward(x)), atol=1e-13)
        nu, bounds = per_cell(body(3, 2)), math.wrap([30.0, 40.0], batch("batch"))
        found = HeterogeneousHeat(nu, 0.1, max_diffusivity=bounds).forward(x)
        np.testing.assert_allclose(array(found), array(HeterogeneousHeat(nu, 0.1).forward(x)), atol=1e-13)
    assert "diffusivity" in free.constants
    assert "diffusivity" not in bounded.constants
    with pytest.raises(ParameterError, match=r"is up to \d.* would not converge"):
        HeterogeneousHeat(per_cell(body()), 0.1, max_diffusivity=1.0)


def test_in_a_graph_the_body_must_be_known_or_bounded(compiling, double):
    x, nu = sample(PERIODIC), per_cell(body())
    n_nu = trees.natives(trees.to_backend(nu, compiling.backend))[0]

    def simulate(max_diffusivity: float | None) -> Any:
        def run(diffusivity: Any) -> Any:
            physics = HeterogeneousHeat(trees.with_natives(nu, [diffusivity]), 0.1, max_diffusivity=max_diffusivity)
            return trees.natives(physics.forward(x))[0]

        return np.asarray(operations_of(compiling.backend).compile(run)(n_nu))

    np.testing.assert_allclose(simulate(30.0), array(HeterogeneousHeat(nu, 0.1).forward(x)), atol=1e-12)
    with pytest.raises(ParameterError, match=r"not known while.*Give max_diffusivity"):
        simulate(None)


def test_constrain_keeps_the_heat_of_what_conducts(double):
    with NUMPY:
        x, guess = sample(INSULATED), sample(INSULATED, seed=2)
        physics = HeterogeneousHeat(per_cell(body()), 0.3)
        found, conducts = array(physics.constrain(guess, physics.forward(x))), body() > 0
        np.testing.assert_allclose(found[:, conducts].mean(1), array(x)[:, conducts].mean(1), atol=1e-13)
        np.testing.assert_array_equal(found[:, ~conducts], array(guess)[:, ~conducts])
        np.testing.assert_allclose(array(physics.constrain(x, physics.forward(x))), array(x), atol=1e-13)
        fixed = sample(0)
        assert physics.constrain(fixed, fixed) is fixed


def noisy_observation(sigma: float, **options: Any) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    nu = CenteredGrid(lambda p: 0.5 + 1.5 * p["x"] / 16, INSULATED, x=16, y=16)
    physics = HeterogeneousHeat(nu, 1.6, obstacles=Sphere(x=8, y=8, radius=3), **options)
    x = grid(4 * smooth(rng, 2, 16, 16), None, INSULATED)
    y = physics.forward(x)
    return physics, x, y.with_values(y.values + math.tensor(sigma * rng.standard_normal((2, 16, 16)), y.values.shape))


def error(found: Any, x: Any) -> float:
    return float(np.linalg.norm(array(found) - array(x)) / np.linalg.norm(array(x)))


def test_solvers_invert_it(double):
    with TORCH:
        physics, x, y = noisy_observation(1e-2, noise_std=1e-2)
        step = sip_inverse(physics, y, physics.initial_state(y))
        left = np.linalg.norm(array(physics.forward(step.x_target)) - array(y), axis=(1, 2))
        assert (left < 1.1 * 0.01 * 16).all()
        assert error(step.x_target, x) < 0.6 * error(y, x)
        fitted, _, _ = noisy_observation(1e-2, regularization=EmpiricalBayes())
        prior = sip_inverse(fitted, y, y * 0)
        assert error(prior.x_target, x) < error(step.x_target, x)
        np.testing.assert_allclose(prior.stats["noise_std"].numpy("batch"), 1e-2, rtol=0.2)
        assert prior.uncertainty is not None


def test_a_part_can_be_observed(double):
    with TORCH:
        physics, x, y = noisy_observation(1e-2, regularization=EmpiricalBayes())
        mask = math.wrap(1.0 * (np.random.default_rng(1).uniform(size=(16, 16)) < 0.3), spatial("x,y"))
        masked = Masked(physics, mask)
        assert error(sip_inverse(masked, masked.observe(y), x * 0).x_target, x) < 0.7
        points = math.wrap(np.random.default_rng(2).uniform(0, 16, (60, 2)), instance("sensors"), channel(vector="x,y"))
        sensors = Sensors(physics, points, x)
        assert error(sip_inverse(sensors, sensors.forward(x), x * 0).x_target, x) < 0.7


def test_by_name():
    physics = get_physics("heterogeneous-heat", diffusivity=2.0, time=1.0, noise_std=0.1)
    assert physics.is_linear
    assert float(physics.noise_energy(sample(0))) == pytest.approx(0.01 * 63)
    assert not physics.measures_noise
    assert HeterogeneousHeat(1.0, 1.0, regularization=EmpiricalBayes()).measures_noise


def nu_of(cells: tuple[int, int], upper: float = 1.0) -> Any:
    return CenteredGrid(1.0, 0, x=cells[0], y=cells[1], bounds=Box(x=upper, y=1.0))


X = nu_of(CELLS)
ERRORS = {
    "negative": (lambda: HeterogeneousHeat(per_cell(-body()), 1.0), ParameterError, "diffusivity = .* must be ≥ 0"),
    "not finite": (lambda: HeterogeneousHeat(float("nan"), 1.0), ParameterError, "not finite"),
    "a word": (lambda: HeterogeneousHeat("iron", 1.0), ParameterError, "diffusivity is a str"),
    "a channel": (lambda: HeterogeneousHeat(math.wrap([1.0], channel("c")), 1.0), ParameterError, "cells and batch"),
    "time": (lambda: HeterogeneousHeat(1.0, -1.0), ParameterError, "time = -1.0"),
    "times": (lambda: HeterogeneousHeat(1.0, math.wrap([1.0, 2.0], channel("t"))), ParameterError, "batch entries"),
    "noise": (lambda: HeterogeneousHeat(1.0, 1.0, -1.0), ParameterError, "noise_std = -1.0"),
    "a rule": (lambda: HeterogeneousHeat(1.0, 1.0, None, Sparse()), ParameterError, "HeterogeneousHeat: .*Sparse"),
    "a bound": (lambda: HeterogeneousHeat(1.0, 1.0, max_diffusivity=-1.0), ParameterError, "max_diffusivity = -1.0"),
    "no obstacle": (lambda: HeterogeneousHeat(1.0, 1.0, obstacles=3), UnsupportedError, "an obstacle is a int"),
    "moving": (
        lambda: HeterogeneousHeat(1.0, 1.0, obstacles=Obstacle(Sphere(x=1, y=1, radius=1), velocity=(1.0, 0.0))),
        UnsupportedError,
        "moves or rotates",
    ),
    "faces": (lambda: HeterogeneousHeat(StaggeredGrid(1.0, 0, x=4, y=4), 1.0), UnsupportedError, "no centered grid"),
    "other cells": (lambda: HeterogeneousHeat(nu_of((4, 4)), 1.0).forward(X), GridMismatchError, "has the cells"),
    "other bounds": (lambda: HeterogeneousHeat(nu_of(CELLS, 2.0), 1.0).forward(X), GridMismatchError, "same bounds"),
    "other axes": (
        lambda: HeterogeneousHeat(math.wrap([1.0, 2.0], spatial("z")), 1.0).forward(X),
        GridMismatchError,
        "one value per cell",
    ),
    "components": (
        lambda: HeterogeneousHeat(math.vec(x=1.0, z=2.0), 1.0).forward(X),
        ParameterError,
        "the axes x, z, but the grid",
    ),
    "units": (lambda: HeterogeneousHeat(1e9, 1.0).forward(X), ParameterError, "Check the units"),
    "obstacle elsewhere": (
        lambda: HeterogeneousHeat(1.0, 1.0, obstacles=Sphere(x=1, z=1, radius=1)).forward(X),
        ParameterError,
        "an obstacle has the axes x, z",
    ),
    "a tensor": (lambda: HeterogeneousHeat(1.0, 1.0).forward(math.wrap(1.0)), UnsupportedError, "centered grid"),
    "staggered": (
        lambda: HeterogeneousHeat(1.0, 1.0).forward(StaggeredGrid(1.0, 0, x=4, y=4)),
        UnsupportedError,
        "got a staggered grid",
    ),
    "another boundary": (
        lambda: HeterogeneousHeat(1.0, 1.0).forward(grid(np.zeros((1, 8)), None, extrapolation.ANTIREFLECT)),
        BoundaryError,
        "has no basis",
    ),
}


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_errors(row):
    call, error, message = row
    with pytest.raises(error, match=message):
        call()
