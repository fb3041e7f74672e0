"""The risk without true states: against the error that true states tell, and whatever holds the numbers."""

from __future__ import annotations

import frameworks
import numpy as np
import pytest
from fields import array, periodic, smooth
from phi.field import Field
from phiml import math
from phiml.math import batch, spatial

from phi_sip import (
    DifferentiablePhysics,
    EmpiricalBayes,
    HeatEquation,
    Masked,
    ParameterError,
    Poisson,
    Tikhonov,
    TotalVariation,
    Wiener,
    sip_inverse,
)
from phi_sip.inversion.rules import with_rule
from phi_sip.risk import RiskEstimate
from phi_sip.states import trees

SIGMA = 0.05
HEAT = HeatEquation(1.0, 0.5, SIGMA, TotalVariation())


def states(samples: int, n: int = 16, seed: int = 0) -> Field:
    return periodic(1 + smooth(np.random.default_rng(seed), samples, n, n))


def observed(physics, x: Field, sigma: float = SIGMA, seed: int = 1) -> Field:
    y = physics.forward(x)
    return y + periodic(sigma * np.random.default_rng(seed).standard_normal(array(x).shape))


def estimated(physics, y: Field, rule) -> Field:
    with_other = with_rule(physics, rule)
    return sip_inverse(with_other, y, physics.initial_state(y)).x_target


def weighted_errors(physics, y: Field, x: Field, truth: Field) -> np.ndarray:
    """½ Σ_k K_k h_k |x̂_k − x_k|², mode by mode in NumPy, with all modes of a periodic grid."""
    stats = sip_inverse(with_rule(physics, Wiener()), y, physics.initial_state(y)).stats
    gain = stats["log_gain"].numpy("x,y")
    signal = stats["spectrum"].numpy("batch,x,y") * np.exp(2 * gain)
    weight = signal / (signal + stats["noise_std"].numpy("batch")[:, None, None] ** 2 / 4)
    weight[:, 0, 0] = 1
    power = np.abs(np.fft.rfft2(array(x) - array(truth), norm="ortho")) ** 2
    twice = np.full(power.shape[-1], 2.0)
    twice[[0, -1]] = 1
    return 0.5 * (weight * power * twice).sum((1, 2))


def agrees(found: np.ndarray, errors: np.ndarray, deviations: float = 4.0) -> bool:
    difference = found - errors
    return abs(difference.mean()) < deviations * difference.std() / np.sqrt(len(difference))


@pytest.mark.parametrize("sigma", [0.05, 0.2])
@pytest.mark.parametrize("rule", [Tikhonov(1e-2), Tikhonov(1e-4), TotalVariation()], ids=repr)
def test_it_is_the_weighted_error_less_that_of_the_inverse(sigma, rule):
    physics = HeatEquation(1.0, 0.5, sigma, EmpiricalBayes())
    with math.precision(64):
        x = states(1000)
        y = observed(physics, x, sigma)
        risk = RiskEstimate.of(physics, y)
        found = risk.relative(estimated(physics, y, rule), estimated(physics, risk.probed, rule))
        alone = weighted_errors(physics, y, estimated(physics, y, EmpiricalBayes()), x)
        errors = weighted_errors(physics, y, estimated(physics, y, rule), x) - alone
        assert agrees(found, errors)
        follows_noise = -risk.terms(estimated(physics, y, rule), risk.reference_probed)[0]
        assert np.isfinite(follows_noise).all()


def test_without_its_last_term_it_would_praise_what_follows_the_noise():
    with math.precision(64):
        x = states(500)
        y = observed(HEAT, x)
        risk = RiskEstimate.of(HEAT, y)
        found = estimated(HEAT, y, Tikhonov(1e-7))
        error = weighted_errors(HEAT, y, found, x) - weighted_errors(HEAT, y, risk.reference, x)
        unaware = trees.add(risk.reference_probed, trees.subtract(found, risk.reference))
        assert error.mean() > 0
        assert risk.relative(found, unaware).mean() < 0
        assert agrees(risk.relative(found, estimated(HEAT, risk.probed, Tikhonov(1e-7))), error)


def test_the_inverse_itself_has_none():
    with math.precision(64):
        y = observed(HEAT, states(4))
        risk = RiskEstimate.of(HEAT, y)
        np.testing.assert_array_equal(risk.relative(risk.reference, risk.reference_probed), 0)


def test_between_the_inverse_and_an_estimate_it_is_a_parabola():
    with math.precision(64):
        y = observed(HEAT, states(4))
        risk = RiskEstimate.of(HEAT, y)
        d, d_probed = (
            trees.subtract(estimated(HEAT, u, Tikhonov(1e-3)), start)
            for u, start in ((y, risk.reference), (risk.probed, risk.reference_probed))
        )
        linear, quadratic = risk.terms(trees.add(risk.reference, d), trees.add(risk.reference_probed, d_probed))
        for gain in (0.25, 0.5, 2.0):
            between = risk.relative(
                trees.add(risk.reference, trees.scale(d, gain)),
                trees.add(risk.reference_probed, trees.scale(d_probed, gain)),
            )
            np.testing.assert_allclose(between, gain * linear + gain**2 * quadratic, rtol=1e-8)
        assert (quadratic > 0).all()


