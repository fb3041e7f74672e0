"""What networks are drawn to, on three frameworks: against formulas, by hand, and whatever the order of axes."""

from __future__ import annotations

from functools import partial
from typing import Any

import frameworks
import numpy as np
import phiml.nn
import pytest
import tensorflow as tf
import torch
from fields import array, observed, periodic, states
from phi.field import StaggeredGrid
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, extrapolation, spatial

import phi_sip
from phi_sip import (
    Composite,
    EmpiricalBayes,
    Evolution,
    HeatEquation,
    Labels,
    LocalInverse,
    Masked,
    NonFiniteError,
    ParameterError,
    ProbabilisticDamping,
    RandomTransform,
    SelfSimulated,
    Tikhonov,
    TotalVariation,
    UnknownNameError,
    UnsupportedError,
    predict_state,
    sip_inverse,
    sip_update_weights,
    start_from_estimate,
)
from phi_sip.descriptions.from_data import construct
from phi_sip.descriptions.to_data import describe
from phi_sip.frameworks import training_framework

SIGMA = 0.05
PHYSICS = HeatEquation(1.0, 0.5, SIGMA, EmpiricalBayes())
INPUTS = ("y", "estimate")
observations = partial(observed, PHYSICS, SIGMA)


def options(framework) -> dict[str, Any]:
    """What makes a few updates quickly: JAX compiles each operation, if not all of them at once."""
    return {"compile": False} if framework.name == "tensorflow" else {}


