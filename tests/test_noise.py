"""Noise read off the observation: against the noise that was added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fields import array, grid, periodic
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import Field
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation, spatial

from phi_sip import HeatEquation, Poisson, sip_inverse
from phi_sip.data import heat_rectangles, smooth_fields
from phi_sip.regularization import EmpiricalBayes
from phi_sip.regularization.noise import EmptyModes
from phi_sip.spectral import SpectralBasis
from phi_sip.states import trees

PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT
MEASURED = ("noise_std", "noise_relative_error", "noise_known")


def rectangles(samples: int = 8, boundary: Any = PERIODIC, **cells: int) -> Field:
    drawn = heat_rectangles(batch(batch=samples), spatial(**(cells or {"x": 64, "y": 64})), seed=0)
    return grid(array(drawn), None, boundary)


def noisy(y: Field, sigma: float, seed: int = 0) -> Field:
    noise = sigma * np.random.default_rng(seed).standard_normal(array(y).shape)
    return y + math.tensor(noise, batch("batch"), *y.resolution)


def measured(y_target: Field, amount: Any = 8.0, noise_std: Any = "auto") -> tuple[np.ndarray, ...]:
    """σ, its relative error, and whether it is known, per batch entry; the inversion itself must be sound."""
    physics = HeatEquation(amount, 1.0, noise_std, EmpiricalBayes())
    with math.precision(y_target.values.dtype.precision):
        step = sip_inverse(physics, y_target, y_target * 0)
    assert np.isfinite(array(step.dx)).all()
    return tuple(step.stats[key].numpy(step.stats[key].shape) for key in MEASURED)


@pytest.mark.parametrize(
    ("precision", "sigma"),
    [(64, sigma) for sigma in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)] + [(32, s) for s in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)],
)
def test_noise_is_measured_in_each_entry(precision, sigma):
    with NUMPY, math.precision(precision):
        found, error, known = measured(noisy(HeatEquation(8.0, 1.0).forward(rectangles()), sigma))
    assert found.shape == (8,)
    assert known.all()
    np.testing.assert_allclose(found, sigma, rtol=0.1)
    assert (error < 0.03).all()


@pytest.mark.parametrize(
    ("cells", "amount", "factor", "pooled"),
    [
        (32, 2.0, 0.3, True),
        (32, 2.0, 0.3, False),
        (32, 2.0, 0.05, False),
        (32, 8.0, 0.05, False),
        (64, 8.0, 0.3, False),
        (64, 8.0, 0.01, False),
    ],
)
def test_a_few_modes_without_noise_hide_no_noise(double, cells, amount, factor, pooled):
    """Among thousands of observations there are some in which the modes of least gain hold little by chance."""
    physics = HeatEquation(amount, 1.0)
    with NUMPY:
        y = noisy(physics.forward(rectangles(x=cells, y=cells)), 1e-2)
        coefficients = np.fft.fft2(array(y))
        few = slice(cells // 2 - 1, cells // 2 + 2)
        coefficients[:, few, few] *= factor
        quiet = y.with_values(math.tensor(np.fft.ifft2(coefficients).real, batch("batch"), spatial("x,y")))
        found, _, known = measured(quiet, amount, EmptyModes(pooled=True) if pooled else "auto")
        x = sip_inverse(physics, quiet, quiet * 0).x_target
    assert known.all()
    np.testing.assert_allclose(found, 1e-2, rtol=0.15)
    assert np.abs(array(x)).max() < 10


@pytest.mark.parametrize(("cells", "amount"), [((128,), 20.0), ((256,), 8.0), ((12, 12), 1.0), ((15, 15), 2.0)])
def test_no_noise_is_found_far_too_low_by_chance(double, cells, amount):
    """On grids of few modes, too: 20,000 observations of nothing but noise."""
    with NUMPY:
        values = np.random.default_rng(3).standard_normal((20000, *cells))
        y = periodic(values)
        basis = SpectralBasis.of(y)
        power = abs(basis.transform(y.values)) ** 2
        found = EmptyModes().estimate(power, -amount * basis.k_squared(), basis)
    std, known = found.std.numpy("batch"), found.known.numpy("batch")
    assert std[known].min() > 0.3
    assert (~known).mean() < 1e-3


def test_noise_is_measured_on_every_framework(framework, double):
    found, _, known = measured(noisy(HeatEquation(8.0, 1.0).forward(rectangles(x=32, y=32)), 1e-3))
    assert known.all()
    np.testing.assert_allclose(found, 1e-3, rtol=0.1)


BOUNDARIES = {
    "insulated": INSULATED,
    "fixed": extrapolation.ZERO,
    "fixed to values": {"x": (1.0, 2.0), "y": (INSULATED, 0.0)},
    "mixed": {"x": PERIODIC, "y": (0.0, INSULATED)},
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("sigma", [1e-5, 1e-3])
def test_noise_is_measured_in_every_basis(double, boundary, sigma):
    with NUMPY:
        x = rectangles(boundary=BOUNDARIES[boundary])
        found, error, known = measured(noisy(HeatEquation(8.0, 1.0).forward(x), sigma))
    assert known.all()
    assert (abs(found / sigma - 1) < np.maximum(0.1, 4 * error)).all(), (found, error)


@pytest.mark.parametrize("cells", [{"x": 64}, {"x": 32, "y": 32}, {"x": 12, "y": 12, "z": 12}], ids=str)
@pytest.mark.parametrize("sigma", [1e-5, 1e-3])
def test_pooled_noise_is_one_number(double, cells, sigma):
    with NUMPY:
        y_target = noisy(HeatEquation(8.0, 1.0).forward(rectangles(samples=32, **cells)), sigma)
        found, _, known = measured(y_target, noise_std=EmptyModes(pooled=True))
    assert found.shape == ()
    assert known
    assert found == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize("amount", [0.0, 0.01])
def test_no_noise_is_assumed_where_no_mode_is_empty(double, amount):
    with NUMPY:
        y = HeatEquation(amount, 1.0).forward(rectangles(samples=4))
        found, error, known = measured(y, amount)
    assert not known.any()
    assert np.all(found == 0)
    assert np.all(np.isinf(error))


def colored(exponent: float, *shape: int) -> np.ndarray:
    """Random states (batch, cells…) of power |k|^(−exponent)."""
    axes = tuple(range(1, len(shape)))
    k2 = sum(np.meshgrid(*(np.fft.fftfreq(n) ** 2 for n in shape[1:]), indexing="ij"))
    noise = np.fft.fftn(np.random.default_rng(5).standard_normal(shape), axes=axes)
    return np.fft.ifftn(noise * np.where(k2 > 0, k2, 1) ** (-exponent / 4), axes=axes).real


def checkers(*shape: int) -> np.ndarray:
    """The shortest wave, and a tenth of it in all others."""
    return (-1.0) ** sum(np.indices(shape[1:])) + 0.1 * colored(0, *shape)


def single_wave(*shape: int) -> np.ndarray:
    return np.cos(2 * np.pi * (shape[1] // 4) * np.indices(shape)[1] / shape[1])


FLAT = {
    "white": lambda *shape: colored(0, *shape),
    "cells between 0 and 1": lambda *shape: np.random.default_rng(5).random(shape),
    "one cell": lambda *shape: np.where(np.indices(shape)[1:].sum(0) == 3, 1.0, 0.0),
    "rising": lambda *shape: colored(-2, *shape),
    "the shortest wave": checkers,
    "one wave": single_wave,
}
RISING = ("rising", "the shortest wave")  # towards the modes of least gain, as noise would in x


@pytest.mark.parametrize("state", FLAT)
@pytest.mark.parametrize("cells", [(37,), (256,), (64, 64), (8, 8, 8)], ids=str)
def test_no_noise_is_found_in_flat_spectra(double, cells, state):
    """Exact observations of physics that hardly damps: signal down to the last mode, which the inverse gives back."""
    x = FLAT[state](4, *cells)
    with NUMPY:
        for amount in (0.0, 1e-4, 1e-2, 0.1 / len(cells), *([] if state in RISING else [0.05, 0.25])):
            physics = HeatEquation(amount, 1.0, regularization=EmpiricalBayes())
            y = physics.forward(periodic(x))
            step = sip_inverse(physics, y, y * 0)
            assert float(step.stats["noise_std"].max) < 1e-14, amount
            assert np.linalg.norm(array(step.x_target) - x) < 1e-10 * np.linalg.norm(x), amount


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("boundary", [INSULATED, extrapolation.ZERO])
def test_no_noise_is_found_in_flat_spectra_of_other_bases(double, boundary, pooled):
    with NUMPY:
        for amount in (0.01, 0.1):
            y = HeatEquation(amount, 1.0).forward(grid(colored(0, 4, 24, 20), None, boundary))
            assert not measured(y, amount, EmptyModes(pooled=pooled))[2].any()


@given(
    cells=st.lists(st.integers(2, 24), min_size=1, max_size=2),
    exponent=st.floats(0.0, 4.0),
    amount=st.floats(0.0, 2.0),
    pooled=st.booleans(),
)
@settings(max_examples=40)
def test_no_noise_is_found_in_exact_observations(cells, exponent, amount, pooled):
    """But rounding, whatever the grid, the diffusion and the spectrum of the states."""
    with NUMPY, math.precision(64):
        y = HeatEquation(amount, 1.0).forward(periodic(colored(exponent, 3, *cells)))
        found, _, _ = measured(y, amount, EmptyModes(pooled=pooled))
    assert (found <= 1e-13 * max(abs(array(y)).max(), 1e-300)).all()


@pytest.mark.parametrize("pooled", [False, True])
def test_the_default_rule_gives_back_flat_states(double, pooled):
    x = periodic(colored(0, 4, 37))
    with NUMPY:
        for physics in (HeatEquation(0.05, 1.0, EmptyModes(pooled=pooled)), Poisson(EmptyModes(pooled=pooled))):
            step = sip_inverse(physics, physics.forward(x), x * 0)
            assert not step.stats["noise_known"].any
            expected = array(physics.constrain(x, x)) if isinstance(physics, Poisson) else array(x)
            np.testing.assert_allclose(array(step.x_target), expected, atol=1e-9)


def test_noise_of_unlike_entries_is_that_of_each(double):
    """Of different diffusivity: what damps shows its noise, what does not keeps its signal."""
    amounts = math.tensor([0.01, 8.0, 0.0], batch("batch"))
    with NUMPY:
        x = periodic(np.repeat(array(rectangles(1, x=32, y=32)) + colored(0, 1, 32, 32), 3, 0))
        y = noisy(HeatEquation(amounts, 1.0).forward(x), 1e-3)
        together = measured(y, amounts)
        for i in range(3):
            alone = measured(y.batch[i : i + 1], float(amounts.batch[i]))
            assert together[2][i] == alone[2][0] == (i == 1)
            np.testing.assert_allclose(together[0][i], alone[0][0], rtol=0.1)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("amount", [0.0, 0.01, 8.0])
@pytest.mark.parametrize("value", [0.0, 1.0, -3e20, 1e-30])
def test_constants_have_no_noise(precision, amount, value):
    with NUMPY, math.precision(precision):
        y = periodic(np.full((2, 16, 16), value))
        found, _, _ = measured(y, amount)
        step = sip_inverse(HeatEquation(amount, 1.0), y, y * 0)
    tolerance = 100 * np.finfo(f"float{precision}").eps * abs(value)
    assert (found <= tolerance).all()
    np.testing.assert_allclose(array(step.x_target), value, atol=tolerance)


def test_observations_of_nothing_but_noise(double):
    with NUMPY:
        found, _, known = measured(noisy(periodic(np.zeros((8, 64, 64))), 0.3))
    assert known.all()
    np.testing.assert_allclose(found, 0.3, rtol=0.05)


@pytest.mark.parametrize("pooled", [False, True])
def test_stated_error_is_the_spread_over_realizations(double, pooled):
    repeats, entries = (100, 4) if pooled else (200, 1)
    with NUMPY:
        y = HeatEquation(8.0, 1.0).forward(rectangles(samples=1, x=48, y=48))
        target = noisy(periodic(np.repeat(array(y), repeats * entries, 0)), 1e-3)
        if not pooled:
            found, stated, _ = measured(target)
        else:
            parts = [target.batch[i * entries : (i + 1) * entries] for i in range(repeats)]
            found, stated, _ = (
                np.array(column) for column in zip(*(measured(p, 8.0, EmptyModes(True)) for p in parts), strict=True)
            )
    assert np.median(stated) == pytest.approx(found.std() / 1e-3, rel=0.3)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("amount", [0.3, 2.0, 8.0])
def test_noise_of_smooth_fields_is_not_underestimated(double, exponent, amount):
    """Too little noise is the dangerous side: modes that hold none but noise would be amplified."""
    with NUMPY:
        x = smooth_fields(batch(batch=32), spatial(x=48, y=48), exponent=exponent, seed=1)
        for sigma in (1e-6, 1e-4, 1e-2):
            found, error, known = measured(noisy(HeatEquation(amount, 1.0).forward(x), sigma), amount)
            smallest = (found / sigma)[known] if known.any() else np.ones(1)
            assert smallest.min() > 0.8, (sigma, smallest.min(), error[known].max())


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    amount=st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
    sigma=st.sampled_from([0.0, 1e-3, 1e3]),
    precision=st.sampled_from([32, 64]),
    pooled=st.booleans(),
    boundary=st.sampled_from([PERIODIC, INSULATED, extrapolation.ZERO]),
)
@settings(max_examples=25)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_any_grid(sizes, amount, sigma, precision, pooled, boundary):
    rng = np.random.default_rng(0)
    with NUMPY, math.precision(precision):
        x = grid(rng.standard_normal((2, *sizes)), None, boundary)
        y_target = HeatEquation(amount, 1.0).forward(x) + math.tensor(
            sigma * rng.standard_normal((2, *sizes)), batch("batch"), *x.resolution
        )
        found, error, known = measured(y_target, amount, EmptyModes(pooled=pooled))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.isfinite(error) == known).all()


@pytest.mark.parametrize("noise_std", ["auto", "given"])
@pytest.mark.parametrize(("std", "bits"), [(0.0, 64), (1e-7, 64), (1e-3, 32)])
def test_precision_that_is_enough(noise_std, std, bits, double):
    """Where single precision is said to be enough, it inverts as well as double; at the rounding of it, it does not."""
    x = heat_rectangles(batch(batch=8), spatial(x=32, y=32), seed=0)
    physics = HeatEquation(1.0, 4.0, "auto" if noise_std == "auto" else std, EmpiricalBayes())
    y = physics.forward(x)
    y = y + std * math.wrap(np.random.default_rng(0).standard_normal((8, 32, 32)), y.values.shape)
    assert physics.sufficient_precision(y) == bits
    errors = []
    for precision in (32, 64):
        data = trees.cast(y, precision)
        with math.precision(precision):
            found = sip_inverse(physics, data, data * 0).x_target
        errors.append(float(math.sum((found.values - x.values) ** 2, x.values.shape)))
    if bits == 32:
        assert errors[0] < 1.01 * errors[1]
    elif std == 0.0:
        assert errors[0] > 1.1 * errors[1]
