"""Noise that is not white: against dense least squares, posterior means per mode, moments, and true states."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from fields import array, grid, periodic, smooth
from frameworks import TABLE
from phi.field import Field
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, spatial
from scipy import stats

from phi_sip import (
    ColoredNoise,
    CrossValidated,
    EmpiricalBayes,
    EmptyModes,
    GridMismatchError,
    HeatEquation,
    Masked,
    MeasuredSpectrum,
    MultiplicativeNoise,
    NoiseLaw,
    NoisePerCell,
    Outliers,
    ParameterError,
    Poisson,
    PoissonNoise,
    PowerLaw,
    Regularization,
    SelfSimulated,
    Sparse,
    Tikhonov,
    TotalVariation,
    UnknownNameError,
    UnsupportedError,
    WhiteNoise,
    Wiener,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.data import heat_rectangles
from phi_sip.descriptions.from_data import construct
from phi_sip.descriptions.to_data import describe
from phi_sip.inversion.observed import InvertedObservation
from phi_sip.regularization.spectra import Spectrum, log_wavenumber
from phi_sip.testing import check_physics

INSULATED = extrapolation.ZERO_GRADIENT
SIGMA = 1e-2
PRIOR = Wiener(PowerLaw(1.0, 3.0))
NAME: dict[str, Any] = {"ids": lambda item: item.name}
with math.precision(64):
    STATES = heat_rectangles(batch(batch=16), spatial(x=32, y=32), seed=0)


def like(field: Field, values: np.ndarray) -> Field:
    return field.with_values(math.tensor(values, batch("batch"), *field.resolution))


def inverted(physics: HeatEquation | Poisson, y: Field, rounds: int = 1) -> Any:
    x = physics.initial_state(y)
    for _ in range(rounds):
        step = sip_inverse(physics, y, x)
        x = step.x_target
    return step


# Dense least squares


def dense(physics: HeatEquation | Poisson, cells: tuple[int, ...]) -> np.ndarray:
    """P on a periodic grid as a matrix, (values of y, cells of x)."""
    n = int(np.prod(cells))
    with NUMPY, math.precision(64):
        columns = array(physics.forward(periodic(np.eye(n).reshape(n, *cells))))
    return np.moveaxis(columns, -1, 1).reshape(n, -1).T if columns.ndim > 1 + len(cells) else columns.reshape(n, n).T


def prior_precision(cells: tuple[int, ...], amplitude: float, exponent: float) -> np.ndarray:
    """F* S⁻¹ F of a power law on a periodic grid, 0 for the constant."""
    n = int(np.prod(cells))
    k2 = sum(np.meshgrid(*((2 * np.pi * np.fft.fftfreq(m)) ** 2 for m in cells), indexing="ij"))
    inverse = np.where(k2 > 0, k2 ** (exponent / 2) / amplitude, 0)
    axes = tuple(range(1, 1 + len(cells)))
    return np.fft.ifftn(np.fft.fftn(np.eye(n).reshape(n, *cells), axes=axes) * inverse, axes=axes).real.reshape(n, n)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("times", [0.5, (0.2, 1.0)], ids=["one time", "two times"])
def test_noise_per_cell_is_weighted_least_squares(framework, double, times):
    rng = np.random.default_rng(0)
    cells = (8, 8)
    std = np.exp(0.5 * rng.normal(size=(1, *cells, np.size(times)))) * 0.02
    x_true = smooth(rng, 1, *cells)
    if np.size(times) > 1:
        time, dims = math.tensor(times, channel("times")), (batch("batch"), spatial("x,y"), channel("times"))
    else:
        time, std, dims = times, std[..., 0], (batch("batch"), spatial("x,y"))
    plain = HeatEquation(1.0, time, 0.1, PRIOR)
    matrix = dense(plain, cells)
    noise = std * rng.normal(size=std.shape)
    observed = (matrix @ x_true.ravel()).reshape(noise.shape[-1:] * (np.size(times) > 1) + cells)
    y = (np.moveaxis(observed, 0, -1) if np.size(times) > 1 else observed)[None] + noise
    law = NoisePerCell(math.tensor(std, *dims), iterations=200)
    physics = HeatEquation(1.0, time, regularization=PRIOR, noise=law)
    x = periodic(np.zeros((1, *cells)))
    found = array(sip_inverse(physics, x.with_values(math.tensor(y, *dims)), x).x_target)
    flat = (lambda v: np.moveaxis(v[0], -1, 0).ravel()) if np.size(times) > 1 else np.ravel
    weighted = matrix.T / flat(std) ** 2
    expected = np.linalg.solve(weighted @ matrix + prior_precision(cells, 1.0, 3.0), weighted @ flat(y))
    unweighted = matrix.T / np.mean(std**2)
    white = np.linalg.solve(unweighted @ matrix + prior_precision(cells, 1.0, 3.0), unweighted @ flat(y))
    np.testing.assert_allclose(found.ravel(), expected, atol=2e-3 * np.abs(expected - white).max())


def test_noise_per_cell_where_the_mean_is_not_observed(double):
    """The potential is known up to a constant, which is fitted along with x."""
    rng = np.random.default_rng(1)
    cells = (8, 8)
    x_true = rng.normal(size=(1, *cells))
    x_true -= x_true.mean()
    matrix = dense(Poisson(0.1, PRIOR), cells)
    std = np.exp(rng.normal(size=(1, *cells))) * 0.05
    y = (matrix @ x_true.ravel()).reshape(1, *cells) + std * rng.normal(size=std.shape) + 3.0
    with NUMPY:
        law = NoisePerCell(periodic(std), iterations=400)
        found = array(inverted(Poisson(regularization=PRIOR, noise=law), periodic(y)).x_target)
    design = np.concatenate([matrix, np.ones((64, 1))], 1)
    weighted = design.T / std.ravel() ** 2
    penalty = np.zeros((65, 65))
    penalty[:64, :64] = prior_precision(cells, 1.0, 3.0) + 1e3 / 64  # x has no mean
    expected = np.linalg.solve(weighted @ design + penalty, weighted @ y.ravel())[:64]
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-2 * np.abs(expected).max())


def test_weights_that_are_all_one_change_nothing(double):
    with NUMPY:
        y = noisy(WhiteNoise())
        law = NoisePerCell(y * 0 + SIGMA, iterations=3)
        found = inverted(HeatEquation(2.0, 1.0, regularization=PRIOR, noise=law), y)
        expected = inverted(HeatEquation(2.0, 1.0, SIGMA, PRIOR), y)
    np.testing.assert_allclose(array(found.x_target), array(expected.x_target), atol=1e-9)


# Noise with a spectrum


class Rising(Spectrum):
    """S_k = k²."""

    def log_power(self, basis):
        return 2 * log_wavenumber(basis)


BLUE = Rising()


def spectrum_of(exponent: float, *cells: int) -> np.ndarray:
    """v_k = |k|^(−exponent), 1 for the constant, with a mean of 1."""
    k2 = sum(np.meshgrid(*((2 * np.pi * np.fft.fftfreq(m)) ** 2 for m in cells), indexing="ij"))
    power = np.where(k2 > 0, k2, 1.0) ** (-exponent / 2)
    return power / power.mean()


@pytest.mark.parametrize("exponent", [2.0, -2.0])
def test_posterior_mean_under_colored_noise(framework, double, exponent):
    rng = np.random.default_rng(2)
    y = rng.normal(size=(2, 12, 10))
    physics = HeatEquation(0.3, 1.0, 0.1, PRIOR, ColoredNoise(PowerLaw(7.0, 2.0) if exponent > 0 else BLUE))
    step = inverted(physics, periodic(y))
    k2 = sum(np.meshgrid(*((2 * np.pi * np.fft.fftfreq(m)) ** 2 for m in (12, 10)), indexing="ij"))
    gain, noise = np.exp(-0.3 * k2), 0.01 * spectrum_of(exponent, 12, 10)
    prior = np.where(k2 > 0, k2, 1.0) ** -1.5
    kernel = np.where(k2 > 0, prior * gain / (prior * gain**2 + noise), 1.0)
    np.testing.assert_allclose(array(step.x_target), np.fft.ifft2(np.fft.fft2(y) * kernel).real, atol=1e-9)
    variance = np.where(k2 > 0, prior * noise / (prior * gain**2 + noise), noise).mean()
    np.testing.assert_allclose(array(step.uncertainty), np.sqrt(variance), rtol=1e-6)


RULES: dict[str, Regularization] = {
    "default": CrossValidated(),
    "total variation": TotalVariation(),
    "sparse": Sparse(),
    "empirical Bayes": EmpiricalBayes(),
    "Tikhonov": Tikhonov(),
}


@pytest.mark.parametrize("rule", [name for name in RULES if name != "sparse"])  # whose prior covers the mean
def test_the_mean_is_that_of_the_observation(double, rule):
    law = ColoredNoise(BLUE)
    with NUMPY:
        y = noisy(law)
        x = inverted(HeatEquation(2.0, 1.0, regularization=RULES[rule], noise=law), y).x_target
    np.testing.assert_allclose(array(x).mean((1, 2)), array(y).mean((1, 2)), atol=1e-9)


def test_a_measured_spectrum_is_that_of_the_noise(double):
    rng = np.random.default_rng(3)
    shape = np.sqrt(spectrum_of(1.0, 16, 16))
    recorded = np.fft.ifft2(np.fft.fft2(rng.normal(size=(4000, 16, 16))) * shape).real
    with NUMPY:
        y = periodic(rng.normal(size=(2, 16, 16)))
        exact, measured = (
            inverted(HeatEquation(0.5, 1.0, 0.1, PRIOR, ColoredNoise(spectrum)), y).x_target
            for spectrum in (PowerLaw(1.0, 1.0), MeasuredSpectrum.of(periodic(recorded)))
        )
    np.testing.assert_allclose(array(measured), array(exact), atol=0.02 * np.abs(array(exact)).max())


# Noise that is drawn


def noisy(law: NoiseLaw, seed: int = 0, **known: float) -> Field:
    """An observation of rectangles with noise of σ = 1e-2."""
    physics = HeatEquation(2.0, 1.0)
    y = physics.forward(STATES)
    normal = np.random.default_rng(seed).standard_normal(array(y).shape)
    with math.precision(64):
        made = HeatEquation(2.0, 1.0, noise=law) if not law.fixes_std else HeatEquation(2.0, 1.0)
        return made.add_noise(y, like(y, normal), {"noise_std": SIGMA, **known})


def drawn(law: NoiseLaw, mean: np.ndarray, known: dict[str, float], repeats: int) -> np.ndarray:
    """Noise, (repeats, *mean.shape)."""
    normal = np.random.default_rng(4).standard_normal((repeats, *mean.shape))
    with NUMPY, math.precision(64):
        y = periodic(np.repeat(mean[None], repeats, 0))
        return array(HeatEquation(1.0, 1.0, noise=law).add_noise(y, periodic(normal), known)) - array(y)


def test_drawn_counts_have_the_moments_of_counts(double):
    """Mean μ, variance μ / c, third moment μ / c², from hundredths of a count to hundreds in a cell."""
    mean = np.array([[0.01, 0.05, 0.3, 1.0], [3.0, 10.0, 100.0, 300.0]])
    counts = 2.0
    n = drawn(PoissonNoise(), mean, {"noise_std": np.sqrt(mean.mean() / counts)}, 200000)
    spread = np.sqrt(mean / counts)
    np.testing.assert_allclose(n.mean(0) / spread, 0, atol=0.015)
    np.testing.assert_allclose(n.var(0), mean / counts, rtol=0.03)
    third = (n**3).mean(0) / (mean / counts**2)
    np.testing.assert_allclose(third[(mean > 0.1) & (mean < 20)], 1, atol=0.15)


def test_drawn_counts_are_distributed_as_counts(double):
    mean = np.full((2, 2), 30.0)
    y = np.round(drawn(PoissonNoise(), mean, {"noise_std": np.sqrt(30.0)}, 50000) + mean).ravel()
    exact = stats.poisson(30.0)
    for value in (18, 24, 30, 36, 42):
        np.testing.assert_allclose((y <= value).mean(), exact.cdf(value), atol=0.005)


def test_drawn_noise_of_other_laws(double):
    mean = np.array([[0.0, 1.0], [-2.0, 3.0]])
    known = {"noise_std": 0.5}
    n = drawn(MultiplicativeNoise(), mean, known, 100000)
    np.testing.assert_allclose(n.std(0), 0.5 * abs(mean) / np.sqrt((mean**2).mean()), rtol=0.02, atol=1e-12)
    std = np.array([[0.1, 0.2], [0.3, 0.4]])
    known = {"noise_std": float(np.sqrt((std**2).mean()))}
    n = drawn(NoisePerCell(math.tensor(std, spatial("x,y"))), mean, known, 100000)
    np.testing.assert_allclose(n.std(0), std, rtol=0.02)
    n = drawn(ColoredNoise(PowerLaw(3.0, 1.5)), np.zeros((6, 4)), {"noise_std": 0.5}, 50000)
    power = (np.abs(np.fft.fft2(n, norm="ortho")) ** 2).mean(0)
    np.testing.assert_allclose(power, 0.25 * spectrum_of(1.5, 6, 4), rtol=0.05)
    assert n.std() == pytest.approx(0.5, rel=0.01)


def test_drawn_outliers_are_a_mixture(double):
    known = {"noise_std": 1.0, "outlier_fraction": 0.1, "outlier_std": 20.0}
    n = drawn(Outliers(), np.zeros((4, 4)), known, 50000).ravel()
    assert n.mean() == pytest.approx(0, abs=0.03)
    assert n.var() == pytest.approx(0.9 + 0.1 * 400, rel=0.02)
    for size in (0.5, 1.0, 3.0, 20.0):
        exact = 0.9 * stats.norm.sf(size) + 0.1 * stats.norm.sf(size / 20)
        assert (n > size).mean() == pytest.approx(exact, rel=0.03)
    assert drawn(Outliers(), np.zeros((4, 4)), {"noise_std": 2.0}, 50000).std() == pytest.approx(2.0, rel=0.01)


def test_nothing_is_drawn_where_there_is_nothing(double):
    for law in (PoissonNoise(), MultiplicativeNoise()):
        assert (drawn(law, np.zeros((4, 4)), {"noise_std": 0.0}, 3) == 0).all()
    assert (drawn(PoissonNoise(), np.ones((4, 4)), {"noise_std": 0.0}, 3) == 0).all()


# What it brings


def error(x: Field) -> float:
    return float(0.5 * ((array(x) - array(STATES)) ** 2).sum((1, 2)).mean())


def counted() -> Field:
    """Exact Poisson counts, whose noise has σ = 1e-2."""
    y = HeatEquation(2.0, 1.0).forward(STATES)
    mean = np.maximum(array(y), 0)
    counts = mean.mean() / SIGMA**2
    return like(y, np.random.default_rng(1).poisson(mean * counts) / counts)


def with_outliers() -> Field:
    rng = np.random.default_rng(5)
    y = noisy(WhiteNoise())
    hit = rng.random(array(y).shape) < 0.05
    return like(y, array(y) + 20 * SIGMA * hit * rng.normal(size=hit.shape))


CASES = {
    "counts": (counted, PoissonNoise(), 0.94),
    "multiplicative": (lambda: noisy(MultiplicativeNoise()), MultiplicativeNoise(), 0.78),
    "outliers": (with_outliers, Outliers(), 0.5),
    "red": (lambda: noisy(ColoredNoise(PowerLaw(1.0, 2.0))), ColoredNoise(PowerLaw(1.0, 2.0)), 0.85),
    "blue": (lambda: noisy(ColoredNoise(BLUE)), ColoredNoise(BLUE), 0.75),
    "white, though outliers were expected": (lambda: noisy(WhiteNoise()), Outliers(), 1.02),
}


@pytest.mark.parametrize("rule", [TotalVariation(minimum=0.0), CrossValidated()], **NAME)
@pytest.mark.parametrize("case", CASES)
def test_the_error_is_less_than_for_white_noise(double, case, rule):
    """On rectangles, none told σ."""
    make, law, most = CASES[case]
    with NUMPY:
        y = make()
        white, found = (
            error(inverted(HeatEquation(2.0, 1.0, regularization=rule, noise=noise), y).x_target)
            for noise in (None, law)
        )
    assert found < most * white, found / white


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("law", [PoissonNoise(), MultiplicativeNoise(), ColoredNoise(PowerLaw(1.0, 2.0))], **NAME)
def test_the_size_of_the_noise_is_measured(framework, double, law):
    y = counted() if law.name == "poisson" else noisy(law)
    stats = inverted(HeatEquation(2.0, 1.0, regularization=EmpiricalBayes(), noise=law), y).stats
    assert bool(stats["noise_known"].all)
    np.testing.assert_allclose(float(math.sqrt(math.mean(stats["noise_std"] ** 2, "batch"))), SIGMA, rtol=0.1)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_outliers_are_measured(framework, double):
    physics = HeatEquation(2.0, 1.0, regularization=TotalVariation(minimum=0.0), noise=Outliers())
    stats = inverted(physics, with_outliers()).stats
    np.testing.assert_allclose(float(stats["noise_std"].mean), SIGMA, rtol=0.05)
    np.testing.assert_allclose(float(stats["outlier_fraction"].mean), 0.05, rtol=0.2)
    np.testing.assert_allclose(float(stats["outlier_std"].mean), 20 * SIGMA, rtol=0.15)


@pytest.mark.parametrize(
    ("fixed", "free"),
    [
        (lambda y, q: PoissonNoise(q), lambda y, q: array(y).clip(0).mean((1, 2)) / q),
        (lambda y, q: MultiplicativeNoise(q), lambda y, q: q**2 / (1 + q**2) * (array(y) ** 2).mean((1, 2))),
    ],
    ids=["counts", "multiplicative"],
)
def test_a_law_that_says_the_size(double, fixed, free):
    with NUMPY:
        y = counted()
        physics = HeatEquation(2.0, 1.0, regularization=EmpiricalBayes(), noise=fixed(y, 0.3))
        step = inverted(physics, y)
        variance = free(y, 0.3)
        expected = math.tensor(np.sqrt(variance), batch("batch"))
        again = inverted(HeatEquation(2.0, 1.0, expected, EmpiricalBayes(), type(physics.noise)()), y)
    assert not physics.measures_noise
    np.testing.assert_allclose(step.stats["noise_std"].numpy("batch"), np.sqrt(variance), rtol=1e-6)
    np.testing.assert_allclose(array(step.x_target), array(again.x_target), atol=1e-7)
    np.testing.assert_allclose(physics.noise_energy(y).numpy("batch"), variance * 1024, rtol=1e-6)


# Everywhere


@pytest.mark.parametrize("boundary", [INSULATED, extrapolation.ZERO, {"x": (1.0, 2.0), "y": INSULATED}], ids=str)
@pytest.mark.parametrize(
    "law", [PoissonNoise(), MultiplicativeNoise(), Outliers(), ColoredNoise(PowerLaw(1.0, 1.0))], **NAME
)
def test_other_boundaries(double, boundary, law):
    rng, rule = np.random.default_rng(6), TotalVariation()
    with NUMPY:
        x = grid(array(STATES)[:, :24, :20] + 1, None, boundary)
        physics = HeatEquation(2.0, 1.0, regularization=rule, noise=law)
        y = physics.forward(x)
        y = physics.add_noise(y, like(y, rng.normal(size=array(y).shape)), {"noise_std": 1e-3})
        found, white = inverted(physics, y), inverted(HeatEquation(2.0, 1.0, regularization=rule), y)
    errors = [np.square(array(step.x_target) - array(x)).mean() for step in (found, white)]
    assert errors[0] < 1.02 * errors[1]
    assert np.isfinite(array(found.uncertainty)).all()


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("law", [PoissonNoise(), Outliers(), ColoredNoise(PowerLaw(1.0, 1.0))], **NAME)
def test_single_precision_and_any_order_of_axes(framework, law):
    with math.precision(64):
        y = with_outliers() if law.name == "outliers" else counted()
        moved = math.tensor(array(y).transpose(2, 0, 1), spatial("y"), batch("batch"), spatial("x"))
    other = y.with_values(moved)
    physics = HeatEquation(2.0, 1.0, regularization=EmpiricalBayes(), noise=law)
    with math.precision(64):
        expected, reordered = (array(inverted(physics, data).x_target) for data in (y, other))
    with math.precision(32):
        single = inverted(physics, y.with_values(math.to_float(y.values))).x_target
    assert single.values.dtype.precision == 32
    np.testing.assert_allclose(reordered, expected, atol=1e-7)
    np.testing.assert_allclose(array(single), expected, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
@pytest.mark.parametrize(
    "law", [PoissonNoise(), MultiplicativeNoise(), Outliers(), PoissonNoise(100.0), MultiplicativeNoise(0.1)], ids=str
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_constants(double, law, value):
    with NUMPY:
        y = periodic(np.full((2, 16, 16), value))
        for rule in (None, EmpiricalBayes(), TotalVariation(minimum=-4.0)):
            x = inverted(HeatEquation(1.0, 2.0, regularization=rule, noise=law), y).x_target
            np.testing.assert_allclose(array(x), value, atol=1e-6)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("unit", [1e-12, 1e12])
@pytest.mark.parametrize("law", [PoissonNoise(), MultiplicativeNoise(), Outliers(), ColoredNoise(BLUE)], **NAME)
def test_units_do_not_matter(framework, law, unit):
    with math.precision(32):
        y = with_outliers()
        y = y.with_values(math.to_float(y.values))
        physics = HeatEquation(2.0, 1.0, regularization=TotalVariation(minimum=0.0), noise=law)
        expected, scaled = inverted(physics, y), inverted(physics, y * unit)
    np.testing.assert_allclose(array(scaled.x_target) / unit, array(expected.x_target), atol=2e-3)


def test_white_noise_is_the_default(framework):
    y = noisy(WhiteNoise())
    plain, named = (inverted(HeatEquation(2.0, 1.0, noise=noise), y).x_target for noise in (None, WhiteNoise()))
    np.testing.assert_array_equal(array(named), array(plain))


LAWS = (
    PoissonNoise(),
    PoissonNoise(counts=500.0),
    MultiplicativeNoise(iterations=1),
    Outliers(),
    ColoredNoise(PowerLaw(1.0, 2.0)),
    NoisePerCell(math.tensor(np.full((16, 16), 0.1), spatial("x,y"))),
)


@pytest.mark.parametrize("law", LAWS, **NAME)
def test_rules_of_one_observation_are_those_by_themselves(law):
    """What is fitted to an observation serves other rules only where they see the same."""
    rng = np.random.default_rng(7)
    values = 1 + smooth(rng, 2, 16, 16) + 0.1 * rng.normal(size=(2, 16, 16)) + 5.0 * (rng.random((2, 16, 16)) < 0.05)
    y = periodic(values)
    physics = HeatEquation(1.0, 1.0, regularization=EmpiricalBayes(), noise=law)
    with math.precision(64):
        expected = sip_inverse(physics, y, physics.initial_state(y)).x_target
        observed = InvertedObservation(physics, y)
        np.testing.assert_allclose(array(observed.inverted().x_target), array(expected), atol=1e-10)
        other = dataclasses.replace(physics, regularization=Tikhonov(0.1))
        by_rule = observed.by_rule(Tikhonov(0.1))
        found, alone = (sip_inverse(p, y, p.initial_state(y)).x_target for p in (by_rule, other))
        np.testing.assert_allclose(array(found), array(alone), atol=1e-10)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("row", [row for row in TABLE if row.name != "torch"], **NAME)
@pytest.mark.parametrize("law", [LAWS[0], Outliers(iterations=2), *LAWS[-2:]], **NAME)
def test_a_compiled_update_is_the_same(row, law):
    rng = np.random.default_rng(7)
    found = []
    with row.backend:
        y = periodic(1 + smooth(rng, 3, 16, 16) + 0.1 * rng.normal(size=(3, 16, 16)))
        physics = HeatEquation(1.0, 1.0, regularization=EmpiricalBayes(), noise=law)
        for compile in (False, True):
            net = row.u_net()
            update = sip_update_weights(net, row.sgd(net), physics, y, compile=compile)
            found.append(array(update.x_target))
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


CONFORM = (PoissonNoise(1e4), MultiplicativeNoise(0.01), Outliers(), ColoredNoise(PowerLaw(1.0, 1.0)))


@pytest.mark.parametrize("law", CONFORM, **NAME)
def test_conformance(double, law):
    """What any physics must do, with exact observations: above all, rest at the solution."""
    sigma = "auto" if law.fixes_std else 1e-3
    with NUMPY:
        x = periodic(2 + smooth(np.random.default_rng(0), 3, 12, 10))
        check_physics(HeatEquation(0.5, 1.0, sigma, EmpiricalBayes(), law), x)


@pytest.mark.parametrize("law", LAWS[:-1], **NAME)
def test_laws_are_plain_data(law):
    physics = HeatEquation(1.0, 2.0, noise=law)
    assert construct(describe(physics)) == physics
    assert describe(physics)["parameters"]["noise"]["type"] == type(law).__name__


@pytest.mark.parametrize("corrected", [False, True])
def test_self_simulated_observations_have_the_noise_of_the_law(corrected):
    """The variance of what is simulated is in proportion to P(t), cell by cell."""
    with TORCH, math.precision(64):
        x = np.zeros((400, 8, 8))
        x[:, 2:6, 2:6] = 1.0
        plain = HeatEquation(0.5, 1.0, 0.02, EmpiricalBayes())
        y = plain.forward(periodic(x))
        y = plain.add_noise(y, like(y, np.random.default_rng(8).normal(size=x.shape)), {"noise_std": 0.02})
        target = SelfSimulated(bias_correction=0.5 * corrected, data_correction=corrected, transform=None)
        shown = []
        for law in (None, PoissonNoise()):
            physics = dataclasses.replace(plain, noise=law)
            seen: list[np.ndarray] = []
            net = Scale()

            def predict(y, seen=seen, net=net):
                seen.append(array(y))
                return y * net.weight

            optimizer = torch.optim.SGD(net.parameters(), 1.0)
            update = sip_update_weights(net, optimizer, physics, y, predict=predict, targets=target)
            shown.append((seen[-1], array(physics.forward(update.x_target))))
    (white, white_mean), (counts, mean) = shown
    white, counts = (white - white_mean).var(0), (counts - mean).var(0)
    np.testing.assert_allclose(white, 0.02**2, rtol=0.4)
    level = mean.mean((1, 2)).mean() / 0.02**2
    np.testing.assert_allclose(counts, mean.mean(0) / level, rtol=0.4, atol=0.1 * 0.02**2)


class Scale(torch.nn.Module):
    """x = weight · y."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))


