"""The training step on three frameworks: what it computes, and that nothing is lost when it fails."""

from __future__ import annotations

import jax
import keras
import numpy as np
import optax
import phiml.nn
import pytest
import tensorflow as tf
import torch
from fields import array, periodic, smooth
from phi.field import l2_loss as field_l2_loss
from phi.field import native_call
from phi.jax import JAX
from phi.tf import TENSORFLOW
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, spatial

import phi_sip
from phi_sip import (
    EmpiricalBayes,
    HeatEquation,
    NonFiniteError,
    OptaxOptimizer,
    ParameterError,
    ProbabilisticDamping,
    UnsupportedError,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.states import trees

PHYSICS = HeatEquation(1.0, 1.0, 1e-4, ProbabilisticDamping())  # compiles quickly
ADAM_EPSILON = 1.0  # Adam's first step is the sign of the gradient unless ε is large, and rounding has random signs


def states(samples: int = 4, n: int = 16, seed: int = 0, rank: int = 2):
    return periodic(1 + smooth(np.random.default_rng(seed), samples, *([n] * rank)))


def assert_same(before, after):
    assert len(before) == len(after)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_of_numpy_are_not_rounded(framework):
    """PhiML's own conversion rounds to the current precision, here 32 bits."""
    values = smooth(np.random.default_rng(0), 2, 8, 8)
    with NUMPY, math.precision(64):
        field = periodic(values)
    converted = trees.to_backend(field, framework.backend)
    with math.precision(64):
        np.testing.assert_array_equal(array(converted), values)


def predictor(net):
    """What a PhiFlow user writes: the network, and the known mean."""

    def predict(y):
        with math.precision(32):
            x = native_call(net, y)
        x = x.vector[0] if "vector" in x.shape else x
        return PHYSICS.constrain(x, y)

    return predict


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradient_solver_is_update_weights(framework, optimizer, batch_norm):
    """The baseline is PhiFlow's own training on the l2 loss."""
    y_target = PHYSICS.forward(states())
    results = []
    for use_sip in (True, False):
        net = framework.u_net(batch_norm=batch_norm)
        predict = predictor(net)
        if use_sip:
            opt = framework.adam(net, 1e-3, ADAM_EPSILON) if optimizer == "adam" else framework.sgd(net, 1e-3)
            sip_update_weights(net, opt, PHYSICS, y_target, predict=predict, solver="gradient")
        else:
            options = {"epsilon": ADAM_EPSILON} if optimizer == "adam" else {}
            opt = getattr(phiml.nn, optimizer)(net, 1e-3, **options)
            phiml.nn.update_weights(
                net, opt, lambda predict=predict: field_l2_loss(PHYSICS.forward(predict(y_target)) - y_target)
            )
        results.append(np.concatenate([w.ravel() for w in framework.weights(net)]))
    start = np.concatenate([w.ravel() for w in framework.weights(framework.u_net(batch_norm=batch_norm))])
    ours, theirs = (result - start for result in results)
    assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(theirs).max()
    assert np.abs(theirs).max() > 0


def test_weight_gradient_is_that_of_the_proxy_loss(framework):
    """With SGD the weights move by −rate · ∂(½‖x − x̃‖²)/∂θ with x̃ held fixed."""
    y_target = PHYSICS.forward(states())
    net = framework.u_net()
    predict = predictor(net)
    x = predict(y_target)
    x = x.with_values(math.stop_gradient(x.values))
    x_target = sip_inverse(PHYSICS, y_target, x).x_target
    update = sip_update_weights(net, framework.sgd(net, 1e-3), PHYSICS, y_target)
    ours = framework.weights(net)
    np.testing.assert_allclose(array(update.x_target), array(x_target), atol=1e-5)
    np.testing.assert_allclose(update.loss.numpy("batch"), field_l2_loss(x - x_target).numpy("batch"), rtol=1e-4)
    net = framework.u_net()
    predict = predictor(net)
    phiml.nn.update_weights(net, phiml.nn.sgd(net, 1e-3), lambda: field_l2_loss(predict(y_target) - x_target))
    for a, b in zip(ours, framework.weights(net), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("step_size", [1.0, 0.3])
def test_proxy_gradient_in_x_is_the_correction(framework, precision, step_size):
    with math.precision(precision):
        x = states()
        y_target = PHYSICS.forward(states(seed=1))
        step = sip_inverse(PHYSICS, y_target, x, step_size=step_size)
        target = step.x_target.values

        def proxy(values):
            return math.sum(math.l2_loss(values - target), "batch")

        gradient = math.gradient(proxy, "values", get_output=False)(x.values)
        difference = np.abs(array(gradient) + array(step.dx)).max() / np.abs(array(x)).max()
        assert difference < (1e-6 if precision == 32 else 1e-14)
        np.testing.assert_allclose(array(step.residual), array(y_target) - array(PHYSICS.forward(x)), atol=1e-6)


def test_training_learns_the_inverse(framework):
    net = framework.u_net(filters=8)
    optimizer = framework.adam(net, 5e-3)
    losses = []
    for step in range(40):
        x = states(seed=step, samples=16)
        update = sip_update_weights(net, optimizer, PHYSICS, PHYSICS.forward(x), x_true=x)
        losses.append(float(update.x_l2.mean))
    assert np.mean(losses[-5:]) < 0.35 * losses[0]


def test_report_of_an_update(framework, double):
    x = states()
    y_target = PHYSICS.forward(x)
    net = framework.u_net()
    update = sip_update_weights(net, framework.adam(net), PHYSICS, y_target, x_true=x)
    np.testing.assert_allclose(
        update.loss.numpy("batch"), 0.5 * ((array(update.x) - array(update.x_target)) ** 2).sum((1, 2)), rtol=1e-9
    )
    np.testing.assert_allclose(
        update.y_l2.numpy("batch"), 0.5 * ((array(update.y) - array(y_target)) ** 2).sum((1, 2)), rtol=1e-9
    )
    np.testing.assert_allclose(
        update.x_l2.numpy("batch"), 0.5 * ((array(update.x) - array(x)) ** 2).sum((1, 2)), rtol=1e-9
    )
    np.testing.assert_allclose(array(update.x).mean((1, 2)), array(y_target).mean((1, 2)), atol=1e-12)
    for field in (update.x, update.y, update.x_target):
        assert field.values.dtype.precision == 64
    assert sip_update_weights(net, framework.adam(net), PHYSICS, y_target).x_l2 is None


@pytest.mark.parametrize("solver", [None, "gradient"])
def test_double_precision_data_at_single_precision(framework, solver):
    """PhiFlow's default precision is single: the physics still runs in that of the data."""
    with math.precision(64):
        x = states()
    y_target = PHYSICS.forward(x)
    net = framework.u_net()
    update = sip_update_weights(net, framework.adam(net), PHYSICS, y_target, x_true=x, solver=solver)
    for tensor in (update.x.values, update.y.values, update.x_target.values, update.loss, update.x_l2):
        assert tensor.dtype.precision == 64


def test_truth_never_enters_the_gradient(framework):
    y_target = PHYSICS.forward(states())
    results = []
    for x_true in (None, states(seed=5)):
        net = framework.u_net()
        sip_update_weights(net, framework.adam(net), PHYSICS, y_target, x_true=x_true)
        results.append(framework.weights(net))
    assert_same(*results)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_networks_of_any_spatial_rank(framework, rank):
    x = states(n=8, rank=rank)
    net = framework.u_net(in_spatial=rank)
    update = sip_update_weights(net, framework.adam(net), PHYSICS, PHYSICS.forward(x), x_true=x)
    assert array(update.x).shape == array(x).shape


def test_vector_fields(framework):
    values = np.stack([array(states(seed=s)) for s in range(2)], -1)
    x = periodic(values, vector=True)
    net = framework.u_net(channels=2)
    update = sip_update_weights(net, framework.adam(net), PHYSICS, PHYSICS.forward(x), x_true=x)
    assert update.x.values.shape["vector"].item_names == x.values.shape["vector"].item_names
    one = periodic(values[..., :1], vector=True)
    net = framework.u_net()
    assert "vector" in sip_update_weights(net, framework.adam(net), PHYSICS, PHYSICS.forward(one)).x.values.shape


def test_several_batch_dims(framework):
    x = states(samples=6)
    split = x.with_values(math.unpack_dim(x.values, "batch", batch(run=2, sample=3)))
    physics = HeatEquation(1.0, 1.0, 1e-4, EmpiricalBayes())  # sensitive to rounding less than PHYSICS
    results = []
    for data in (x, split):
        net = framework.u_net()
        update = sip_update_weights(net, framework.sgd(net), physics, physics.forward(data))
        results.append(framework.weights(net))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert set(update.loss.shape.names) == {"run", "sample"}


def test_data_of_another_framework_are_converted(framework):
    """Identical data for all frameworks are made with NumPy."""
    with phiml.backend.NUMPY:
        x = states()
        y_target = PHYSICS.forward(x)
    net = framework.u_net()
    update = sip_update_weights(net, framework.adam(net), PHYSICS, y_target, x_true=x)
    assert update.x.values.default_backend is framework.backend


def test_works_whatever_the_default_backend_is(framework):
    net = framework.u_net()
    optimizer = framework.adam(net)
    with phiml.backend.NUMPY:
        y_target = PHYSICS.forward(states())
        update = sip_update_weights(net, optimizer, PHYSICS, y_target)
        assert update.x.values.default_backend is framework.backend
        assert phiml.backend.default_backend() is phiml.backend.NUMPY


class Huge(HeatEquation):
    """Its correction is finite, but the gradient of the weights overflows in single precision."""

    def inverse(self, y_target, x, y):
        correction = super().inverse(y_target, x, y)
        return phi_sip.Correction(correction.dx * 1e37)


class Broken(HeatEquation):
    def inverse(self, y_target, x, y):
        return phi_sip.Correction((y_target - y) * float("nan"))


class Raises(HeatEquation):
    def inverse(self, y_target, x, y):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("physics", "error"), [(Huge, NonFiniteError), (Broken, NonFiniteError), (Raises, KeyboardInterrupt)]
)
def test_failed_updates_change_nothing(framework, physics, error):
    y_target = PHYSICS.forward(states())
    net = framework.u_net(batch_norm=True)
    optimizer = framework.adam(net)
    options = {"training": True} if framework.name == "tensorflow" else {}
    sip_update_weights(net, optimizer, PHYSICS, y_target, **options)
    before = framework.everything(net, optimizer)
    with pytest.raises(error):
        sip_update_weights(net, optimizer, physics(1.0, 1.0, 1e-4, PHYSICS.regularization), y_target, **options)
    assert_same(before, framework.everything(net, optimizer))
    sip_update_weights(net, optimizer, PHYSICS, y_target, **options)
    after = framework.everything(net, optimizer)
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_optimizers_that_overflow_are_undone(framework):
    """Finite gradients, weights beyond single precision."""
    y_target = PHYSICS.forward(states())
    net = framework.u_net(batch_norm=True)
    optimizer = framework.sgd(net, 1e38)
    before = framework.everything(net, optimizer)
    with pytest.raises(NonFiniteError, match="learning rate"):
        sip_update_weights(net, optimizer, PHYSICS, y_target, step_size=1e3)
    if framework.name == "tensorflow":  # building a Keras optimizer adds its variables
        before = before[: len(net.variables)]
        assert_same(before, framework.everything(net, optimizer)[: len(before)])
    else:
        assert_same(before, framework.everything(net, optimizer))


def test_keras_training_mode():
    y_target = PHYSICS.forward(states())
    with TENSORFLOW:
        statistics = []
        for training in (None, False, True):
            keras.utils.set_random_seed(0)
            net = phiml.nn.u_net(1, 1, levels=1, filters=4)
            before = [v.numpy().copy() for v in net.non_trainable_variables]
            sip_update_weights(net, phiml.nn.adam(net), PHYSICS, y_target, training=training)
            after = [v.numpy() for v in net.non_trainable_variables]
            statistics.append(any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)))
    assert statistics == [False, False, True]


