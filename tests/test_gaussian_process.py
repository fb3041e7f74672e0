"""Gaussian process regression: against dense formulas, SciPy and its own prior, on three frameworks."""

from __future__ import annotations

from functools import partial

import numpy as np
import phiml.nn
import pytest
import torch
from fields import array, grid, periodic, smooth
from phi.field import CenteredGrid, StaggeredGrid
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, extrapolation, instance, spatial
from scipy.stats import multivariate_normal

from phi_sip import (
    Composite,
    ConjugateGradient,
    DifferentiablePhysics,
    EmpiricalBayes,
    Evolution,
    GaussianProcess,
    GridMismatchError,
    HeatEquation,
    InvertiblePhysics,
    Masked,
    ParameterError,
    Poisson,
    PoissonNoise,
    RiskEstimate,
    Sensors,
    Sparse,
    Teacher,
    UnsupportedError,
    fit_interval,
    get_physics,
    get_solver,
    predict_state,
    sip_inverse,
    sip_update_weights,
    start_from_estimate,
)
from phi_sip.compilation import keys
from phi_sip.compilation.inputs import part_of
from phi_sip.gaussian_process import Constants, Posterior, Prior, Response, StateGrid, fitted, priors_of
from phi_sip.inversion.default import runs_on_host
from phi_sip.solvers import observed_response
from phi_sip.solvers.entries import without_noise
from phi_sip.states import trees

GRIDS = {
    "open": StateGrid((6, 5), (0, 1), (3.0, 2.5), (False, False)),
    "periodic": StateGrid((6, 4), (0, 1), (6.0, 2.0), (True, True)),
    "channel and components": StateGrid((5, 6, 2), (0, 1), (1.0, 2.0), (True, False)),
}
GRIDS_AND_MODES = [
    pytest.param(modes, id=f"{name}, {modes.kinds[-1].name}") for name, g in GRIDS.items() for modes in g.families()
]


def dense(prior: Prior) -> np.ndarray:
    """C as a matrix, from modes that are written out."""
    g = prior.modes.grid
    functions = np.ones((1, 1))
    for i, n in enumerate(g.sizes):
        if i not in g.axes:
            own = np.eye(n)
        else:
            k, x = np.arange(n)[:, None], (np.arange(n) + 0.5)[None]
            kind = prior.modes.kinds[g.axes.index(i)].name
            angle = 2 * np.pi * k * np.arange(n)[None] / n
            own = {
                "cosines": np.cos(np.pi * k * x / n),
                "sines": np.sin(np.pi * (k + 1) * x / n),
                "periodic modes": np.cos(angle) + np.sin(angle),
            }[kind]
            own = own / np.linalg.norm(own, axis=1, keepdims=True)
        functions = np.kron(functions, own)
    return functions.T @ np.diag(prior.power()) @ functions


@pytest.mark.parametrize("modes", GRIDS_AND_MODES)
def test_covariances_are_those_of_the_modes_written_out(modes):
    prior = Prior(modes, 1.5, 3.0)
    covariance = dense(prior)
    np.testing.assert_allclose(prior.apply(np.eye(len(covariance))), covariance, atol=1e-13)
    np.testing.assert_allclose(prior.variance(), np.diag(covariance), atol=1e-13)
    np.testing.assert_allclose(
        modes.inverse(modes.transform(np.eye(len(covariance)))), np.eye(len(covariance)), atol=1e-13
    )


@pytest.mark.parametrize("modes", GRIDS_AND_MODES)
def test_modes_are_eigenfunctions_of_the_laplacian(modes):
    """Of the five-point stencil, whose eigenvalue is (2 − 2 cos k dx) / dx² per axis, ≈ k²."""
    g = modes.grid
    k = modes.k_squared().reshape(g.sizes)
    for place in np.ndindex(*g.sizes):
        unit = np.zeros(g.sizes)
        unit[place] = 1
        values = modes.inverse(unit.reshape(1, -1)).reshape(g.sizes)
        laplacian, expected = np.zeros(g.sizes), 0.0
        for axis, length, kind in zip(g.axes, g.lengths, modes.kinds, strict=True):
            mode = {"cosines": "edge", "periodic modes": "wrap"}.get(kind.name, "constant")
            pad = [(1, 1) if i == axis else (0, 0) for i in range(len(g.sizes))]
            padded = np.pad(values, pad, mode)
            if kind.name == "sines":  # odd at the faces
                lower, upper = (np.take(values, [i], axis) for i in (0, -1))
                padded = np.concatenate([-lower, values, -upper], axis)
            h = length / g.sizes[axis]
            laplacian += np.diff(padded, 2, axis) / h**2
            expected += (2 - 2 * np.cos(kind.wavenumbers(g.sizes[axis], length)[place[axis]] * h)) / h**2
        np.testing.assert_allclose(-laplacian, expected * values, atol=1e-10)
        assert expected <= k[place] + 1e-9


