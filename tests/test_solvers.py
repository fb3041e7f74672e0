"""Numerical inverses, one row each, against analytic and independent answers, on all frameworks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from fields import array, grid, periodic, smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from phi import field
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, spatial
from scipy.optimize import least_squares
from scipy.sparse.linalg import lsqr

from phi_sip import (
    LBFGS,
    ConjugateGradient,
    Correction,
    DifferentiablePhysics,
    EmpiricalBayes,
    GaussNewton,
    HeatEquation,
    InvertiblePhysics,
    LevenbergMarquardt,
    NonFiniteError,
    ParameterError,
    RotatedSine,
    SaddleFreeNewton,
    TruncatedGaussNewton,
    UnsupportedError,
    available_solvers,
    get_solver,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.frameworks import operations_of
from phi_sip.inversion.operator import invert
from phi_sip.solvers.gradient import GradientSolver


@dataclass(frozen=True)
class Row:
    """A solver and what it promises: exact in one linear step to `linear`, and the order of its convergence."""

    name: str
    linear: Any
    tolerance: float
    one_step: Any
    order: float


ROWS = {
    row.name: row
    for row in (
        Row("gauss-newton", GaussNewton(1, inner_tolerance=1e-12), 1e-9, GaussNewton(1, inner_tolerance=1e-12), 2.0),
        Row(
            "levenberg-marquardt",
            LevenbergMarquardt(1, inner_tolerance=1e-12, damping=1e-10),
            1e-8,
            LevenbergMarquardt(1, inner_tolerance=1e-12, damping=1e-12),
            2.0,
        ),
        Row("truncated-gauss-newton", TruncatedGaussNewton(12), 1e-9, TruncatedGaussNewton(12), 2.0),
        Row("saddle-free-newton", SaddleFreeNewton(1), 1e-9, SaddleFreeNewton(1), 2.0),
        Row("l-bfgs", LBFGS(60, tolerance=0.0), 1e-5, LBFGS(10, tolerance=0.0), 1.0),
    )
}


OTHERS = pytest.mark.slow_on("tensorflow", "jax")  # they differ in derivatives, which other tests compare


@pytest.fixture(params=ROWS.values(), ids=ROWS)
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


CONVERGING = {name: row for name, row in ROWS.items() if name != "truncated-gauss-newton"}


@pytest.fixture(params=CONVERGING.values(), ids=CONVERGING)
def converging(request: pytest.FixtureRequest) -> Row:
    """Those that go on until they have converged."""
    return request.param


def vectors(values: Any) -> Any:
    return math.tensor(np.asarray(values), batch("batch"), channel("vector"))


MATRIX = np.eye(5) + 0.3 * np.random.default_rng(0).standard_normal((5, 5))


@dataclass(frozen=True)
class Linear(InvertiblePhysics):
    name: ClassVar[str] = "linear"

    def forward(self, x: Any) -> Any:
        matrix = math.cast(math.wrap(MATRIX, channel("out,vector")), x.dtype)
        return math.rename_dims(math.dot(matrix, "vector", x, "vector"), "out", "vector") + 1


def bend(x: Any) -> Any:
    """Nonlinear, coupled, with a derivative that is regular everywhere near 0."""
    shifted = math.concat([x.vector[1:], x.vector[:1]], "vector", expand_values=True)
    return x + 0.3 * math.sin(shifted) + 0.1 * x**3


BEND = DifferentiablePhysics(bend)
X = np.random.default_rng(1).uniform(-1, 1, (3, 5))


def test_all_are_registered():
    assert {*ROWS, "conjugate-gradient", "gradient", "time-reversal"} <= set(available_solvers())
    for name, row in ROWS.items():
        assert type(get_solver(name)) is type(row.one_step)


def test_linear_physics_takes_one_step(framework, double, row):
    x = vectors(X)
    step = sip_inverse(Linear(), Linear().forward(x), x * 0, solver=row.linear)
    np.testing.assert_allclose(array(step.x_target), X, atol=row.tolerance)


@OTHERS
def test_order_of_convergence(framework, double, row):
    x = vectors(X)
    y, current, errors = bend(x), x + 0.3, []
    for _ in range(3):
        current = sip_inverse(BEND, y, current, solver=row.one_step).x_target
        errors.append(float(np.abs(array(current) - X).max()))
    first, second = (error for error in errors[:2])
    assert second < max(4 * first**row.order, 1e-14)
    assert errors[2] <= max(4 * second**row.order, 1e-14)


def test_agrees_with_scipy(framework, double, converging):
    """Where y* cannot be reached the least-squares state is found."""
    y = vectors(np.random.default_rng(2).uniform(-1, 1, (2, 6)))

    def fold(x: Any) -> Any:
        return math.concat([bend(x), math.expand(math.sum(x**2, "vector"), channel(vector=1))], "vector")

    def residual(values: np.ndarray, target: np.ndarray) -> np.ndarray:
        rolled = np.roll(values, -1)
        return np.append(values + 0.3 * np.sin(rolled) + 0.1 * values**3, (values**2).sum()) - target

    physics = DifferentiablePhysics(fold)
    many = type(converging.one_step)(60)
    x = sip_inverse(physics, y, vectors(np.zeros((2, 5)) + 0.1), solver=many).x_target
    for found, target in zip(array(x), array(y), strict=True):
        expected = least_squares(residual, np.full(5, 0.1), args=(target,), xtol=1e-14, ftol=1e-14, gtol=1e-14)
        assert (residual(found, target) ** 2).sum() <= 2 * expected.cost * (1 + 1e-4) + 1e-12


@given(seed=st.integers(0, 9999), size=st.floats(1e-3, 1e3))
@settings(max_examples=15)
@pytest.mark.parametrize("name", ROWS)
def test_never_worse_and_honest_about_it(name, seed, size):
    from phi.torch import TORCH

    rng = np.random.default_rng(seed)
    with TORCH, math.precision(64):
        x, y = vectors(rng.standard_normal((3, 5)) * size), vectors(rng.standard_normal((3, 5)) * size)
        physics = DifferentiablePhysics(lambda u: math.sin(3 * u) * size + 0.5 * u)
        step = sip_inverse(physics, y, x, solver=name)
        before = array(math.l2_loss(step.residual))
        after = array(math.l2_loss(y - physics.forward(step.x_target)))
    assert np.all(after <= before * (1 + 1e-12))
    np.testing.assert_allclose(step.stats["objective"].numpy("batch"), after, rtol=1e-6, atol=1e-12 * before.max())
    assert np.all(step.stats["simulations"].numpy("batch") >= step.stats["iterations"].numpy("batch"))


@OTHERS
def test_batch_entries_do_not_mix(framework, double, row):
    x, y = vectors(X * 0), vectors(np.asarray(X) * [[1], [10], [0.1]])
    whole = sip_inverse(BEND, y, x, solver=row.name)
    for i in range(3):
        alone = sip_inverse(BEND, y.batch[i : i + 1], x.batch[i : i + 1], solver=row.name)
        np.testing.assert_allclose(array(whole.x_target)[i], array(alone.x_target)[0], atol=1e-8)


@OTHERS
def test_units_do_not_matter(framework, double, row):
    """SIP's own property: y in other units gives the same x̃."""
    if row.name == "l-bfgs":
        pytest.skip("its first step is a gradient step of length 1 in units of L")
    x, y = vectors(X * 0), bend(vectors(X))
    expected = array(sip_inverse(BEND, y, x, solver=row.one_step).x_target)
    for unit in (1e-4, 1e4):
        scaled = DifferentiablePhysics(lambda u, unit=unit: unit * bend(u))
        found = array(sip_inverse(scaled, unit * y, x, solver=row.one_step).x_target)
        np.testing.assert_allclose(found, expected, atol=1e-7)