MISUSE = {
    "σ said twice": (lambda: HeatEquation(1.0, 1.0, 0.1, noise=PoissonNoise(100.0)), ParameterError, "noise_std = 0.1"),
    "σ measured, and said": (
        lambda: HeatEquation(1.0, 1.0, EmptyModes(pooled=True), noise=MultiplicativeNoise(0.1)),
        ParameterError,
        "Leave one of them out",
    ),
    "another kind": (lambda: HeatEquation(1.0, 1.0, noise=0.1), UnsupportedError, "noise is a float"),
    "another name": (lambda: HeatEquation(1.0, 1.0, noise="shot"), UnknownNameError, "No noise is named 'shot'"),
    "no counts": (lambda: PoissonNoise(0.0), ParameterError, "counts = 0.0"),
    "counts per cell": (lambda: PoissonNoise(math.ones(spatial(x=3))), ParameterError, "counts has the dims"),
    "nothing relative": (lambda: MultiplicativeNoise(0.0), ParameterError, "relative = 0.0"),
    "no iterations": (lambda: Outliers(0), ParameterError, "iterations"),
    "no spectrum": (lambda: ColoredNoise(1.0), ParameterError, "spectrum is a float"),
    "no cells": (lambda: NoisePerCell(math.wrap(1.0)), ParameterError, "without spatial dims"),
    "no noise in a cell": (lambda: NoisePerCell(math.tensor([0.0, 1.0], spatial("x"))), ParameterError, "> 0 in every"),
    "a mask": (
        lambda: Masked(HeatEquation(1.0, 1.0, 0.1, noise=PoissonNoise()), math.ones(spatial(x=3))),
        ParameterError,
        "Masked: HeatEquation has noise=PoissonNoise",
    ),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse(case):
    make, error, message = MISUSE[case]
    with pytest.raises(error, match=message):
        make()


def test_a_spectrum_of_another_grid(double):
    with NUMPY:
        spectrum = MeasuredSpectrum.of(periodic(np.random.default_rng(9).normal(size=(4, 8, 8))))
        physics = HeatEquation(1.0, 1.0, noise=ColoredNoise(spectrum))
        with pytest.raises(GridMismatchError, match="measured on a grid"):
            inverted(physics, periodic(np.ones((1, 16, 16))))