class Gain(torch.nn.Module):
    """x = a · y."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, native):
        return self.a * native


def test_the_default_is_the_local_inverse(framework):
    y, found = observations(), []
    for targets in (None, LocalInverse(), "local-inverse"):
        net = framework.u_net(batch_norm=False)
        update = sip_update_weights(net, framework.sgd(net, 1e-3), PHYSICS, y, targets=targets, **options(framework))
        found.append((array(update.x_target), framework.weights(net)))
    for x_target, weights in found[1:]:
        np.testing.assert_array_equal(x_target, found[0][0])
        for a, b in zip(weights, found[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_labels_are_supervised_training(framework):
    net, x_true, y = framework.u_net(batch_norm=False), states(), observations()
    update = sip_update_weights(
        net, framework.adam(net), PHYSICS, y, x_true=x_true, targets=Labels(), **options(framework)
    )
    np.testing.assert_allclose(array(update.x_target), array(x_true), atol=1e-6)
    np.testing.assert_allclose(float(update.loss.mean), float(update.x_l2.mean), rtol=1e-5)
    residual = array(PHYSICS.forward(update.x)) - array(y)
    np.testing.assert_allclose(float(update.y_l2.mean), 0.5 * np.sum(residual**2, (1, 2)).mean(), rtol=1e-4)


def filtered(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.fft.ifft2(np.fft.fft2(values) * factor).real


@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize("corrected", [False, True])
def test_self_simulated_states_are_those_of_the_formula(bias, corrected):
    """For a network of one weight, with NumPy alone, the random numbers taken from what was drawn."""
    n, a = 16, 0.7
    target = SelfSimulated(1.0, bias_correction=bias, data_correction=corrected, transform=None)
    with TORCH, math.precision(64):
        y_target = observations(n=n)
        net = Gain(a)
        optimizer = torch.optim.SGD(net.parameters(), 1.0)
        before = np.random.get_state()  # noqa: NPY002
        update = sip_update_weights(
            net,
            optimizer,
            PHYSICS,
            y_target,
            predict=lambda y: y.with_values(math.native_call(net, y.values)),
            targets=target,
        )
        step = sip_inverse(PHYSICS, y_target, y_target * 0)
        found, x = (
            array(update.x_target)[:, 0] if array(update.x_target).ndim == 4 else array(update.x_target),
            array(update.x),
        )
        loss, y = float(math.mean(update.loss, update.loss.shape)), array(y_target)
    np.random.set_state(before)  # noqa: NPY002
    generator = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
    noise = generator.standard_normal((1, 4, n, n))[0]
    noise_of_bias = generator.standard_normal((4, n, n)) if bias else None
    k = 2 * np.pi * np.fft.fftfreq(n)
    h = np.exp(-0.5 * (k[:, None] ** 2 + k[None, :] ** 2))
    np.testing.assert_allclose(x, a * y, rtol=1e-12)
    s = a * y
    if bias:
        s = s + bias * (s - a * (filtered(s, h) + SIGMA * noise_of_bias))
    if corrected:
        with math.precision(64), NUMPY:
            kernel = step.stats["kernel"]
            full = kernel_of(kernel, n)
        s = s + filtered(y - filtered(s, h), full)
    np.testing.assert_allclose(found, s, atol=1e-8)
    y_2 = filtered(s, h) + SIGMA * noise
    np.testing.assert_allclose(loss, 0.5 * np.sum((a * y_2 - s) ** 2, (1, 2)).mean(), rtol=1e-8)
    gradient = np.sum((a * y_2 - s) * y_2)
    np.testing.assert_allclose(float(net.a.detach()), a - gradient, rtol=1e-8)


def kernel_of(kernel, n: int) -> np.ndarray:
    """The kernel of all modes (batch, kx, ky), from that of those of a real transform."""
    spatial_names = sorted(kernel.shape.spatial.names)
    half = kernel.numpy(["batch", *spatial_names])
    if half.shape[-1] == n:
        return half
    full = np.zeros((len(half), n, n))
    full[..., : half.shape[-1]] = half
    flipped = np.roll(half[:, ::-1, ::-1], 1, 1)
    full[..., half.shape[-1] :] = flipped[..., 1 : n - half.shape[-1] + 1]
    return full


def test_a_gaussian_prior_gives_nearly_the_posterior_mean():
    """
    States that are white noise of variance 1, seen with white noise of variance 1: the best answer is y / 2, of risk
    1/2. Without correction the states would lose half of their variance each time.
    """
    rng = np.random.default_rng(0)
    physics = HeatEquation(1.0, 1e-12, 1.0, Tikhonov(1.0))
    gains = {}
    for name, target in (
        ("corrected", SelfSimulated(1.0, bias_correction=0.0)),
        ("plain", SelfSimulated(1.0, bias_correction=0.0, data_correction=False)),
    ):
        with TORCH, math.precision(64):
            net = Gain(0.5)
            optimizer = torch.optim.SGD(net.parameters(), 2e-4)
            math.seed(0)
            for _ in range(30):
                y = periodic(rng.normal(size=(8, 16, 16)) + rng.normal(size=(8, 16, 16)))
                sip_update_weights(
                    net,
                    optimizer,
                    physics,
                    y,
                    predict=lambda y, net=net: y.with_values(math.native_call(net, y.values)),
                    targets=target,
                )
        gains[name] = float(net.a.detach())
    risks = {name: (1 - a) ** 2 + a**2 for name, a in gains.items()}
    assert risks["corrected"] < 1.02 * 0.5, gains
    assert risks["plain"] > 1.2 * 0.5, gains


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_compiled_updates_are_the_same(framework):
    if framework.name == "torch":
        pytest.skip("PyTorch runs step by step")
    y, found = observations(), []
    for compile in (False, None):
        net = framework.u_net(2, 1, batch_norm=False)
        optimizer = framework.adam(net, 1e-3, epsilon=1.0)
        math.seed(0)
        framework.seed(0)
        update = sip_update_weights(
            net, optimizer, PHYSICS, y, inputs=INPUTS, compile=compile, targets=SelfSimulated(0.5, copies=2)
        )
        found.append((array(update.x), float(update.loss.mean), framework.weights(net)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)
    for a, b in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_seed_decides(framework):
    net, y, losses = framework.u_net(2, 1, batch_norm=False), observations(), []
    optimizer, weights = framework.sgd(net), framework.weights(net)
    for seed in (0, 0, 1):
        training_framework(framework.name).set_weights(net, weights)
        math.seed(seed)
        update = sip_update_weights(
            net, optimizer, PHYSICS, y, inputs=INPUTS, targets="self-simulated", **options(framework)
        )
        losses.append(float(update.loss.mean))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_axes_may_be_stored_in_any_order(framework):
    with NUMPY, math.precision(64):
        y = observations()
        values = y.values.numpy("y,batch,x")
        turned = y.with_values(math.reshaped_tensor(values, [spatial(y=16), batch(batch=4), spatial(x=16)]))
    found = []
    for field in (y, turned):
        net = framework.u_net(2, 1, batch_norm=False)
        math.seed(0)
        update = sip_update_weights(
            net, framework.adam(net), PHYSICS, field, inputs=INPUTS, targets=SelfSimulated(), **options(framework)
        )
        found.append(float(update.loss.mean))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_micro_batches_show_the_same(framework):
    y, found = observations(), []
    for parts in (1, 2):
        net = framework.u_net(2, 1, batch_norm=False)
        math.seed(0)
        update = sip_update_weights(
            net,
            framework.sgd(net, 1e-4),
            PHYSICS,
            y,
            inputs=INPUTS,
            targets=SelfSimulated(),
            micro_batches=parts,
            **options(framework),
        )
        found.append((array(update.x), float(update.loss.mean), framework.weights(net)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)
    for a, b in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
def test_a_network_gets_better_than_the_inverse_without_labels():
    """Few values in large blocks: what no single observation tells, and all of them together do."""
    rng = np.random.default_rng(0)

    def blocks(samples):
        return np.kron(rng.choice([0.0, 1.0], (samples, 4, 4)), np.ones((1, 4, 4)))

    physics = HeatEquation(1.0, 0.5, 0.1, TotalVariation(minimum=0.0))
    inputs = ("y", "estimate", "linear")
    with TORCH, math.precision(32):
        torch.manual_seed(0)
        math.seed(0)
        net = phiml.nn.u_net(3, 1, in_spatial=2, levels=2, filters=8, batch_norm=False, periodic=True)
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)

        def observed(x):
            return physics.forward(periodic(x)) + periodic(0.1 * rng.normal(size=x.shape))

        def error(x, truth):
            return 0.5 * np.sum((array(x) - truth) ** 2, (1, 2)).mean()

        held = blocks(64)
        y_held = observed(held)
        start_from_estimate(net, physics, y_held, inputs=inputs)
        alone = error(predict_state(net, physics, y_held, inputs=inputs), held)
        for _ in range(60):
            sip_update_weights(net, optimizer, physics, observed(blocks(16)), inputs=inputs, targets=SelfSimulated())
        trained = error(predict_state(net, physics, y_held, inputs=inputs), held)
    assert alone == pytest.approx(error(sip_inverse(physics, y_held, y_held * 0).x_target, held), rel=1e-2)
    assert trained < 0.92 * alone, (trained, alone)


@pytest.mark.parametrize(
    "physics",
    [
        Masked(
            HeatEquation(1.0, 0.5, SIGMA),
            periodic(np.random.default_rng(0).integers(0, 2, (1, 16, 16)) * 1.0)[{"batch": 0}],
        ),
        HeatEquation(math.tensor([0.2, 0.5, 1.0, 2.0], batch("batch")), 0.5, SIGMA, EmpiricalBayes()),
    ],
    ids=["masked", "a parameter of its own for each sample"],
)
def test_other_physics(physics, framework):
    y = physics.forward(states())
    net = framework.u_net(2, 1, batch_norm=False)
    target = SelfSimulated(transform=RandomTransform(swap=False), copies=2)
    before = framework.weights(net)
    update = sip_update_weights(
        net, framework.adam(net), physics, y, inputs=INPUTS, targets=target, **options(framework)
    )
    assert np.isfinite(float(update.loss.mean))
    assert any(not np.array_equal(a, b) for a, b in zip(before, framework.weights(net), strict=True))


def test_noise_that_nobody_knows_is_asked_for():
    physics = Evolution(lambda u, dt: u * (1 - dt), 0.1, 2)
    with TORCH:
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
        optimizer = phiml.nn.adam(net, 1e-3)
        before = [p.detach().clone() for p in net.parameters()]
        with pytest.raises(ParameterError, match=r"Evolution does not say how large .* SelfSimulated\(noise_std="):
            sip_update_weights(net, optimizer, physics, states(), targets=SelfSimulated())
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
        sip_update_weights(net, optimizer, physics, states(), targets=SelfSimulated(noise_std=0.0, transform=None))


def test_each_run_of_a_graph_draws_anew():
    """Also where another backend is PhiML's default."""
    framework = frameworks.TABLE[0]
    with framework.backend:
        net, y = framework.u_net(2, 1, batch_norm=False), observations()
        optimizer = framework.sgd(net, 1e-9)
        physics = HeatEquation(1.0, 0.5, SIGMA, ProbabilisticDamping())
        sip_update_weights(net, optimizer, physics, y, inputs=INPUTS, compile=False)
    values, target = y.values.numpy("batch,x,y"), SelfSimulated(transform=None)

    @tf.function(autograph=False)
    def loss(native):
        dims = [batch(batch=4), spatial(x=16), spatial(y=16)]
        field = y.with_values(math.reshaped_tensor(native, dims, convert=False))
        update = sip_update_weights(net, optimizer, physics, field, inputs=INPUTS, targets=target)
        return math.mean(update.loss, update.loss.shape).native()

    with NUMPY:
        first, second = (float(loss(tf.constant(values))) for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("physics", "y", "error", "message"),
    [
        (Composite(HeatEquation(1.0, 0.5), Evolution(lambda u, dt: u, 0.1, 1)), None, ParameterError, "does not say"),
        (
            Evolution(lambda u, dt: u, 0.1, 1),
            StaggeredGrid(1.0, extrapolation.ZERO, x=8, y=8),
            UnsupportedError,
            "at_centers",
        ),
    ],
)
def test_what_cannot_be_simulated_is_said(physics, y, error, message):
    with TORCH:
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
        with pytest.raises(error, match=message):
            sip_update_weights(net, phiml.nn.adam(net), physics, y or states(), targets=SelfSimulated())


