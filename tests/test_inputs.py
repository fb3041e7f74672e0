"""What networks are shown: the observation, the estimate of the inverse and more, on three frameworks."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import phiml.nn
import pytest
import torch
from fields import array, observed, periodic, smooth, states
from phi.tf import TENSORFLOW
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, spatial

from phi_sip import (
    Batch,
    Estimate,
    GridMismatchError,
    HeatEquation,
    IncompressibleFlow,
    NetworkOutputError,
    NetworkSpec,
    ParameterError,
    ProbabilisticDamping,
    Tikhonov,
    UnknownNameError,
    UnsupportedError,
    predict_state,
    sip_inverse,
    sip_update_weights,
    start_from_estimate,
    train,
)
from phi_sip.data import by_step
from phi_sip.frameworks import training_framework
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.step.network import state_shown

PHYSICS = HeatEquation(1.0, 1.0, 1e-2, ProbabilisticDamping())  # compiles quickly
INPUTS = ("y", "estimate")
observations = partial(observed, PHYSICS, 1e-2)


def test_a_network_begins_with_the_estimate(framework):
    net, y = framework.u_net(2, 1), observations()
    before = framework.weights(net)
    start_from_estimate(net, PHYSICS, y[{"batch": slice(0, 1)}])
    changed = [not np.array_equal(a, b) for a, b in zip(before, framework.weights(net), strict=True)]
    assert 1 <= sum(changed) <= 2, "kernel and bias of the last layer"
    estimate = sip_inverse(PHYSICS, y, y * 0).x_target
    np.testing.assert_allclose(array(predict_state(net, PHYSICS, y, inputs=INPUTS)), array(estimate), atol=1e-5)


def late_keras():
    layers = [keras.layers.Conv2D(3, 1, activation="relu"), keras.layers.Conv2D(1, 1)]
    return keras.Sequential(layers)


def late_torch():
    return torch.nn.Sequential(torch.nn.LazyConv2d(3, 1), torch.nn.ReLU(), torch.nn.LazyConv2d(1, 1))


@pytest.mark.parametrize(("backend", "make"), [(TENSORFLOW, late_keras), (TORCH, late_torch)], ids=["keras", "torch"])
def test_networks_that_make_their_weights_when_called_begin_with_the_estimate(backend, make):
    with backend:
        net, y = make(), observations()
        start_from_estimate(net, PHYSICS, y)
        estimate = sip_inverse(PHYSICS, y, y * 0).x_target
        np.testing.assert_allclose(array(predict_state(net, PHYSICS, y, inputs=INPUTS)), array(estimate), atol=1e-5)


class Scaled(torch.nn.Module):
    """A network whose answer has the size of what it is shown."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(2, 3, 1), torch.nn.ReLU(), torch.nn.Conv2d(3, 1, 1, bias=bias)
        )

    def forward(self, given):
        return given.square().mean((1, 2, 3), keepdim=True).sqrt() * self.layers(given)


@pytest.mark.parametrize("bias", [True, False])
def test_a_network_may_end_with_a_factor_or_without_a_bias(bias):
    with TORCH:
        net, y = Scaled(bias), observations()
        start_from_estimate(net, PHYSICS, y)
        estimate = sip_inverse(PHYSICS, y, y * 0).x_target
        np.testing.assert_allclose(array(predict_state(net, PHYSICS, y, inputs=INPUTS)), array(estimate), atol=1e-5)
    assert all(p.detach().abs().sum() > 0 for p in net.layers[0].parameters()), "only the last layer is set to 0"


def test_a_network_without_a_linear_end_is_refused_and_kept():
    with TORCH:
        layers = torch.nn.Conv2d(2, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 1), torch.nn.Sigmoid()
        net = torch.nn.Sequential(*layers)
        before = [p.detach().clone() for p in net.parameters()]
        with pytest.raises(UnsupportedError, match="end with a linear layer"):
            start_from_estimate(net, PHYSICS, observations())
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_the_network_adds_to_the_estimate(framework):
    net, y = framework.u_net(3, 1), observations()
    inputs = ("y", "estimate", "uncertainty")
    x = predict_state(net, PHYSICS, y, inputs=inputs)
    step = sip_inverse(PHYSICS, y, PHYSICS.constrain(y * 0, y))
    shown = [y.values, step.x_target.values, step.uncertainty.values]
    with framework.backend:
        if framework.name == "torch":
            net.eval()
        shown = [math.convert(values) for values in shown]
        added = math.native_call(net, math.stack(shown, channel("c")))
    expected = PHYSICS.constrain(step.x_target + added, y)
    np.testing.assert_allclose(array(x), array(expected), atol=2e-5)