def test_measured_noise_is_as_good():
    told, measured = (HeatEquation(1.0, 0.5, noise, EmpiricalBayes()) for noise in (SIGMA, "auto"))
    with math.precision(64):
        y = observed(told, states(64))

        def of(physics):
            risk = RiskEstimate.of(physics, y)
            return risk.relative(*(estimated(told, u, Tikhonov(1e-3)) for u in (y, risk.probed))).mean()

        assert of(measured) == pytest.approx(of(told), rel=0.15)


def test_signs_and_modes_that_are_not_seen():
    physics = Poisson(0.02, EmpiricalBayes())
    with math.precision(64):
        x = states(1000)
        x = x - math.mean(x.values, "x,y")
        y = observed(physics, x, 0.02)
        risk = RiskEstimate.of(physics, y)
        found, probed = (estimated(physics, u, Tikhonov(1e-3)) for u in (y, risk.probed))
        alone = weighted_errors(physics, y, risk.reference, x)
        assert agrees(risk.relative(found, probed), weighted_errors(physics, y, found, x) - alone)


def blurred(x: Field) -> Field:
    return HeatEquation(1.0, 0.5).forward(x)


def test_other_physics_are_judged_by_what_is_observed():
    physics = DifferentiablePhysics(blurred, noise_std=SIGMA)
    with math.precision(64):
        x = states(500)
        y = observed(physics, x)
        risk = RiskEstimate.of(physics, y)
        found, probed = (estimated(HEAT, u, Tikhonov(1e-2)) for u in (y, risk.probed))
        errors = trees.l2_loss(trees.subtract(physics.forward(found), physics.forward(x))).numpy("batch")
        of_the_observation = trees.l2_loss(trees.subtract(y, physics.forward(x))).numpy("batch")
        assert agrees(risk.relative(found, probed), errors - of_the_observation)
        assert risk.relative(found, probed).mean() < 0


def test_only_what_is_seen_counts():
    mask = math.wrap(np.random.default_rng(5).random((16, 16)) < 0.5, spatial("x,y"))
    physics = Masked(HeatEquation(1.0, 0.5, SIGMA), math.to_float(mask))
    with math.precision(64):
        x = states(500)
        y = physics.observe(observed(HEAT, x))
        risk = RiskEstimate.of(physics, y)
        np.testing.assert_array_equal(array(risk.probed - y)[:, ~mask.numpy("x,y")], 0)
        found, probed = (estimated(HEAT, u, Tikhonov(1e-2)) for u in (y, risk.probed))
        errors = trees.l2_loss(trees.subtract(physics.forward(found), physics.forward(x))).numpy("batch")
        of_the_observation = trees.l2_loss(trees.subtract(y, physics.forward(x))).numpy("batch")
        assert agrees(risk.relative(found, probed), errors - of_the_observation)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("row", frameworks.TABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("precision", [32, 64])
def test_frameworks_precisions_and_orders_agree(row, precision):
    with math.precision(64):
        y = observed(HEAT, states(3, 8))
        risk = RiskEstimate.of(HEAT, y)
        expected = risk.relative(*(estimated(HEAT, u, Tikhonov(1e-2)) for u in (y, risk.probed)))
    with row.backend, math.precision(precision):
        turned = math.tensor(array(y).transpose(2, 0, 1), spatial("y"), batch("batch"), spatial("x"))
        same = trees.to_backend(trees.cast(y.with_values(turned), precision), row.backend)
        risk = RiskEstimate.of(HEAT, same)
        found = risk.relative(*(estimated(HEAT, u, Tikhonov(1e-2)) for u in (same, risk.probed)))
    np.testing.assert_allclose(found, expected, rtol=1e-7 if precision == 64 else 2e-2)


@pytest.mark.parametrize(
    "physics", [DifferentiablePhysics(lambda x: 2 * x), HeatEquation(1.0, 1e-9)], ids=["says nothing", "cannot measure"]
)
def test_noise_that_nobody_knows_is_asked_for(physics):
    with math.precision(64), pytest.raises(ParameterError, match=r"needs σ .* noise_std="):
        RiskEstimate.of(physics, states(2, 8))


def test_samples_whose_noise_is_not_known_are_left_out():
    physics = HeatEquation(math.tensor([0.5, 1e-9, 0.5], batch("batch")), 1.0)
    with math.precision(64):
        y = observed(HEAT, states(3))
        risk = RiskEstimate.of(physics, y)
        assert risk.known.numpy("batch").tolist() == [True, False, True]
        assert risk.relative(risk.reference, risk.reference_probed).shape == (2,)
