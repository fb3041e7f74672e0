"""Updates as compiled functions: what eager ones compute, compiled once for each kind, and nothing lost in a graph."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import keras
import numpy as np
import optax
import pluggy
import pytest
import tensorflow as tf
from fields import array, periodic, smooth
from frameworks import TABLE
from phi.tf import TENSORFLOW
from phiml import math
from phiml.math import batch, spatial
from test_conformance import CASES

import phi_sip
from phi_sip import (
    Correction,
    EmpiricalBayes,
    HeatEquation,
    InvertiblePhysics,
    Labels,
    NonFiniteError,
    OptaxOptimizer,
    ParameterError,
    ProbabilisticDamping,
    TotalVariation,
    UnsupportedError,
    Wiener,
    sip_update_weights,
)
from phi_sip.compilation.inputs import without_values
from phi_sip.contract.update import UpdateRequest
from phi_sip.errors import PerformanceWarning
from phi_sip.frameworks import operations_of
from phi_sip.inversion.default import runs_on_host
from phi_sip.inversion.operator import invert
from phi_sip.plugins import manager as plugins
from phi_sip.states import trees
from phi_sip.step import cache as kinds
from phi_sip.step.tensors import native_tensors, replace_tensors, with_natives


def states(samples: int = 4, n: int = 8, seed: int = 0):
    return periodic(1 + smooth(np.random.default_rng(seed), samples, n, n))


@dataclass(frozen=True)
class Traced(HeatEquation):
    """Counts how often Python runs through it."""

    runs: ClassVar[list[int]] = []

    def forward(self, x):
        self.runs.append(0)
        return super().forward(x)


@pytest.fixture
def runs():
    Traced.runs.clear()
    return Traced.runs


def damped(noise_std=1e-4, time: Any = 1.0) -> Traced:
    return Traced(1.0, time, noise_std, ProbabilisticDamping())


def train(framework, physics, steps=3, seed=0, batch_norm=True, **options):
    """Weights and losses after some updates of a fresh network."""
    net = framework.u_net(batch_norm=batch_norm, levels=1, filters=2)
    optimizer = framework.adam(net, 1e-3, 1.0)
    losses = []
    for step in range(steps):
        y_target = physics.forward(states(seed=seed + step))
        update = sip_update_weights(net, optimizer, physics, y_target, **options)
        losses.append(update.loss.numpy("batch"))
    return framework.everything(net, optimizer), np.stack(losses)


OTHER_RULES = [pytest.param(rule, marks=pytest.mark.slow) for rule in (EmpiricalBayes(), Wiener(), TotalVariation())]


@pytest.mark.parametrize("rule", [ProbabilisticDamping(), *OTHER_RULES, pytest.param(None, marks=pytest.mark.slow)])
def test_compiled_updates_are_the_eager_ones(compiling, double, rule):
    physics = HeatEquation(1.0, 1.0, 1e-4, rule)
    options = {"training": True} if compiling.name == "tensorflow" else {}
    eager, compiled = (train(compiling, physics, compile=c, **options) for c in (False, True))
    np.testing.assert_allclose(compiled[1], eager[1], rtol=1e-5)
    for a, b in zip(compiled[0], eager[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("solver", ["gradient", "conjugate-gradient", "levenberg-marquardt"])
def test_compiled_solvers_are_the_eager_ones(compiling, double, solver):
    physics = HeatEquation(0.1, 1.0, 1e-4)
    eager, compiled = (train(compiling, physics, steps=2, compile=c, solver=solver) for c in (False, True))
    np.testing.assert_allclose(compiled[1], eager[1], rtol=1e-4)


ALIKE = ("heat-1d", "heat-2d-cells", "heat-3d", "heat-noise", "heat-insulated", "heat-fixed", "heat-wiener")
ALIKE += ("heat-empirical", "heat-damping", "heat-tikhonov", "heat-edges", "burgers-1d", "wave-1d", "poisson-1d")
ALIKE += ("poisson-3d", "poisson-insulated", "poisson-fixed", "poisson-noise")  # rules are compiled in test_rules
AMPLIFIED = {"darcy": 1e-3}  # rounding, by steps of which some are taken and some are not
QUICK = ("heat-published", "evolution", "rotated-sine", "poisson-2d", "exponential")


def compiled_case(case: str) -> Any:
    return pytest.param(case, marks=() if case in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("case", [compiled_case(case) for case in CASES if case not in ALIKE])
def test_every_physics_compiles(compiling, double, case):
    """With all its tensors as inputs, it inverts as it does eagerly. What runs on the host says so."""
    make_physics, make_x = CASES[case]
    physics, x = make_physics(), trees.to_backend(make_x(), compiling.backend)
    y_target = trees.scale(physics.forward(x), 1.01)
    request = UpdateRequest(physics, y_target, x_true=x)
    template = replace_tensors(without_values, request)

    def correction(*natives):
        traced = with_natives(template, natives)
        with compiling.backend, math.precision(64):
            return trees.natives(invert(traced.physics, traced.y_target, traced.x_true, 1.0, None).dx, like=x)

    natives = native_tensors(request, compiling.backend)
    if runs_on_host(physics, None):
        with pytest.raises(UnsupportedError, match="outside of graphs"):
            operations_of(compiling.backend).compile(correction)(*natives)
        return
    compiled = operations_of(compiling.backend).compile(correction)(*natives)
    tolerance = AMPLIFIED.get(case, 1e-7)
    for a, b in zip(compiled, correction(*natives), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=tolerance * np.abs(np.asarray(b)).max())


@pytest.mark.parametrize("updates", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_values_may_change_without_compiling_anew(compiling, double, runs, updates):
    """Hundreds of updates with other data, noise, labels and learning rates."""
    net = compiling.u_net(batch_norm=False, levels=1, filters=2)
    if compiling.name == "jax":
        optimizer = OptaxOptimizer(net, optax.inject_hyperparams(optax.adam)(learning_rate=1e-3))
    else:
        optimizer = compiling.adam(net)
    observations = [HeatEquation(1.0, 1.0).forward(states(seed=seed)) for seed in range(10)]
    rates = []
    for step in range(updates):
        rates.append(1e-3 / (1 + step))
        if compiling.name == "jax":
            optimizer.state.hyperparams["learning_rate"] = jax.numpy.asarray(rates[-1])
        else:
            optimizer.learning_rate = rates[-1]
        y_target = observations[step % 10]
        physics = damped(noise_std=1e-5 * (1 + step))
        sip_update_weights(net, optimizer, physics, y_target, step_size=1 / (1 + step), x_true=observations[0])
    assert len(runs) == 1


def test_data_on_a_device_do_not_compile_anew():
    """Data can be committed to a device; then all that is computed with them is, and JAX compiles anew for it."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
    with TABLE[2].backend, math.precision(64):
        net = TABLE[2].u_net(batch_norm=False, levels=1, filters=2)
        optimizer = TABLE[2].adam(net)
        values = jax.device_put(array(states()), jax.devices()[0])
        y_target = states().with_values(math.reshaped_tensor(values, [batch(batch=4), spatial(x=8), spatial(y=8)]))
        sip_update_weights(net, optimizer, damped(), y_target)
        compiled.clear()
        for _ in range(2):
            sip_update_weights(net, optimizer, damped(), y_target)
    assert not [event for event in compiled if "compile" in event]


