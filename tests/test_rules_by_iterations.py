"""Rules where physics has no closed form: against the closed form where both exist, SciPy, and dense formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from fields import array, grid, periodic, smooth
from phi.field import CenteredGrid
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, instance, spatial
from scipy.optimize import lsq_linear
from test_regularization import RULES

from phi_sip import (
    Composite,
    DifferentiablePhysics,
    DiscrepancyPrinciple,
    EmpiricalBayes,
    Evolution,
    GridMismatchError,
    HeatEquation,
    HeterogeneousHeat,
    LCurve,
    Masked,
    ParameterError,
    Sensors,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    UnsupportedError,
    Wiener,
    sip_inverse,
)
from phi_sip.data import heat_rectangles
from phi_sip.gaussian_process import StateGrid
from phi_sip.regularization.field_edges import FieldEdges
from phi_sip.regularization.field_grid import FieldGrid
from phi_sip.solvers import observed_response
from phi_sip.solvers.least_squares import LeastSquares
from phi_sip.solvers.linearized_posterior import modes_per_axis
from phi_sip.solvers.split_steps import SplitSolve
from phi_sip.spectral.sides import Fixed, Insulated, Periodic

SIZE = 12
BOUNDARIES = {
    "periodic": extrapolation.PERIODIC,
    "insulated": extrapolation.ZERO_GRADIENT,
    "fixed": extrapolation.ZERO,
}
EDGES, ABOVE = TotalVariation(), TotalVariation(minimum=0.0)


def rectangles(boundary: Any = extrapolation.PERIODIC, samples: int = 4, seed: int = 0, n: int = SIZE):
    x = heat_rectangles(batch(batch=samples), spatial(x=n, y=n), seed=seed)
    return CenteredGrid(x.values, boundary, bounds=x.bounds)


def noisy(y, sigma: float, seed: int = 1):
    shape = y.shape if isinstance(y, math.Tensor) else y.values.shape
    noise = math.wrap(sigma * np.random.default_rng(seed).standard_normal(shape.sizes), shape)
    return y + noise if isinstance(y, math.Tensor) else y.with_values(y.values + noise)


def mask(seen: float = 0.5, n: int = SIZE):
    return math.wrap((np.random.default_rng(3).random((n, n)) < seen).astype(float), spatial("x,y"))


def error(step, x) -> float:
    return float(0.5 * ((array(step.x_target) - array(x)) ** 2).sum((1, 2)).mean())


def bent(x):
    """A pointwise nonlinear observation of blurred states."""
    y = HeatEquation(0.5, 1.0).forward(x)
    return y.with_values(y.values + 0.2 * y.values**2)


@pytest.mark.parametrize("sigma", [1e-2, 1e-3])
@pytest.mark.parametrize(
    "boundary", [name if name == "periodic" else pytest.param(name, marks=pytest.mark.slow) for name in BOUNDARIES]
)
def test_where_nothing_is_hidden_rules_are_those_of_the_closed_form(on_torch, double, boundary, sigma):
    x = rectangles(BOUNDARIES[boundary], n=16)
    measured = Wiener.from_samples(rectangles(BOUNDARIES[boundary], 64, seed=5, n=16))
    y = noisy(HeatEquation(1.0, 1.0).forward(x), sigma)
    for rule in (EDGES, ABOVE, measured):
        heat = HeatEquation(1.0, 1.0, sigma, rule)
        closed, found = (sip_inverse(one, y, x * 0) for one in (heat, Masked(heat, mask(2.0, 16))))
        assert abs(error(found, x) / error(closed, x) - 1) < 0.02, rule


FORMS = {
    "masked": lambda rule, x: Masked(HeatEquation(0.5, 1.0, regularization=rule), mask()),
    "sensors": lambda rule, x: Sensors(HeatEquation(0.5, 1.0, regularization=rule), _points(), x * 0),
    "a chain": lambda rule, x: Masked(Composite(HeatEquation(0.5, 1.0, regularization=rule), _reflected()), mask()),
    "a linear function": lambda rule, x: DifferentiablePhysics(
        HeatEquation(0.5, 1.0).forward, linear=True, regularization=rule
    ),
    "varying diffusivity": lambda rule, x: HeterogeneousHeat(
        math.wrap(np.linspace(0.3, 0.7, SIZE), spatial("x")), 1.0, regularization=rule
    ),
    "time steps": lambda rule, x: Masked(Evolution(lambda u, dt: bent(u), 1.0, 1, regularization=rule), mask()),
    "a function": lambda rule, x: DifferentiablePhysics(bent, regularization=rule),
}


def _points():
    return math.tensor(np.random.default_rng(2).uniform(0, SIZE, (85, 2)), instance("sensors"), channel(vector="x,y"))


def _reflected():
    return DifferentiablePhysics(lambda z: 1 - 2 * z, linear=True, noise_std=1e-2)


LONG = ("a chain", "varying diffusivity", "time steps")


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=pytest.mark.slow) if form in LONG else form for form in FORMS]
)
def test_every_physics_uses_the_rule_or_refuses_it(on_torch, double, form):
    """Those that it uses go below `EmpiricalBayes`, which knows no edges, no bound and no spectrum."""
    x = rectangles()
    make = FORMS[form]
    physics = make(EmpiricalBayes(), x)
    y = noisy(physics.forward(x), 1e-2)
    linear = error(sip_inverse(physics, y, physics.initial_state(y)), x)
    for rule, most in ((EDGES, 0.93), (ABOVE, 0.88)):
        physics = make(rule, x)
        step = sip_inverse(physics, y, physics.initial_state(y))
        assert error(step, x) < most * linear
        assert rule.minimum is None or array(step.x_target).min() >= 0
        np.testing.assert_allclose(float(math.mean(step.stats["noise_std"], "batch")), 1e-2, rtol=0.25)
    for rule in RULES.values():
        if rule.field_prior is None:
            with pytest.raises(ParameterError, match="closed form"):
                make(rule, x)
        elif rule.field_prior.filter is not None and not physics.is_linear:
            with pytest.raises(ParameterError, match="linear physics"):
                make(rule, x)
        else:
            assert make(rule, x).default_solver == "maximum-a-posteriori"


def test_where_half_is_hidden_edges_go_far_below_linear_rules(on_torch, double):
    x, sigma = rectangles(n=20), 1e-3
    clean = noisy(HeatEquation(1.0, 1.0).forward(x), sigma)
    errors = []
    for rule in (EmpiricalBayes(), EDGES, ABOVE):
        physics = Masked(HeatEquation(1.0, 1.0, regularization=rule), mask(0.5, 20))
        errors.append(error(sip_inverse(physics, physics.observe(clean), x * 0), x))
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.5 * errors[0]


@dataclass(frozen=True)
class GivenStrength(FieldEdges):
    """λ as given, in units of λ/ρ."""

    given: float = 0.0

    def penalty(self, backend, noise, number, size, first):
        return noise * 0 + self.given


@pytest.mark.parametrize(
    ("sides", "minimum"),
    [
        (Periodic(), None),
        (Fixed(0.0), 0.0),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((Insulated(), None), (Periodic(), 0.0))),
    ],
    ids=lambda value: str(value),
)
def test_the_minimum_is_that_of_the_dual_problem(on_torch, double, sides, minimum):
    """min_p ½ ‖L⁻¹ (Jᵀ r − Dᵀ p + q)‖², |p| ≤ λ, q ≥ 0, JᵀJ = L Lᵀ, by SciPy, in one dimension with D written out."""
    n, strength, rng = 14, 0.05, np.random.default_rng(0)
    blur, seen = np.exp(-0.5 * (np.arange(n)[:, None] - np.arange(n)) ** 2), rng.random(n) < 0.7
    matrix = np.concatenate([blur[seen], 0.1 * rng.standard_normal((n, n))])
    truth = np.where((np.arange(n) > 3) & (np.arange(n) < 9), 1.0, 0.0)
    y = matrix @ truth + 0.05 * rng.standard_normal(len(matrix))
    d = np.diff(np.eye(n), axis=0)
    if sides == Periodic():
        d = np.concatenate([d, np.eye(n)[:1] - np.eye(n)[-1:]])
    elif isinstance(sides, Fixed):
        d = np.concatenate([d, np.sqrt(2) * np.eye(n)[:1], np.sqrt(2) * np.eye(n)[-1:]])
    square, pulled = matrix.T @ matrix, matrix.T @ y
    operator = -d.T if minimum is None else np.concatenate([-d.T, np.eye(n)], 1)
    lower = np.linalg.inv(np.linalg.cholesky(square))
    bounds = [(-strength, strength)] * len(d) + [(0, np.inf)] * (operator.shape[1] - len(d))
    dual = lsq_linear(lower @ operator, -lower @ pulled, tuple(zip(*bounds, strict=True)), tol=1e-14)
    expected = np.linalg.solve(square, pulled + operator @ dual.x)

    j = math.wrap(matrix, channel("values"), spatial("x"))
    physics = DifferentiablePhysics(lambda x: math.sum(j * x, "x"), linear=True)
    x = math.zeros(batch(batch=1), spatial(x=n))
    target = math.wrap(y[None], batch("batch"), channel("values"))
    problem = LeastSquares.of(physics, target, x, physics.forward(x))
    field = FieldGrid(StateGrid((n,), (0,), (float(n),), (sides == Periodic(),)), ((sides, sides),))
    edges = GivenStrength(minimum, 1.0, 400, 0.0, single=False, given=strength)
    ones, b = np.ones((1, 1)), problem.backend
    columns = (np.ones((1, n)), ones * 0.01, ones, ones, edges.curvature(field)[None])
    natives = [b.as_tensor(rows) for rows in (*columns, *modes_per_axis(field.modes))]
    solve = SplitSolve(field, edges, 200)
    found, left, *_ = solve.answer(problem)(problem.states.pack(x), problem.observations.pack(target), *natives)
    np.testing.assert_allclose(problem.numpy(found)[0], expected, atol=2e-3)
    np.testing.assert_allclose(problem.numpy(left)[0, 0], ((y - matrix @ problem.numpy(found)[0]) ** 2).sum())


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_squares_of_differences_are_diagonal_in_the_modes(double, boundary):
    """Along two axes of different cells, whatever else the columns mean."""
    x = grid(np.zeros((1, 6, 5, 2)), (1.0, 0.5), BOUNDARIES[boundary], vector=True)
    side = {"periodic": Periodic(), "insulated": Insulated(), "fixed": Fixed(0.0)}[boundary]
    cells = StateGrid((6, 5, 2), (0, 1), (6.0, 2.5), (boundary == "periodic",) * 2)
    field = FieldGrid(cells, ((side, side), (side, side)))
    unit = np.eye(x.values.shape.non_batch.volume)
    rows = unit.reshape(-1, *cells.sizes)
    with NUMPY:
        square = sum(d.adjoint(d.apply(rows)) for d in field.differences(NUMPY)).reshape(len(unit), -1)
    modes = field.modes.transform(unit)
    np.testing.assert_allclose(modes.T @ square @ modes, np.diag(field.eigenvalues()), atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_given_spectrum_is_the_posterior_of_its_dense_covariance(on_torch, double, boundary):
    """Of vector fields, with σ told; the constant is free where it is one of the modes."""
    rng, sizes, sigma = np.random.default_rng(0), (9, 6), 0.1
    values = 5 + smooth(rng, 6, *sizes, 2)
    reflected = values[:, -np.arange(9) % 9]  # so that S_k is the same for k_x and −k_x
    x = grid(np.concatenate([values, reflected]), None, BOUNDARIES[boundary], vector=True)
    rule, seen = Wiener.from_samples(x), rng.random(sizes) < 0.6
    physics = Masked(HeatEquation(0.3, 1.0, sigma, rule), math.wrap(seen.astype(float), spatial("x,y")))
    y = physics.observe(noisy(physics.physics.forward(x), sigma))
    step = sip_inverse(physics, y, x * 0)
    units = grid(np.eye(54).reshape(-1, *sizes), None, BOUNDARIES[boundary])
    j = array(HeatEquation(0.3, 1.0).forward(units)).reshape(54, -1).T[seen.ravel()]
    basis = rule.spectrum.basis
    for component, power in enumerate(rule.spectrum.power.vector):
        covariance = array(basis.inverse(basis.transform(units.values) * power)).reshape(54, -1)
        free = covariance + 1e3 * basis.conserves_mean
        gain = free @ j.T @ np.linalg.inv(j @ free @ j.T + sigma**2 * np.eye(len(j)))
        expected = array(y)[..., component].reshape(-1, 54)[:, seen.ravel()] @ gain.T
        np.testing.assert_allclose(array(step.x_target)[..., component].reshape(-1, 54), expected, atol=1e-4)
        deviation = np.sqrt(np.diag(free - gain @ j @ free))
        np.testing.assert_allclose(array(step.uncertainty)[0, ..., component].ravel(), deviation, rtol=1e-4)


def test_a_spectrum_of_another_grid_or_boundary_is_refused(on_torch, double):
    x = rectangles(n=8)
    rule = Wiener.from_samples(x)
    for state, message, kind in (
        (rectangles(n=10), "measured on a grid", GridMismatchError),
        (rectangles(extrapolation.combine_sides(x=(0, extrapolation.ZERO_GRADIENT), y=0), n=8), "both sides", None),
    ):
        physics = DifferentiablePhysics(lambda z: z, linear=True, regularization=rule)
        with pytest.raises(kind or UnsupportedError, match=message):
            sip_inverse(physics, state, state * 0)
    physics = DifferentiablePhysics(lambda z: z, linear=True, regularization=rule)
    with pytest.raises(UnsupportedError, match="Field on a uniform grid"):
        sip_inverse(physics, x.values, x.values * 0)


@pytest.mark.slow_on("tensorflow", "jax")  # which compile
@pytest.mark.parametrize("precision", [64, 32])
def test_frameworks_agree(framework, precision):
    """In double precision to rounding, in single to what it holds of the Gaussian mean, where iterations begin."""
    with math.precision(precision):
        found = _of_framework()
    with TORCH, math.precision(64):
        expected = _of_framework()
    np.testing.assert_allclose(found, expected, atol=1e-8 if precision == 64 else 5e-3)


def _of_framework() -> np.ndarray:
    x = heat_rectangles(batch(batch=2), spatial(x=10, y=10), seed=0)
    physics = Masked(HeatEquation(0.5, 1.0, 1e-2, ABOVE), mask(0.6, 10))
    y = physics.observe(noisy(physics.physics.forward(x), 1e-2))
    return array(sip_inverse(physics, y, y * 0).x_target)


def _edges(rule: Any = EDGES, sigma: Any = None, seen: Any = None, n: int = 10):
    """A nonlinear process, half hidden."""
    return Masked(
        DifferentiablePhysics(bent, noise_std=sigma, regularization=rule), mask(0.5, n) if seen is None else seen
    )


def test_entries_do_not_mix(on_torch, double):
    """With masks and noise of their own, each is what it is alone."""
    x = rectangles(samples=3, n=10)
    seen = math.wrap((np.random.default_rng(3).random((3, 10, 10)) > 0.5).astype(float), batch("batch"), spatial("x,y"))
    sigma = math.wrap([0.01, 0.03, 0.1], batch("batch"))
    y = noisy(HeatEquation(0.5, 1.0).forward(x), 0.02)

    def inverted(seen, sigma, y):
        physics = Masked(HeatEquation(0.5, 1.0, sigma, ABOVE), seen)
        return array(sip_inverse(physics, physics.observe(y), y * 0).x_target)

    together = inverted(seen, sigma, y)
    for i in range(3):
        own = {"batch": slice(i, i + 1)}
        np.testing.assert_allclose(together[i], inverted(seen[own], sigma[own], y[own])[0], atol=1e-5)


@pytest.mark.parametrize(("unit_x", "unit_y"), [(1e3, 1.0), (1.0, 1e-3)])
def test_units_do_not_matter(on_torch, double, unit_x, unit_y):
    x = rectangles(samples=2, n=10)
    y = noisy(HeatEquation(0.5, 1.0).forward(x), 1e-2)

    def inverted(a, b):
        physics = DifferentiablePhysics(lambda z: HeatEquation(0.5, 1.0).forward(z * (b / a)), linear=True)
        return array(sip_inverse(replace(physics, regularization=ABOVE), y * b, x * 0).x_target) / a

    np.testing.assert_allclose(inverted(unit_x, unit_y), inverted(1.0, 1.0), atol=1e-6)


def test_order_of_axes_does_not_matter(on_torch, double):
    x = rectangles(samples=2, n=10)
    physics = _edges()
    y = physics.observe(noisy(bent(x), 1e-2))
    dims = [*y.values.shape.only("y,batch,x", reorder=True)]
    turned = y.with_values(math.reshaped_tensor(y.values.native("y,batch,x"), dims, convert=False))
    found, other = (sip_inverse(physics, one, one * 0) for one in (y, turned))
    np.testing.assert_allclose(array(found.x_target), array(other.x_target), atol=1e-9)


@pytest.mark.parametrize("exact", [True, False])
def test_values_that_are_too_many_to_count_all(on_torch, double, exact, monkeypatch):
    """Then σ and γ come from iterations. Components of a field share both, and λ."""
    if not exact:
        monkeypatch.setattr(observed_response, "LARGEST", 48)
        monkeypatch.setattr(observed_response, "SAMPLE", 96)
        monkeypatch.setattr(observed_response, "_kept", type(observed_response._kept)())
    one, other = (array(rectangles(samples=2, seed=seed, n=12)) for seed in (0, 1))
    x = periodic(np.stack([one, other], -1), vector=True)
    y = noisy(HeatEquation(0.5, 1.0).forward(x), 1e-2)
    steps = [
        sip_inverse(Masked(HeatEquation(0.5, 1.0, regularization=rule), mask(0.7, 12)), y * mask(0.7, 12), x * 0)
        for rule in (EmpiricalBayes(), ABOVE)
    ]
    np.testing.assert_allclose(steps[1].stats["noise_std"].numpy(), 1e-2, rtol=0.3)
    errors = [np.linalg.norm(array(step.x_target) - array(x)) for step in steps]
    assert errors[1] < 0.93 * errors[0]


def test_the_uncertainty_is_that_of_the_gaussian_prior(on_torch, double):
    x = rectangles(samples=2, n=10)
    y = mask(0.5, 10) * noisy(HeatEquation(0.5, 1.0).forward(x), 1e-2)
    linear, edges = (
        sip_inverse(Masked(HeatEquation(0.5, 1.0, 1e-2, rule), mask(0.5, 10)), y, x * 0)
        for rule in (EmpiricalBayes(), EDGES)
    )
    np.testing.assert_allclose(array(edges.uncertainty), array(linear.uncertainty), rtol=1e-9)
    with pytest.raises(UnsupportedError, match="posterior"):
        edges.posterior_samples(2)


def test_options_count(on_torch, double):
    """Each of them changes the state, but that of the precision, in which rounding differs only."""
    x = rectangles(samples=2, n=10)
    y = mask(0.5, 10) * noisy(HeatEquation(0.5, 1.0).forward(x), 1e-2)

    def inverted(**options: Any):
        physics = Masked(HeatEquation(0.5, 1.0, 1e-2, TotalVariation(**options)), mask(0.5, 10))
        return sip_inverse(physics, y, x * 0)

    plain = array(inverted().x_target)
    np.testing.assert_allclose(array(inverted(single=True).x_target), plain, atol=1e-5)
    strong = array(inverted(strength=30.0).x_target)
    assert abs(np.diff(strong, axis=1)).sum() < 0.8 * abs(np.diff(plain, axis=1)).sum()
    assert array(inverted(minimum=0.2).x_target).min() >= 0.2
    found = inverted(iterations=400, tolerance=1e-2)
    assert bool(found.stats["converged"].all)
    assert int(found.stats["iterations"].max) < 400


def test_constant_states_have_no_edges(on_torch, double):
    x = rectangles(samples=2, n=10) * 0 + 3.0
    physics = Masked(HeatEquation(0.5, 1.0, 1e-2, EDGES), mask(0.5, 10))
    for y in (physics.forward(x), physics.observe(noisy(physics.physics.forward(x), 1e-2))):
        np.testing.assert_allclose(array(sip_inverse(physics, y, x * 0).x_target), 3.0, atol=0.02)


def test_solvers_that_cannot_obey_a_rule_refuse_it(on_torch, double):
    x = rectangles(samples=2, n=10)
    for rule, solver, kind in (
        (EDGES, "gaussian-process", UnsupportedError),
        (Sparse(), "gaussian-process", ParameterError),
        (Sparse(), "maximum-a-posteriori", ParameterError),
    ):
        with pytest.raises(kind, match=type(rule).__name__):
            sip_inverse(HeatEquation(0.5, 1.0, 1e-2, rule), x, x * 0, solver=solver)


FILTERS = {
    "α given": Tikhonov(1e-3),
    "cross-validation": Tikhonov(),
    "discrepancy": Tikhonov(DiscrepancyPrinciple()),
    "L-curve": Tikhonov(LCurve()),
    "truncated": TruncatedSVD(),
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_filters_of_singular_values_are_those_of_gains(on_torch, double, boundary):
    """Where nothing is hidden: the same state, α and uncertainty, as gains of the closed form are singular values."""
    x = rectangles(BOUNDARIES[boundary])
    y = noisy(HeatEquation(1.0, 1.0).forward(x), 1e-2, seed=3)  # of others, cross-validation follows the noise
    for name, rule in FILTERS.items():
        heat = HeatEquation(1.0, 1.0, 1e-2, rule)
        closed, found = (sip_inverse(one, y, x * 0) for one in (heat, Masked(heat, mask(2.0))))
        np.testing.assert_allclose(found.stats["alpha"].numpy(), closed.stats["alpha"].numpy(), rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(array(found.x_target), array(closed.x_target), atol=1e-5, err_msg=name)
        np.testing.assert_allclose(
            array(found.uncertainty), np.broadcast_to(array(closed.uncertainty), array(x).shape), rtol=1e-6
        )


@pytest.mark.parametrize("sigma", ["auto", 1e-2])
def test_filters_at_sensors_are_regularized_least_squares(on_torch, double, sigma):
    """min ‖J x − y*‖² + α s² ‖x − x̄‖², s the largest singular value, by NumPy; σ is found where it is not told."""
    x = rectangles()
    physics = Sensors(HeatEquation(0.5, 1.0, sigma, Tikhonov(1e-3)), _points(), x * 0)
    y = noisy(physics.forward(x), 1e-2)
    step = sip_inverse(physics, y, x * 0)
    n = SIZE**2
    units = periodic(np.eye(n).reshape(n, SIZE, SIZE))
    j = physics.forward(units).numpy("batch,sensors").T
    centered = np.eye(n) - 1 / n
    constant = np.linalg.norm(j.mean(1)) * np.sqrt(n)
    rest = j @ centered - np.outer(j.sum(1), j.sum(1) @ j @ centered) / (j.sum(1) @ j.sum(1))
    largest = max(constant, np.linalg.norm(rest, 2)) ** 2
    gain = np.linalg.solve(j.T @ j + 1e-3 * largest * centered, j.T)
    np.testing.assert_allclose(array(step.x_target).reshape(4, n), y.numpy("batch,sensors") @ gain.T, atol=1e-6)
    found = step.stats["noise_std"].numpy()
    np.testing.assert_allclose(found if sigma == 1e-2 else found.mean(), 1e-2, rtol=1e-9 if sigma == 1e-2 else 0.2)
    spread = step.stats["noise_std"].numpy("batch")[:, None] * np.sqrt((gain**2).sum(1))
    np.testing.assert_allclose(array(step.uncertainty).reshape(4, n), spread, rtol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_of_few_values_do_not_follow_the_noise(on_torch, double, name):
    """Plain cross-validation does now and then, with errors of a hundred times these."""
    x = rectangles(samples=16, n=16)
    physics = Masked(HeatEquation(1.0, 1.0, regularization=FILTERS[name]), mask(0.5, 16))
    y = physics.observe(noisy(physics.physics.forward(x), 1e-3))
    step = sip_inverse(physics, y, y * 0)
    errors = 0.5 * ((array(step.x_target) - array(x)) ** 2).sum((1, 2))
    assert errors.max() < 0.5 * (0.5 * (array(y - x) ** 2).sum((1, 2))).max()


def test_filters_need_linear_physics_of_few_values(on_torch, double, monkeypatch):
    with pytest.raises(ParameterError, match="for linear physics"):
        DifferentiablePhysics(bent, regularization=Tikhonov())
    with pytest.raises(ParameterError, match="for linear physics"):
        Masked(DifferentiablePhysics(bent, regularization=TruncatedSVD()), mask())
    monkeypatch.setattr(observed_response, "LARGEST", 48)
    monkeypatch.setattr(observed_response, "SAMPLE", 48)
    monkeypatch.setattr(observed_response, "_kept", type(observed_response._kept)())
    x = rectangles()
    with pytest.raises(UnsupportedError, match="observes 144 values"):
        sip_inverse(Masked(HeatEquation(0.5, 1.0, 1e-2, Tikhonov()), mask(2.0)), x, x * 0)