@pytest.mark.parametrize("noise", [0.3, None], ids=["told", "fitted"])
@pytest.mark.parametrize("modes", GRIDS_AND_MODES[:3])
def test_the_posterior_is_that_of_dense_matrices(modes, noise):
    """
    Every ratio of σ² to A by solving with the whole matrix, its density by SciPy; then their mixture, moment by moment.
    """
    priors = [Prior(modes, 1.5, 3.0), Prior(modes, 2.5, 10.0)]
    rows = np.random.default_rng(0).normal(size=(9, int(np.prod(modes.grid.sizes))))
    values = np.random.default_rng(1).normal(size=(2, 9))
    response = Response.of(rows, np.zeros(9), np.arange(9), priors)
    explanations = fitted(response, values, None if noise is None else np.full(2, noise**2))
    found = Posterior.of(response, explanations, values)
    for i in range(2):
        logs, means, variances, noises = [], [], [], []
        for prior in priors:
            own = rows @ dense(prior) @ rows.T
            for relative in np.logspace(-13, 3, 161):
                ratio = relative * np.linalg.eigvalsh(own).max()
                matrix = own + ratio * np.eye(9)
                a = values[i] @ np.linalg.solve(matrix, values[i]) / 9 if noise is None else noise**2 / ratio
                logs.append(multivariate_normal(cov=a * matrix, allow_singular=True).logpdf(values[i]))
                gain = np.linalg.solve(matrix, rows @ dense(prior)).T
                means.append(gain @ values[i])
                variances.append(a * np.diag(dense(prior) - gain @ rows @ dense(prior)))
                noises.append(a * ratio)
        w = np.exp(np.array(logs) - max(logs))[:, None]
        w = w / w.sum()
        mean = (w * means).sum(0)
        np.testing.assert_allclose(found.mean[i], mean, atol=1e-5)
        variance = (w * variances).sum(0) + (w * (np.array(means) - mean) ** 2).sum(0)
        np.testing.assert_allclose(found.variance()[i], variance, rtol=1e-3)
        np.testing.assert_allclose(found.noise_variance[i], (w[:, 0] * noises).sum(), rtol=1e-3)


