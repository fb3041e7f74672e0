"""Networks and optimizers of every kind: an update is that of the framework's own loop, or is refused."""

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
from phiml.backend import NUMPY
from phiml.backend.jax.stax_nets import StaxNet
from phiml.math import batch, spatial

from phi_sip import (
    Correction,
    InvertiblePhysics,
    NetworkOutputError,
    NonFiniteError,
    OptaxOptimizer,
    UnsupportedError,
    sip_update_weights,
)
from phi_sip.frameworks import training_framework

VALUES = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")


class Doubling(InvertiblePhysics):
    """P(x) = 2 x, so that x̃ = y* / 2 whatever x is: the loss is ½ Σ (f(y*) − y*/2)²."""

    name = "doubling"

    def forward(self, x):
        return x * 2

    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2)


class Interrupted(Doubling):
    """Fails after the prediction."""

    name = "interrupted"

    def inverse(self, y_target, x, y):
        raise KeyboardInterrupt


def observation(values: np.ndarray = VALUES):
    with NUMPY, math.precision(32):
        return math.tensor(values, batch("batch"), spatial("x"))


def updates(net: Any, optimizer: Any, eager: int = 1, compiled: int = 1, **options: Any) -> None:
    """Updates step by step, one that fails, and compiled ones."""
    y_target = observation()
    for step in range(eager + compiled):
        compile = {} if isinstance(optimizer, torch.optim.Optimizer) else {"compile": step >= eager}
        sip_update_weights(net, optimizer, Doubling(), y_target, **compile, **options)
        if step == 0:
            with pytest.raises(KeyboardInterrupt):
                sip_update_weights(net, optimizer, Interrupted(), y_target, **options, **compile)


def assert_close(ours: list[Any], theirs: list[Any], rtol: float = 1e-6) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(np.abs(b).max(), 1e-3))


# ---------------------------------------------------------------------------------------------------- TensorFlow


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_strategy_of_one_replica(value):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope(), TENSORFLOW:
        net = keras.Sequential([keras.layers.Input((8, 1)), keras.layers.Conv1D(1, 3, padding="same")])
        optimizer = keras.optimizers.Adam(0.1)
        optimizer.build(net.trainable_variables)
    before = [variable.numpy() for variable in (*net.variables, *optimizer.variables)]

    @tf.function(autograph=False)
    def step(values: tf.Tensor) -> tf.Tensor:
        def update(values: tf.Tensor) -> tf.Tensor:
            y_target = math.reshaped_tensor(values, [batch(batch=4), spatial(x=8)], convert=False)
            return sip_update_weights(net, optimizer, Doubling(), y_target).applied.native()

        return strategy.run(update, (values,))

    with TENSORFLOW, math.precision(32):
        applied = bool(step(tf.constant(VALUES * value)))
    after = [variable.numpy() for variable in (*net.variables, *optimizer.variables)]
    assert applied == np.isfinite(value)
    assert all((a == b).all() for a, b in zip(before, after, strict=True)) == (not applied)


def convolutions(*between: Any, dtype: Any = None, **options: Any) -> keras.Model:
    """Not built: it makes its variables in the first call."""
    keras.utils.set_random_seed(0)
    first = keras.layers.Conv1D(3, 3, padding="same", activation="tanh", dtype=dtype, **options)
    return keras.Sequential([first, *between, keras.layers.Conv1D(1, 3, padding="same", dtype=dtype)])


class AddsLoss(keras.layers.Layer):
    def call(self, values):
        self.add_loss(0.3 * tf.reduce_sum(values**2))
        return values


class Counts(keras.layers.Layer):
    """A metric is no variable of the network, but changes in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.metric = keras.metrics.Mean()

    def call(self, values):
        self.metric.update_state(values)
        return values


def frozen() -> keras.Model:
    net = convolutions()
    net.layers[0].trainable = False
    return net


class Lazy(tf.Module):
    """Makes its variables in the first call, and holds an integer and a gathered one."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__()
        self.dtype, self.weights = dtype, None

    def __call__(self, values):
        if self.weights is None:
            rng = np.random.default_rng(0)
            self.weights = tf.Variable(rng.normal(size=(3, 1, 1)), dtype=self.dtype)
            self.table = tf.Variable(rng.normal(size=(8, 1)), dtype=self.dtype)
            self.calls = tf.Variable(0, trainable=False)
        self.calls.assign_add(1)
        return tf.nn.conv1d(values, self.weights, 1, "SAME") + tf.gather(self.table, [0, 1, 2, 3, 3, 2, 1, 0])