def test_constants_of_the_physics_compile_anew(compiling, runs):
    net = compiling.u_net()
    optimizer = compiling.adam(net)
    y_target = damped().forward(states())
    runs.clear()
    for time in (1.0, 2.0, 1.0, 2.0):
        sip_update_weights(net, optimizer, damped(time=time), y_target)
    assert len(runs) == 2
    per_entry = math.tensor([0.5, 1.0, 1.5, 2.0], batch("batch"))
    sip_update_weights(net, optimizer, damped("auto", per_entry), y_target)
    kept = len(kinds.cache_of(optimizer)._runs)
    with pytest.warns(PerformanceWarning, match="give noise_std"):
        sip_update_weights(net, optimizer, damped("auto", per_entry * 2), y_target)
    assert len(kinds.cache_of(optimizer)._runs) == kept == 3, "not compiled for each batch"
    runs.clear()
    losses = [sip_update_weights(net, optimizer, damped(time=t), y_target).y_l2 for t in (per_entry, per_entry * 2)]
    assert len(runs) == 1, "tensors are inputs where the noise is known"
    assert not np.allclose(losses[0].numpy("batch"), losses[1].numpy("batch"))


def test_labels_are_inputs(compiling, runs):
    net = compiling.u_net()
    optimizer = compiling.adam(net)
    y_target = damped().forward(states())
    runs.clear()
    losses = []
    for seed in range(6):
        x = states(seed=seed)
        update = sip_update_weights(net, optimizer, damped(), y_target, targets=Labels(), x_true=x)
        np.testing.assert_allclose(update.loss.numpy("batch"), update.x_l2.numpy("batch"), rtol=1e-5)
        losses.append(float(update.loss.mean))
    assert len(runs) == 1
    assert len(set(losses)) == 6