def test_plain_keras_models_and_optimizers():
    with TENSORFLOW:
        net = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same"), keras.layers.Conv2D(1, 3, padding="same")])
        optimizer = keras.optimizers.AdamW(1e-2)
        y_target = PHYSICS.forward(states())
        losses = [float(sip_update_weights(net, optimizer, PHYSICS, y_target).loss.mean) for _ in range(10)]
    assert losses[-1] < losses[0]
    assert int(optimizer.iterations) == 10


@pytest.mark.parametrize("failure", ["optimizer", "inverse"])
def test_first_update_of_an_unbuilt_keras_model_can_fail(failure):
    """A model that makes its variables in the update that fails keeps their initial values."""
    with TENSORFLOW:
        results = []
        for fails in (False, True):
            keras.utils.set_random_seed(0)
            layers = [keras.layers.Conv2D(4, 3, padding="same"), keras.layers.BatchNormalization()]
            net = keras.Sequential([*layers, keras.layers.Conv2D(1, 3, padding="same")])
            y_target = PHYSICS.forward(states())
            if not fails:
                net.build((None, 16, 16, 1))
            elif failure == "optimizer":
                with pytest.raises(NonFiniteError):
                    sip_update_weights(net, keras.optimizers.SGD(1e38), PHYSICS, y_target, step_size=1e3, training=True)
            else:
                with pytest.raises(KeyboardInterrupt):
                    sip_update_weights(net, keras.optimizers.SGD(1e-3), Raises(1.0, 1.0), y_target, training=True)
            results.append([v.numpy() for v in net.variables])
    assert_same(*results)


