"""Navier–Stokes in two dimensions against Taylor–Green vortices, its balances, and an independent simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivatives import assert_derivatives
from fields import array, grid, periodic, smooth
from phiml import math
from phiml.math import batch, extrapolation, spatial

from phi_sip import (
    BoundaryError,
    GridMismatchError,
    NavierStokes,
    ParameterError,
    Sparse,
    UnsupportedError,
    get_physics,
    sip_inverse,
)

ALIKE = pytest.mark.slow_on("tensorflow", "jax")


def square(values: np.ndarray) -> Any:
    """A periodic grid on the unit square from (batch, n, n)."""
    return grid(values, (1 / values.shape[1], 1 / values.shape[2]), extrapolation.PERIODIC)


def cells(n: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(*2 * [(np.arange(n) + 0.5) / n], indexing="ij")
    return x, y


def vorticity(samples: int, n: int, seed: int = 0) -> np.ndarray:
    """Without the shortest waves, which nothing carries."""
    w = smooth(np.random.default_rng(seed), samples, n, n)
    spectrum = np.fft.fft2(w)
    k = np.abs(np.fft.fftfreq(n, 1 / n))
    spectrum[:, np.maximum(k[:, None], k) > 4] = 0
    spectrum[:, 0, 0] = 0
    return np.fft.ifft2(spectrum).real


def velocity(w: np.ndarray) -> np.ndarray:
    """u with ∇×u = w on the unit square, in NumPy."""
    k = 2 * np.pi * np.fft.fftfreq(w.shape[-1], 1 / w.shape[-1])
    kx, ky = k[:, None], k[None]
    squares = kx**2 + ky**2
    squares[0, 0] = 1
    psi = np.fft.fft2(w) / squares
    return np.stack([np.fft.ifft2(1j * ky * psi).real, np.fft.ifft2(-1j * kx * psi).real])


def simulated(w: np.ndarray, viscosity: float, force: Any, time: float, steps: int) -> np.ndarray:
    """The same equation in NumPy: Heun's method for what is carried, Crank–Nicolson for friction."""
    n, dt = w.shape[-1], time / steps
    k = 2 * np.pi * np.fft.fftfreq(n, 1 / n)
    kx, ky = k[:, None], k[None]
    squares, inside = kx**2 + ky**2, (np.abs(kx) < np.pi * n * 2 / 3) & (np.abs(ky) < np.pi * n * 2 / 3)

    def carried(c: np.ndarray) -> np.ndarray:
        u = velocity(np.fft.ifft2(c * inside).real)
        slope = [np.fft.ifft2(1j * k * c * inside).real for k in (kx, ky)]
        return np.fft.fft2(force) - inside * np.fft.fft2(u[0] * slope[0] + u[1] * slope[1])

    c = np.fft.fft2(w)
    for _ in range(steps):
        half = 0.5 * dt * viscosity * squares
        first = carried(c)
        guess = ((1 - half) * c + dt * first) / (1 + half)
        c = ((1 - half) * c + 0.5 * dt * (first + carried(guess))) / (1 + half)
    return np.fft.ifft2(c).real


def test_taylor_green_vortices_decay(framework, double):
    """ω = sin 2πx sin 2πy carries itself nowhere: ω(T) = ω(0) exp(−8 π² ν T), to rounding."""
    x, y = cells(16)
    w = 3 * np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y)
    for viscosity, rate in ((0.0, 1.0), (0.02, np.exp(-8 * np.pi**2 * 0.02 * 0.5))):
        found = array(NavierStokes(viscosity, 0.05, 10).forward(square(w[None])))[0]
        np.testing.assert_allclose(found, w * rate, atol=1e-13)


@ALIKE
def test_a_force_balances_friction(framework, double):
    """ω → f / (ν k²) where only one mode is driven."""
    x, y = cells(16)
    mode = np.cos(2 * np.pi * (x + y))
    force = math.tensor(mode, spatial("x,y"))
    steady = mode / (0.05 * 8 * np.pi**2)
    rest = array(NavierStokes(0.05, 0.02, 20, force).forward(square(steady[None])))[0]
    np.testing.assert_allclose(rest, steady, atol=1e-6)
    from_nothing = array(NavierStokes(0.05, 0.02, 20, force).forward(square(0 * steady[None])))[0]
    np.testing.assert_allclose(from_nothing, steady * (1 - np.exp(-0.05 * 8 * np.pi**2 * 0.4)), atol=1e-6)