class Spectral(tf.Module):
    """Complex weights."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.weights = tf.Variable((rng.normal(size=5) + 1j * rng.normal(size=5)).astype("complex64"))

    def __call__(self, values):
        return tf.signal.irfft(tf.signal.rfft(values[..., 0]) * self.weights)[..., None]


class RealSpectral(Spectral):
    """The same with real weights, as one writes it for an optimizer that knows no others."""

    def __init__(self) -> None:
        super().__init__()
        weights = self.weights.numpy()
        self.weights = tf.Variable(np.stack([weights.real, weights.imag], -1))

    def __call__(self, values):
        weights = tf.complex(self.weights[:, 0], self.weights[:, 1])
        return tf.signal.irfft(tf.signal.rfft(values[..., 0]) * weights)[..., None]


class Sharing(keras.Model):
    """Subclassed: one layer used twice, batch statistics, and randomness."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(0)
        self.inner = keras.layers.Conv1D(1, 3, padding="same", kernel_constraint="unit_norm")
        self.normalize, self.drop, self.count = keras.layers.BatchNormalization(), keras.layers.Dropout(0.3), Counts()

    def call(self, values, training=None):
        values = self.drop(self.normalize(self.inner(values), training=training), training=training)
        return self.inner(self.count(values))


optimizers = keras.optimizers
KERAS: dict[str, tuple[Callable[[], Any], Callable[[], Any], dict[str, Any]]] = {
    "scaled": (convolutions, lambda: optimizers.LossScaleOptimizer(optimizers.SGD(1e-2, 0.9)), {}),
    "scaled and more": (
        lambda: convolutions(kernel_regularizer="l2"),
        lambda: optimizers.LossScaleOptimizer(optimizers.Adam(1e-2, clipnorm=0.1, weight_decay=0.1), 8.0, 2),
        {},
    ),
    "scale factor": (convolutions, lambda: optimizers.Adam(1e-2, loss_scale_factor=1024.0, clipvalue=0.1), {}),
    "mixed half": (
        lambda: convolutions(dtype="mixed_float16"),
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(1e-3), 64.0),
        {},
    ),
    "mixed brain float": (lambda: convolutions(dtype="mixed_bfloat16"), lambda: optimizers.SGD(1e-3), {}),
    "double": (lambda: convolutions(dtype="float64"), lambda: optimizers.SGD(1e-2), {}),
    "half": (lambda: convolutions(dtype="float16"), lambda: optimizers.SGD(1e-2), {}),
    "accumulating": (convolutions, lambda: optimizers.SGD(1e-2, gradient_accumulation_steps=2), {}),
    "averaging": (
        convolutions,
        lambda: optimizers.AdamW(1e-2, use_ema=True, ema_overwrite_frequency=2, global_clipnorm=0.1),
        {},
    ),
    "losses": (
        lambda: convolutions(AddsLoss(), kernel_regularizer="l1", activity_regularizer="l2"),
        lambda: optimizers.SGD(1e-2),
        {},
    ),
    "frozen": (frozen, lambda: optimizers.RMSprop(1e-2), {}),
    "subclass": (Sharing, lambda: optimizers.SGD(1e-2), {"training": True}),
    "lazy module": (Lazy, lambda: optimizers.Adam(1e-2), {}),
    "complex": (Spectral, lambda: optimizers.Adam(1e-2, global_clipnorm=0.5), {}),
}


def keras_by_hand(net: Any, optimizer: Any, training: bool | None = None) -> None:
    """What Keras' `fit` does in a step."""
    options = {} if training is None else {"training": training}
    kernels = [v for v in getattr(net, "variables", []) if "float" in str(v.dtype)]
    dtype = kernels[0].dtype if kernels else getattr(net, "variable_dtype", "float32")
    with tf.GradientTape() as tape:
        x = tf.cast(net(tf.cast(VALUES[..., None], dtype), **options), tf.float32)
        loss = 0.5 * tf.reduce_sum((x - VALUES[..., None] / 2) ** 2)
        loss += sum(tf.cast(extra, loss.dtype) for extra in getattr(net, "losses", []))
        loss = optimizer.scale_loss(loss)
    weights = net.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))