def test_keras_learning_rate_can_change():
    with TENSORFLOW:
        net = phiml.nn.u_net(1, 1, levels=1, filters=4)
        optimizer = keras.optimizers.SGD(1e-3)
        y_target = PHYSICS.forward(states())
        sip_update_weights(net, optimizer, PHYSICS, y_target)
        optimizer.learning_rate = 0.0
        before = [v.numpy().copy() for v in net.trainable_variables]
        sip_update_weights(net, optimizer, PHYSICS, y_target)
        assert_same(before, [v.numpy() for v in net.trainable_variables])


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad", "SGD", "LBFGS"])
def test_torch_optimizers(name):
    torch.manual_seed(0)
    with TORCH:
        net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(8, 1, 3, padding=1)
        )
        rate = {"LBFGS": 0.5, "SGD": 1e-3}.get(name, 1e-2)
        options = {"line_search_fn": "strong_wolfe", "max_iter": 4} if name == "LBFGS" else {}
        optimizer = getattr(torch.optim, name)(net.parameters(), rate, **options)
        y_target = PHYSICS.forward(states())
        losses = [float(sip_update_weights(net, optimizer, PHYSICS, y_target).loss.mean) for _ in range(10)]
    assert losses[-1] < 0.9 * losses[0]


def test_several_torch_networks():
    torch.manual_seed(0)
    with TORCH:
        nets = [torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(4, 1, 3, padding=1)]
        optimizer = phiml.nn.adam(nets, 1e-2)
        y_target = PHYSICS.forward(states())

        def predict(y):
            return y.with_values(math.native_call(lambda v: nets[1](nets[0](v)), math.to_float(y.values)))

        losses = [
            float(sip_update_weights(nets, optimizer, PHYSICS, y_target, predict=predict).loss.mean) for _ in range(10)
        ]
        assert losses[-1] < losses[0]
        with pytest.raises(ParameterError, match="predict"):
            sip_update_weights(nets, optimizer, PHYSICS, y_target)