@OTHERS
def test_states_may_be_trees_of_fields(framework, double, converging):
    rng = np.random.default_rng(3)
    a, b = periodic(smooth(rng, 2, 6)), periodic(smooth(rng, 2, 5))

    def mix(x: Any, factor: float) -> Any:
        return {"sum": x[0] + factor * x[0] ** 3, "b": (x[1] * 2,)}

    physics = DifferentiablePhysics(mix, {"factor": 0.2})
    y = physics.forward((a, b))
    found = sip_inverse(physics, y, (a * 0, b * 0), solver=type(converging.one_step)(20)).x_target
    for got, expected in zip(found, (a, b), strict=True):
        np.testing.assert_allclose(array(got), array(expected), atol=2e-4)


def test_single_precision_is_kept(framework, converging):
    x = vectors(X.astype(np.float32))
    step = sip_inverse(BEND, bend(x), x * 0, solver=type(converging.one_step)(20))
    assert step.x_target.dtype.precision == 32
    np.testing.assert_allclose(array(step.x_target), X, atol=2e-3)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_truncated_steps_are_those_of_lsqr(framework, double, iterations):
    """For linear physics, which takes the whole step."""
    x = vectors(X)
    y = Linear().forward(x)
    step = sip_inverse(Linear(), y, x * 0, solver=TruncatedGaussNewton(iterations))
    expected = [lsqr(MATRIX, row, atol=0, btol=0, iter_lim=iterations)[0] for row in array(y) - 1]
    np.testing.assert_allclose(array(step.x_target), expected, atol=1e-9)
    np.testing.assert_array_equal(step.stats["simulations"].numpy("batch"), 2 + 2 * iterations)