@pytest.mark.parametrize("case", KERAS)
def test_keras(case):
    make, make_optimizer, options = KERAS[case]
    with TENSORFLOW:
        net, optimizer = make(), make_optimizer()
        updates(net, optimizer, **options)
        other, other_optimizer = RealSpectral() if case == "complex" else make(), make_optimizer()
        for _ in range(2):
            keras_by_hand(other, other_optimizer, **options)
    pairs = (net, optimizer), (other, other_optimizer)
    ours, theirs = ([v.numpy() for v in (*n.variables, *o.variables)] for n, o in pairs)
    if case == "complex":
        ours[0] = np.stack([ours[0].real, ours[0].imag], -1)
    # graphs round half precision elsewhere
    assert_close(ours, theirs, {"mixed half": 2e-4, "mixed brain float": 2e-3, "half": 2e-3}.get(case, 1e-6))
    if case == "subclass":
        assert_close([net.count.metric.result()], [other.count.metric.result()])


def test_losses_of_the_network_count_once_in_micro_batches():
    with TENSORFLOW:
        results = []
        for parts in (1, 2):
            net, optimizer = convolutions(kernel_regularizer="l1", activity_regularizer="l2"), optimizers.SGD(1e-2)
            update = sip_update_weights(net, optimizer, Doubling(), observation(), micro_batches=parts, compile=False)
            results.append([*(v.numpy() for v in net.variables), update.loss.numpy("batch")])
    assert_close(*results)


@pytest.mark.parametrize("how", ["eager", "compiled", "in a graph"])
def test_loss_scale_is_lowered_where_the_gradient_overflows(how):
    """The step is left out, as in Keras' own loop; all but the scale is as before, and the next step is made."""
    with TENSORFLOW:
        net = convolutions(keras.layers.BatchNormalization())
        optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1e-3), 2.0**127)
        net(VALUES[..., None])
        optimizer.build(net.trainable_variables)

        def applied(y_target):
            compile = how == "compiled"
            return sip_update_weights(net, optimizer, Doubling(), y_target, compile=compile, training=True).applied

        @tf.function(autograph=False)
        def graph(values):
            return applied(math.reshaped_tensor(values, observation().shape, convert=False)).native()

        def update(values):
            return bool(graph(tf.constant(values)) if how == "in a graph" else applied(observation(values)).all)

        before = [v.numpy() for v in net.variables]
        assert not update(VALUES * 16)
        assert_close([v.numpy() for v in net.variables], before, 0)
        assert float(optimizer.dynamic_scale) == 2.0**126
        while not update(VALUES):
            assert float(optimizer.dynamic_scale) > 1
        assert any((v.numpy() != b).any() for v, b in zip(net.variables, before, strict=True))
        scale = float(optimizer.dynamic_scale)
        if how == "in a graph":
            assert not update(VALUES * np.nan)
        else:
            with pytest.raises(NonFiniteError, match="y_target"):
                update(VALUES * np.nan)
        assert float(optimizer.dynamic_scale) == scale  # the data were to blame


def built_for_another() -> Any:
    optimizer = optimizers.Adam(1e-2)
    optimizer.build(tf.keras.Sequential([keras.layers.Input((8, 1)), keras.layers.Dense(1)]).trainable_variables)
    return optimizer


def all_frozen() -> Any:
    net = convolutions()
    net.trainable = False
    return net


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize(
    ("make", "make_optimizer", "error", "match"),
    [
        (convolutions, built_for_another, UnsupportedError, "built for another"),
        (convolutions, lambda: tf.compat.v1.train.AdamOptimizer(), UnsupportedError, "must be a Keras optimizer"),
        (all_frozen, lambda: optimizers.Adam(), NetworkOutputError, "no trainable variables"),
    ],
)
def test_what_keras_cannot_train_is_refused(make, make_optimizer, error, match, compile):
    with TENSORFLOW:
        net, optimizer = make(), make_optimizer()
        variables = list(getattr(optimizer, "_variables", []))
        with pytest.raises(error, match=match):
            sip_update_weights(net, optimizer, Doubling(), observation(), compile=compile)
        assert len(variables) == len(getattr(optimizer, "_variables", []))
        net.trainable = True
        other, good = convolutions(), optimizers.Adam(1e-2)
        updates(net, good, compiled=0)
        keras_by_hand(other, optimizers.Adam(1e-2))
    assert_close([v.numpy() for v in net.variables], [v.numpy() for v in other.variables])