@ALIKE
def test_it_agrees_with_another_simulation(framework, double):
    w = 8 * vorticity(2, 24)
    x, y = cells(24)
    force = 3 * (np.sin(2 * np.pi * (x + y)) + np.cos(2 * np.pi * (x + y)))
    expected = np.stack([simulated(sample, 0.01, force, 0.5, 400) for sample in w])
    found = array(NavierStokes(0.01, 0.025, 20, math.tensor(force, spatial("x,y"))).forward(square(w)))
    assert np.abs(found - w).max() > 0.3 * np.abs(w).max()  # it has moved
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


@ALIKE
def test_it_is_of_fourth_order_in_time_and_spectral_in_space(framework, double):
    w = 8 * vorticity(1, 32)

    def end(steps: int) -> np.ndarray:
        return array(NavierStokes(0.01, 0.4 / steps, steps).forward(square(w)))[0]

    exact = end(128)
    errors = [np.abs(end(n) - exact).max() for n in (8, 16)]
    assert 3.6 < np.log2(errors[0] / errors[1]) < 4.6, errors
    truth = square_cut(w[0], 96)
    fine = array(NavierStokes(0.01, 0.0125, 32).forward(square(truth[None])))[0]
    apart = []
    for n in (16, 32, 48):
        coarse = array(NavierStokes(0.01, 0.0125, 32).forward(square(square_cut(w[0], n)[None])))[0]
        apart.append(np.abs(square_cut(fine, n) - coarse).max())
    assert (np.array(apart[1:]) < np.array(apart[:-1]) / 30).all(), apart  # faster than any fixed power


def square_cut(w: np.ndarray, n: int) -> np.ndarray:
    """The same function on n² cells: fewer or more Fourier modes, with the centers moved to theirs."""
    m = w.shape[0]
    k, here = (np.fft.fftfreq(size, 1 / size) for size in (n, m))
    shift = {size: np.exp(-1j * np.pi * ks / size) for size, ks in ((m, here), (n, k))}
    c = np.fft.fft2(w) * shift[m][:, None] * shift[m] / m**2
    kept = [int(q) for q in k if abs(q) < min(m, n) / 2]
    result = np.zeros((n, n), complex)
    for p in kept:
        for q in kept:
            result[p, q] = c[p, q]
    return np.fft.ifft2(result / shift[n][:, None] / shift[n]).real * n**2


@ALIKE
def test_circulation_and_energy(framework, double):
    """The mean of ω stays; without friction so do ½ ∫|u|² and ∫ω², which friction takes away at the rate 2 ν ∫ω²."""
    w = 8 * vorticity(2, 24) + 0.3
    free, damped = (array(NavierStokes(v, 0.0125, 16).forward(square(w))) for v in (0.0, 0.02))
    for y in (free, damped):
        np.testing.assert_allclose(y.mean((1, 2)), 0.3, atol=1e-13)
    for sample, end, slowed in zip(w, free, damped, strict=True):
        energy = [np.mean(velocity(part) ** 2) * 2 for part in (sample, end, slowed)]
        assert energy[1] == pytest.approx(energy[0], rel=1e-7)
        assert np.mean(end**2) == pytest.approx(np.mean(sample**2), rel=1e-6)
        lost = 0.2 * 2 * 0.02 * 0.5 * (np.var(sample) + np.var(slowed))  # trapezoidal in time
        assert energy[0] - energy[2] == pytest.approx(lost, rel=0.1)