def test_truncated_steps_lower_the_misfit(framework, double):
    """Where the linearization is far off, the step is shortened: from −6 the first one leads to e^−6 + 1."""
    physics = DifferentiablePhysics(lambda x: math.exp(x))
    x = vectors(np.full((2, 1), -6.0))
    y = physics.forward(vectors(np.array([[-2.0], [-6.0]])))
    step = sip_inverse(physics, y, x, solver=TruncatedGaussNewton())
    found = array(step.x_target)
    assert -6 < found[0, 0] < -1
    assert found[1, 0] == pytest.approx(-6)


@pytest.mark.parametrize(("solver", "simulations"), [("gradient", 1), ("truncated-gauss-newton", 2)])
def test_one_simulation_gives_the_observation_and_its_derivatives(double, solver, simulations):
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return bend(x)

    with TORCH:
        x = vectors(X)
        sip_inverse(DifferentiablePhysics(counted), bend(x), x + 0.1, solver=solver)
    assert len(calls) == simulations, "one with derivatives, and one for each length that is tried"


def test_states_that_cannot_move_cost_no_search(double):
    calls = []

    def clipped(x: Any) -> Any:
        calls.append(1)
        return math.maximum(x, 0.0)

    with TORCH:
        x = vectors([[-1.0, -2.0], [-1.0, -1.0]])
        step = sip_inverse(DifferentiablePhysics(clipped), x * 0 + 1, x, solver=TruncatedGaussNewton())
    np.testing.assert_array_equal(array(step.dx), 0)
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["levenberg-marquardt", "truncated-gauss-newton"])
def test_physics_that_draws_is_refused_in_graphs(compiling, name):
    """Else one draw would stay in the graph."""
    solver = get_solver(name)
    physics = DifferentiablePhysics(lambda x: x + float(np.random.normal()))  # noqa: NPY002
    template = vectors(X.astype(np.float32))

    def solve(native: Any) -> Any:
        x = math.reshaped_tensor(native, [*template.shape], convert=False)
        return invert(physics, x, x * 0, 1.0, solver).x_target.native(template.shape)

    native = template.default_backend.as_tensor(template.native(template.shape))
    with pytest.raises(UnsupportedError, match="cannot be inverted numerically"):
        operations_of(template.default_backend).compile(solve)(native)


@pytest.mark.parametrize("name", ["gradient", "levenberg-marquardt", "truncated-gauss-newton"])
def test_observations_of_numpy_stay_numpy(double, name):
    with NUMPY:
        x = vectors(X)
    with TORCH:
        step = sip_inverse(BEND, x, x * 0, solver=name)
    assert step.y.default_backend is NUMPY


class Half(GradientSolver):
    """A solver of the user, who knows nothing of `begin`."""

    def solve(self, physics: Any, y_target: Any, x: Any, y: Any) -> Any:
        return Correction(super().solve(physics, y_target, x, y).dx * 0.5)


def test_subclasses_that_override_solve_are_asked(framework, double):
    x = vectors(X)
    whole, half = (sip_inverse(Linear(), x, x * 0, solver=solver).dx for solver in (GradientSolver(), Half()))
    np.testing.assert_allclose(array(half), 0.5 * array(whole))