def test_torch_modules_keep_their_mode():
    with TORCH:
        net = phiml.nn.u_net(1, 1, levels=1, filters=4)
        y_target = PHYSICS.forward(states())
        net.eval()
        buffers = [b.numpy().copy() for b in net.buffers()]
        sip_update_weights(net, phiml.nn.adam(net), PHYSICS, y_target)
        assert_same(buffers, [b.numpy() for b in net.buffers()])
        assert not net.training


def test_phiml_adam_on_jax_is_adam():
    """PhiML's own update_weights leaves Adam's step counter at 0; here its optimizer agrees with optax."""
    results = []
    for use_optax in (True, False):
        with JAX, math.precision(32):
            JAX.seed(0)
            net = phiml.nn.u_net(1, 1, levels=1, filters=4, batch_norm=False)
            y_target = PHYSICS.forward(states())
            optimizer = (
                OptaxOptimizer(net, optax.adam(1e-3, eps=ADAM_EPSILON))
                if use_optax
                else phiml.nn.adam(net, 1e-3, epsilon=ADAM_EPSILON)
            )
            for _ in range(5):
                sip_update_weights(net, optimizer, PHYSICS, y_target)
            results.append([np.array(leaf) for leaf in jax.tree_util.tree_leaves(net.parameters)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_unwrapped_optax_is_refused_with_the_remedy():
    with JAX, math.precision(32):
        net = phiml.nn.u_net(1, 1, levels=1, filters=4)
        with pytest.raises(UnsupportedError, match="OptaxOptimizer"):
            sip_update_weights(net, optax.adam(1e-3), PHYSICS, PHYSICS.forward(states()))


def test_jax_network_without_parameters_is_refused():
    with JAX, math.precision(64):
        net = phiml.nn.u_net(1, 1, levels=1, filters=4)
        with pytest.raises(ParameterError, match=r"precision\(32\)"):
            sip_update_weights(net, None, PHYSICS, PHYSICS.forward(states()))


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_trees_of_states(framework):
    """Two fields at once, through a physics of one's own and `predict`."""

    class Pair(phi_sip.InvertiblePhysics):
        name = "pair"

        def forward(self, x):
            return {"a": PHYSICS.forward(x["a"]), "b": x["b"] * 2}

        def inverse(self, y_target, x, y):
            first = PHYSICS.inverse(y_target["a"], x["a"], y["a"])
            return phi_sip.Correction({"a": first.dx, "b": (y_target["b"] - y["b"]) / 2})

    pair = Pair()
    y_target = pair.forward({"a": states(), "b": math.tensor(np.ones((4, 3)), batch("batch"), channel("k"))})
    net = framework.u_net()

    def predict(y):
        with math.precision(32):
            field = native_call(net, y["a"])
            field = field.vector[0] if "vector" in field.shape else field
        return {"a": field, "b": math.mean(field.values, spatial) * math.ones(channel(k=3))}

    optimizer = framework.adam(net, 1e-2)
    losses = [float(sip_update_weights(net, optimizer, pair, y_target, predict=predict).loss.mean) for _ in range(15)]
    assert losses[-1] < losses[0]
    with pytest.raises(ParameterError, match="predict"):
        sip_update_weights(net, optimizer, pair, y_target)


def test_dropout_and_randomness_are_allowed():
    with TENSORFLOW:
        net = keras.Sequential(
            [keras.layers.Conv2D(8, 3, padding="same"), keras.layers.Dropout(0.5), keras.layers.Conv2D(1, 1)]
        )
        y_target = PHYSICS.forward(states())
        optimizer = phiml.nn.adam(net)
        losses = {
            float(sip_update_weights(net, optimizer, PHYSICS, y_target, training=True).loss.mean) for _ in range(3)
        }
    assert len(losses) == 3
    assert tf.executing_eagerly()
