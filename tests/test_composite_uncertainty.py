"""What is not known of states that chains of inverses find: against variances of modes, by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fields import array, grid, periodic, smooth
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import channel, extrapolation, instance

from phi_sip import (
    Composite,
    DifferentiablePhysics,
    Exponential,
    HeatEquation,
    Poisson,
    Sensors,
    Tikhonov,
    UnsupportedError,
    Wave,
    Wiener,
    sip_inverse,
)
from phi_sip.physics import chain
from phi_sip.regularization import PowerLaw

LAW = Wiener(PowerLaw(0.3, 3.0))
N, SIGMA = 8, 0.1
K = np.pi * np.arange(N) / N
COSINES = np.cos(np.outer(np.arange(N) + 0.5, K))
COSINES /= np.linalg.norm(COSINES, axis=0)
POWER = 0.3 * np.where(K > 0, K, np.inf) ** -3.0


def observation() -> Any:
    """Two observations between insulated walls."""
    return grid(1.0 + 0.1 * np.random.default_rng(0).normal(size=(2, N)), None, {"x": extrapolation.ZERO_GRADIENT})


def kernel_and_variance(amount: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """K_k = S h / (S h² + σ²) and S σ² / (S h² + σ²), of the constant 1 and σ²."""
    gain = np.exp(-amount * K**2)
    total = POWER * gain**2 + sigma**2
    return np.where(K > 0, POWER * gain / total, 1.0), np.where(K > 0, POWER * sigma**2 / total, sigma**2)


def heat(amount: float, sigma: float = SIGMA) -> HeatEquation:
    return HeatEquation(amount, 1.0, sigma, LAW)


ONE, OTHER = kernel_and_variance(0.5, SIGMA), kernel_and_variance(0.2, 0.05)
CHAINS = {
    "one stage": (lambda: Composite(heat(0.5)), ONE[1]),
    "exact, then a posterior": (lambda: Composite(Poisson(0.0), heat(0.5)), K**4 * ONE[1]),
    "two posteriors": (lambda: Composite(heat(0.2, 0.05), heat(0.5)), OTHER[0] ** 2 * ONE[1] + OTHER[1]),
    "a chain in a chain": (
        lambda: Composite(Composite(Poisson(0.0), heat(0.2, 0.05)), heat(0.5)),
        K**4 * (OTHER[0] ** 2 * ONE[1] + OTHER[1]),
    ),
}


@pytest.mark.parametrize("case", CHAINS)
def test_linear_stages_pass_on_the_variance_of_each_mode(double, case):
    make, variance = CHAINS[case]
    expected = np.sqrt(COSINES**2 @ variance)
    with NUMPY:
        y = observation()
        step = sip_inverse(make(), y, y * 0)
        math.seed(0)
        drawn = step.posterior_samples(2000).values.numpy("posterior_samples,batch,x")
    tolerance = 1e-9 if case == "one stage" else 0.12
    np.testing.assert_allclose(array(step.uncertainty), np.tile(expected, (2, 1)), rtol=tolerance)
    np.testing.assert_allclose(drawn.std(0), np.tile(expected, (2, 1)), rtol=0.07)
    np.testing.assert_allclose(drawn.mean(0), array(step.x_target), atol=0.1 * expected.max())
    covariance = COSINES @ np.diag(variance) @ COSINES.T
    np.testing.assert_allclose(np.cov(drawn[:, 0].T), covariance, atol=0.1 * covariance.max())


def test_where_the_others_are_exact_it_is_that_of_the_last_inverse(double):
    with NUMPY:
        y = observation()
        for rule in (LAW, Tikhonov(0.1)):
            first = HeatEquation(0.5, 1.0, SIGMA, rule)
            whole = sip_inverse(Composite(first, Exponential(2.0)), y, y)
            alone = sip_inverse(first, y.with_values(math.log(y.values) / 2.0), y)
            np.testing.assert_allclose(array(whole.uncertainty), array(alone.uncertainty), rtol=1e-12)
            np.testing.assert_allclose(array(whole.x_target), array(alone.x_target), rtol=1e-9)
        math.seed(0)
        drawn = sip_inverse(Composite(heat(0.5), Exponential(2.0)), y, y).posterior_samples(1000)
    np.testing.assert_allclose(
        drawn.values.numpy("posterior_samples,batch,x").std(0),
        array(alone.x_target) * 0 + np.sqrt(COSINES**2 @ ONE[1]),
        rtol=0.1,
    )


@pytest.mark.slow_on("jax", "tensorflow")  # for what all frameworks share
def test_states_of_sensors_pass_through_exact_stages(framework, double, monkeypatch):
    """Each state that is drawn at the sensors is inverted by what comes before them; it is always the same spread."""
    monkeypatch.setattr(chain, "AT_ONCE", chain.DRAWS)
    x = periodic(smooth(np.random.default_rng(0), 2, 8, 6))
    points = math.wrap(np.random.default_rng(1).uniform(size=(9, 2)) * (8.0, 6.0), instance("s"), channel(vector="x,y"))
    sensors, first = Sensors(HeatEquation(0.3, 1.0, 0.01), points, x), Poisson(0.0)
    both = Composite(first, sensors)
    y = both.forward(x)
    step = sip_inverse(both, y, both.initial_state(y))
    math.seed(3)
    drawn = step.posterior_samples(64)
    math.seed(3)
    potentials = sip_inverse(sensors, y, sensors.initial_state(y)).posterior_samples(64)
    expected = sip_inverse(first, potentials, potentials * 0).x_target
    values, wanted = (f.values.numpy("posterior_samples,batch,x,y") for f in (drawn, expected))
    np.testing.assert_allclose(values, wanted, atol=1e-7 * np.abs(wanted).max())
    assert drawn.values.shape.names[0] == "posterior_samples"
    generator = np.random.default_rng(0)
    potentials = sip_inverse(sensors, y, sensors.initial_state(y)).draw(chain.DRAWS, generator)
    inverted = sip_inverse(first, potentials, potentials * 0).x_target.values.numpy("posterior_samples,batch,x,y")
    spread = np.sqrt(((inverted - array(step.x_target)) ** 2).mean(0))
    math.seed(4)
    np.testing.assert_allclose(array(step.uncertainty), spread, rtol=1e-6)
    following = np.random.random()  # noqa: NPY002
    math.seed(4)
    assert np.random.random() == following  # noqa: NPY002


UNKNOWN = {
    "a spread that is no posterior": lambda: Composite(heat(0.5), HeatEquation(0.5, 1.0, SIGMA, Tikhonov(0.1))),
    "a first stage without": lambda: Composite(DifferentiablePhysics(lambda x: 2.0 * x, linear=True), heat(0.5)),
    "nothing is uncertain": lambda: Composite(Exponential(1.0), Exponential(1.0)),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_elsewhere_it_is_not_known(double, case):
    with TORCH:
        y = observation() + 2
        step = sip_inverse(UNKNOWN[case](), y, y)
        assert step.uncertainty is None
        with pytest.raises(UnsupportedError, match="no posterior"):
            step.posterior_samples(1)


def test_chains_of_exact_inverses_are_exact():
    wave = Wave(1.0, 0.1, 3)
    assert Composite(wave, wave).inverse_is_exact
    assert not Composite(wave, heat(0.5)).inverse_is_exact
