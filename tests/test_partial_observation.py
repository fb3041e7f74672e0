"""Several observation times, masks, and conjugate gradients, against SciPy and what they must reduce to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from fields import array, periodic, smooth
from phiml import math
from phiml.math import channel, spatial
from scipy.sparse.linalg import lsqr

from phi_sip import (
    Composite,
    ConjugateGradient,
    EmpiricalBayes,
    Exponential,
    HeatEquation,
    IncompressibleFlow,
    InvertiblePhysics,
    Masked,
    ParameterError,
    Poisson,
    Sparse,
    TotalVariation,
    UnsupportedError,
    get_physics,
    sip_inverse,
)


def times(*values: float):
    return math.wrap(list(values), channel("times"))


def noise(like, sigma: float, seed: int = 0):
    return math.wrap(sigma * np.random.default_rng(seed).standard_normal(like.shape.sizes), *like.shape)


def explicit(nu_t: float, n: int) -> np.ndarray:
    """The matrix of diffusion in one periodic dimension."""
    k = 2 * np.pi * np.fft.fftfreq(n)
    return np.fft.ifft(np.exp(-(k**2) * nu_t)[:, None] * np.fft.fft(np.eye(n), axis=0), axis=0).real


def test_every_time_is_simulated(framework, double):
    x = periodic(smooth(np.random.default_rng(0), 2, 12, 10))
    together = HeatEquation(0.5, times(0.5, 2.0)).forward(x)
    for i, t in enumerate((0.5, 2.0)):
        np.testing.assert_allclose(array(together.times[i]), array(HeatEquation(0.5, t).forward(x)), atol=1e-14)


@pytest.mark.parametrize("rule", [EmpiricalBayes(), TotalVariation()], ids=lambda rule: type(rule).__name__)
def test_observing_twice_is_observing_once_with_less_noise(double, rule):
    sigma = 1e-3
    x = periodic(1 + smooth(np.random.default_rng(0), 2, 32, 32))
    twice, once = (HeatEquation(4.0, t, s, rule) for t, s in ((times(1.0, 1.0), sigma), (1.0, sigma / np.sqrt(2))))
    clean = twice.forward(x)
    y = clean.with_values(clean.values + noise(clean.values, sigma))
    mean = y.with_values(math.mean(y.values, "times"))
    steps = sip_inverse(twice, y, x * 0), sip_inverse(once, mean, x * 0)
    np.testing.assert_allclose(array(steps[0].x_target), array(steps[1].x_target), atol=1e-6)
    np.testing.assert_allclose(array(steps[0].uncertainty), array(steps[1].uncertainty), rtol=1e-6)


def test_an_early_observation_helps(double):
    x = periodic(1 + smooth(np.random.default_rng(0), 4, 32, 32))
    errors = []
    for t in (times(8.0), times(2.0, 8.0)):
        physics = HeatEquation(1.0, t)
        clean = physics.forward(x)
        y = clean.with_values(clean.values + noise(clean.values, 1e-3))
        step = sip_inverse(physics, y, physics.constrain(x * 0, y))
        np.testing.assert_allclose(step.stats["noise_std"].numpy("batch"), 1e-3, rtol=0.15)
        errors.append(np.linalg.norm(array(step.x_target) - array(x)))
    assert errors[1] < 0.7 * errors[0]


def test_constraint_averages_over_times(framework, double):
    x = periodic(smooth(np.random.default_rng(0), 2, 8, 8))
    physics = HeatEquation(0.5, times(0.5, 2.0))
    y = physics.forward(x)
    shifted = y.with_values(y.values + math.wrap([0.2, 0.4], channel("times")))
    np.testing.assert_allclose(
        array(physics.constrain(x, shifted)).mean((1, 2)), array(x).mean((1, 2)) + 0.3, atol=1e-12
    )


def test_conjugate_gradients_agree_with_scipy(framework, double):
    n, rng = 24, np.random.default_rng(1)
    seen = (np.arange(n) % 4 > 0).astype(float)
    x = periodic(1 + smooth(rng, 3, n))
    physics = Masked(HeatEquation(0.5, 1.0, 0.0), math.wrap(seen, spatial("x")))
    y = physics.forward(x)
    step = sip_inverse(physics, y, x * 0, solver=ConjugateGradient(tolerance=1e-12))
    assert bool(step.stats["converged"].all)
    matrix = seen[:, None] * explicit(0.5, n)
    for got, sample in zip(array(step.x_target), array(y), strict=True):
        np.testing.assert_allclose(got, lsqr(matrix, sample, atol=1e-14, btol=1e-14, iter_lim=500)[0], atol=1e-6)


@pytest.mark.parametrize("sigma", [1e-3, 1e-2])
def test_conjugate_gradients_stop_where_noise_explains_the_residual(framework, double, sigma):
    x = periodic(1 + smooth(np.random.default_rng(2), 3, 16, 16))
    mask = math.wrap((np.random.default_rng(3).random((16, 16)) > 0.3).astype(float), spatial("x,y"))
    physics = Masked(HeatEquation(2.0, 1.0, sigma), mask)
    clean = HeatEquation(2.0, 1.0).forward(x)
    y = physics.observe(clean.with_values(clean.values + noise(clean.values, sigma)))
    step = sip_inverse(physics, y, x * 0)
    left = (array(y) - array(physics.forward(step.x_target))) ** 2
    expected = sigma**2 * float(mask.sum) * (1 + 2 * np.sqrt(2 / 256))
    assert np.all(left.sum((1, 2)) <= expected * (1 + 1e-9))
    np.testing.assert_allclose(step.stats["objective"].numpy("batch"), 0.5 * left.sum((1, 2)), rtol=1e-6)
    most = int(step.stats["iterations"].max)
    before = sip_inverse(physics, y, x * 0, solver=ConjugateGradient(iterations=most - 1))
    assert float(before.stats["objective"].max) > 0.5 * expected
    assert np.linalg.norm(array(step.x_target) - array(x)) < 0.5 * np.linalg.norm(array(x))


def test_conjugate_gradient_entries_do_not_mix_and_never_get_worse(framework, double):
    x = periodic(1 + smooth(np.random.default_rng(4), 3, 16))
    physics = HeatEquation(1.0, 1.0, 1e-3)
    y = physics.forward(x) + 1e-3
    whole = sip_inverse(physics, y, x * 0, solver="conjugate-gradient")
    alone = sip_inverse(physics, y.batch[:1], (x * 0).batch[:1], solver="conjugate-gradient")
    np.testing.assert_allclose(array(whole.dx)[:1], array(alone.dx), atol=1e-9)
    residuals = [
        sip_inverse(physics, y, x * 0, solver=ConjugateGradient(iterations=i)).stats["objective"].numpy("batch")
        for i in range(1, 5)
    ]
    assert np.all(np.diff(residuals, axis=0) <= 1e-12)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("rule", [None, EmpiricalBayes()], ids=["default", "EmpiricalBayes"])
def test_step_size_scales_the_step_of_linear_physics(framework, double, rule):
    x = periodic(1 + smooth(np.random.default_rng(5), 2, 16, 16))
    physics = HeatEquation(1.0, 1.0, 1e-3, rule)
    y = physics.forward(x) + 1e-3
    full, part = (sip_inverse(physics, y, x, step_size=size) for size in (1.0, 0.25))
    np.testing.assert_allclose(array(part.dx), 0.25 * array(full.dx), atol=1e-12)


@dataclass(frozen=True)
class Square(InvertiblePhysics):
    name: ClassVar[str] = "square"

    def forward(self, x):
        return x**2


X = np.ones((2, 8, 8))
ERRORS = {
    "noise of what is not linear is to be measured": (
        lambda: Masked(Composite(Square(), HeatEquation(1.0, 1.0)), math.ones(spatial(x=8, y=8))),
        "noise_std",
    ),
    "a rule of the whole domain": (
        lambda: Masked(HeatEquation(1.0, 1.0, 0.1, Sparse()), math.ones(spatial(x=8, y=8))),
        r"regularization=Sparse\(.*\) works in the modes of a closed form.* solver=",
    ),
    "a rule of a later stage": (
        lambda: Masked(Composite(Exponential(1.0), HeatEquation(1.0, 1.0, 0.1, EmpiricalBayes())), math.wrap(1.0)),
        r"stages\[1\].regularization=EmpiricalBayes",
    ),
    "a rule of a stage": (
        lambda: Masked(Composite(Poisson(0.0, Sparse()), HeatEquation(1.0, 1.0, 0.1)), math.ones(spatial(x=8))),
        r"regularization=Sparse",
    ),
    "options of an optical flow": (
        lambda: Masked(IncompressibleFlow(math.ones(spatial(x=8, y=8)), 0.1, 2, smoothness=1.0), math.wrap(1.0)),
        "smoothness=1.0",
    ),
    "mask between 0 and 1": (lambda: Masked(HeatEquation(1.0, 1.0, 0.1), math.wrap(0.5)), "Threshold"),
    "nothing observed": (lambda: Masked(HeatEquation(1.0, 1.0, 0.1), math.zeros(spatial(x=8, y=8))), "1 somewhere"),
    "mask of no kind": (lambda: Masked(HeatEquation(1.0, 1.0, 0.1), None), "Give a Field"),
    "no iterations": (lambda: ConjugateGradient(iterations=0), "≥ 1"),
    "negative tolerance": (lambda: ConjugateGradient(tolerance=-1.0), "≥ 0"),
    "not linear": (lambda: sip_inverse(Square(), periodic(X), periodic(X), solver="conjugate-gradient"), "is_linear"),
    "two more dims": (lambda: HeatEquation(1.0, math.ones(channel(a=2, b=2))), "dims"),
    "times in space": (lambda: HeatEquation(1.0, math.ones(spatial(x=2))), "dims"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_refused(case):
    function, message = ERRORS[case]
    with pytest.raises((ParameterError, UnsupportedError), match=message):
        function()


def test_masked_is_registered():
    physics = get_physics("masked", physics=HeatEquation(1.0, 1.0, 0.1), mask=math.ones(spatial(x=8)))
    assert isinstance(physics, Masked)