def test_the_update_is_what_one_would_write(framework):
    y, x_true = observations(), states()
    nets = [framework.u_net(2, 1) for _ in range(2)]
    optimizers = [framework.sgd(net, 1e-3) for net in nets]

    def predict(y):
        estimate = sip_inverse(PHYSICS, y, PHYSICS.constrain(y * 0, y)).x_target
        added = math.native_call(nets[1], math.stack([y.values, estimate.values], channel("c")))
        return PHYSICS.constrain(estimate + added, y)

    for net, optimizer, ways in zip(nets, optimizers, ({"inputs": INPUTS}, {"predict": predict}), strict=True):
        ways |= {"x_true": x_true, "targets": "labels", **_eager(framework)}
        update = sip_update_weights(net, optimizer, PHYSICS, y, **ways)
        np.testing.assert_allclose(float(update.loss.mean), float(update.x_l2.mean), rtol=1e-5)
    for a, b in zip(*(framework.weights(net) for net in nets), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_compiled_updates_are_the_same(framework):
    """Against step by step, with the optimizer's state, micro-batches and all."""
    if framework.name == "torch":
        pytest.skip("PyTorch runs step by step")
    y, found = observations(), []
    for way in (False, None):
        net = framework.u_net(2, 1)
        optimizer = framework.adam(net, 1e-3, epsilon=1.0)
        for _ in range(2):
            sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, compile=way, micro_batches=2)
        found.append(framework.weights(net))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_axes_may_be_stored_in_any_order(framework):
    net = framework.u_net(2, 1)
    with NUMPY, math.precision(64):
        y = observations()
        turned = y.with_values(
            math.reshaped_tensor(y.values.numpy("y,batch,x"), [spatial(y=16), batch(batch=4), spatial(x=16)])
        )
    found = [array(predict_state(net, PHYSICS, field, inputs=INPUTS)) for field in (y, turned)]
    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.slow_on("jax")  # which compiles each operation of a flow
def test_states_of_other_channels_than_observations(framework):
    """The flow of a marker: one channel is observed, the state is a velocity."""
    rng = np.random.default_rng(0)
    physics = IncompressibleFlow(periodic(1 + 0.3 * smooth(rng, 1, 16, 16))[{"batch": 0}], 0.25, 2)
    y = physics.forward(periodic(0.1 * rng.standard_normal((2, 16, 16, 2)), vector=True))
    net = framework.u_net(3, 2)
    training_framework(framework.name).set_weights(net, [0 * w for w in framework.weights(net)])
    x = predict_state(net, physics, y, inputs=("y", Estimate(iterations=2)))
    first = sip_inverse(physics, y, physics.initial_state(y)).x_target
    second = sip_inverse(physics, y, first).x_target
    np.testing.assert_allclose(array(x), array(physics.constrain(second, y)), atol=1e-5)
    sip_update_weights(net, framework.adam(net), physics, y, inputs=("y", "estimate"), **_eager(framework))


def _eager(framework):
    return {} if framework.name == "torch" else {"compile": False}


def test_channels_come_one_after_the_other():
    values = np.random.default_rng(0).standard_normal((2, 4, 5, 3))
    with NUMPY, math.precision(64):
        vector = math.tensor(values, batch("batch"), spatial("x,y"), channel(vector="a,b,c"))
        scalar = vector.vector["b"] * 2
        seen = []

        def call(native):
            seen.append(native)
            return native[..., 1:3] if native.shape[-1] == 4 else native[:, 1:3]

        like = vector.vector["a,b"]
        x = state_shown(call, [scalar, vector], like)
        given = seen[0] if seen[0].shape[-1] == 4 else np.moveaxis(seen[0], 1, -1)
        np.testing.assert_array_equal(given, np.concatenate([2 * values[..., 1:2], values], -1))
        np.testing.assert_array_equal(x.numpy("batch,x,y,vector"), values[..., :2])


def test_trained_inverses_know_their_inputs(framework, tmp_path):
    spec = NetworkSpec("u_net", {"in_channels": 2, "out_channels": 1, "levels": 1, "filters": 2})
    y, inputs = observations(), ("y", Estimate(solver=None))
    net = spec.build()
    save_inverse(tmp_path / "model", net, PHYSICS, spec, y, inputs=inputs)
    inverse = load_inverse(tmp_path / "model")
    assert inverse.inputs == (*(i for i in inverse.inputs if i.name == "y"), Estimate())
    np.testing.assert_array_equal(array(inverse.predict(y)), array(predict_state(net, PHYSICS, y, inputs=inputs)))
    assert inverse.invert(y).misfit_ratio is not None


