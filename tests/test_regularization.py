"""The rules that keep the inverse stable: the published one to the letter, and what all others have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fields import array, periodic, smooth
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, spatial

from phi_sip import HeatEquation, sip_inverse
from phi_sip.data import heat_rectangles
from phi_sip.regularization import (
    CrossValidated,
    DiscrepancyPrinciple,
    EmpiricalBayes,
    LCurve,
    ProbabilisticDamping,
    PublishedDamping,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Wiener,
)

PUBLISHED = np.load(Path(__file__).parent / "data" / "published_heat_inverse.npz")
SETTINGS = ("n64_t8", "n32_t2", "n64_t8_unc1e3")
DAMPING = (PublishedDamping(), ProbabilisticDamping())
PRIORS = {
    "wiener": Wiener(),
    "empirical bayes": EmpiricalBayes(),
    "total variation": TotalVariation(),
    "total variation, positive": TotalVariation(minimum=0.0),
    "sparse": Sparse(),
    "cross validated": CrossValidated(),
}
RULES = {
    "damping": ProbabilisticDamping(),
    "tikhonov": Tikhonov(),
    "discrepancy": Tikhonov(DiscrepancyPrinciple()),
    "l-curve": Tikhonov(LCurve()),
    "truncated svd": TruncatedSVD(),
    **PRIORS,
}


def rectangles(seed: int = 0, samples: int = 8, n: int = 64):
    return heat_rectangles(batch(batch=samples), spatial(x=n, y=n), seed=seed)


def noisy(y, sigma: float, seed: int = 0):
    return y + math.tensor(
        sigma * np.random.default_rng(seed).standard_normal(array(y).shape), batch("batch"), spatial("x,y")
    )


def error(x, truth) -> float:
    fluctuation = array(truth) - array(truth).mean((1, 2), keepdims=True)
    return float(np.sqrt(((array(x) - array(truth)) ** 2).sum() / (fluctuation**2).sum()))


@pytest.mark.parametrize("setting", SETTINGS)
def test_published_rule_to_the_letter(framework, double, setting):
    data = {key.removeprefix(f"{setting}_"): PUBLISHED[key] for key in PUBLISHED if key.startswith(f"{setting}_")}
    rule = PublishedDamping(float(data["relative_uncertainty"]))
    physics = HeatEquation(float(data["amount"]), 1.0, regularization=rule)
    x, y_target = periodic(data["x_pred"]), periodic(data["y_target"])
    step = sip_inverse(physics, y_target, x)
    np.testing.assert_allclose(array(step.y), data["y"], atol=1e-9)
    np.testing.assert_allclose(array(step.dx), data["dx"], atol=1e-9)
    cells = data["dx"][0].size
    # The kernel of a mode that holds little but rounding is as uncertain as the mode: compare what it contributes.
    half = np.s_[:, :, : data["dx"].shape[2] // 2 + 1]
    amplitude = np.abs(np.fft.fft2(data["y_target"] - data["y"]))[half]
    np.testing.assert_allclose(array(step.stats["kernel"]) * amplitude, data["kernel"][half] * amplitude, atol=1e-9)
    seen = amplitude > 1e-6 * amplitude.max()
    probability = (array(step.stats["evidence"]) + 1) / 2
    np.testing.assert_allclose(probability[seen], data["signal_probability"][half][seen], atol=1e-9)
    # The published uncertainty takes the kernel as fixed, and divides by N_x in place of the cells.
    noise = array(step.stats["noise_std"])
    published = np.sqrt((data["kernel"] ** 2).sum((1, 2)) * noise**2 * cells) / data["dx"].shape[1]
    np.testing.assert_allclose(published, data["uncertainty"], rtol=1e-9)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("sigma", [0.0, 1e-4, 1e-2])
def test_iterating_never_lets_the_error_grow(framework, precision, sigma):
    with math.precision(precision):
        x = rectangles()
        physics = HeatEquation(8.0, 1.0, sigma, ProbabilisticDamping())
        y_target = noisy(physics.forward(x), sigma)
        guess = physics.constrain(x * 0, y_target)
        errors = [error(guess, x)]
        for _ in range(20):
            guess = sip_inverse(physics, y_target, guess).x_target
            errors.append(error(guess, x))
    assert errors[1] < 0.5
    assert max(np.diff(errors)) <= 1e-3 * errors[1], errors


@pytest.mark.parametrize("rule", PRIORS)
@pytest.mark.parametrize(("precision", "tolerance"), [(32, 1e-4), (64, 1e-9)])
@pytest.mark.parametrize("sigma", [0.0, 1e-3])
def test_iterating_a_rule_with_a_prior_changes_nothing(rule, precision, tolerance, sigma):
    with NUMPY, math.precision(precision):
        x = rectangles(samples=4, n=32)
        physics = HeatEquation(8.0, 1.0, regularization=PRIORS[rule])
        y_target = noisy(physics.forward(x), sigma)
        guess = first = sip_inverse(physics, y_target, physics.constrain(x * 0, y_target)).x_target
        for _ in range(20):
            guess = sip_inverse(physics, y_target, guess).x_target
    np.testing.assert_allclose(array(guess), array(first), atol=tolerance)


@pytest.mark.parametrize(("sigma", "bound"), [(1e-6, 0.258), (1e-4, 0.313), (1e-3, 0.356), (1e-2, 0.419)])
def test_one_shot_error_is_near_the_linear_bound(double, sigma, bound):
    """The bound is the Wiener filter with the true spectrum of the ensemble (512 samples)."""
    x = rectangles(samples=64)
    physics = HeatEquation(8.0, 1.0, sigma, ProbabilisticDamping())
    y_target = noisy(physics.forward(x), sigma)
    step = sip_inverse(physics, y_target, physics.constrain(x * 0, y_target))
    assert error(step.x_target, x) < 1.1 * bound


def test_published_rule_diverges_where_the_safe_one_does_not():
    """Single precision, noise that the rule is not told: what makes training with the published rule explode."""
    with math.precision(32):
        x = rectangles()
        physics = [HeatEquation(8.0, 1.0, 1e-3), HeatEquation(8.0, 1.0, 0.0, PublishedDamping())]
        y_target = noisy(physics[0].forward(x), 1e-3)
        safe, published = (error(sip_inverse(p, y_target, p.constrain(x * 0, y_target)).x_target, x) for p in physics)
    assert safe < 0.5
    assert published > 4


EXACT = tuple(2.0**n for n in (-20, 10, 20))  # other factors change the rounding, which is all the noise there is
SCALES = [(0.0, factor) for factor in EXACT] + [(1e-3, factor) for factor in (1e-6, 1e3)]


class Scaled(HeatEquation):
    """Diffusion in other units of y."""

    factor = 1.0

    def forward(self, x):
        return super().forward(x) * self.factor

    def _log_gain(self, basis):
        return super()._log_gain(basis) + float(np.log(self.factor))


def change_by_scaling_the_data(rule, precision, sigma, factor, noise_std=None) -> float:
    told = (sigma, sigma * factor) if noise_std is None else (noise_std,) * 2
    with math.precision(precision):
        x = rectangles(n=32)
        physics, scaled = (HeatEquation(4.0, 1.0, s, rule) for s in told)
        y_target = noisy(physics.forward(x), sigma)
        guess = physics.constrain(x * 0, y_target)
        dx = array(sip_inverse(physics, y_target, guess).dx)
        scaled_dx = array(sip_inverse(scaled, y_target * factor, guess * factor).dx) / factor
    return float(np.linalg.norm(scaled_dx - dx) / np.linalg.norm(dx))


def change_by_scaling_the_physics(monkeypatch, rule, precision, sigma, factor, noise_std=None) -> float:
    told = (sigma, sigma * factor) if noise_std is None else (noise_std,) * 2
    monkeypatch.setattr(Scaled, "factor", factor)
    with math.precision(precision):
        x = rectangles(n=32)
        y_target = noisy(HeatEquation(4.0, 1.0).forward(x), sigma)
        reference = array(sip_inverse(HeatEquation(4.0, 1.0, told[0], rule), y_target, x * 0).dx)
        dx = array(sip_inverse(Scaled(4.0, 1.0, told[1], rule), y_target * factor, x * 0).dx)
    return float(np.linalg.norm(dx - reference) / np.linalg.norm(reference))


# In single precision a mode at the threshold may fall to either side of it: compare as a whole.
CLOSE = {64: 1e-6, 32: 2e-2}


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize(("sigma", "factor"), SCALES)
@pytest.mark.parametrize("rule", RULES)
def test_scaling_the_data_scales_the_answer(rule, sigma, factor, precision):
    with NUMPY:
        for noise_std in (None, "auto"):
            assert change_by_scaling_the_data(RULES[rule], precision, sigma, factor, noise_std) < CLOSE[precision]


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize(("sigma", "factor"), SCALES)
@pytest.mark.parametrize("rule", ["published", *RULES])
def test_scaling_the_physics_leaves_the_correction(monkeypatch, rule, sigma, factor, precision):
    """What gives the method its name: P, y* and noise in other units, dx the same."""
    with NUMPY:
        for noise_std in (None, "auto"):
            change = change_by_scaling_the_physics(
                monkeypatch, RULES.get(rule, PublishedDamping()), precision, sigma, factor, noise_std
            )
            assert change < CLOSE[precision]


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize(("sigma", "factor"), [(0.0, 2.0**20), (1e-3, 1e-6)])
def test_scaling_on_every_framework(framework, monkeypatch, sigma, factor):
    assert change_by_scaling_the_data(None, 64, sigma, factor, "auto") < CLOSE[64]
    assert change_by_scaling_the_physics(monkeypatch, None, 64, sigma, factor, "auto") < CLOSE[64]


@pytest.mark.parametrize(
    ("rule", "sigma", "tolerance"),
    [(ProbabilisticDamping(), sigma, 0.1) for sigma in (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)]
    + [(PublishedDamping(), sigma, 0.2) for sigma in (1e-4, 1e-3, 1e-2, 1e-1)],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else str(value),
)
def test_uncertainty_is_what_monte_carlo_measures(double, rule, sigma, tolerance):
    x = rectangles(seed=3, samples=1)
    physics = HeatEquation(8.0, 1.0, noise_std=sigma, regularization=rule)
    clean = physics.forward(x)
    noise = sigma * np.random.default_rng(0).standard_normal((400, *array(clean).shape[1:]))
    y_target = clean.with_values(clean.values.batch[0] + math.tensor(noise, batch("batch"), spatial("x,y")))
    step = sip_inverse(physics, y_target, physics.constrain(x * 0, clean).batch[0])
    measured = np.sqrt(array(step.x_target).var(0).mean())
    reported = np.sqrt((array(step.uncertainty) ** 2).mean())
    assert reported == pytest.approx(measured, rel=tolerance)


@pytest.mark.parametrize("rule", DAMPING, ids=lambda rule: type(rule).__name__)
def test_more_noise_is_never_trusted_more(double, rule):
    x = rectangles(samples=2, n=32)
    y = HeatEquation(4.0, 1.0).forward(x)
    power = [
        float((sip_inverse(HeatEquation(4.0, 1.0, sigma, rule), y, x * 0).stats["kernel"] ** 2).mean)
        for sigma in (1e-6, 1e-4, 1e-2)
    ]
    assert power[0] > power[1] > power[2]


@pytest.mark.parametrize("rule", DAMPING, ids=lambda rule: type(rule).__name__)
def test_relative_uncertainty_matters(double, rule):
    x = rectangles(samples=2, n=32)
    y = HeatEquation(4.0, 1.0).forward(x)
    loose = HeatEquation(4.0, 1.0, 0.0, type(rule)(relative_uncertainty=1e-2))
    tight = HeatEquation(4.0, 1.0, 0.0, type(rule)(relative_uncertainty=1e-8))
    assert error(sip_inverse(tight, y, x * 0).x_target, x) < 0.8 * error(sip_inverse(loose, y, x * 0).x_target, x)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("rule", RULES)
def test_empty_data_give_empty_corrections(rule, precision):
    with math.precision(precision):
        zero = periodic(np.zeros((2, 16, 16)))
        step = sip_inverse(HeatEquation(8.0, 1.0, regularization=RULES[rule]), zero, zero)
    assert np.all(array(step.dx) == 0)
    assert np.isfinite(array(step.uncertainty)).all()
    if rule == "damping":
        assert np.all(array(step.uncertainty) == 0)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("time", [1e3, 2e3, 8e3, 1e6])
@pytest.mark.parametrize("rule", [name for name in RULES if name not in ("tikhonov", "l-curve", "truncated svd")])
def test_nothing_is_made_up_where_only_the_mean_is_left(rule, time, precision):
    """Noise divided by gains of 1e-4 to 0. Cross validation and L-curve, blind to σ, are not proof against it."""
    with NUMPY, math.precision(precision):
        x = rectangles()
        physics = HeatEquation(1.0, time, regularization=RULES[rule])
        y_target = noisy(physics.forward(x), 1e-3)
        step = sip_inverse(physics, y_target, physics.constrain(x * 0, y_target))
        assert np.isfinite(array(step.uncertainty)).all()
    means = array(step.x_target).mean((1, 2)), array(y_target).mean((1, 2))
    if not rule.startswith("sparse"):  # whose norm counts the mean as well, to the precision that σ allows
        np.testing.assert_allclose(*means, atol=1e-6)
    np.testing.assert_allclose(*means, atol=5e-3)
    assert error(step.x_target, x) < 1.2


def test_large_amplitudes_are_kept(double):
    """The published 0/0 branch deletes them."""
    x = rectangles(samples=16) * 30
    errors = []
    for rule in DAMPING:
        physics = HeatEquation(8.0, 1.0, 1e-6 * 30, rule)
        y_target = noisy(physics.forward(x), 30e-6)
        errors.append(error(sip_inverse(physics, y_target, physics.constrain(x * 0, y_target)).x_target, x))
    published, safe = errors
    assert safe < 0.3 < published


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_smooth_fields_invert_exactly(framework, double):
    """Where no mode is lost, neither is anything of x."""
    x = periodic(smooth(np.random.default_rng(0), 8, 32, 32))
    physics = HeatEquation(0.1, 1.0)
    step = sip_inverse(physics, physics.forward(x), x * 0)
    np.testing.assert_allclose(array(step.x_target), array(x), atol=1e-5)