# ------------------------------------------------------------------------------------------------------- PyTorch


def conv(*between: Any, dtype: Any = torch.float32) -> torch.nn.Module:
    torch.manual_seed(0)
    first, last = torch.nn.Conv1d(1, 3, 3, padding=1, dtype=dtype), torch.nn.Conv1d(3, 1, 3, padding=1, dtype=dtype)
    return torch.nn.Sequential(first, torch.nn.Tanh(), *between, last)


class ComplexModule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(5, dtype=torch.complex64))

    def forward(self, values):
        return torch.fft.irfft(torch.fft.rfft(values) * self.weight)


class WithTable(torch.nn.Module):
    """Sparse gradients, an integer buffer that is replaced, and a mask that is infinite."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(8, 1, sparse=True)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mask", torch.full((8,), -torch.inf))

    def forward(self, values):
        self.calls = self.calls + 1
        return values * self.table(torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])).T


class SharpnessAware(torch.optim.SGD):
    """Asks for the loss where it has moved the weights to, as Foret et al. 2021."""

    @torch.no_grad()
    def step(self, closure):
        parameters = [p for group in self.param_groups for p in group["params"]]
        ascent = [0.05 * p.grad for p in parameters]
        for p, step in zip(parameters, ascent, strict=True):
            p.data.add_(step)
        self.zero_grad()
        torch.enable_grad()(closure)()
        for p, step in zip(parameters, ascent, strict=True):
            p.data.sub_(step)
        super().step()


class NeedsMore(torch.optim.SGD):
    def step(self, closure=None):
        self.param_groups[0]["params"][0].data.zero_()
        raise RuntimeError("create_graph=True is needed")


class NoClosure(torch.optim.SGD):
    def step(self):
        super().step()


def normalized() -> torch.nn.Module:
    net = conv(torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.0))
    torch.nn.utils.parametrizations.weight_norm(net[0])
    torch.nn.utils.parametrizations.spectral_norm(net[-1])
    return net


def lazy() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.LazyConv1d(3, 3, padding=1), torch.nn.LazyBatchNorm1d(), torch.nn.LazyConv1d(1, 1)
    )


def shared() -> torch.nn.Module:
    net = torch.nn.Sequential(conv(), conv())
    net[1][0].weight = net[0][0].weight
    net[1][0].bias.requires_grad = False
    return net


def two_groups(net: torch.nn.Module) -> Any:
    groups = [{"params": net[0].parameters()}, {"params": net[1:].parameters(), "lr": 1e-3}]
    return torch.optim.AdamW(groups, 1e-2, amsgrad=True)


optim = torch.optim
MODULES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "groups": (conv, two_groups),
    "line search": (conv, lambda net: optim.LBFGS(net.parameters(), 0.5, 3, line_search_fn="strong_wolfe")),
    "quasi-Newton": (conv, lambda net: optim.LBFGS(net.parameters(), 0.1, 3)),
    "sharpness": (lambda: conv(dtype=torch.float64), lambda net: SharpnessAware(net.parameters(), 1e-2)),
    "no closure": (conv, lambda net: NoClosure(net.parameters(), 1e-2, momentum=0.9)),
    "fused": (conv, lambda net: optim.Adam(net.parameters(), torch.tensor(1e-2), fused=True)),
    "foreach": (conv, lambda net: optim.NAdam(net.parameters(), 1e-2, foreach=True)),
    "lazy": (lazy, lambda net: optim.SGD(net.parameters(), 1e-2)),
    "parametrized": (normalized, lambda net: optim.Rprop(net.parameters(), 1e-2)),
    "shared": (shared, lambda net: optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-2)),
    "sparse": (WithTable, lambda net: optim.SparseAdam(net.parameters(), 1e-2)),
    "complex": (ComplexModule, lambda net: optim.Adam(net.parameters(), 1e-2)),
    "complex line search": (ComplexModule, lambda net: optim.LBFGS(net.parameters(), 0.1, 3)),
    "double": (lambda: conv(dtype=torch.float64), lambda net: optim.Adam(net.parameters(), 1e-2)),
    "brain float": (lambda: conv(dtype=torch.bfloat16), lambda net: optim.SGD(net.parameters(), 1e-2, 0.9)),
    "parallel": (lambda: torch.nn.DataParallel(conv()), lambda net: optim.SGD(net.parameters(), 1e-2)),
}


def torch_by_hand(net: Any, optimizer: Any) -> None:
    values = torch.tensor(VALUES)[:, None]

    def closure():
        optimizer.zero_grad()
        dtype = next(net.parameters()).dtype.to_real()
        loss = 0.5 * ((net(values.to(dtype)).float() - values / 2) ** 2).sum()
        loss.backward()
        return loss

    if isinstance(optimizer, NoClosure):
        closure()
        optimizer.step()
    elif isinstance(optimizer, SharpnessAware):
        closure()
        optimizer.step(closure)
    else:
        optimizer.step(closure)


def of_torch(net: Any, optimizer: Any) -> list[np.ndarray]:
    slots = [t for slot in optimizer.state.values() for t in slot.values() if torch.is_tensor(t)]
    tensors = [t.detach().to_dense() for t in (*net.parameters(), *net.buffers(), *slots)]
    return [(t if t.is_complex() else t.double()).numpy().copy() for t in tensors]


@pytest.mark.parametrize("case", MODULES)
def test_torch(case):
    make, make_optimizer = MODULES[case]
    with TORCH:
        net, other = make(), make()
        optimizer = make_optimizer(net)
        updates(net, optimizer)
        if case == "lazy":
            torch.manual_seed(0)
            other(torch.tensor(VALUES)[:, None].clone())
            other[1].reset_running_stats()
        other_optimizer = make_optimizer(other)
        for _ in range(2):
            torch_by_hand(other, other_optimizer)
    ours, theirs = of_torch(net, optimizer), of_torch(other, other_optimizer)
    if case in ("lazy", "sparse"):
        ours, theirs = ([w for w in part if np.isfinite(w).all()] for part in (ours, theirs))
    assert_close(ours, theirs)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_torch_modes_of_the_caller(mode):
    with TORCH:
        net, other = conv(), conv()
        with mode():
            sip_update_weights(net, optim.SGD(net.parameters(), 1e-2), Doubling(), math.convert(observation(), TORCH))
        torch_by_hand(other, optim.SGD(other.parameters(), 1e-2))
    assert_close([p.detach() for p in net.parameters()], [p.detach() for p in other.parameters()])


def test_gradients_and_weights_of_others_are_left_alone():
    """An optimizer that knows another network too, and not all of this one; gradients that were accumulated."""
    with TORCH:
        net, stranger = conv(), conv()
        optimizer = optim.SGD([*net[0].parameters(), *stranger.parameters()], 1e-2, momentum=0.9)
        gradients = [torch.full_like(p, 7.0) for p in (*net.parameters(), *stranger.parameters())]
        for p, gradient in zip((*net.parameters(), *stranger.parameters()), gradients, strict=True):
            p.grad = gradient
        before = [p.detach().clone() for p in (*stranger.parameters(), *net[-1].parameters())]
        with pytest.raises(KeyboardInterrupt):
            sip_update_weights(net, optimizer, Interrupted(), observation())
        for p, gradient in zip((*net.parameters(), *stranger.parameters()), gradients, strict=True):
            assert p.grad is gradient
            assert bool((gradient == 7).all())
        sip_update_weights(net, optimizer, Doubling(), observation())
        other = conv()
        torch_by_hand(other, optim.SGD(other[0].parameters(), 1e-2, momentum=0.9))
    assert_close([p.detach() for p in net.parameters()], [p.detach() for p in other.parameters()])
    assert_close([p.detach() for p in (*stranger.parameters(), *net[-1].parameters())], before, 0)
    assert net[-1].weight.grad is gradients[2]


def weights_elsewhere() -> torch.nn.Module:
    return conv().to("meta")


def made_in_inference_mode() -> torch.nn.Module:
    with torch.inference_mode():
        return conv()


def without_gradients() -> torch.nn.Module:
    return conv().requires_grad_(False)


@pytest.mark.parametrize(
    ("make", "make_optimizer", "error", "match"),
    [
        (conv, lambda net: NeedsMore(net.parameters(), 1e-2), UnsupportedError, "could not make its step"),
        (conv, lambda net: optim.SGD(conv().parameters(), 1e-2), NetworkOutputError, "parameters of this network"),
        (without_gradients, lambda net: optim.SGD(net.parameters(), 1e-2), NetworkOutputError, "does not depend"),
        (weights_elsewhere, lambda net: optim.SGD(net.parameters(), 1e-2), UnsupportedError, "meta"),
        (made_in_inference_mode, lambda net: optim.SGD(net.parameters(), 1e-2), UnsupportedError, "inference_mode"),
    ],
)
def test_what_torch_cannot_train_is_refused(make, make_optimizer, error, match):
    with TORCH:
        net = make()
        optimizer = make_optimizer(net)
        with pytest.raises(error, match=match):
            sip_update_weights(net, optimizer, Doubling(), observation())
        if not any(p.is_meta or p.is_inference() for p in net.parameters()):
            assert_close([p.detach() for p in net.parameters()], [p.detach() for p in conv().parameters()], 0)


@pytest.mark.parametrize("make", [conv, ComplexModule])
def test_torch_weights_that_overflow_are_put_back(make):
    with TORCH:
        net = make()
        before = [p.detach().clone() for p in net.parameters()]
        rate = torch.tensor(3e38)
        optimizer = optim.SGD(net.parameters(), rate, momentum=0.9)
        with pytest.raises(NonFiniteError, match="learning rate"):
            sip_update_weights(net, optimizer, Doubling(), observation(1e3 * VALUES))
    assert_close([p.detach() for p in net.parameters()], before, 0)
    assert not optimizer.state
    assert optimizer.param_groups[0]["lr"] is rate


# ----------------------------------------------------------------------------------------------------------- JAX


def stax(dtype: Any = jnp.float32, apply: Any = None) -> StaxNet:
    """A layer of each point with all others, in PhiML's class of networks."""
    net = StaxNet(None, apply or (lambda p, v: (v[..., 0] @ p["w"] + p["b"])[..., None]), (8, 1))
    rng = np.random.default_rng(0)
    net.parameters = {"b": jnp.asarray(rng.normal(size=8), dtype), "w": jnp.asarray(rng.normal(size=(8, 8)), dtype)}
    return net