@OTHERS
def test_cell_sizes_and_boundaries_are_not_confused(framework, double):
    """What is compiled for one grid must not answer for another."""
    values = smooth(np.random.default_rng(4), 2, 8, 8)
    physics = DifferentiablePhysics(lambda u: u + 0.05 * field.laplace(u))
    for dx, boundary in (((1.0, 1.0), extrapolation.PERIODIC), ((2.0, 0.5), extrapolation.PERIODIC), (None, 0)):
        x = grid(values, dx, boundary)
        y = physics.forward(x)
        found = sip_inverse(physics, y, x * 0, solver=GaussNewton(inner_tolerance=1e-10)).x_target
        np.testing.assert_allclose(array(found), values, atol=1e-6)


@pytest.mark.parametrize("name", ["gauss-newton", "levenberg-marquardt", "saddle-free-newton"])
def test_new_values_compile_nothing_anew(framework, double, name):
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return bend(x)

    physics = DifferentiablePhysics(counted)
    x = vectors(X)
    sip_inverse(physics, bend(x), x * 0, solver=name)
    calls.clear()
    for shift in (0.1, 0.2):
        sip_inverse(physics, bend(x + shift), x, solver=name)
    if framework.name == "torch":
        assert len(calls) > 2  # eager
    else:
        assert len(calls) == 2  # those of sip_inverse itself


@OTHERS
@pytest.mark.parametrize("name", ["gauss-newton", "levenberg-marquardt"])
def test_noise_ends_the_iteration(framework, double, name):
    sigma, rng = 1e-2, np.random.default_rng(5)
    x = periodic(1 + smooth(rng, 3, 16, 16))
    physics = DifferentiablePhysics(HeatEquation(2.0, 1.0).forward, noise_std=sigma)
    y = physics.forward(x)
    y = y.with_values(y.values + math.tensor(sigma * rng.standard_normal((3, 16, 16)), batch("batch"), spatial("x,y")))
    step = sip_inverse(physics, y, x * 0, solver=name)
    objective = step.stats["objective"].numpy("batch")
    assert np.all(objective <= 0.5 * 256 * sigma**2 * (1 + 2 * np.sqrt(2 / 256) + 1e-5))
    assert np.all(objective > 0.1 * 256 * sigma**2)
    assert bool(step.stats["converged"].all)
    assert np.abs(array(step.x_target) - array(x)).max() < 0.5  # without an end noise would be amplified 1e8-fold


@OTHERS
def test_gauss_newton_inverts_noisy_heat_like_its_closed_form(framework, double):
    sigma, rng = 1e-3, np.random.default_rng(6)
    x = periodic(1 + smooth(rng, 8, 64, 64))
    heat = HeatEquation(1.0, 8.0, sigma, EmpiricalBayes())
    y = heat.forward(x)
    noise = sigma * rng.standard_normal((8, 64, 64))
    y = y.with_values(y.values + math.tensor(noise, batch("batch"), spatial("x,y")))
    closed = sip_inverse(heat, y, x * 0)
    numerical = sip_inverse(DifferentiablePhysics(heat.forward, noise_std=sigma), y, x * 0, solver=GaussNewton())
    errors = [np.linalg.norm(array(step.x_target) - array(x)) for step in (numerical, closed)]
    assert errors[0] <= 1.1 * errors[1]
    assert int(numerical.stats["simulations"].max) <= 100


def test_saddle_free_newton_against_numpy(framework, double):
    """L = ½ (x₁ x₂ − 1)² with negative curvature, and the cut where the step would promise more than L."""
    point = np.array([[0.2, -0.1]])
    physics = DifferentiablePhysics(lambda x: x.vector[0] * x.vector[1])
    y = math.tensor(np.ones(1), batch("batch"))
    found = array(sip_inverse(physics, y, vectors(point), solver=SaddleFreeNewton(1)).dx)[0]
    a, b = point[0]
    r = a * b - 1
    gradient, hessian = r * np.array([b, a]), np.array([[b * b, r + a * b], [r + a * b, a * a]])
    values, q = np.linalg.eigh(hessian)
    assert values[0] < 0
    slope, order = q.T @ gradient, np.argsort(-np.abs(values))
    newton, left, along = np.abs(slope) / np.abs(values), 0.5 * r**2, np.zeros(2)
    for i in order:
        along[i] = np.sign(slope[i]) * min(newton[i], 2 * max(left, 0) / abs(slope[i]))
        left -= 0.5 * abs(slope[i]) * newton[i]
    expected = -q @ along
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("condition", [1.0, 32.0])
def test_saddle_free_newton_does_not_depend_on_conditioning(framework, double, condition):
    """From anywhere on the branch, next to the inflection points of the sine too."""
    rng, physics = np.random.default_rng(8), RotatedSine(condition, np.pi / 4)
    truth, start = vectors(rng.uniform(-1, 1, (200, 2))), vectors(rng.uniform(-1, 1, (200, 2)))
    found = array(sip_inverse(physics, physics.forward(truth), start, solver=SaddleFreeNewton(1)).x_target)
    distance = np.linalg.norm(found - array(truth), axis=1)
    assert distance.mean() < 0.25
    assert distance.max() < 3.0


