"""States that are drawn of the posterior: against covariances by NumPy and SciPy, on three frameworks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
from fields import array, grid, observed, periodic, smooth, states
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation
from test_regularization import RULES

from phi_sip import (
    ConjugateGradient,
    EmpiricalBayes,
    GridMismatchError,
    HeatEquation,
    ParameterError,
    Poisson,
    PoissonNoise,
    UnsupportedError,
    Wiener,
    sip_inverse,
)
from phi_sip.noise import ColoredNoise
from phi_sip.regularization import PowerLaw, Unregularized

INSULATED, PERIODIC = extrapolation.ZERO_GRADIENT, extrapolation.PERIODIC
WITH_POSTERIOR = {"wiener", "empirical bayes", "unregularized"}

# sides: modes φ_k in columns, and k, for n cells of size 1
MODES = {
    "cosines": (INSULATED, lambda n: scipy.fft.idct(np.eye(n), 2, axis=0, norm="ortho"), lambda n: np.arange(n) / n),
    "sines": (0.0, lambda n: scipy.fft.idst(np.eye(n), 2, axis=0, norm="ortho"), lambda n: np.arange(1, n + 1) / n),
    "insulated, fixed": (
        (INSULATED, 0.0),
        lambda n: scipy.fft.idct(np.eye(n), 4, axis=0, norm="ortho"),
        lambda n: (np.arange(n) + 0.5) / n,
    ),
    "periodic, even": (PERIODIC, lambda n: _circular(n), lambda n: 2 * np.abs(_frequencies(n)) / n),
    "periodic, odd": (PERIODIC, lambda n: _circular(n), lambda n: 2 * np.abs(_frequencies(n)) / n),
}


def _frequencies(n: int) -> np.ndarray:
    return np.fft.fftfreq(n, 1 / n)


def _circular(n: int) -> np.ndarray:
    """cos k x + sin k x."""
    angle = 2 * np.pi * np.outer(np.arange(n), _frequencies(n)) / n
    return (np.cos(angle) + np.sin(angle)) / np.sqrt(n)


@pytest.mark.parametrize("kind", MODES)
def test_the_covariance_is_that_of_the_posterior(double, kind):
    """Cov x = Φ diag(S_k σ² / (S_k h_k² + σ²)) Φᵀ, the constant has σ²; every entry from 20,000 states."""
    boundary, functions, half_waves = MODES[kind]
    n, sigma, amount = 7 if "odd" in kind else 8, 0.1, 0.7
    k = np.pi * half_waves(n)
    power = 0.3 * np.where(k > 0, k, np.inf) ** -3.0
    variance = power * sigma**2 / (power * np.exp(-2 * amount * k**2) + sigma**2)
    variance[k == 0] = sigma**2
    expected = functions(n) @ np.diag(variance) @ functions(n).T
    with NUMPY:
        y = grid(np.random.default_rng(0).normal(size=(2, n)), None, {"x": boundary})
        step = sip_inverse(HeatEquation(amount, 1.0, sigma, Wiener(PowerLaw(0.3, 3.0))), y, y * 0)
        math.seed(0)
        drawn = step.posterior_samples(20_000).values.numpy("posterior_samples,batch,x")
    scale = expected.diagonal().max()
    for i in range(2):
        np.testing.assert_allclose(np.cov(drawn[:, i].T), expected, atol=0.04 * scale)
        np.testing.assert_allclose(drawn[:, i].mean(0), array(step.x_target)[i], atol=0.03 * np.sqrt(scale))
    np.testing.assert_allclose(np.cov(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1], 0, atol=0.03 * scale)
    np.testing.assert_allclose(np.tile(expected.diagonal(), (2, 1)), array(step.uncertainty) ** 2, rtol=1e-9)


@pytest.mark.parametrize("kind", ["heat", "potential", "two axes", "noise with a spectrum"])
def test_states_spread_as_the_uncertainty_says(double, kind):
    """In every cell, and explain the observation: where the prior is right, E‖P(x) − y*‖² is that of the noise."""
    law, sigma, sides = PowerLaw(30.0, 3.0), 0.05, PERIODIC
    rule, noise = Wiener(law), ColoredNoise(PowerLaw(1.0, 1.0)) if kind == "noise with a spectrum" else None
    if kind == "two axes":
        sides = {"x": INSULATED, "y": PERIODIC}
    physics = Poisson(sigma, rule) if kind == "potential" else HeatEquation(0.5, 1.0, sigma, rule, noise=noise)
    with NUMPY:
        flat = grid(np.zeros((64, 8, 6)), None, sides)
        prior = sip_inverse(HeatEquation(0.0, 1.0, 1e6, rule), flat, flat)  # which says nothing
        math.seed(0)
        x = prior.posterior_samples(1).posterior_samples[0]
        x = x - math.mean(x.values, "x,y")
        normal = math.random_normal(x.values.shape)
        y = physics.add_noise(physics.forward(x), normal, {"noise_std": math.wrap(sigma)})
        step = sip_inverse(physics, y, physics.initial_state(y))
        drawn = step.posterior_samples(400)
        left = (physics.forward(drawn) - y).values.numpy("posterior_samples,batch,x,y")
        spread = drawn.values.numpy("posterior_samples,batch,x,y") - array(step.x_target)
    if kind == "potential":  # the source has no mean, and y* no meaning there
        left = left - left.mean((2, 3), keepdims=True)
        np.testing.assert_allclose(spread.mean((2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(np.sqrt((spread**2).mean((0, 1))), array(step.uncertainty).mean(0), rtol=0.03)
    np.testing.assert_allclose(np.sqrt((left**2).mean()), sigma, rtol=0.05)
    covered = np.mean(np.abs(array(x) - array(step.x_target)) < np.quantile(np.abs(spread), 0.95, (0, 1)))
    assert 0.93 < covered < 0.97


@pytest.mark.slow_on("jax")  # which compiles each operation
def test_all_frameworks_and_orders_of_dims_draw_the_same(framework, double):
    """A batch dim in front, the order of others as in x, whatever the step size; another draw the next time."""
    physics = HeatEquation(2.0, 1.0, regularization=EmpiricalBayes())
    with NUMPY:
        expected = _drawn(physics, observed(physics, 0.01, samples=2, n=8))
    y = observed(physics, 0.01, samples=2, n=8)
    found = _drawn(physics, y, step_size=0.5)
    assert found.values.shape.names[0] == "posterior_samples"
    assert found.values.default_backend == framework.backend
    other = y.with_values(math.reshaped_tensor(y.values.native("y,batch,x"), [*y.values.shape.only("y,batch,x", True)]))
    turned = _drawn(physics, other)
    assert turned.values.shape.names == ("posterior_samples", "y", "batch", "x")
    for fields in (found, turned):
        values, wanted = (f.values.numpy("posterior_samples,batch,x,y") for f in (fields, expected))
        np.testing.assert_allclose(values, wanted, atol=1e-9)
    step = sip_inverse(physics, y, y * 0)
    assert np.abs(array(step.posterior_samples(1)) - array(step.posterior_samples(1))).max() > 1e-3


def _drawn(physics: Any, y: Any, **options: Any) -> Any:
    math.seed(5)
    return sip_inverse(physics, y, y * 0, **options).posterior_samples(3)


def test_components_and_batches_of_parameters(double):
    """Each entry has the spread of its own parameters; components are independent."""
    values = np.stack([smooth(np.random.default_rng(s), 2, 8, 8) for s in (0, 1)], -1)
    with NUMPY:
        x = periodic(values, vector=True)
        physics = HeatEquation(math.wrap([0.2, 2.0], batch("batch")), 1.0, 0.05, Wiener(PowerLaw(3.0, 3.0)))
        step = sip_inverse(physics, physics.forward(x), x * 0)
        math.seed(0)
        drawn = step.posterior_samples(4000).values.numpy("posterior_samples,batch,x,y,vector")
    deviation = drawn.std(0)
    np.testing.assert_allclose(deviation, np.broadcast_to(array(step.uncertainty), deviation.shape), rtol=0.06)
    assert deviation[1].mean() > 1.1 * deviation[0].mean()
    np.testing.assert_allclose(np.corrcoef(drawn[:, 0, 0, 0].T)[0, 1], 0, atol=0.06)


@pytest.mark.parametrize("name", [*RULES, "default", "unregularized"])
def test_rules_have_a_posterior_or_say_which_ones_do(double, name):
    rule = {"default": None, "unregularized": Unregularized()}.get(name, RULES.get(name))
    with NUMPY:
        y = states(1, 8)
        step = sip_inverse(HeatEquation(0.1, 1.0, 1e-2, rule), y, y)
        if name in WITH_POSTERIOR:
            assert step.posterior_samples(2).values.shape.get_size("posterior_samples") == 2
        else:
            with pytest.raises(UnsupportedError, match=r"EmpiricalBayes\(\), Wiener\(\)"):
                step.posterior_samples(2)


def _of(field: Any, physics: Any = None, solver: Any = None) -> Any:
    return sip_inverse(physics or HeatEquation(1.0, 1.0, 0.1, EmpiricalBayes()), field, field * 0, solver=solver)


REFUSED = {
    "no number": (lambda y: _of(y).posterior_samples(0.5), ParameterError, "count"),
    "none": (lambda y: _of(y).posterior_samples(0), ParameterError, "count"),
    "a solver": (lambda y: _of(y, solver=ConjugateGradient()).posterior_samples(1), UnsupportedError, "no posterior"),
    "cells of their own": (
        lambda y: _of(
            1 + abs(y), HeatEquation(1.0, 1.0, regularization=EmpiricalBayes(), noise=PoissonNoise(100.0))
        ).posterior_samples(1),
        UnsupportedError,
        "no posterior",
    ),
    "drawn of what was drawn": (
        lambda y: _of(_of(y).posterior_samples(2)).posterior_samples(1),
        GridMismatchError,
        "Rename",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_said(double, case):
    function, error, message = REFUSED[case]
    with TORCH, pytest.raises(error, match=message):
        function(states(2, 8))