def test_the_learning_rate_counts(compiling):
    """Also in updates that are compiled already."""
    net = compiling.u_net()
    y_target = damped().forward(states())
    if compiling.name == "jax":
        optimizer = OptaxOptimizer(net, optax.inject_hyperparams(optax.sgd)(learning_rate=1e-3))
        optimizer_off = {"learning_rate": jax.numpy.asarray(0.0)}
    else:
        optimizer = compiling.sgd(net)
    sip_update_weights(net, optimizer, damped(), y_target)
    before = compiling.weights(net)
    if compiling.name == "jax":
        optimizer.state.hyperparams.update(optimizer_off)
    else:
        optimizer.learning_rate = 0.0
    sip_update_weights(net, optimizer, damped(), y_target)
    for a, b in zip(before, compiling.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_layers_compile_anew():
    with TENSORFLOW:
        net = keras.Sequential([keras.layers.Conv2D(2, 3, padding="same"), keras.layers.Conv2D(1, 3, padding="same")])
        net.build((None, 8, 8, 1))
        optimizer = keras.optimizers.SGD(1e-3)
        y_target = damped().forward(states())
        sip_update_weights(net, optimizer, damped(), y_target)
        net.layers[0].trainable = False
        optimizer = keras.optimizers.SGD(1e-3)
        before = [[v.numpy() for v in layer.variables] for layer in net.layers]
        sip_update_weights(net, optimizer, damped(), y_target)
        after = [[v.numpy() for v in layer.variables] for layer in net.layers]
    np.testing.assert_array_equal(before[0][0], after[0][0])
    assert not np.array_equal(before[1][0], after[1][0])


def test_dropout_is_drawn_anew():
    with TENSORFLOW:
        net = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Conv2D(1, 3, padding="same")])
        net.build((None, 8, 8, 1))
        optimizer = keras.optimizers.SGD(0.0)
        y_target = damped().forward(states())
        losses = {
            float(sip_update_weights(net, optimizer, damped(), y_target, training=True).loss.mean) for _ in range(4)
        }
    assert len(losses) == 4


@pytest.mark.parametrize("what", ["y_target", "state", "weights"])
def test_what_is_not_finite_in_a_compiled_update_changes_nothing(compiling, what):
    net = compiling.u_net()
    optimizer = compiling.sgd(net)
    options = {"training": True} if compiling.name == "tensorflow" else {}
    y_target = damped().forward(states())
    for _ in range(2):
        sip_update_weights(net, optimizer, damped(), y_target, **options)
    before = compiling.everything(net, optimizer)
    physics, step_size = damped(), 1.0
    if what == "y_target":
        values = array(y_target).copy()
        values[1, 2, 3] = np.nan
        y_target, message = periodic(values), "y_target holds NaN or infinity in 1 of 256 values"
    elif what == "state":
        y_target, message = y_target * 1e30, "prediction|correction"
    else:
        message, step_size = "weights|gradient", 1e38
    with pytest.raises(NonFiniteError, match=message):
        sip_update_weights(net, optimizer, physics, y_target, step_size=step_size, **options)
    for a, b in zip(before, compiling.everything(net, optimizer), strict=True):
        np.testing.assert_array_equal(a, b)


def test_few_kinds_are_kept(compiling, runs, monkeypatch):
    monkeypatch.setattr(kinds, "KEPT", 2)
    net = compiling.u_net(levels=1, filters=2)
    optimizer = compiling.adam(net)
    for samples in range(1, kinds.KEPT + 3):
        sip_update_weights(net, optimizer, damped(), damped().forward(states(samples)), compile=True)
    assert len(kinds.cache_of(optimizer)._runs) == kinds.KEPT


def test_compiling_is_given_up_where_every_update_is_new(compiling, runs):
    net = compiling.u_net(levels=1, filters=2)
    optimizer = compiling.adam(net)
    y_target = damped().forward(states())
    for step in range(kinds.FRUITLESS - 1):
        sip_update_weights(net, optimizer, damped(time=1.0 + step), y_target)
    with pytest.warns(PerformanceWarning, match="no longer compiled"):
        sip_update_weights(net, optimizer, damped(time=10.0), y_target)
    for step in range(3):
        sip_update_weights(net, optimizer, damped(time=20.0 + step), y_target)
    assert len(kinds.cache_of(optimizer)._runs) == kinds.FRUITLESS


def test_compiled_updates_go_with_their_optimizer(compiling):
    net = compiling.u_net(levels=1, filters=2)
    optimizer = compiling.adam(net)
    sip_update_weights(net, optimizer, damped(), damped().forward(states()))
    gone = weakref.ref(net), weakref.ref(optimizer)
    del net, optimizer
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