def spectral() -> StaxNet:
    net = stax(apply=lambda p, v: jnp.fft.irfft(jnp.fft.rfft(v[..., 0]) * p["w"])[..., None].astype(v.dtype))
    rng = np.random.default_rng(0)
    net.parameters = {"w": jnp.asarray(rng.normal(size=5) + 1j * rng.normal(size=5), jnp.complex64)}
    return net


labels = {"b": "none", "w": "adam"}
contrib = optax.contrib
OPTAX: dict[str, tuple[Callable[[], StaxNet], Callable[[], Any]]] = {
    "backtracking": (stax, lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(15))),
    "plateau": (stax, lambda: optax.chain(optax.adamw(1e-2), contrib.reduce_on_plateau())),
    "accumulating": (stax, lambda: optax.MultiSteps(optax.adam(1e-2), 2)),
    "labels": (stax, lambda: optax.multi_transform({"adam": optax.adam(1e-2), "none": optax.set_to_zero()}, labels)),
    "hyperparameters": (
        stax,
        lambda: optax.apply_if_finite(optax.inject_hyperparams(optax.sgd)(optax.cosine_decay_schedule(1e-2, 9)), 3),
    ),
    "sharpness": (
        stax,
        lambda: contrib.sam(optax.sgd(1e-2), optax.chain(contrib.normalize(), optax.sgd(0.1)), opaque_mode=True),
    ),
    "complex": (spectral, lambda: optax.sgd(1e-2, 0.9)),
    "complex pairs": (spectral, lambda: contrib.split_real_and_imaginary(optax.adam(1e-2))),
    "complex line search": (spectral, lambda: optax.lbfgs(memory_size=1)),
    "double": (lambda: stax(jnp.float64), lambda: optax.sgd(1e-2)),
    "brain float": (lambda: stax(jnp.bfloat16), lambda: optax.sgd(1e-2)),
}


