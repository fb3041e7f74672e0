"""Rules with a prior against the best linear filter, the closed formula, and each other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import frameworks
import numpy as np
import pytest
import scipy.fft
from fields import array, grid
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation, spatial
from test_regularization import RULES

from phi_sip import HeatEquation, sip_inverse
from phi_sip.contract.step import SipStep
from phi_sip.data import heat_rectangles, smooth_fields
from phi_sip.frameworks import operations_of
from phi_sip.regularization import (
    CrossValidated,
    EmpiricalBayes,
    PowerLaw,
    Sparse,
    TotalVariation,
    Wiener,
    cross_validated,
)
from phi_sip.regularization.noise import EmptyModes
from phi_sip.spectral import SpectralBasis
from phi_sip.states.workers import working_together

AMOUNT = 8.0
PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT


class Modes:
    """The modes of a grid of unit cells by NumPy and SciPy."""

    def __init__(self, boundary: Any, cells: tuple[int, ...]) -> None:
        self.periodic, self.cells, self.axes = boundary == PERIODIC, cells, tuple(range(1, len(cells) + 1))
        numbers = [2 * np.fft.fftfreq(n) if self.periodic else np.arange(n) / n for n in cells]
        self.k_squared = sum((np.pi * k) ** 2 for k in np.meshgrid(*numbers, indexing="ij"))
        self.gain = np.exp(-AMOUNT * self.k_squared)

    def forward(self, u: np.ndarray) -> np.ndarray:
        transform = np.fft.fftn if self.periodic else scipy.fft.dctn
        return transform(u, axes=self.axes, norm="ortho")

    def inverse(self, c: np.ndarray) -> np.ndarray:
        transform = np.fft.ifftn if self.periodic else scipy.fft.idctn
        return transform(c, axes=self.axes, norm="ortho").real

    def wiener(self, y: np.ndarray, spectrum: np.ndarray, noise_std: float) -> np.ndarray:
        """S h / (S h² + σ²) per mode; the constant as it is."""
        kernel = spectrum * self.gain / (spectrum * self.gain**2 + noise_std**2)
        kernel[(0,) * len(self.cells)] = 1
        return self.inverse(kernel * self.forward(y))


def rectangles(samples: int, cells: tuple[int, ...], boundary: Any = PERIODIC, seed: int = 0) -> Field:
    shape = spatial(**dict(zip("xyz", cells, strict=False)))
    return grid(array(heat_rectangles(batch(batch=samples), shape, seed=seed)), None, boundary)


def observe(x: Field, sigma: float) -> Field:
    y = HeatEquation(AMOUNT, 1.0).forward(x)
    noise = sigma * np.random.default_rng(100).standard_normal(array(y).shape)
    return y + math.tensor(noise, batch("batch"), *y.resolution)


def invert(y_target: Field, rule: Any = None, noise_std: Any = "auto") -> SipStep:
    return sip_inverse(HeatEquation(AMOUNT, 1.0, noise_std, rule), y_target, y_target * 0)


def distance(a: Any, b: Any) -> float:
    return float(np.linalg.norm(np.asarray(a) - np.asarray(b)))


BOUNDS = [
    # cells, boundary, samples
    ((64, 64), PERIODIC, 64),
    ((64, 64), INSULATED, 64),
    ((64,), PERIODIC, 256),
]


@pytest.mark.parametrize("sigma", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize(("cells", "boundary", "samples"), BOUNDS, ids=["periodic", "insulated", "1d"])
def test_one_shot_error_against_the_best_linear_filter(double, cells, boundary, samples, sigma):
    """The bound is the Wiener filter with the spectrum of 512 other samples; where σ = 0, for the rounding of y*."""
    modes = Modes(boundary, cells)
    with NUMPY:
        spectrum = (np.abs(modes.forward(array(rectangles(512, cells, seed=1)))) ** 2).mean(0)
        x = rectangles(samples, cells, boundary)
        y_target = observe(x, sigma)
        rounding = 2e-16 * np.sqrt((array(y_target) ** 2).mean())
        bound = distance(modes.wiener(array(y_target), spectrum, max(sigma, rounding)), array(x))
        for rule in (None, EmpiricalBayes()):
            assert distance(array(invert(y_target, rule).x_target), array(x)) < 1.05 * bound


def test_edges_go_far_below_the_linear_bound(double):
    modes = Modes(PERIODIC, (64, 64))
    with NUMPY:
        spectrum = (np.abs(modes.forward(array(rectangles(512, (64, 64), seed=1)))) ** 2).mean(0)
        x = rectangles(32, (64, 64))
        y_target = observe(x, 1e-3)
        bound = distance(modes.wiener(array(y_target), spectrum, 1e-3), array(x))
        for rule, ratio in ((TotalVariation(minimum=0.0), 0.65), (TotalVariation(), 0.75), (CrossValidated(), 0.75)):
            assert distance(array(invert(y_target, rule).x_target), array(x)) < ratio * bound


def smooth(samples: int, n: int = 64) -> tuple[Field, PowerLaw]:
    """Fields with S_k = A |k|⁻³, and this law."""
    k_squared = Modes(PERIODIC, (n, n)).k_squared
    shape = np.where(k_squared > 0, k_squared, np.inf) ** -1.5
    law = PowerLaw(float(0.3**2 * n**2 / shape.sum()), 3.0)
    return smooth_fields(batch(batch=samples), spatial(x=n, y=n), exponent=3.0, std=0.3, seed=1), law


@pytest.mark.parametrize("sigma", [1e-4, 1e-2])
def test_smooth_fields_are_left_to_the_linear_rule(double, sigma):
    with NUMPY:
        x, law = smooth(32)
        y_target = observe(x, sigma)
        bound, default, edges = (
            distance(array(invert(y_target, rule).x_target), array(x)) for rule in (Wiener(law), None, TotalVariation())
        )
    assert default < 1.05 * bound
    assert edges > 1.1 * bound


def test_cross_validation_tells_edges_from_smooth_fields(double):
    with NUMPY:
        edges, none = (
            float(np.mean(invert(observe(x, 1e-3)).stats["edges"].numpy("batch")))
            for x in (rectangles(32, (64, 64)), smooth(32)[0])
        )
    assert edges > 0.9
    assert none < 0.2


@pytest.mark.parametrize("sigma", [1e-6, 1e-2])
def test_wiener_with_a_known_law_is_the_closed_formula(double, sigma):
    modes = Modes(PERIODIC, (32, 32))
    with NUMPY:
        x, law = smooth(3, 32)
        y_target = observe(x, sigma)
        found = array(invert(y_target, Wiener(law), sigma).x_target)
    spectrum = law.amplitude * np.where(modes.k_squared > 0, modes.k_squared, 1.0) ** -1.5
    np.testing.assert_allclose(found, modes.wiener(array(y_target), spectrum, sigma), atol=1e-10)


def test_wiener_with_a_measured_spectrum_is_the_closed_formula(double):
    modes = Modes(INSULATED, (32, 32))
    with NUMPY:
        samples, x = (rectangles(n, (32, 32), INSULATED, seed) for n, seed in ((64, 1), (3, 0)))
        y_target = observe(x, 1e-3)
        found = array(invert(y_target, Wiener.from_samples(samples), 1e-3).x_target)
    spectrum = (modes.forward(array(samples)) ** 2).mean(0)
    np.testing.assert_allclose(found, modes.wiener(array(y_target), spectrum, 1e-3), atol=1e-9)


@pytest.mark.parametrize("boundary", [PERIODIC, INSULATED], ids=str)
def test_uncertainty_covers_the_error(double, boundary):
    """95 % of the cells lie within 1.96 standard deviations, for states drawn from a power law."""
    modes = Modes(boundary, (32, 32))
    spectrum = 0.05 * np.where(modes.k_squared > 0, modes.k_squared, np.inf) ** -1.5
    white = np.random.default_rng(1).standard_normal((256, 32, 32))
    with NUMPY:
        x = grid(modes.inverse(np.sqrt(spectrum) * modes.forward(white)), None, boundary)
        y_target = observe(x, 1e-3)
        known, fitted = (invert(y_target, rule) for rule in (Wiener(PowerLaw(0.05, 3.0)), EmpiricalBayes()))
        covered = [
            float((np.abs(array(s.x_target) - array(x)) < 1.96 * array(s.uncertainty)).mean()) for s in (known, fitted)
        ]
    assert 0.94 < covered[0] < 0.96
    assert 0.93 < covered[1] < 0.97


@pytest.mark.parametrize(
    ("rule", "alike"),
    [
        (Wiener(), False),
        (EmpiricalBayes(), 1e-10),
        (TotalVariation(tolerance=0.0), 1e-10),
        (Sparse(), 1e-10),
        (None, 1e-10),
    ],
    ids=["wiener", "empirical bayes", "total variation", "sparse", "default"],
)
def test_only_the_pooled_spectrum_mixes_batch_entries(double, rule, alike):
    with NUMPY:
        parts = [array(rectangles(2, (32, 32))), array(smooth(6, 32)[0])]
        y_target = observe(grid(np.concatenate(parts), None, PERIODIC), 1e-3)
        together, alone = (array(invert(y, rule).x_target) for y in (y_target, y_target.batch[0]))
    difference = np.abs(together[0] - alone.reshape(32, 32)).max()
    assert difference < alike if alike else difference > 1e-3


COMPILING = [row for row in frameworks.TABLE if row.name != "torch"]


COMPILED = ("damping", "discrepancy", "truncated svd", "wiener", "total variation")  # the others take long


@pytest.mark.parametrize("framework", COMPILING, ids=lambda row: row.name, indirect=True)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in COMPILED else pytest.mark.slow) for name in RULES]
)
@pytest.mark.parametrize("sigma", [pytest.param("auto", marks=pytest.mark.slow), "traced"])
def test_compiled_rules_are_the_eager_ones(framework, double, name, sigma):
    """With all data, and the noise, as values that are being traced."""
    with NUMPY:
        y_target = array(observe(rectangles(3, (32, 32)), 1e-3))
    b = framework.backend

    def run(target: Any, noise: Any) -> tuple[Any, ...]:
        with math.precision(64):
            values, std = (
                math.reshaped_tensor(v, [batch(batch=3), *dims], convert=False)
                for v, dims in ((target, spatial(x=32, y=32)), (noise, ()))
            )
            physics = HeatEquation(AMOUNT, 1.0, "auto" if sigma == "auto" else std, RULES[name])
            y = CenteredGrid(values, PERIODIC, Box(x=32, y=32))
            correction = physics.inverse(y, y * 0, y * 0)
            deviation = correction.uncertainty()
            return tuple(field.values.native("batch,x,y") for field in (correction.dx, deviation))

    data = b.as_tensor(y_target), b.as_tensor(np.array([1e-3, 1.1e-3, 0.9e-3]))
    expected, found = run(*data), operations_of(b).compile(run)(*data)
    for here, there in zip(found, expected, strict=True):
        np.testing.assert_allclose(b.numpy(here), b.numpy(there), rtol=1e-11, atol=1e-12)


def test_rules_agree_between_frameworks(framework, double):
    with NUMPY:
        y_target = observe(rectangles(8, (32, 32)), 1e-3)
        expected = {name: array(invert(y_target, rule).x_target) for name, rule in RULES.items()}
    y_here = grid(array(y_target), None, PERIODIC)
    for name, rule in RULES.items():
        found = array(invert(y_here, rule).x_target)
        np.testing.assert_allclose(found, expected[name], atol=1e-9, err_msg=name)


class Threads:
    """Workers as threads, each of which contributes its values and waits for those of the others."""

    def __init__(self, count: int) -> None:
        self.count, self._barrier, self._values = count, threading.Barrier(count, timeout=60), {}

    def gathered(self, values: Any) -> list[Any]:
        self._values[threading.get_ident()] = values
        self._barrier.wait()
        found = list(self._values.values())
        self._barrier.wait()
        return found

    def sum(self, native: Any) -> Any:
        return sum(self.gathered(native))

    def max(self, native: Any) -> Any:
        return np.max(self.gathered(native), axis=0)

    def any_failed(self, failed: bool) -> bool:
        return any(self.gathered(failed))


@pytest.mark.parametrize(
    ("rule", "noise_std"),
    [
        (Wiener(), 1e-3),
        (Wiener(), "auto"),
        (EmpiricalBayes(), EmptyModes(pooled=True)),
        (None, EmptyModes(pooled=True)),
    ],
    ids=["wiener", "wiener, noise of each", "pooled noise", "pooled noise, default"],
)
def test_what_is_fitted_to_the_batch_is_fitted_to_that_of_all_workers(double, rule, noise_std):
    with NUMPY:
        y_target = observe(rectangles(6, (32, 32)), 1e-3)
        whole, workers = array(invert(y_target, rule, noise_std).x_target), Threads(2)

        def work(part: slice) -> np.ndarray:
            with NUMPY, math.precision(64), working_together(workers):
                return array(invert(y_target.batch[part], rule, noise_std).x_target)

        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(work, (slice(0, 3), slice(3, 6))))
        alone = array(invert(y_target.batch[0:3], rule, noise_std).x_target)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-10)
    assert np.abs(alone - whole[:3]).max() > 1e-8


@pytest.mark.parametrize("cells", [(32,), (34, 32), (36, 32, 40)], ids=str)
@pytest.mark.parametrize("kind", [PERIODIC, INSULATED, 0, (INSULATED, 0), (0, INSULATED)], ids=str)
def test_long_waves_on_half_as_many_cells(double, kind, cells):
    with NUMPY:
        boundary = dict(zip("xyz", (kind, PERIODIC, kind)[: len(cells)], strict=False))
        basis = SpectralBasis.of(grid(np.zeros((1, *cells)), None, boundary))
        coarse = basis.coarse
        found = basis.restrict(math.expand(basis.k_squared(), basis.modes))
        names = basis.modes.names
        assert coarse.resolution.sizes == tuple(n // 2 for n in cells)
        np.testing.assert_allclose(found.numpy(names), math.expand(coarse.k_squared(), coarse.modes).numpy(names))


@pytest.mark.parametrize(("amount", "coarser"), [(0.5, False), (8.0, True)])
def test_the_choice_is_made_on_a_coarser_grid_if_that_holds_all_there_is(double, monkeypatch, amount, coarser):
    grids, weights = [], []
    seen, everything = cross_validated.coarsened, lambda problem, spectrum: (problem, spectrum)

    def note(problem: Any, spectrum: Any) -> Any:
        result = seen(problem, spectrum)
        grids.append(result[0].basis.resolution.sizes)
        return result

    with NUMPY:
        x = rectangles(16, (64, 64))
        y_target = HeatEquation(amount, 1.0).forward(x) + 1e-3 * math.tensor(
            np.random.default_rng(0).standard_normal((16, 64, 64)), batch("batch"), spatial("x,y")
        )
        for function in (note, everything):
            monkeypatch.setattr(cross_validated, "coarsened", function)
            weights.append(sip_inverse(HeatEquation(amount, 1.0), y_target, x * 0).stats["edges"].numpy("batch"))
    assert grids == [(32, 32) if coarser else (64, 64)]
    np.testing.assert_allclose(*weights, atol=0.2)