def test_noise_of_the_last_stage_is_measured():
    physics = Composite(HeatEquation(1.0, 0.5), HeatEquation(1.0, 1.5))
    y = physics.forward(states()) + periodic(SIGMA * np.random.default_rng(0).normal(size=(4, 16, 16)))
    with TORCH:
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
        update = sip_update_weights(net, phiml.nn.adam(net), physics, y, targets=SelfSimulated())
    assert np.isfinite(float(math.mean(update.loss, update.loss.shape)))


def test_labels_must_be_finite(framework):
    net, x_true = framework.u_net(batch_norm=False), states()
    values = array(x_true)
    values[0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="x_true holds NaN"):
        sip_update_weights(net, framework.adam(net), PHYSICS, observations(), x_true=periodic(values), targets="labels")


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ("labels", ParameterError, "there are no labels"),
        ("self-simulatd", UnknownNameError, "Did you mean 'self-simulated'"),
        (3, UnsupportedError, "targets is a int"),
    ],
)
def test_what_cannot_be_a_target_is_refused(targets, error, message, framework):
    net = framework.u_net(batch_norm=False)
    with pytest.raises(error, match=message):
        sip_update_weights(net, framework.adam(net), PHYSICS, observations(), targets=targets)


def test_arguments_that_a_target_does_not_use_are_refused(framework):
    net = framework.u_net(batch_norm=False)
    for extra in ({"step_size": 0.5}, {"solver": "gradient"}):
        with pytest.raises(UnsupportedError, match=f"SelfSimulated does not use the argument {next(iter(extra))}"):
            sip_update_weights(net, framework.adam(net), PHYSICS, observations(), targets=SelfSimulated(), **extra)


@pytest.mark.parametrize(
    "wrong",
    [
        {"refreshed": 1.5},
        {"refreshed": -0.1},
        {"bias_correction": -1.0},
        {"data_correction": 1},
        {"copies": 0},
        {"transform": "shift"},
        {"noise_std": -1.0},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        SelfSimulated(**wrong)


def test_targets_are_plain_data():
    target = SelfSimulated(refreshed=0.5, transform=RandomTransform(scales=(1.0, 0.5)), noise_std=0.1)
    assert construct(describe(target)) == target
    assert set(phi_sip.available_targets()) >= {"labels", "local-inverse", "self-simulated"}