def optax_by_hand(net: StaxNet, transformation: Any, steps: int, case: str) -> Any:
    """The loop of optax's documentation."""
    parameters = net.parameters
    dtype = jax.tree.leaves(parameters)[0].real.dtype

    def loss(parameters):
        x = net._apply(parameters, jnp.asarray(VALUES[..., None], dtype)).astype(jnp.float32)
        return (0.5 * ((x - VALUES[..., None] / 2) ** 2).sum()).astype(dtype)

    @jax.jit
    def step(parameters, state):
        value, gradient = jax.value_and_grad(loss)(parameters)
        gradient = jax.tree.map(jnp.conj, gradient)
        if case in ("backtracking", "complex line search"):
            options = {"value": value, "grad": gradient, "value_fn": loss}
        elif case == "plateau":
            options = {"value": value}
        elif case == "sharpness":
            options = {"grad_fn": lambda at, _: jax.grad(loss)(at)}
        else:
            options = {}
        changes, state = transformation.update(gradient, state, parameters, **options)
        return optax.apply_updates(parameters, changes), state

    state = transformation.init(parameters)
    for _ in range(steps):
        parameters, state = step(parameters, state)
    return parameters


@pytest.mark.parametrize("case", OPTAX)
def test_optax(case):
    make, make_transformation = OPTAX[case]
    with JAX, math.precision(32):
        net = make()
        eager = 0 if case in ("complex line search", "brain float") else 1  # line searches are slow step by step
        updates(net, OptaxOptimizer(net, make_transformation()), eager, 2 - eager)
        theirs = optax_by_hand(make(), make_transformation(), 2, case)
    ours, theirs = ([np.asarray(leaf, "complex128") for leaf in jax.tree.leaves(p)] for p in (net.parameters, theirs))
    assert_close(ours, theirs, {"brain float": 1e-2, "complex line search": 1e-5}.get(case, 1e-6))