def test_training_of_what_adds_to_the_estimate_goes_on(framework, tmp_path):
    y, x = observations(), states()
    estimate = sip_inverse(PHYSICS, y, y * 0).x_target

    def trained(folder, steps, net, inputs=INPUTS):
        if inputs:
            start_from_estimate(net, PHYSICS, y)
        optimizer = framework.adam(net, 1e-3)
        return train(
            net,
            optimizer,
            PHYSICS,
            by_step(lambda step: Batch(y, x)),
            steps=steps,
            inputs=inputs,
            folder=folder,
            progress=False,
        )

    run = trained(tmp_path / "run", 2, framework.u_net(2, 1))
    error = 0.5 * np.sum((array(estimate) - array(x)) ** 2, (1, 2)).mean()
    assert run.steps[0].x_l2 == pytest.approx(error, rel=1e-3)
    whole = framework.u_net(2, 1)
    trained(tmp_path / "whole", 4, whole)
    again = framework.u_net(2, 1)
    trained(tmp_path / "run", 4, again)
    for a, b in zip(framework.weights(whole), framework.weights(again), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(Exception, match="inputs"):
        trained(tmp_path / "run", 6, framework.u_net(1, 1), inputs=None)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (("y", "estimat"), UnknownNameError, "Did you mean 'estimate'"),
        (("y", "y"), ParameterError, "twice"),
        ("estimate", ParameterError, "Give a list"),
        ((), ParameterError, "Give a list"),
        ((3,), UnsupportedError, "holds a int"),
        (("y", "uncertainty"), UnsupportedError, "does not know its uncertainty"),
    ],
)
def test_what_cannot_be_shown_is_refused(inputs, error, message):
    physics = HeatEquation(1.0, 1.0, 1e-2, ProbabilisticDamping())
    if "uncertainty" in inputs:
        physics = IncompressibleFlow(periodic(np.ones((1, 16, 16)))[{"batch": 0}], 0.25, 2)
    with TORCH:
        net = phiml.nn.u_net(2, 1, in_spatial=2, levels=1, filters=2)
        with pytest.raises(error, match=message):
            predict_state(net, physics, observations(), inputs=inputs)


def test_inputs_and_predict_exclude_each_other(framework):
    net, y = framework.u_net(2, 1), observations()
    with pytest.raises(ParameterError, match="leave out one"):
        sip_update_weights(net, framework.adam(net), PHYSICS, y, inputs=INPUTS, predict=lambda y: y)
    with pytest.raises(ParameterError, match="leave out one"):
        predict_state(net, PHYSICS, y, inputs=INPUTS, predict=lambda y: y)


def test_a_network_with_the_wrong_channels_is_told_which(framework):
    net, y = framework.u_net(2), observations()
    with pytest.raises(NetworkOutputError, match=r"2 channel\(s\) in and 1 out"):
        predict_state(net, PHYSICS, y, inputs=INPUTS)


@pytest.mark.slow_on("jax")  # which compiles each operation of two rules and a flow
def test_a_linear_estimate_needs_a_rule(framework):
    physics = HeatEquation(1.0, 1.0, 1e-2, Tikhonov())
    net, y = framework.u_net(3, 1), observations()
    predict_state(net, physics, y, inputs=("y", "estimate", "linear"))
    flow = IncompressibleFlow(periodic(np.ones((1, 16, 16)))[{"batch": 0}], 0.25, 2)
    with pytest.raises(UnsupportedError, match="no linear estimate"):
        predict_state(net, flow, y, inputs=("y", "estimate", "linear"))


def test_quantities_of_other_cells_are_refused():
    with NUMPY:
        a, b = (math.zeros(batch(batch=1), spatial(x=n)) for n in (4, 5))
        with pytest.raises(GridMismatchError, match="Leave one out"):
            state_shown(lambda native: native, [a, b], a)


def test_observations_at_several_times_have_one_estimate(framework):
    physics = HeatEquation(1.0, math.tensor([0.5, 1.0], channel("times")), 1e-2, ProbabilisticDamping())
    y = physics.forward(states(2))
    assert "times" in y.shape
    net = framework.u_net(3, 1)
    start_from_estimate(net, physics, y)
    x = predict_state(net, physics, y, inputs=INPUTS)
    assert "times" not in x.shape
    np.testing.assert_allclose(array(x), array(sip_inverse(physics, y, x * 0).x_target), atol=1e-4)


@pytest.mark.parametrize("function", [predict_state, start_from_estimate])
def test_what_is_no_physics_is_refused(function):
    with TORCH, pytest.raises(UnsupportedError, match="physics is a str"):
        function(torch.nn.Conv2d(2, 1, 1), "heat", observations())
