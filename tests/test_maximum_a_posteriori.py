"""Maximum a posteriori: against Gaussian process regression, dense formulas, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import phiml.nn
import pytest
from fields import array, grid, periodic, smooth
from phiml import math
from phiml.math import batch, channel, extrapolation, instance, spatial

from phi_sip import (
    Composite,
    DifferentiablePhysics,
    EmpiricalBayes,
    Evolution,
    Exponential,
    GaussianProcess,
    HeatEquation,
    LevenbergMarquardt,
    Masked,
    MaximumAPosteriori,
    ParameterError,
    Poisson,
    Sensors,
    UnsupportedError,
    get_solver,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.gaussian_process import Constants, Posterior, Response, fitted, priors_of
from phi_sip.solvers import law_fitting, observed_response

SIZE = 12


def fields(samples: int = 3, seed: int = 0, boundary=extrapolation.ZERO_GRADIENT, offset: float = 0.0):
    values = smooth(np.random.default_rng(seed), samples, SIZE, SIZE)
    return grid(offset + values / values.std(), None, boundary)


def noisy(y, sigma: float, seed: int = 1):
    shape = y.shape if isinstance(y, math.Tensor) else y.values.shape
    noise = math.wrap(sigma * np.random.default_rng(seed).standard_normal(shape.sizes), shape)
    return y + noise if isinstance(y, math.Tensor) else y.with_values(y.values + noise)


def bent(x):
    """A pointwise nonlinear observation of blurred states."""
    y = HeatEquation(0.3, 1.0).forward(x)
    return y.with_values(y.values + 0.1 * y.values**2)


def points(count: int, seed: int = 2):
    places = np.random.default_rng(seed).uniform(0, SIZE, (count, 2))
    return math.tensor(places, instance("sensors"), channel(vector="x,y"))


def relative(found, truth) -> float:
    return float(np.linalg.norm(array(found) - array(truth)) / np.linalg.norm(array(truth)))


@pytest.mark.slow_on("jax")  # for what all frameworks share
@pytest.mark.parametrize("sigma", [None, 0.05], ids=["σ fitted", "σ told"])
def test_linear_physics_that_does_not_say_so_is_inverted_exactly(framework, double, sigma):
    """Linearized it is itself: the mean, σ, deviation and draws are those of Gaussian process regression."""
    x = fields()
    heat = HeatEquation(0.3, 1.0)
    says, silent = (
        Sensors(DifferentiablePhysics(heat.forward, noise_std=sigma, linear=linear), points(60), x * 0)
        for linear in (True, False)
    )
    y = noisy(says.forward(x), 0.05)
    exact = sip_inverse(says, y, x * 0, solver=GaussianProcess())
    found = sip_inverse(silent, y, x * 0, solver=MaximumAPosteriori())
    np.testing.assert_allclose(array(found.x_target), array(exact.x_target), atol=1e-7)
    np.testing.assert_allclose(array(found.uncertainty), array(exact.uncertainty), rtol=1e-5)
    np.testing.assert_allclose(found.stats["noise_std"].numpy(), exact.stats["noise_std"].numpy(), rtol=1e-6)
    assert bool(found.stats["converged"].all)


def test_the_most_likely_state_is_that_of_its_own_linearization(on_torch, double, monkeypatch):
    """x̃ = E[x | y* − P(x̃) + J x̃] with J written out, in which SciPy and NumPy take no part of the solver."""
    monkeypatch.setattr(law_fitting, "FITS", 100)  # all priors count in all steps
    x = fields()
    sensors = Sensors(DifferentiablePhysics(bent), points(50), x * 0)
    y = noisy(sensors.forward(x), 0.05)
    step = sip_inverse(sensors, y, x * 0, solver=MaximumAPosteriori(iterations=30, tolerance=1e-8))
    assert bool(step.stats["converged"].all)
    blur = np.array([array(HeatEquation(0.3, 1.0).forward(fields_of_unit(i)))[0].ravel() for i in range(SIZE**2)]).T
    reads = np.array([sensors_of_unit(points(50), i) for i in range(SIZE**2)]).T
    state_grid = observed_response.state_grid(x)
    for entry, state in enumerate(array(step.x_target).reshape(3, -1)):
        blurred = blur @ state
        jacobian = reads @ ((1 + 0.2 * blurred)[:, None] * blur)
        simulated = reads @ (blurred + 0.1 * blurred**2)
        values = (y.batch[entry].numpy("sensors") - simulated + jacobian @ state)[None]
        response = Response.of(
            jacobian, np.zeros(50), np.arange(50), priors_of(state_grid), Constants.of(state_grid, jacobian)
        )
        posterior = Posterior.of(response, fitted(response, values), values)
        np.testing.assert_allclose(posterior.mean[0], state, atol=1e-5)


def fields_of_unit(i: int):
    values = np.zeros((1, SIZE * SIZE))
    values[0, i] = 1
    return grid(values.reshape(1, SIZE, SIZE), None, extrapolation.ZERO_GRADIENT)


def sensors_of_unit(at, i: int) -> np.ndarray:
    identity = DifferentiablePhysics(lambda x: x, linear=True)
    unit = fields_of_unit(i)
    return Sensors(identity, at, unit * 0).forward(unit).batch[0].numpy("sensors")


@pytest.fixture
def few_are_many(monkeypatch):
    """More than 48 values count as many."""
    monkeypatch.setattr(observed_response, "LARGEST", 48)
    monkeypatch.setattr(observed_response, "SAMPLE", 48)
    monkeypatch.setattr(observed_response, "_kept", type(observed_response._kept)())


@pytest.mark.slow_on("tensorflow", "jax")  # for what all frameworks share
@pytest.mark.parametrize(("sigma", "offset"), [(0.3, 0.0), (0.03, 300.0)])
def test_many_values_by_iterations_come_near_the_exact_mean(framework, double, monkeypatch, sigma, offset):
    """Priors are fitted to a third of the values, all of which are explained."""
    x = fields(4, offset=offset)
    physics = Sensors(HeatEquation(0.3, 1.0, noise_std=sigma), points(140), x * 0)
    y = noisy(physics.forward(x), sigma)
    exact = sip_inverse(physics, y, x * 0, solver=GaussianProcess())
    with monkeypatch.context() as patched:
        patched.setattr(observed_response, "LARGEST", 48)
        patched.setattr(observed_response, "SAMPLE", 48)
        patched.setattr(observed_response, "_kept", type(observed_response._kept)())
        found = sip_inverse(physics, y, x * 0, solver=MaximumAPosteriori())
        deviation = array(found.uncertainty)
    errors = [np.linalg.norm(array(step.x_target) - array(x)) for step in (exact, found)]
    assert errors[1] < 1.1 * errors[0]
    assert 0.8 < deviation.mean() / array(exact.uncertainty).mean() < 1.2
    inside = np.abs(array(found.x_target) - array(x)) < 1.96 * deviation
    assert inside.mean() > 0.88


def test_draws_spread_as_the_uncertainty_says(on_torch, double, few_are_many):
    x = fields()
    physics = Sensors(HeatEquation(0.3, 1.0, noise_std=0.1), points(140), x * 0)
    y = noisy(physics.forward(x), 0.1)
    step = sip_inverse(physics, y, x * 0)
    math.seed(0)
    drawn = step.posterior_samples(200).values.numpy("posterior_samples,batch,x,y")
    np.testing.assert_allclose(drawn.mean(0), array(step.x_target), atol=5 * array(step.uncertainty).max() / 200**0.5)
    assert 0.9 < (drawn.std(0) / array(step.uncertainty)).mean() < 1.1


def test_draws_of_entries_and_of_stages_are_independent(on_torch, double, few_are_many):
    """Two equal entries, and a chain whose first stage is found by iterations."""
    x = fields(1)
    twice = grid(np.repeat(array(x), 2, 0), None, extrapolation.ZERO_GRADIENT)
    physics = Sensors(HeatEquation(0.3, 1.0, noise_std=0.1), points(140), x * 0)
    y = noisy(physics.forward(x), 0.1)
    y = math.concat([y, y], "batch")
    step = sip_inverse(physics, y, twice * 0)
    errors = step.posterior_samples(20).values.numpy("posterior_samples,batch,x,y") - array(step.x_target)
    assert abs(np.corrcoef(errors[:, 0].ravel(), errors[:, 1].ravel())[0, 1]) < 0.3
    first = Evolution(lambda z, dt: z + 0.02 * z**3, 1.0, 1, noise_std=0.1, regularization=EmpiricalBayes())
    chain = Composite(first, Sensors(HeatEquation(0.3, 1.0, noise_std=0.1), points(140), x * 0))
    step = sip_inverse(chain, noisy(chain.forward(x), 0.1), x * 0)
    drawn = step.posterior_samples(12).values.numpy("posterior_samples,batch,x,y")
    spread, apart = drawn.std(0), np.sqrt(((drawn - array(step.x_target)) ** 2).mean(0))
    assert 0.7 < np.sqrt((spread**2).mean() / (apart**2).mean()) < 1.1


def test_steps_are_scaled_and_the_posterior_is_that_of_the_observation(on_torch, double):
    x = fields()
    physics = DifferentiablePhysics(bent, regularization=EmpiricalBayes())
    y = noisy(bent(x), 0.1)
    whole, part = (sip_inverse(physics, y, y * 0, step_size=size) for size in (1.0, 0.25))
    np.testing.assert_allclose(array(part.dx), 0.25 * array(whole.dx), atol=1e-12)
    np.testing.assert_array_equal(array(part.uncertainty), array(whole.uncertainty))
    chain = Composite(physics, Exponential(1.0))
    whole, part = (sip_inverse(chain, chain.forward(x), y * 0, step_size=size) for size in (1.0, 0.25))
    np.testing.assert_allclose(array(part.dx), 0.25 * array(whole.dx), atol=1e-12)


@pytest.mark.parametrize("seen", [0.2, 0.8])
def test_masks_that_hide_most_have_the_prior_by_default(on_torch, double, seen):
    """Also of physics that says that there is no noise, as Poisson does."""
    rng = np.random.default_rng(0)
    physics = Masked(Poisson(), math.wrap((rng.random((24, 24)) < seen).astype(float), spatial("x,y")))
    assert physics.default_solver == ("maximum-a-posteriori" if seen < 0.5 else None)
    if seen < 0.5:
        x = periodic(smooth(rng, 2, 24, 24))
        y = physics.forward(x)
        step, without = (sip_inverse(physics, y, x * 0, solver=solver) for solver in (None, "conjugate-gradient"))
        assert relative(step.x_target, x) < relative(without.x_target, x)


@pytest.mark.not_on("tensorflow", "jax")  # which are held against the exact mean
@pytest.mark.parametrize("values", [200, 80], ids=["exact", "by iterations"])
def test_a_prior_helps_nonlinear_physics(framework, double, values):
    """Against the default without one, which is told σ and stops where that explains the rest."""
    x, sigma = fields(4), 0.03

    def simulate(z):
        y = HeatEquation(1.0, 1.0).forward(z)
        return y.with_values(y.values + 0.1 * y.values**2)

    y = noisy(simulate(x), sigma)
    told = DifferentiablePhysics(simulate, noise_std=sigma)
    without = sip_inverse(told, y, x * 0, solver=LevenbergMarquardt(iterations=20))
    step = sip_inverse(DifferentiablePhysics(simulate), y, x * 0, solver=MaximumAPosteriori(values=values))
    assert relative(step.x_target, x) < 0.93 * relative(without.x_target, x)
    np.testing.assert_allclose(step.stats["noise_std"].numpy(), sigma, rtol=0.25)
    inside = np.abs(array(step.x_target) - array(x)) < 1.96 * array(step.uncertainty)
    assert 0.85 < inside.mean() < 0.995


def test_the_rule_chooses_it(on_torch, double):
    x = fields()
    y = noisy(bent(x), 0.1)
    physics = DifferentiablePhysics(bent, regularization=EmpiricalBayes())
    chosen, asked = (
        sip_inverse(one, y, x * 0, solver=solver)
        for one, solver in ((physics, None), (DifferentiablePhysics(bent), "maximum-a-posteriori"))
    )
    np.testing.assert_array_equal(array(chosen.x_target), array(asked.x_target))
    mask = math.wrap((np.random.default_rng(3).random((SIZE, SIZE)) > 0.4).astype(float), spatial("x,y"))
    masked = Masked(physics, mask)
    step = sip_inverse(masked, masked.observe(y), x * 0)
    assert relative(step.x_target, x) < 0.6
    assert isinstance(get_solver("maximum-a-posteriori"), MaximumAPosteriori)


def test_entries_do_not_mix(on_torch, double):
    """With masks and noise of their own, each is what it is alone."""
    x = fields()
    seen = math.wrap(
        (np.random.default_rng(3).random((3, SIZE, SIZE)) > 0.6).astype(float), batch("batch"), spatial("x,y")
    )
    sigma = math.wrap([0.03, 0.1, 0.3], batch("batch"))
    rule = EmpiricalBayes()

    def inverted(mask, noise, y, start):
        physics = Masked(DifferentiablePhysics(bent, noise_std=noise, regularization=rule), mask)
        return array(sip_inverse(physics, physics.observe(y), start).x_target)

    y = bent(x)
    y = y.with_values(
        y.values + sigma * math.wrap(np.random.default_rng(4).standard_normal((3, SIZE, SIZE)), y.values.shape)
    )
    together = inverted(seen, sigma, y, x * 0)
    for i in range(3):
        own = {"batch": slice(i, i + 1)}
        alone = inverted(seen[own], sigma[own], y[own], x[own] * 0)
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)


def test_the_uncertainty_of_an_entry_does_not_depend_on_the_others(on_torch, double):
    """Though they decide how many draws are made at once: here all 64 of one entry, and a third of three."""
    x = fields(40)
    physics, method = DifferentiablePhysics(bent, noise_std=0.1), MaximumAPosteriori(values=60)
    y = noisy(bent(x), 0.1)
    together = sip_inverse(physics, y, x * 0, solver=method)
    first = {"batch": slice(0, 1)}
    alone = sip_inverse(physics, y[first], x[first] * 0, solver=method)
    np.testing.assert_allclose(array(together.uncertainty)[:1], array(alone.uncertainty), rtol=1e-4)


def test_functions_that_name_their_batch_are_inverted(on_torch, double):
    """Copies along a dim that they do not know are not asked of them."""

    def simulate(z):
        native = z.values.native("batch,x,y")
        dims = [z.values.shape.batch, *z.values.shape.only("x,y", reorder=True)]
        return z.with_values(math.reshaped_tensor(native + 0.1 * native**2, dims, convert=False))

    x = fields(2)
    y = noisy(simulate(x), 0.1)
    step = sip_inverse(DifferentiablePhysics(simulate), y, x * 0, solver=MaximumAPosteriori(values=60))
    assert relative(step.x_target, x) < 0.3
    assert np.isfinite(array(step.uncertainty)).all()


def test_order_of_axes_does_not_matter(on_torch, double):
    x = fields()
    y = noisy(bent(x), 0.1)
    physics = DifferentiablePhysics(bent, regularization=EmpiricalBayes())
    turned = y.with_values(
        math.reshaped_tensor(
            y.values.native("y,batch,x"), [*y.values.shape.only("y,batch,x", reorder=True)], convert=False
        )
    )
    found, other = sip_inverse(physics, y, x * 0), sip_inverse(physics, turned, turned * 0)
    np.testing.assert_allclose(array(found.x_target), array(other.x_target), atol=1e-10)


@pytest.mark.parametrize(("unit_x", "unit_y"), [(1e3, 1.0), (1.0, 1e-3)])
def test_units_do_not_matter(on_torch, double, unit_x, unit_y):
    x = fields(2)
    physics, scaled = (
        DifferentiablePhysics(lambda z, a=a, b=b: bent(z * (1 / a)) * b, regularization=EmpiricalBayes())
        for a, b in ((1.0, 1.0), (unit_x, unit_y))
    )
    y = noisy(bent(x), 0.1)
    found, other = sip_inverse(physics, y, x * 0), sip_inverse(scaled, y * unit_y, x * 0)
    np.testing.assert_allclose(array(other.x_target) / unit_x, array(found.x_target), atol=2e-3)


@pytest.mark.slow_on("tensorflow", "jax")  # for what all frameworks share
def test_single_precision(framework):
    x = fields(2)
    with math.precision(32):
        start = grid(array(x).astype("float32"), None, extrapolation.ZERO_GRADIENT) * 0
        y = noisy(bent(start + grid(array(x).astype("float32"), None, extrapolation.ZERO_GRADIENT)), 0.1)
    step = sip_inverse(DifferentiablePhysics(bent, regularization=EmpiricalBayes()), y, start)
    assert step.x_target.values.dtype.precision == 32
    assert relative(step.x_target, x) < 0.5


@pytest.mark.parametrize("values", [200, 80], ids=["exact", "by iterations"])
def test_nothing_is_found_in_zeros(on_torch, double, values):
    x = fields(2) * 0
    step = sip_inverse(DifferentiablePhysics(bent), bent(x), x, solver=MaximumAPosteriori(values=values))
    np.testing.assert_allclose(array(step.x_target), 0, atol=1e-12)
    np.testing.assert_allclose(step.stats["noise_std"].numpy("batch"), 0, atol=1e-12)
    assert bool(step.stats["converged"].all)


def test_periodic_states_and_components(on_torch, double):
    rng = np.random.default_rng(0)
    x = periodic(smooth(rng, 2, 8, 8, 2)[..., :], vector=True)
    blur = HeatEquation(0.3, 1.0)

    def simulate(z):
        y = blur.forward(z)
        return y.with_values(y.values + 0.1 * y.values**2)

    y = noisy(simulate(x), 0.05)
    step = sip_inverse(DifferentiablePhysics(simulate, regularization=EmpiricalBayes()), y, x * 0)
    assert np.isfinite(array(step.x_target)).all()
    assert relative(step.x_target, x) < relative(y, x)


REFUSED = {
    "no iterations": (lambda: MaximumAPosteriori(iterations=0), ParameterError, "iterations"),
    "no values": (lambda: MaximumAPosteriori(values=0), ParameterError, "values"),
    "negative tolerance": (lambda: MaximumAPosteriori(tolerance=-1.0), ParameterError, "tolerance"),
    "two fields": (
        lambda: sip_inverse(
            DifferentiablePhysics(lambda z: {"u": z["u"] ** 2, "v": z["v"]}),
            {"u": fields(), "v": fields()},
            {"u": fields(), "v": fields()},
            solver="maximum-a-posteriori",
        ),
        UnsupportedError,
        "one field",
    ),
    "nothing depends on it": (
        lambda: sip_inverse(
            DifferentiablePhysics(lambda z: z * 0 + 1), fields(), fields(), solver="maximum-a-posteriori"
        ),
        UnsupportedError,
        "depends on the state",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, on_torch, double):
    make, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        make()


def test_a_graph_is_refused(compiling):
    x = math.random_normal(batch(batch=2), spatial(x=8, y=8))
    net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
    optimizer = compiling.adam(net, 1e-3)
    physics = DifferentiablePhysics(lambda z: z + 0.1 * z**2, regularization=EmpiricalBayes())
    with pytest.raises(UnsupportedError):
        sip_update_weights(net, optimizer, physics, x, compile=True)
    update = sip_update_weights(net, optimizer, physics, x)
    assert np.isfinite(float(update.loss.mean))