def with_integers() -> StaxNet:
    net = stax()
    net.parameters = {**net.parameters, "count": jnp.zeros((), jnp.int32)}
    return net


def for_another(net: Any) -> OptaxOptimizer:
    return OptaxOptimizer(spectral(), optax.adam(1e-2))


@pytest.mark.parametrize(
    ("make", "make_optimizer", "match"),
    [
        (stax, for_another, "could not make its step"),
        (stax, lambda net: OptaxOptimizer(net, contrib.sophia(1e-2)), "obj_fn"),
        (stax, lambda net: OptaxOptimizer(net, contrib.differentially_private_aggregate(1.0, 1.0, 0)), "per"),
        (with_integers, lambda net: OptaxOptimizer(net, optax.sgd(1e-2)), "integers"),
    ],
)
def test_what_optax_cannot_train_is_refused(make, make_optimizer, match):
    with JAX, math.precision(32):
        net = make()
        optimizer = make_optimizer(net)
        before = net.parameters, optimizer.state
        with pytest.raises(UnsupportedError, match=match):
            sip_update_weights(net, optimizer, Doubling(), observation(), compile=False)
        assert net.parameters is before[0]
        assert optimizer.state is before[1]


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_weights_of_any_type_are_saved(framework, tmp_path):
    """Complex numbers, and those that NumPy does not know."""
    module = training_framework(framework)
    if framework == "tensorflow":
        nets = [Lazy("bfloat16"), Lazy("bfloat16")]
        for net in nets:
            net(tf.cast(VALUES[..., None], tf.bfloat16))
        nets[0].weights.assign(nets[0].weights * 2)
    elif framework == "torch":
        nets = [ComplexModule(), ComplexModule()]
        nets[0].weight.data *= 2
    else:
        nets = [stax(jnp.bfloat16), stax(jnp.bfloat16)]
        nets[0].parameters = jax.tree.map(lambda leaf: 2 * leaf, nets[0].parameters)
    module.save_weights(nets[0], tmp_path)
    module.load_weights(nets[1], tmp_path)
    values = VALUES[:, None] if framework == "torch" else VALUES[..., None]
    ours, theirs = (module.evaluation(net)(module.backend.as_tensor(values)) for net in nets)
    assert np.asarray(ours).dtype == np.float32
    assert_close([np.asarray(ours)], [np.asarray(theirs)], 0)