def test_trial_states_outside_of_the_domain_are_not_taken(framework, double):
    """A full Newton step for log from x = 10 to y* = −3 lands at x < 0, where log is NaN."""
    physics = DifferentiablePhysics(math.log)
    x, y = vectors(np.full((1, 3), 10.0)), vectors(np.full((1, 3), -3.0))
    for solver in (GaussNewton(60), LevenbergMarquardt(60)):
        found = array(sip_inverse(physics, y, x, solver=solver).x_target)
        np.testing.assert_allclose(found, np.exp(-3.0), rtol=1e-3)


def test_training_with_any_simulation(framework):
    """The mission: one line makes a function trainable, where only `forward` is known."""
    net, rng = framework.u_net(in_spatial=1), np.random.default_rng(7)
    optimizer = framework.adam(net, 1e-2)
    physics = DifferentiablePhysics(lambda x: x + 0.2 * x**3)
    x = periodic(smooth(rng, 4, 16).astype(np.float32))
    y = physics.forward(x)
    losses = [float(sip_update_weights(net, optimizer, physics, y, x_true=x).x_l2.mean) for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]


BAD = {
    "iterations": (lambda: GaussNewton(0), ParameterError, "iterations = 0"),
    "inner iterations": (lambda: LevenbergMarquardt(inner_iterations=2.5), ParameterError, "integer"),
    "tolerance": (lambda: GaussNewton(tolerance=-1.0), ParameterError, "tolerance"),
    "damping": (lambda: LevenbergMarquardt(damping=0.0), ParameterError, "damping"),
    "max_loss_change": (lambda: SaddleFreeNewton(max_loss_change=0.0), ParameterError, "max_loss_change"),
    "l-bfgs": (lambda: LBFGS(True), ParameterError, "integer"),
    "function": (lambda: DifferentiablePhysics(3.0), UnsupportedError, "without calling it"),
    "noise": (lambda: DifferentiablePhysics(bend, noise_std=-1.0), ParameterError, "noise_std"),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD)
def test_bad_options(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_too_many_unknowns_are_refused(framework, double):
    x = periodic(np.ones((1, 20, 20)))
    with pytest.raises(UnsupportedError, match=r"400² second derivatives.*GaussNewton"):
        sip_inverse(HeatEquation(1.0, 1.0), x, x, solver="saddle-free-newton")


def test_complex_states_are_refused(framework, double):
    x = vectors(X + 1j)
    with pytest.raises((UnsupportedError, NonFiniteError), match="real"):
        GaussNewton().solve(BEND, x, x, x)


def test_numpy_cannot_differentiate():
    with NUMPY:
        x = vectors(X)
        with pytest.raises(UnsupportedError, match=r"phi\.tf\.flow"):
            sip_inverse(BEND, x, x, solver="gauss-newton")


def test_nonlinear_physics_is_refused_by_conjugate_gradients(framework):
    x = vectors(X)
    with pytest.raises(UnsupportedError, match="is_linear"):
        sip_inverse(BEND, x, x, solver=ConjugateGradient())


def test_linear_functions_are_inverted_by_conjugate_gradients(framework, double):
    x = vectors(X)
    physics = DifferentiablePhysics(Linear().forward, linear=True)
    step = sip_inverse(physics, physics.forward(x), x * 0)
    np.testing.assert_allclose(array(step.x_target), X, atol=1e-4)
    assert int(step.stats["iterations"].max) <= 6