@dataclass(frozen=True)
class LooksAtValues(InvertiblePhysics):
    def forward(self, x):
        return x * 2 if bool((x.values < 1e9).all) else x

    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2)


def test_physics_that_cannot_be_compiled_runs_eagerly(compiling):
    net = compiling.u_net()
    optimizer = compiling.adam(net)
    x = states()
    before = compiling.weights(net)
    with pytest.raises(UnsupportedError, match="cannot be compiled"):
        sip_update_weights(net, optimizer, LooksAtValues(), x, compile=True)
    for a, b in zip(before, compiling.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(PerformanceWarning, match="LooksAtValues cannot be compiled"):
        sip_update_weights(net, optimizer, LooksAtValues(), x)
    assert not np.array_equal(before[0], compiling.weights(net)[0])
    sip_update_weights(net, optimizer, LooksAtValues(), x)  # without another warning


def test_code_that_may_depend_on_more_runs_every_time(compiling, monkeypatch):
    net = compiling.u_net()
    optimizer = compiling.adam(net)
    y_target = damped().forward(states())
    calls = []

    def predict(y):
        calls.append(0)
        with math.precision(32):
            return y.with_values(math.native_call(net, y.values))

    for _ in range(3):
        sip_update_weights(net, optimizer, damped(), y_target, predict=predict)
    assert len(calls) == 3
    for _ in range(3):
        sip_update_weights(net, optimizer, damped(), y_target, predict=lambda y: predict(y), compile=True)
    assert len(calls) == 4

    class Log:
        @phi_sip.hookimpl(wrapper=True)
        def sip_inverse(self):
            calls.append(1)
            return (yield)

    manager = plugins.get_plugin_manager()
    log = Log()
    manager.register(log)
    try:
        for _ in range(3):
            sip_update_weights(net, optimizer, damped(), y_target)
    finally:
        manager.unregister(log)
    assert sum(calls) == 3
    assert isinstance(manager, pluggy.PluginManager)


def test_torch_does_not_compile():
    torch = next(row for row in TABLE if row.name == "torch")
    with torch.backend:
        net = torch.u_net()
        with pytest.raises(ParameterError, match="compile=True is for TensorFlow and JAX"):
            sip_update_weights(net, torch.adam(net), damped(), damped().forward(states()), compile=True)


def test_inside_of_a_graph_of_ones_own():
    """Nothing can be raised there: `applied` says whether the update was made."""
    row = next(row for row in TABLE if row.name == "tensorflow")
    with TENSORFLOW:
        net = row.u_net()
        optimizer = row.adam(net)
        optimizer.build(net.trainable_variables)
        template = damped().forward(states())

        @tf.function(autograph=False)
        def step(values):
            y_target = template.with_values(math.reshaped_tensor(values, [*template.values.shape], convert=False))
            update = sip_update_weights(net, optimizer, damped(), y_target, training=True)
            return update.applied.native(), update.loss.native("batch")

        values = trees.natives(template)[0]
        applied, loss = step(values)
        assert bool(applied)
        assert loss.shape == (4,)
        before = row.everything(net, optimizer)
        applied, _ = step(values * np.nan)
        assert not bool(applied)
        for a, b in zip(before, row.everything(net, optimizer), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_are_the_whole_batch(framework, double, parts):
    physics = HeatEquation(1.0, math.tensor([0.5, 1.0, 1.5, 2.0], batch("batch")), 1e-4, ProbabilisticDamping())
    whole, split = (train(framework, physics, batch_norm=False, micro_batches=m) for m in (1, parts))
    np.testing.assert_allclose(split[1], whole[1], rtol=1e-4)
    for a, b in zip(split[0], whole[0], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_micro_batches_that_do_not_fit(framework):
    net = framework.u_net()
    with pytest.raises(ParameterError, match="micro_batches = 3, but y_target has the batch"):
        sip_update_weights(net, framework.adam(net), damped(), damped().forward(states()), micro_batches=3)
    with pytest.raises(ParameterError, match="must be an integer"):
        sip_update_weights(net, framework.adam(net), damped(), damped().forward(states()), micro_batches=0)


def test_inside_of_jit_is_refused():
    row = next(row for row in TABLE if row.name == "jax")
    with row.backend:
        net = row.u_net(levels=1, filters=2)
        optimizer = row.adam(net)
        template = damped().forward(states())

        def step(values):
            y_target = template.with_values(math.reshaped_tensor(values, [*template.values.shape], convert=False))
            return sip_update_weights(net, optimizer, damped(), y_target).loss.native("batch")

        with pytest.raises(UnsupportedError, match="it compiles itself"):
            jax.jit(step)(trees.natives(template)[0])