@ALIKE
def test_viscosity_and_force_per_sample(framework, double):
    w = 4 * vorticity(2, 16)
    force = vorticity(2, 16, seed=1)
    forcing = math.tensor(force, batch("batch"), spatial("x,y"))
    together = array(NavierStokes(math.wrap([0.01, 0.1], batch("batch")), 0.05, 4, forcing).forward(square(w)))
    for i, viscosity in enumerate((0.01, 0.1)):
        one = NavierStokes(viscosity, 0.05, 4, math.tensor(force[i], spatial("x,y"))).forward(square(w[i : i + 1]))
        np.testing.assert_allclose(together[i], array(one)[0], atol=1e-13)


@pytest.mark.slow_on("tensorflow")
def test_derivatives_are_those_of_finite_differences_and_adjoint(framework, double):
    """Also compiled, where the time steps are a loop."""
    shape, rng = (2, 8, 6), np.random.default_rng(0)
    arrays = smooth(rng, *shape), *rng.normal(size=(2, *shape))
    assert_derivatives(framework, NavierStokes(0.1, 0.5, 3), periodic(np.zeros(shape)), *arrays)


@ALIKE
def test_the_start_is_found(framework, double):
    x = square(4 * vorticity(2, 12) + 0.2)
    physics = NavierStokes(0.002, 0.05, 4)
    y = physics.forward(x)
    assert physics.constrain(x * 0, y).values.numpy("batch,x,y").mean((1, 2)) == pytest.approx([0.2, 0.2])
    step = sip_inverse(physics, y, physics.initial_state(y))
    assert np.abs(array(step.x_target) - array(x)).max() < 0.02 * np.abs(array(x)).max()


def test_the_mean_of_the_start_is_that_of_the_end_less_that_of_the_force(double):
    x = square(vorticity(2, 12) + 0.2)
    physics = NavierStokes(0.01, 0.05, 4, forcing=math.ones(spatial(x=12, y=12)))
    y = physics.forward(x)
    np.testing.assert_allclose(array(y).mean((1, 2)), 0.4, atol=1e-13)
    np.testing.assert_allclose(array(physics.constrain(x * 3, y)).mean((1, 2)), 0.2, atol=1e-13)


def test_noise():
    assert NavierStokes(0.1, 0.1, 1).noise_energy(square(np.zeros((1, 4, 4)))) is None
    assert float(NavierStokes(0.1, 0.1, 1, noise_std=0.5).noise_energy(square(np.zeros((1, 4, 4))))) == 4.0
    assert get_physics("navier-stokes", viscosity=0.1, time_step=0.1, steps=3).steps == 3


STILL = square(np.zeros((1, 8, 8)))
REFUSED = {
    "viscosity": (lambda: NavierStokes(-1.0, 0.1, 1), ParameterError, "viscosity = -1.0"),
    "time step": (lambda: NavierStokes(0.1, 0.0, 1), ParameterError, "time_step"),
    "steps": (lambda: NavierStokes(0.1, 0.1, 0), ParameterError, "steps"),
    "noise": (lambda: NavierStokes(0.1, 0.1, 1, noise_std=-1.0), ParameterError, "noise_std"),
    "a rule": (
        lambda: NavierStokes(0.1, 0.1, 1, regularization=Sparse()),
        ParameterError,
        "modes of a closed form",
    ),
    "a word": (lambda: NavierStokes(0.1, 0.1, 1, "wind"), UnsupportedError, "forcing is a str"),
    "other cells": (
        lambda: NavierStokes(0.1, 0.1, 1, math.ones(spatial(x=9))).forward(STILL),
        GridMismatchError,
        "forcing has the cells",
    ),
    "too fast": (
        lambda: NavierStokes(0.1, 10.0, 1).forward(square(100 * vorticity(1, 16))),
        ParameterError,
        "unstable",
    ),
    "walls": (lambda: NavierStokes(0.1, 0.1, 1).forward(grid(np.zeros((1, 8, 8)), None, 0)), BoundaryError, "PERIODIC"),
    "one axis": (
        lambda: NavierStokes(0.1, 0.1, 1).forward(periodic(np.zeros((1, 8)))),
        UnsupportedError,
        "two-dimensional",
    ),
    "a velocity": (
        lambda: NavierStokes(0.1, 0.1, 1).forward(periodic(np.zeros((1, 8, 8, 2)), vector=True)),
        UnsupportedError,
        "vorticity",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
