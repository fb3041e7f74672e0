"""The heat equation against analytic modes and an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array, periodic, smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import StaggeredGrid
from phiml import math
from phiml.backend import choose_backend
from phiml.math import batch, extrapolation
from scipy import ndimage

from phi_sip import EmpiricalBayes, HeatEquation, ProbabilisticDamping, sip_inverse
from phi_sip.frameworks import operations_of
from phi_sip.spectral import SpectralBasis

MODES = [
    # cells, cell sizes, wave numbers, diffusivity, time
    ((64,), (0.5,), (3,), 0.25, 2.0),
    ((33,), (2.0,), (5,), 1.5, 3.0),
    ((64, 32), (1.0, 2.0), (4, 3), 1.0, 8.0),
    ((24, 17), (0.25, 0.75), (2, 8), 0.01, 4.0),
    ((16, 12, 10), (0.5, 1.0, 1.5), (1, 2, 3), 0.3, 1.5),
    ((8, 9, 7), (3.0, 0.2, 1.0), (2, 0, 3), 0.05, 0.7),
]


def mode(cells: tuple[int, ...], numbers: tuple[int, ...], phase: float = 0.3) -> np.ndarray:
    grids = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in cells], indexing="ij")
    return np.cos(2 * np.pi * sum(m * g for m, g in zip(numbers, grids, strict=True)) + phase)[None]


@pytest.mark.parametrize("row", MODES, ids=lambda row: f"{len(row[0])}d-{row[0]}")
def test_single_modes_decay_as_they_should(framework, double, row):
    cells, dx, numbers, nu, t = row
    k2 = sum((2 * np.pi * m / (n * d)) ** 2 for m, n, d in zip(numbers, cells, dx, strict=True))
    values = mode(cells, numbers)
    y = HeatEquation(nu, t).forward(periodic(values, dx))
    np.testing.assert_allclose(array(y), values * np.exp(-k2 * nu * t), atol=1e-12, rtol=0)


@pytest.mark.parametrize("row", MODES, ids=lambda row: f"{len(row[0])}d-{row[0]}")
def test_inverse_recovers_a_single_mode(framework, double, row):
    cells, dx, numbers, nu, t = row
    x = periodic(mode(cells, numbers) + 2, dx)
    exact, default = HeatEquation(nu, t, 0.0, ProbabilisticDamping()), HeatEquation(nu, t)
    # The default is made of many operations, which JAX compiles for every shape.
    for physics, tolerance in ((exact, 1e-7), (default, 5e-2))[: 1 if framework.name == "jax" else 2]:
        step = sip_inverse(physics, physics.forward(x), physics.constrain(x * 0, x))
        np.testing.assert_allclose(array(step.x_target), array(x), atol=tolerance)


@given(
    sizes=st.lists(st.integers(4, 17), min_size=1, max_size=3),
    amount=st.floats(0.01, 4),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=40)
def test_forward_agrees_with_scipy_gaussian(sizes, amount, seed, data):
    """Diffusion by ν t is a Gaussian blur of variance 2 ν t."""
    dx = tuple(data.draw(st.sampled_from([0.5, 1.0, 2.0])) for _ in sizes)
    values = np.random.default_rng(seed).standard_normal((2, *sizes))
    with math.precision(64):
        y = array(HeatEquation(amount, 1.0).forward(periodic(values, dx)))
    sigma = [np.sqrt(2 * amount) / d for d in dx]
    for got, sample in zip(y, values, strict=True):
        expected = np.fft.ifftn(ndimage.fourier_gaussian(np.fft.fftn(sample), sigma)).real
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("shape", [(2, 15), (2, 8, 6), (2, 6, 5, 4)], ids=["1d", "2d", "3d"])
def test_forward_is_self_adjoint_and_differentiable(framework, precision, shape):
    rng = np.random.default_rng(0)
    with math.precision(precision):
        u, v = (periodic(rng.standard_normal(shape)) for _ in range(2))
        physics = HeatEquation(0.5, 1.0)
        order = u.values.shape

        def run(native):
            return [physics.forward(u.with_values(math.reshaped_tensor(native, [*order]))).values.native(order)]

        native = u.values.native(order)
        _, pullback = operations_of(choose_backend(native)).vjp(run, [native])
        gradient = math.reshaped_tensor(pullback([v.values.native(order)])[0], [*order])
        tolerance = 1e-12 if precision == 64 else 1e-5
        np.testing.assert_allclose(array(gradient), array(physics.forward(v)), atol=tolerance)
        left, right = np.sum(array(v) * array(physics.forward(u))), np.sum(array(gradient) * array(u))
        assert left == pytest.approx(right, rel=100 * tolerance)


def test_diffusivity_can_be_learned(framework, double):
    x = periodic(smooth(np.random.default_rng(0), 2, 16, 16))

    def loss(nu):
        return math.sum(HeatEquation(nu, 2.0).forward(x).values ** 2, "x,y,batch")

    slope = math.gradient(loss, "nu", get_output=False)(math.to_float(math.tensor(0.7)))
    finite = (loss(0.7 + 1e-5) - loss(0.7 - 1e-5)) / 2e-5
    assert float(slope) == pytest.approx(float(finite), rel=1e-6)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_parameters_with_batch_dims_act_per_entry(framework, double):
    rng = np.random.default_rng(1)
    x = periodic(smooth(rng, 3, 12, 10))
    nu, t, sigma = (math.tensor(v, batch("batch")) for v in ([0.1, 1.0, 0.0], [1.0, 2.0, 5.0], [0.0, 1e-3, 1e-2]))
    together = HeatEquation(nu, t, sigma)
    y = together.forward(x)
    step = sip_inverse(together, y + 1e-3, x * 0)
    for i in range(3):
        alone = HeatEquation(*(float(p.batch[i]) for p in (nu, t, sigma)))
        np.testing.assert_allclose(array(y)[i], array(alone.forward(x.batch[i])), atol=1e-14)
        single = sip_inverse(alone, y.batch[i] + 1e-3, x.batch[i] * 0)
        np.testing.assert_allclose(array(step.x_target)[i], array(single.x_target), atol=1e-12)


ON_OTHERS = pytest.mark.slow_on("jax")  # which compiles each operation of the default for three shapes


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize(
    ("rule", "tolerance"),
    [(EmpiricalBayes(), 1e-12), pytest.param(None, 1e-5, marks=ON_OTHERS)],
    ids=["linear", "default"],
)
def test_any_number_of_batch_dims(framework, double, rule, tolerance):
    """Total variation, part of the default, iterates in single precision."""
    values = np.random.default_rng(2).standard_normal((6, 8, 8))
    x = periodic(values)
    physics = HeatEquation(1.0, 0.5, 1e-3, rule)
    split = x.with_values(math.unpack_dim(x.values, "batch", batch(run=2, sample=3)))
    flat = sip_inverse(physics, physics.forward(x), x * 0).x_target
    deep = sip_inverse(physics, physics.forward(split), split * 0).x_target
    np.testing.assert_allclose(deep.values.numpy("run,sample,x,y").reshape(6, 8, 8), array(flat), atol=tolerance)
    no_batch = x.batch[0]
    single = sip_inverse(physics, physics.forward(no_batch), no_batch * 0).x_target
    np.testing.assert_allclose(array(single), array(flat)[0], atol=tolerance)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_vector_fields_are_their_components(framework, double):
    rng = np.random.default_rng(3)
    values = smooth(rng, 2, 12, 10)[..., None] * np.array([1.0, -3.0]) + rng.standard_normal((2, 12, 10, 2)) * 0.1
    physics = HeatEquation(0.4, 1.0, 1e-4)
    x = periodic(values, vector=True)
    y = physics.forward(x)
    step = sip_inverse(physics, y, x * 0)
    assert step.x_target.values.shape["vector"].item_names == x.values.shape["vector"].item_names
    for i in range(2):
        part = periodic(values[..., i])
        part_step = sip_inverse(physics, physics.forward(part), part * 0)
        np.testing.assert_allclose(array(step.x_target)[..., i], array(part_step.x_target), atol=1e-12)


def test_periodic_staggered_grids(framework, double):
    v = StaggeredGrid(
        lambda x, y: math.stack({"x": math.sin(x), "y": math.cos(y)}, math.channel("vector")),
        extrapolation.PERIODIC,
        x=16,
        y=12,
    )
    y = HeatEquation(0.5, 1.0).forward(v)
    assert y.is_staggered
    for axis in "xy":
        before, after = (f.vector[axis].values.numpy("x,y") for f in (v, y))
        blurred = np.fft.ifftn(ndimage.fourier_gaussian(np.fft.fftn(before), 1.0)).real
        np.testing.assert_allclose(after, blurred, atol=1e-12)


def test_a_grid_first_seen_in_single_precision_is_as_exact(framework):
    """What is kept per grid does not depend on the precision in which it was made."""
    values = mode((11, 14), (2, 1))
    with math.precision(32):
        _ = SpectralBasis.of(periodic(values.astype(np.float32))).ranks
    with math.precision(64):
        y = HeatEquation(0.3, 1.0).forward(periodic(values))
    k2 = (2 * np.pi * 2 / 11) ** 2 + (2 * np.pi / 14) ** 2
    np.testing.assert_allclose(array(y), values * np.exp(-0.3 * k2), atol=1e-13)


@pytest.mark.slow_on("jax")  # which compiles each operation for both
@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("surrounding", [32, 64])
def test_physics_runs_in_the_precision_of_its_input(framework, precision, surrounding):
    with math.precision(precision):
        x = periodic(np.random.default_rng(4).standard_normal((2, 8, 8)))
    physics = HeatEquation(1.0, 1.0, 1e-3)
    with math.precision(surrounding):
        y = physics.forward(x)
        step = sip_inverse(physics, y, x)
        direct = physics.inverse(y, x, y)
        fields = (
            y,
            physics.constrain(x, y),
            direct.dx,
            step.x_target,
            step.dx,
            step.y,
            step.residual,
            step.uncertainty,
        )
    for field in fields:
        assert field.values.dtype.precision == precision


def test_results_stay_on_the_framework_of_the_data(framework):
    x = periodic(np.ones((2, 8, 8)))
    step = sip_inverse(HeatEquation(1.0, 1.0, 1e-3), x, x * 0)
    for field in (step.x_target, step.y, step.uncertainty):
        assert field.values.default_backend is framework.backend


def test_mean_is_conserved_and_imposed(framework, double):
    rng = np.random.default_rng(5)
    x = periodic(rng.standard_normal((3, 9, 8)))
    physics = HeatEquation(1.0, 3.0)
    y = physics.forward(x)
    np.testing.assert_allclose(array(y).mean((1, 2)), array(x).mean((1, 2)), atol=1e-14)
    guess = physics.constrain(periodic(rng.standard_normal((3, 9, 8))), y)
    np.testing.assert_allclose(array(guess).mean((1, 2)), array(y).mean((1, 2)), atol=1e-14)


def test_no_diffusion_is_the_identity(framework, double):
    x = periodic(np.random.default_rng(6).standard_normal((2, 8, 8)))
    for physics in (HeatEquation(0.0, 5.0), HeatEquation(3.0, 0.0)):
        y = physics.forward(x)
        np.testing.assert_allclose(array(y), array(x), atol=1e-13)
        np.testing.assert_allclose(array(sip_inverse(physics, y, x * 0).x_target), array(x), atol=1e-12)


def test_axes_are_named_not_ordered(framework, double):
    x = periodic(smooth(np.random.default_rng(7), 2, 12, 8), (0.5, 2.0))
    turned = x.with_values(
        math.reshaped_tensor(x.values.native("y,batch,x"), [*x.values.shape.only("y,batch,x", True)])
    )
    physics = HeatEquation(1.0, 0.2, 1e-3)
    np.testing.assert_allclose(array(physics.forward(turned)), array(physics.forward(x)), atol=1e-14)
    step = sip_inverse(physics, x, turned * 0)
    np.testing.assert_allclose(array(step.dx), array(sip_inverse(physics, turned, x * 0).dx), atol=1e-12)