@pytest.mark.parametrize("noise", [0.3, None], ids=["told", "fitted"])
@pytest.mark.parametrize("modes", GRIDS_AND_MODES)
def test_constants_have_no_prior(modes, noise):
    """
    Every ratio by generalized least squares with the whole matrix, Rasmussen and Williams, eqs. 2.41, 2.42 and 2.45;
    then their mixture. There is one constant for each component.
    """
    prior, n = Prior(modes, 1.5, 3.0), 9
    covariance = dense(prior)
    components = modes.grid.sizes[2:] or (1,)
    basis = np.tile(np.eye(*components), (len(covariance) // components[0], 1)).T
    rows = 0.5 + np.random.default_rng(0).normal(size=(n, len(covariance)))
    values = 20 + np.random.default_rng(1).normal(size=(2, n))
    response = Response.of(rows, np.zeros(n), np.arange(n), [prior], Constants.of(modes.grid, rows))
    told = None if noise is None else np.full(2, noise**2)
    found = Posterior.of(response, fitted(response, values, told), values)
    own, h, count = rows @ covariance @ rows.T, basis @ rows.T, n - len(basis)
    rest = np.linalg.svd(h)[2][len(basis) :]
    largest = np.linalg.eigvalsh(rest @ own @ rest.T).max()
    for i, d in enumerate(values):
        logs, means, variances = [], [], []
        for ratio in largest * np.logspace(-13, 3, 161):
            inverse = np.linalg.inv(own + ratio * np.eye(n))
            a = np.linalg.inv(h @ inverse @ h.T)
            square = d @ inverse @ d - d @ inverse @ h.T @ a @ h @ inverse @ d
            amplitude = square / count if noise is None else noise**2 / ratio
            determinants = -np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(a)[1]
            logs.append(-0.5 * (square / amplitude + determinants + count * np.log(amplitude)))
            crossed, beta = rows @ covariance, a @ h @ inverse @ d
            left = basis - h @ inverse @ crossed
            means.append(crossed.T @ inverse @ (d - h.T @ beta) + basis.T @ beta)
            variances.append(amplitude * np.diag(covariance - crossed.T @ inverse @ crossed + left.T @ a @ left))
        w = np.exp(np.array(logs) - max(logs))[:, None]
        w = w / w.sum()
        mean = (w * means).sum(0)
        np.testing.assert_allclose(found.mean[i], mean, rtol=1e-5)
        variance = (w * variances).sum(0) + (w * (np.array(means) - mean) ** 2).sum(0)
        np.testing.assert_allclose(found.variance()[i], variance, rtol=2e-3)
    drawn = found.draw(4000, np.random.default_rng(2))
    np.testing.assert_allclose(drawn.std(1), np.sqrt(found.variance()), rtol=0.15)
    np.testing.assert_allclose(drawn.mean(1), found.mean, atol=0.1 * np.sqrt(found.variance().max()))


def test_constants_that_are_not_observed_are_not_fitted():
    """Where the sum of two components is observed, one of two; where differences are, none; nor with too few values."""
    g = GRIDS["channel and components"]
    each = np.random.default_rng(0).random((9, 30))
    for rows, count in (
        (np.kron(each, [1.0, 0.0]), 1),
        (np.kron(each, [1.0, 1.0]), 1),
        (np.kron(each[:3], [1.0, 0.0]), 1),
        (np.kron(each[:2], [1.0, 0.0]), 0),
        (np.kron(each - each.mean(1, keepdims=True), [1.0, 0.0]), 0),
    ):
        assert len(Constants.of(g, rows).states) == count


@pytest.mark.parametrize("offset", [10.0, 300.0])
def test_offsets_do_not_matter(on_torch, double, offset):
    """Such as 293 K ± 1 K: to rounding the same fluctuation, uncertainty and σ; 95 % intervals cover."""
    x = periodic(smooth(np.random.default_rng(0), 16, 16, 16) * 0.8)
    physics = Sensors(HeatEquation(0.05, 1.0), points(60, (16.0, 16.0)), x)
    y = observed(physics, x, 0.05)
    one, other = (sip_inverse(physics, u, physics.initial_state(u)) for u in (y, y + offset))
    np.testing.assert_allclose(array(other.x_target) - offset, array(one.x_target), atol=1e-6)
    np.testing.assert_allclose(array(other.uncertainty), array(one.uncertainty), rtol=1e-4)
    np.testing.assert_allclose(
        other.stats["noise_std"].numpy("batch"), one.stats["noise_std"].numpy("batch"), rtol=1e-4
    )
    covered = np.abs(array(other.x_target) - offset - array(x)) < 1.96 * array(other.uncertainty)
    assert 0.92 < covered.mean() < 0.98


@pytest.mark.parametrize("values", [1, 2, 5])
def test_units_do_not_decide_where_little_is_known(values):
    """One value says nothing of σ: no unit may tip the scales."""
    g = GRIDS["open"]
    rows = np.abs(np.random.default_rng(0).normal(size=(values, 30)))
    response = Response.of(rows, np.zeros(values), np.arange(values), priors_of(g))
    d = np.random.default_rng(1).uniform(0.5, 1.0, (3, values))
    expected = Posterior.of(response, fitted(response, d), d).mean
    for unit in (1.1, 3.0, 7.0, 1e-3, 1e6):
        found = Posterior.of(response, fitted(response, unit * d), unit * d).mean
        np.testing.assert_allclose(found, unit * expected, rtol=1e-6)


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.parametrize("sigma", [0.03, 0.1])
def test_intervals_cover_where_noise_is_as_large_as_the_signal(count, sigma):
    """States of one of the priors, y of some 0.05; σ is told. Taking the likeliest ratio covers 72 to 88 %."""
    g = StateGrid((24, 24), (0, 1), (1.0, 1.0), (True, True))
    truth, rng = Prior(g.families()[0], 2.0, 3.0), np.random.default_rng(0)
    modes = truth.modes
    states = modes.inverse(rng.normal(size=(60, 576)) * np.sqrt(truth.power()))
    points = np.eye(576)[rng.choice(576, count, replace=False)]
    rows = modes.inverse(np.exp(-1e-3 * modes.k_squared()) * modes.transform(points))
    clean = states @ rows.T
    values = clean + sigma * np.std(clean) / 0.05 * rng.normal(size=clean.shape)
    response = Response.of(rows, np.zeros(count), np.arange(count), priors_of(g))
    found = Posterior.of(response, fitted(response, values, np.full(60, (sigma * np.std(clean) / 0.05) ** 2)), values)
    covered = np.abs(found.mean - states) < 1.96 * np.sqrt(found.variance())
    assert 0.89 < covered.mean() < 0.995


def test_states_of_the_prior_are_recovered_and_intervals_cover_them():
    """σ within 15 %, the error of the best possible within 3 %, 95 % intervals cover 93 to 97 %."""
    g = StateGrid((24, 24), (0, 1), (1.0, 1.0), (False, False))
    truth, rng, n, sigma = Prior(g.families()[0], 2.0, 3.0), np.random.default_rng(0), 40, 0.05
    modes = truth.modes
    states = modes.inverse(rng.normal(size=(n, 576)) * np.sqrt(truth.power())) * 10
    points = np.eye(576)[rng.choice(576, 150, replace=False)]
    rows = modes.inverse(np.exp(-3e-4 * modes.k_squared()) * modes.transform(points))  # after diffusion
    values = states @ rows.T + sigma * rng.normal(size=(n, 150))
    response = Response.of(rows, np.zeros(150), np.arange(150), priors_of(g))
    found = Posterior.of(response, fitted(response, values), values)
    np.testing.assert_allclose(np.median(np.sqrt(found.noise_variance)), sigma, rtol=0.15)
    covariance = 100 * dense(truth)
    best = covariance @ rows.T @ np.linalg.inv(rows @ covariance @ rows.T + sigma**2 * np.eye(150)) @ values.T
    errors = [np.linalg.norm(x - states) for x in (found.mean, best.T)]
    assert errors[0] < 1.03 * errors[1]
    covered = np.abs(found.mean - states) < 1.96 * np.sqrt(found.variance())
    assert 0.93 < covered.mean() < 0.97


def test_states_that_are_drawn_have_the_moments_of_the_posterior():
    g = GRIDS["open"]
    rows = np.random.default_rng(0).normal(size=(9, 30))
    values = np.random.default_rng(1).normal(size=(2, 9))
    response = Response.of(rows, np.zeros(9), np.arange(9), priors_of(g))
    found = Posterior.of(response, fitted(response, values, np.full(2, 0.04)), values)
    drawn = found.draw(20_000, np.random.default_rng(2))
    deviation = np.sqrt(found.variance())
    np.testing.assert_allclose(drawn.mean(1), found.mean, atol=0.05 * deviation.max())
    np.testing.assert_allclose(drawn.std(1), deviation, rtol=0.05)


def points(n: int = 20, lengths=(12.0, 10.0), seed: int = 3):
    values = np.random.default_rng(seed).uniform(size=(n, len(lengths))) * lengths
    return math.wrap(values, instance("sensors"), channel(vector="x,y"))


def state(samples: int = 3):
    return periodic(1 + smooth(np.random.default_rng(0), samples, 12, 10))


def sensors(x, physics=None, **options):
    return Sensors(physics or HeatEquation(0.3, 1.0, regularization=EmpiricalBayes()), points(**options), x)


def observed(physics, x, sigma: float = 1e-2, seed: int = 1):
    y = physics.forward(x)
    return y + math.wrap(sigma * np.random.default_rng(seed).normal(size=y.shape.sizes), *y.shape)


def test_sensors_read_by_linear_interpolation(framework, double):
    """At centers the value of the cell, between them the mean of neighbours, across a periodic side too."""
    values = np.random.default_rng(0).normal(size=(2, 4, 3))
    x = periodic(values, (0.5, 2.0))
    at = math.wrap([[3.0, 0.75], [3.0, 1.0], [3.0, 0.0]], instance("sensors"), channel(vector="y,x"))
    found = Sensors(HeatEquation(1.0, 0.0), at, x).forward(x).numpy("batch,sensors")
    one = values[:, :, 1]
    expected = np.stack([one[:, 1], (one[:, 1] + one[:, 2]) / 2, (one[:, 0] + one[:, 3]) / 2], 1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [((1.0, extrapolation.ZERO_GRADIENT), [1.0, 3.0, 5.0, 8.0]), (extrapolation.PERIODIC, [6.5, 5.75, 5.0, 6.5])],
)
def test_at_a_side_sensors_read_what_the_boundary_says(framework, double, boundary, expected):
    """In one dimension: the wall, half way to the first center, that center, the other side."""
    x = grid(np.array([[5.0, 6.0, 7.0, 8.0]]), None, {"x": boundary})
    at = math.wrap([[0.0], [0.25], [0.5], [4.0]], instance("sensors"), channel(vector="x"))
    np.testing.assert_allclose(Sensors(HeatEquation(1.0, 0.0), at, x).forward(x).numpy("batch,sensors")[0], expected)


def test_values_on_nodes_are_those_of_a_grid_half_a_cell_larger(on_torch, double):
    """In corners, on sides, on nodes and between them; bounds from side to side shift them by up to h / 2."""
    n, m, h = 5, 4, 0.25
    nodes = np.arange(n)[:, None] * h + 2 * np.arange(m) * h
    length, width = (n - 1) * h, (m - 1) * h
    at = np.array([[0.0, 0.0], [length, width], [0.0, 0.3], [0.6, width], [h, 2 * h], [0.3, 0.4]])
    where = math.wrap(at, instance("sensors"), channel(vector="x,y"))
    identity = DifferentiablePhysics(lambda x: x, linear=True)

    def read(bounds):
        x = CenteredGrid(math.tensor(nodes, spatial("x,y")), extrapolation.ZERO_GRADIENT, bounds=bounds)
        return Sensors(identity, where, x).forward(x).numpy("sensors")

    larger = Box(x=(-h / 2, length + h / 2), y=(-h / 2, width + h / 2))
    np.testing.assert_allclose(read(larger), at @ [1.0, 2.0], atol=1e-12)
    assert np.abs(read(Box(x=length, y=width)) - at @ [1.0, 2.0]).max() > h / 6


def test_frameworks_agree(framework, double):
    """With dense algebra on the matrix of the sensors, which is found column by column."""
    x = state()
    physics = sensors(x)
    y = observed(physics, x)
    step = sip_inverse(physics, y, physics.initial_state(y))
    unit = periodic(np.eye(120).reshape(120, 12, 10))
    rows = physics.forward(unit).numpy("batch,sensors").T
    g = StateGrid((12, 10), (0, 1), (12.0, 10.0), (True, True))
    response = Response.of(rows, np.zeros(20), np.arange(20), priors_of(g), Constants.of(g, rows))
    values = y.numpy("batch,sensors")
    expected = Posterior.of(response, fitted(response, values), values)
    np.testing.assert_allclose(array(step.x_target).reshape(3, -1), expected.mean, atol=1e-9)
    np.testing.assert_allclose(array(step.uncertainty).reshape(3, -1) ** 2, expected.variance(), atol=1e-9)
    np.testing.assert_allclose(step.stats["noise_std"].numpy("batch"), np.sqrt(expected.noise_variance), rtol=1e-6)


def test_it_knows_more_than_stopping_early(on_torch, double):
    """On what the prior does not know: rectangles."""
    values = np.zeros((4, 24, 24))
    for i, sample in enumerate(values):
        sample[4 + i : 14, 6 : 16 + i] = 1
    x = periodic(values)
    told, fits = HeatEquation(0.5, 1.0, 1e-2), HeatEquation(0.5, 1.0)
    at = points(150, (24.0, 24.0))
    y = observed(Sensors(fits, at, x), x)
    start = x * 0

    def error(step):
        return float(np.linalg.norm(array(step.x_target) - array(x)))

    early = error(sip_inverse(Sensors(told, at, x), y, start, solver="conjugate-gradient"))
    assert error(sip_inverse(Sensors(fits, at, x), y, start)) < 0.95 * early
    assert error(sip_inverse(Sensors(told, at, x), y, start)) < 0.95 * early


def test_a_mask_that_hides_nothing_is_nearly_the_closed_form(on_torch, double):
    x = periodic(1 + smooth(np.random.default_rng(0), 4, 24, 24))
    physics = HeatEquation(1.0, 1.0, regularization=EmpiricalBayes())
    y = observed(physics, x)
    errors = [
        np.linalg.norm(array(sip_inverse(p, y, x * 0).x_target) - array(x))
        for p in (Masked(physics, math.ones(spatial(x=24, y=24))), physics)
    ]
    np.testing.assert_allclose(errors[0], errors[1], rtol=0.02)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_do_not_matter(on_torch, double, unit):
    x = state()
    physics = sensors(x)
    y = observed(physics, x)
    one, other = (sip_inverse(physics, u, x * 0) for u in (y, y * unit))
    np.testing.assert_allclose(array(other.x_target), unit * array(one.x_target), rtol=1e-9)
    np.testing.assert_allclose(array(other.uncertainty), unit * array(one.uncertainty), rtol=1e-6)


def test_states_are_drawn_by_the_seed(on_torch, double):
    """They explain the observation as well as noise lets them, and differ where nothing is known."""
    x = state()
    physics = sensors(x, HeatEquation(0.3, 1.0, 0.01))
    y = observed(physics, x)
    drawn = []
    for seed in (0, 0, 1):
        math.seed(seed)
        step = sip_inverse(physics, y, x * 0)
        drawn.append(step.posterior_samples(5))
    assert drawn[0].values.shape.names[0] == "posterior_samples"
    values = [d.values.numpy("posterior_samples,batch,x,y") for d in drawn]
    np.testing.assert_array_equal(values[0], values[1])
    assert np.abs(values[0] - values[2]).max() > 0.1
    left = (physics.forward(drawn[0]) - y).numpy("posterior_samples,batch,sensors")
    assert 0.005 < left.std() < 0.02
    spread = values[0].std(0) / array(step.uncertainty)
    assert 0.6 < np.sqrt(np.mean(spread**2)) < 1.3


def test_entries_do_not_mix_and_the_state_does_not_matter(on_torch, double):
    x = state()
    physics = sensors(x)
    y = observed(physics, x)
    whole = sip_inverse(physics, y, x * 0)
    alone = sip_inverse(physics, y.batch[1:2], (x * 0).batch[1:2])
    elsewhere = sip_inverse(physics, y, x)
    np.testing.assert_allclose(array(alone.x_target), array(whole.x_target)[1:2], atol=1e-9)
    np.testing.assert_allclose(array(elsewhere.x_target), array(whole.x_target), atol=1e-9)


def test_any_order_of_axes_and_single_precision(framework, double):
    x = state()
    physics = sensors(x)
    y = observed(physics, x)
    step = sip_inverse(physics, y, x * 0)

    def turned(tensor, *names):
        return math.reshaped_tensor(tensor.native(names), [*tensor.shape.only(names, reorder=True)])

    other = trees.with_values(x, turned(x.values, "y", "x", "batch"))
    coarse = trees.cast((turned(y, "sensors", "batch"), other), 32)
    found = sip_inverse(sensors(other, physics.physics), *coarse)
    assert found.x_target.values.shape.names == coarse[1].values.shape.names
    np.testing.assert_allclose(array(found.x_target), array(step.x_target), atol=1e-4)
    np.testing.assert_allclose(array(found.uncertainty), array(step.uncertainty), atol=1e-4)


def test_components_are_alike_but_apart(on_torch, double):
    values = np.stack([smooth(np.random.default_rng(s), 2, 12, 10) for s in (0, 1)], -1)
    both, one = periodic(values, vector=True), periodic(values[..., 0])
    mask = math.wrap((np.random.default_rng(4).random((12, 10)) < 0.4) * 1.0, spatial("x,y"))
    physics = HeatEquation(0.3, 1.0, 0.0)
    steps = [
        sip_inverse(Masked(HeatEquation(0.3, 1.0, 1e-3, EmpiricalBayes()), mask), physics.forward(x) * mask, x * 0)
        for x in (both, one)
    ]
    errors = [np.linalg.norm(array(step.x_target)[..., 0] - values[..., 0]) for step in (steps[0],)]
    errors.append(np.linalg.norm(array(steps[1].x_target) - values[..., 0]))
    assert errors[0] < 1.3 * errors[1] < 0.9 * np.linalg.norm(values[..., 0])


def test_what_is_found_of_physics_is_kept_and_of_others_found_anew(on_torch, double, monkeypatch):
    found = []
    before = observed_response._jacobian
    monkeypatch.setattr(observed_response, "_jacobian", lambda *a: found.append(0) or before(*a))
    x = state()
    physics = sensors(x, HeatEquation(0.31, 1.0))
    y = observed(physics, x)
    first = sip_inverse(physics, y, x * 0)
    again = sip_inverse(sensors(x, HeatEquation(0.31, 1.0)), y, x * 0)
    np.testing.assert_array_equal(array(first.x_target), array(again.x_target))
    for std in (1e-2, math.wrap([0.01, 0.02, 0.03], batch("batch"))):
        sip_inverse(sensors(x, HeatEquation(0.31, 1.0, std)), y, x * 0)
    assert len(found) == 1
    other = sip_inverse(sensors(x, HeatEquation(0.32, 1.0)), y, x * 0)
    assert len(found) == 2
    assert np.abs(array(other.x_target) - array(first.x_target)).max() > 1e-6


def test_any_linear_function_with_a_constant(framework, double):
    """y = A x + b of tensors; the function takes native tensors of a batch dim of that name, as users write them."""
    matrix = np.random.default_rng(0).normal(size=(15, 60))
    native = framework.backend.as_tensor(matrix)

    def simulate(x):
        b = framework.backend
        found = b.einsum("ij,kj->ik", b.reshape(x.native("batch,x,y"), (-1, 60)), native)
        return math.tensor(found, batch("batch"), instance("values")) + 2.0

    truth = math.tensor(smooth(np.random.default_rng(1), 4, 10, 6), batch("batch"), spatial("x,y"))
    physics = DifferentiablePhysics(simulate, noise_std=0.0, linear=True, regularization=EmpiricalBayes())
    y = simulate(truth)
    step = sip_inverse(physics, y, truth * 0)
    np.testing.assert_allclose(simulate(step.x_target).numpy("batch,values"), y.numpy("batch,values"), rtol=1e-4)
    least = np.linalg.lstsq(matrix, (y.numpy("batch,values") - 2.0).T, rcond=None)[0].T.reshape(4, 10, 6)
    errors = [np.linalg.norm(found - truth.numpy("batch,x,y")) for found in (step.x_target.numpy("batch,x,y"), least)]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_networks_are_trained_from_sensors(framework):
    """They are shown the estimate, which they begin with."""
    x = state()
    physics = sensors(x, HeatEquation(0.3, 1.0))
    y = observed(physics, x)
    framework.seed(0)
    with math.precision(32):
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=4)
    optimizer = framework.adam(net, 1e-2)
    start_from_estimate(net, physics, y, inputs=("estimate",))
    update = sip_update_weights(net, optimizer, physics, y, inputs=("estimate",))
    assert float(update.loss.mean) < 1e-6
    math.seed(0)
    simulated = sip_update_weights(net, optimizer, physics, y, inputs=("estimate",), targets="self-simulated")
    assert np.isfinite(float(simulated.loss.mean))
    assert float(simulated.loss.mean) > 1e-6


def test_the_default_has_a_prior_where_few_values_are_observed(on_torch, double):
    """Every third cell is few, every cell is not, and two fields have no prior here."""
    x = state()

    def every(step):
        return DifferentiablePhysics(lambda z: {"y": 0.5 * z.values.x[::step]}, linear=True)

    for step, solver in ((3, "gaussian-process"), (1, "conjugate-gradient")):
        y = every(step).forward(x)
        found, expected = (sip_inverse(every(step), y, x * 0, solver=s) for s in (None, solver))
        np.testing.assert_array_equal(array(found.x_target), array(expected.x_target))
        assert set(found.stats) == set(expected.stats)
    two = DifferentiablePhysics(lambda z: z[0].values.x[::6] + z[1].values.x[::6], linear=True)
    start = (x * 0, x * 0)
    found, expected = (sip_inverse(two, two.forward((x, x)), start, solver=s) for s in (None, "conjugate-gradient"))
    np.testing.assert_array_equal(array(found.x_target[0]), array(expected.x_target[0]))


def test_any_physics_has_a_key_without_its_noise(on_torch, double):
    """Also where a law says σ, of which no other may be given, and where stages have their own."""
    x = state()
    counted = HeatEquation(0.3, 1.0, noise=PoissonNoise(counts=1e4))
    y = counted.forward(x)
    assert np.isfinite(array(sip_inverse(counted, y, x * 0, solver="gaussian-process").x_target)).all()
    chains = [Composite(HeatEquation(0.1, 1.0, s), HeatEquation(0.2, 1.0, s)) for s in (0.0, 0.1)]
    one, other = (keys.of_value(without_noise(chain)) for chain in chains)
    assert one == other
    assert one != keys.of_value(without_noise(Composite(*chains[0].stages[::-1])))


def test_compiling_does_not_change_the_default(compiling):
    """Where it has a prior, nothing is compiled: who insists is told so."""
    x = state()
    physics = DifferentiablePhysics(lambda z: z.values.x[::3], linear=True)
    y = physics.forward(trees.cast(x, 32))
    net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
    optimizer = compiling.adam(net, 1e-3)

    def predict(observed):
        whole = math.expand(math.mean(observed, "x"), spatial(x=12))
        return trees.with_values(trees.cast(x, 32), math.native_call(net, whole))

    with pytest.raises(UnsupportedError, match="has a prior"):
        sip_update_weights(net, optimizer, physics, y, predict=predict, compile=True)
    update = sip_update_weights(net, optimizer, physics, y, predict=predict)
    expected = sip_inverse(physics, y, trees.cast(x, 32) * 0, solver="gaussian-process")
    np.testing.assert_allclose(array(update.x_target), array(expected.x_target), atol=1e-3)


def test_code_in_single_precision_is_inverted_in_it(on_torch):
    """Of a layer of PyTorch, which takes no double: as the same matrix in double, within rounding."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(60, 15)
    values = smooth(np.random.default_rng(1), 4, 10, 6)

    def simulate(of, x):
        flat = x.native("batch,x,y").reshape(-1, 60)
        return math.tensor(flat @ of(layer.weight.detach()).T + of(layer.bias.detach()), batch("batch"), instance("y"))

    found = []
    for of, precision in ((lambda w: w, 32), (lambda w: w.double(), 64)):
        native = torch.tensor(values.astype(f"float{precision}"))
        x = math.reshaped_tensor(native, [batch(batch=4), *spatial(x=10, y=6)], convert=False)
        physics = DifferentiablePhysics(
            partial(simulate, of), noise_std=0.01, linear=True, regularization=EmpiricalBayes()
        )
        with math.precision(precision):
            found.append(sip_inverse(physics, physics.forward(x), x * 0).x_target.numpy("batch,x,y"))
    np.testing.assert_allclose(found[0], found[1], atol=2e-3 * np.abs(found[1]).max())


@pytest.mark.parametrize("rule", [None, EmpiricalBayes()], ids=["no rule", "rule"])
@pytest.mark.parametrize("target", ["self-simulated", "local-inverse"])
def test_functions_are_targets_and_judged_as_before(on_torch, rule, target):
    physics = DifferentiablePhysics(lambda z: z * 2.0, noise_std=0.01, linear=True, regularization=rule)
    with math.precision(32):
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=4)
    x = state()
    y = observed(physics, trees.cast(x, 32))
    options = {"teacher": Teacher(net)} if target == "self-simulated" else {}
    optimizer = phiml.nn.adam(net, 1e-3)
    update = sip_update_weights(net, optimizer, physics, y, targets=target, **options)
    assert np.isfinite(float(update.loss.mean))
    assert RiskEstimate.of(physics, y) is not None


def _each_points():
    return math.stack([points(seed=s) for s in (3, 4)], batch("batch"))


def _each_mask():
    each = np.random.default_rng(5).random((2, 12, 10)) < np.array([0.2, 0.3])[:, None, None]  # not as many each
    return math.wrap(each * 1.0, batch("batch"), spatial("x,y"))


EACH_STD = math.wrap([0.01, 0.03], batch("batch"))
OF_EACH_SAMPLE = {
    "points": lambda x: sensors(x, HeatEquation(0.3, 1.0, EACH_STD), seed=3),
    "other points": lambda x: Sensors(HeatEquation(0.3, 1.0, 0.01), _each_points(), x),
    "points, σ of each": lambda x: Sensors(HeatEquation(0.3, 1.0, EACH_STD), _each_points(), x),
    "masks": lambda x: Masked(HeatEquation(0.3, 1.0), _each_mask()),
    "masks that are fields": lambda x: Masked(HeatEquation(0.3, 1.0), x.with_values(_each_mask())),
    "diffusivities": lambda x: sensors(x, HeatEquation(math.wrap([0.1, 0.5], batch("batch")), 1.0)),
    "a chain": lambda x: Masked(Composite(HeatEquation(0.1, 1.0), HeatEquation(2 * EACH_STD, 1.0)), _each_mask()),
    "axes": lambda x: sensors(x, HeatEquation(math.stack([EACH_STD, 0.1 - EACH_STD], channel(vector="x,y")), 1.0)),
}


@pytest.mark.parametrize("case", OF_EACH_SAMPLE)
def test_each_sample_is_inverted_by_physics_of_its_own(on_torch, double, case):
    """As alone, also where several samples share a physics."""
    x = state(6)
    x = x.with_values(math.unpack_dim(x.values, "batch", batch(time=3, batch=2)))
    physics = OF_EACH_SAMPLE[case](x.batch[0].time[0])
    y = physics.forward(x)
    y = y + math.wrap(0.01 * np.random.default_rng(1).normal(size=y.shape.sizes), *y.shape)
    y = physics.observe(y) if isinstance(physics, Masked) else y
    step = sip_inverse(physics, y, x * 0)
    math.seed(0)
    drawn = step.posterior_samples(100).values
    for i in range(2):
        alone = sip_inverse(part_of(physics, {"batch": i}), y.batch[i], (x * 0).batch[i])
        assert alone.x_target.shape.batch.names == ("time",)
        for name in ("x_target", "uncertainty"):
            found, expected = (getattr(s, name).values for s in (step, alone))
            np.testing.assert_allclose(
                found.batch[i].numpy("time,x,y"), expected.numpy("time,x,y"), rtol=1e-6, atol=1e-9
            )
        found, expected = (s.stats["noise_std"] for s in (step, alone))
        np.testing.assert_allclose(found.batch[i].numpy("time"), expected.numpy("time"), rtol=1e-6)
        spread = drawn.batch[i].numpy("posterior_samples,time,x,y") - alone.x_target.values.numpy("time,x,y")
        spread = spread / alone.uncertainty.values.numpy("time,x,y")
        assert np.sqrt(np.mean(spread**2)) == pytest.approx(1, abs=0.15)


def test_positions_of_each_sample_are_kept(on_torch, double, monkeypatch):
    """One set of adjoints for each set of positions, also where two samples have the same ones."""
    found = []
    before = observed_response._jacobian
    monkeypatch.setattr(observed_response, "_jacobian", lambda *a: found.append(0) or before(*a))
    x = state(3)
    each = math.stack([points(seed=s) for s in (3, 4, 3)], batch("batch"))
    physics = Sensors(HeatEquation(0.37, 1.0, 0.01), each, x)
    y = observed(physics, x)
    for _ in range(2):
        sip_inverse(physics, y, x * 0)
    assert len(found) == 2


def test_functions_that_differ_between_samples_are_inverted_without_a_prior(on_torch, double):
    x = state(2)
    physics = DifferentiablePhysics(lambda z: math.wrap([1.0, 2.0], batch("batch")) * z.values.x[::3], linear=True)
    found, expected = (sip_inverse(physics, physics.forward(x), x * 0, solver=s) for s in (None, "conjugate-gradient"))
    np.testing.assert_array_equal(array(found.x_target), array(expected.x_target))


def test_stages_that_leave_the_framework_are_known():
    """So that nobody is warned of updates that are not compiled, who did not ask for it."""
    x = state()
    physics = Composite(HeatEquation(0.1, 1.0, 0.0, EmpiricalBayes()), sensors(x, HeatEquation(0.3, 1.0)))
    assert runs_on_host(physics, None)
    assert not runs_on_host(physics, ConjugateGradient())
    assert not runs_on_host(HeatEquation(0.3, 1.0), None)


class Square(InvertiblePhysics):
    name = "square"

    def forward(self, x):
        return x**2


def whole(n: int = 8):
    return CenteredGrid(1.0, extrapolation.PERIODIC, x=n, y=n)


REFUSED = {
    "not linear": (lambda: sip_inverse(Square(), whole(), whole(), solver="gaussian-process"), "is_linear"),
    "too many": (
        lambda: sip_inverse(HeatEquation(1.0, 1.0), whole(46), whole(46), solver="gaussian-process"),
        "2116 values",
    ),
    "nothing depends on it": (
        lambda: sip_inverse(
            DifferentiablePhysics(lambda x: 0 * x, linear=True), whole(), whole(), solver=GaussianProcess()
        ),
        "depends on the state",
    ),
    "physics of each sample": (
        lambda: sip_inverse(
            DifferentiablePhysics(lambda x: x * math.wrap([0.1, 0.2], batch("b")), linear=True),
            math.expand(whole(), batch(b=2)),
            math.expand(whole(), batch(b=2)),
            solver="gaussian-process",
        ),
        "no fields of it",
    ),
    "two fields": (
        lambda: sip_inverse(
            DifferentiablePhysics(lambda x: {"a": x["a"] + x["b"]}, linear=True),
            {"a": whole()},
            {"a": whole(), "b": whole()},
            solver="gaussian-process",
        ),
        "one field",
    ),
    "a rule of modes": (
        lambda: DifferentiablePhysics(abs, linear=True, regularization=Sparse()),
        "closed form",
    ),
    "a rule of modes at sensors": (
        lambda: sensors(whole(), HeatEquation(1.0, 1.0, 0.1, Sparse())),
        "Sensors: regularization=Sparse.* closed form",
    ),
    "a rule of a stage": (
        lambda: sensors(whole(), Composite(Poisson(0.0), HeatEquation(1.0, 1.0, 0.1, EmpiricalBayes()))),
        r"stages\[1\].regularization",
    ),
    "noise of what is not linear": (
        lambda: sensors(whole(), Composite(Evolution(lambda x: x - x**3, 0.1, 2), HeatEquation(1.0, 1.0))),
        "works for linear physics, and with regularization",
    ),
    "points outside": (lambda: sensors(whole(), lengths=(20.0, 8.0)), "not inside of the domain"),
    "a network that is shown values at points": (
        lambda: predict_state(
            phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2),
            sensors(whole(12)),
            math.ones(batch(b=2), instance(sensors=20)),
        ),
        r"inputs=\('estimate',\)",
    ),
    "points that are no numbers": (lambda: sensors(whole(), lengths=(float("nan"), 8.0)), "not inside"),
    "no points": (lambda: sensors(whole(), n=0), "there are none"),
    "a state on another grid": (lambda: sensors(whole(12)).forward(whole(6)), "grid of Sensors"),
    "a staggered grid": (
        lambda: Sensors(HeatEquation(1.0, 1.0), points(), StaggeredGrid(0.0, extrapolation.PERIODIC, x=4, y=4)),
        "staggered",
    ),
    "values that are no field": (
        lambda: sensors(whole(12), DifferentiablePhysics(lambda x: x.values, noise_std=0.1)).forward(whole(12)),
        "simulates is a Dense",
    ),
    "a batch that the observations have not": (
        lambda: sip_inverse(
            sensors(whole(12), HeatEquation(1.0, 1.0, math.wrap([0.1, 0.2], batch("levels")))),
            math.zeros(batch(b=2), instance(sensors=20)),
            math.expand(whole(12), batch(b=2)),
        ),
        "levels",
    ),
    "not linear though it says so": (
        lambda: sip_inverse(
            DifferentiablePhysics(lambda x: x**2, linear=True, regularization=EmpiricalBayes()), whole(), whole()
        ),
        "no derivative at 0",
    ),
    "an interval at half the size": (
        lambda: fit_interval(
            phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2),
            sensors(whole(12)),
            math.ones(batch(b=2), instance(sensors=20)),
            inputs=("estimate",),
        ),
        "half as many cells",
    ),
    "points without names": (
        lambda: Sensors(HeatEquation(1.0, 1.0), math.zeros(instance(p=3), channel(vector=2)), whole()),
        "names none",
    ),
    "points on a grid": (lambda: Sensors(HeatEquation(1.0, 1.0), math.zeros(spatial(x=3)), whole()), "instance dim"),
    "a grid of no kind": (lambda: Sensors(HeatEquation(1.0, 1.0), points(), 3), "centered grid"),
    "no physics": (lambda: Sensors(3, points(), whole()), "physics is a int"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_do_is_said(on_torch, case):
    function, message = REFUSED[case]
    with pytest.raises((GridMismatchError, ParameterError, UnsupportedError), match=message):
        function()


def test_names():
    assert isinstance(get_solver("gaussian-process"), GaussianProcess)
    x = grid(np.ones((1, 6, 4)), None, extrapolation.ZERO_GRADIENT)
    physics = get_physics("sensors", physics=HeatEquation(1.0, 1.0), points=points(3, (6.0, 4.0)), grid=x)
    assert physics.forward(x).shape.instance.sizes == (3,)
