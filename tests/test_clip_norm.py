"""Clipped gradients: as by the function of each framework, in the right place, and whatever their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
import tensorflow as tf
import torch
from phi.jax import JAX
from phi.tf import TENSORFLOW
from phi.torch import TORCH
from phiml import math
from phiml.math import batch
from test_framework_loops import (
    VALUES,
    ComplexModule,
    Doubling,
    Lazy,
    RealSpectral,
    SharpnessAware,
    Spectral,
    WithTable,
    assert_close,
    conv,
    convolutions,
    observation,
    spectral,
    stax,
    updates,
)

from phi_sip import NonFiniteError, OptaxOptimizer, ParameterError, UnsupportedError, sip_update_weights, train
from phi_sip.data import by_step
from phi_sip.frameworks import framework_for

NORM = 0.3  # far below that of the gradients here
RATE = 0.1
optimizers, optim = keras.optimizers, torch.optim


# ---------------------------------------------------------------------------- as the framework's own loop clips them

KERAS: dict[str, tuple[Callable[[], Any], Callable[[], Any], float]] = {
    "plain": (convolutions, lambda: optimizers.SGD(RATE), 1e-6),
    "momentum": (convolutions, lambda: optimizers.SGD(RATE, 0.9), 1e-6),
    "sparse": (Lazy, lambda: optimizers.SGD(RATE), 1e-6),
    "complex": (Spectral, lambda: optimizers.SGD(RATE), 1e-6),
    "double": (lambda: convolutions(dtype="float64"), lambda: optimizers.SGD(RATE), 1e-6),
    "half": (lambda: convolutions(dtype="float16"), lambda: optimizers.SGD(RATE), 2e-3),
    "scaled": (convolutions, lambda: optimizers.LossScaleOptimizer(optimizers.SGD(RATE), 1024.0), 1e-6),
    "scale factor": (convolutions, lambda: optimizers.SGD(RATE, loss_scale_factor=1024.0), 1e-6),
    "losses of layers": (lambda: convolutions(kernel_regularizer="l2"), lambda: optimizers.SGD(RATE), 1e-6),
}


def keras_by_hand(net: Any, optimizer: Any) -> None:
    """Gradients of the loss as it is, clipped, to an optimizer that scales nothing."""
    kernels = [v for v in getattr(net, "variables", []) if "float" in str(v.dtype)]
    dtype = kernels[0].dtype if kernels else getattr(net, "variable_dtype", "float32")
    with tf.GradientTape() as tape:
        x = tf.cast(net(tf.cast(VALUES[..., None], dtype)), tf.float32)
        loss = 0.5 * tf.reduce_sum((x - VALUES[..., None] / 2) ** 2)
        loss += sum(tf.cast(extra, loss.dtype) for extra in getattr(net, "losses", []))
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, net.trainable_variables)]
    dtypes = [g.dtype for g in gradients]
    clipped, norm = tf.clip_by_global_norm([tf.cast(g, tf.float64) for g in gradients], NORM)
    assert norm > 2 * NORM
    clipped = [tf.cast(g, dtype) for g, dtype in zip(clipped, dtypes, strict=True)]
    optimizer.apply_gradients(zip(clipped, net.trainable_variables, strict=True))


@pytest.mark.parametrize("case", KERAS)
def test_keras(case):
    make, make_optimizer, rtol = KERAS[case]
    with TENSORFLOW:
        net, other = make(), RealSpectral() if case == "complex" else make()
        updates(net, make_optimizer(), clip_norm=NORM)
        plain = optimizers.SGD(RATE, 0.9 if case == "momentum" else 0.0)
        for _ in range(2):
            keras_by_hand(other, plain)
    ours, theirs = ([v.numpy() for v in n.variables] for n in (net, other))
    if case == "complex":
        ours = [np.stack([ours[0].real, ours[0].imag], -1)]
    assert_close(ours, theirs, rtol)


def test_keras_scale_is_lowered_where_the_gradient_overflows():
    """What is not finite is not clipped: the step is left out, in a graph and step by step."""
    for compile in (False, True):
        with TENSORFLOW:
            net = convolutions()
            optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(RATE), 2.0**127)
            net(VALUES[..., None])
            before = [v.numpy() for v in net.variables]
            update = sip_update_weights(
                net, optimizer, Doubling(), observation(VALUES * 16), clip_norm=NORM, compile=compile
            )
        assert not bool(update.applied)
        assert_close([v.numpy() for v in net.variables], before, 0)
        assert float(optimizer.dynamic_scale) == 2.0**126


MODULES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], float]] = {
    "plain": (conv, lambda net: optim.SGD(net.parameters(), RATE), 1e-6),
    "adam": (conv, lambda net: optim.Adam(net.parameters(), RATE), 1e-5),
    "complex": (ComplexModule, lambda net: optim.SGD(net.parameters(), RATE), 1e-6),
    "double": (lambda: conv(dtype=torch.float64), lambda net: optim.SGD(net.parameters(), RATE), 1e-5),
    "brain float": (lambda: conv(dtype=torch.bfloat16), lambda net: optim.SGD(net.parameters(), RATE), 2e-2),
}


@pytest.mark.parametrize("case", MODULES)
def test_torch(case):
    make, make_optimizer, rtol = MODULES[case]
    with TORCH:
        net, other = make(), make()
        updates(net, make_optimizer(net), clip_norm=NORM)
        optimizer, values = make_optimizer(other), torch.tensor(VALUES)[:, None]
        for _ in range(2):
            optimizer.zero_grad()
            dtype = next(other.parameters()).dtype.to_real()
            loss = 0.5 * ((other(values.to(dtype)).float() - values / 2) ** 2).sum()
            loss.backward()
            assert torch.nn.utils.clip_grad_norm_(other.parameters(), NORM) > 2 * NORM
            optimizer.step(lambda loss=loss: loss)
    pairs = ([p.detach().to(torch.complex128).numpy() for p in n.parameters()] for n in (net, other))
    assert_close(*pairs, rtol)


def test_torch_sparse():
    """`torch.nn.utils.clip_grad_norm_` refuses sparse gradients: they are clipped as dense ones of the same table."""
    with TORCH:
        net, other = WithTable(), WithTable()
        other.table.sparse = False
        for module in (net, other):
            updates(module, optim.SGD(module.parameters(), RATE), clip_norm=NORM)
    assert_close([net.table.weight.detach()], [other.table.weight.detach()])


OPTAX: dict[str, tuple[Callable[[], Any], Callable[[], Any], float]] = {
    "plain": (stax, lambda: optax.sgd(RATE), 1e-6),
    "adam": (stax, lambda: optax.adam(RATE), 1e-5),
    "complex": (spectral, lambda: optax.sgd(RATE), 1e-6),
    "brain float": (lambda: stax(jnp.bfloat16), lambda: optax.sgd(RATE), 1e-2),
}


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c == "plain" else pytest.mark.slow) for c in OPTAX])
def test_optax(case):
    make, make_transformation, rtol = OPTAX[case]
    with JAX, math.precision(32):
        net, other = make(), make()
        updates(net, OptaxOptimizer(net, make_transformation()), clip_norm=NORM)
        clipping = optax.chain(optax.clip_by_global_norm(NORM), make_transformation())
        updates(other, OptaxOptimizer(other, clipping))
    ours, theirs = ([np.asarray(leaf, "complex128") for leaf in jax.tree.leaves(n.parameters)] for n in (net, other))
    assert_close(ours, theirs, rtol)


# ------------------------------------------------------------------------------------------------ of what, and when


def weights_after(framework: Any, **options: Any) -> list[np.ndarray]:
    with math.precision(32):
        net = framework.u_net(in_spatial=1, batch_norm=False)
        compile = {} if framework.name == "torch" else {"compile": options.pop("compile", False)}
        sip_update_weights(net, framework.sgd(net, RATE), Doubling(), observation(), **compile, **options)
        return framework.weights(net)


@pytest.mark.slow_on("jax")
def test_a_short_gradient_stays_as_it_is(framework):
    for one, other in zip(weights_after(framework), weights_after(framework, clip_norm=1e6), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow_on("jax")
def test_an_update_is_as_long_as_said(framework):
    """‖Δθ‖ = rate · c for plain gradient descent, however many micro-batches there are."""
    with math.precision(32):
        before = framework.weights(framework.u_net(in_spatial=1, batch_norm=False))
    steps = [
        [a - b for a, b in zip(weights_after(framework, clip_norm=NORM, micro_batches=n), before, strict=True)]
        for n in (1, 4)
    ]
    for step in steps:
        assert np.sqrt(sum((part.astype(float) ** 2).sum() for part in step)) == pytest.approx(RATE * NORM, rel=1e-4)
    assert_close(*steps, 1e-4)


@pytest.mark.slow_on("jax")
def test_another_norm_is_another_compiled_update(compiling):
    for norm in (NORM, 2 * NORM):
        assert_close(*(weights_after(compiling, clip_norm=norm, compile=way) for way in (False, True)), 1e-5)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e25])
def test_gradients_of_any_size(framework, size):
    """Squares of large numbers overflow, those of small ones vanish: neither changes the direction."""
    with math.precision(32):
        net = framework.u_net(in_spatial=1, batch_norm=False)
        trainable = framework_for(net).trainable(net, framework.sgd(net))
        with trainable.context():
            trainable.save()
            rng = np.random.default_rng(0)
            given = [rng.normal(size=np.shape(w)).astype("float32") * np.float32(size) for w in framework.weights(net)]
            trainable.add_gradients([framework.backend.as_tensor(g) for g in given])
            trainable.clip_gradients(NORM * min(size, 1))
            found = [np.asarray(gradient, float) for gradient in trainable.gradients]
            trainable.restore()
    norm = np.sqrt(sum((g.astype(float) ** 2).sum() for g in given))
    for g, f in zip(given, found, strict=True):
        np.testing.assert_allclose(f, g.astype(float) * (NORM * min(size, 1) / norm), rtol=1e-5)


def test_no_gradient_at_all_stays_zero(framework):
    """x = x̃: nothing to learn, and no division by the norm 0."""

    class Reached(Doubling):
        def inverse(self, y_target, x, y):
            return super().inverse(y, x, y)

    with math.precision(32):
        net = framework.u_net(in_spatial=1, batch_norm=False)
        before = framework.weights(net)
        compile = {} if framework.name == "torch" else {"compile": False}
        sip_update_weights(net, framework.sgd(net), Reached(), observation(), clip_norm=NORM, **compile)
    assert_close(framework.weights(net), before, 0)


def backtracking(net: Any) -> OptaxOptimizer:
    return OptaxOptimizer(net, optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(15)))


@pytest.mark.parametrize(
    ("backend", "make", "make_optimizer"),
    [
        (TORCH, conv, lambda net: optim.LBFGS(net.parameters(), 0.5, 3)),
        (TORCH, conv, lambda net: SharpnessAware(net.parameters(), 1e-2)),
        (JAX, stax, backtracking),
    ],
    ids=["quasi-Newton", "sharpness", "line search"],
)
def test_what_evaluates_the_loss_again_is_refused(backend, make, make_optimizer):
    def weights(net):
        return jax.tree.leaves(net.parameters) if backend is JAX else [p.detach().clone() for p in net.parameters()]

    with backend, math.precision(32):
        net = make()
        before = weights(net)
        with pytest.raises(UnsupportedError, match=r"clip_norm = 0.3 .* evaluates the loss again"):
            sip_update_weights(net, make_optimizer(net), Doubling(), observation(), clip_norm=NORM)
        assert_close(weights(net), before, 0)


def test_a_gradient_that_is_not_finite_is_refused(framework):
    """f(y) = √(w y) at y = 0: the answer is finite, its derivative is not."""

    def predict(y):
        return y * 0 + math.sqrt(abs(math.native_call(net, y) * 0))

    with math.precision(32):
        net = framework.u_net(in_spatial=1, batch_norm=False)
        before = framework.weights(net)
        with pytest.raises(NonFiniteError, match="gradient of the weights"):
            sip_update_weights(net, framework.sgd(net), Doubling(), observation(), predict=predict, clip_norm=NORM)
    assert_close(framework.weights(net), before, 0)


@pytest.mark.parametrize("norm", [0, -1.0, np.nan, np.inf, True, "1", math.wrap([1.0, 2.0], batch("batch"))])
def test_bad_norms(norm):
    with TORCH:
        net = conv()
        optimizer = optim.SGD(net.parameters(), RATE)
        with pytest.raises(ParameterError, match="clip_norm"):
            sip_update_weights(net, optimizer, Doubling(), observation(), clip_norm=norm)
        with pytest.raises(ParameterError, match="train: clip_norm"):
            train(net, optimizer, Doubling(), by_step(lambda step: observation()), steps=1, clip_norm=norm)


def test_training_clips_and_says_so(tmp_path):
    """The folder of the run says the norm, and a change is named."""
    with TORCH:
        net = conv()
        before = [p.detach().clone() for p in net.parameters()]
        arguments = net, optim.SGD(net.parameters(), RATE), Doubling(), by_step(lambda step: observation())
        train(*arguments, steps=1, folder=tmp_path, progress=False, clip_norm=NORM)
        moved = sum(float(((p.detach() - b) ** 2).sum()) for p, b in zip(net.parameters(), before, strict=True)) ** 0.5
        assert moved == pytest.approx(RATE * NORM, rel=1e-4)
        with pytest.warns(match="plan.clip_norm: 0.3 there, null here"):
            train(*arguments, steps=2, folder=tmp_path, progress=False)
