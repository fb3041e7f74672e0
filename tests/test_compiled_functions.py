"""What is compiled is used for no other computation than the one that it was compiled for."""

from __future__ import annotations

import gc
import logging
import random
import threading
import weakref
from functools import cached_property

import numpy as np
import pytest
from frameworks import TABLE
from phi.field import CenteredGrid
from phi.jax import JAX
from phiml import math
from phiml.math import batch, extrapolation, spatial
from physics_forms import CHANGED_IN_PLACE, FORMS, OfDataclass, OfField, linear, observation

from phi_sip import ConjugateGradient, UnsupportedError, sip_inverse, sip_update_weights
from phi_sip.compilation import keys
from phi_sip.compilation.cache import CompiledFunctions
from phi_sip.compilation.identity import Identities
from phi_sip.compilation.objects import NoKeyError
from phi_sip.errors import PerformanceWarning
from phi_sip.solvers import least_squares

COMPILING = [row for row in TABLE if row.name != "torch"]
SCALES = (2.0, 3.0)


@pytest.fixture(params=COMPILING, ids=lambda row: row.name)
def compiling(request):
    with request.param.backend, math.precision(64):
        yield request.param


def inverse(physics, solver="conjugate-gradient"):
    """x̃ = y*/s from x = 0."""
    y = math.convert(observation())
    return sip_inverse(physics, y, y * 0, solver=solver).x_target.numpy("batch,x")


def network(framework):
    """With it no misfit is zero, and each depends on the physics."""
    net = framework.u_net(in_spatial=1, batch_norm=False, levels=1, filters=4)
    optimizer = framework.sgd(net, 0.0)
    values = [misfit(net, optimizer, OfDataclass(scale), compile=None) for scale in SCALES]
    assert not np.isclose(*values).any()
    return net, optimizer


def misfit(net, optimizer, physics, y_target=None, **options):
    y_target = math.convert(observation()) if y_target is None else y_target
    update = sip_update_weights(net, optimizer, physics, y_target, solver="gradient", **options)
    return update.y_l2.numpy("batch")


# Every form by the key alone, on no framework; some compiled, as that takes seconds.


@pytest.mark.parametrize("form", FORMS)
def test_physics_that_compute_something_else_have_another_key(double, form):
    first, again, other = (keys.of_value(FORMS[form](s)) for s in (2.0, 2.0, 3.0))
    assert other != first
    if form != "class defined again":  # which is compiled anew, as its methods may be others
        assert again == first


@pytest.mark.parametrize("form", CHANGED_IN_PLACE)
def test_physics_that_are_changed_in_place_have_another_key(double, form):
    make, change = CHANGED_IN_PLACE[form]
    physics = make(2.0)
    first = keys.of_parameters(physics)
    change(physics, 3.0)
    second = keys.of_parameters(physics)
    change(physics, 2.0)
    assert (first == second, first == keys.of_parameters(physics)) == (False, True)


@pytest.mark.parametrize("form", ["class", "global variable", "tensor"])
def test_inverses_are_those_of_the_physics_given(framework, double, form):
    for scale in SCALES:
        np.testing.assert_allclose(
            inverse(FORMS[form](scale)), observation().numpy("batch,x") / scale, rtol=1e-8, err_msg=form
        )


@pytest.mark.parametrize("form", ["array"])
def test_inverses_follow_what_is_changed_in_place(framework, double, form):
    make, change = CHANGED_IN_PLACE[form]
    physics = make(2.0)
    for scale in SCALES:
        change(physics, scale)
        np.testing.assert_allclose(inverse(physics), observation().numpy("batch,x") / scale, rtol=1e-8)


def test_tensors_of_the_physics_are_inputs_of_a_compiled_inverse(compiling):
    """Another diffusivity for each batch is no reason to compile anew."""
    least_squares._compiled.cache_clear()
    for scale in (2.0, 3.0, 4.0):
        expected = observation().numpy("batch,x") / scale
        np.testing.assert_allclose(inverse(FORMS["tensor"](scale)), expected, rtol=1e-8)
    assert len(least_squares._compiled) == 1


def test_updates_are_those_of_the_physics_given(compiling):
    net, optimizer = network(compiling)
    for form in ("subclass with an attribute",):
        for scale in SCALES:
            compiled, eager = (misfit(net, optimizer, FORMS[form](scale), compile=c) for c in (True, False))
            np.testing.assert_allclose(compiled, eager, rtol=1e-6, err_msg=form)


@pytest.mark.parametrize("form", ["keyword-only default", "globals"])
def test_predictions_are_those_of_the_function_given(compiling, form):
    net, optimizer = network(compiling)

    def predict_by(scale):
        head = FORMS[form](scale).function

        def predict(y):
            with math.precision(32):
                return head(math.native_call(net, math.to_float(y)))

        return predict

    for scale in SCALES:
        predict = predict_by(scale)
        compiled, eager = (misfit(net, optimizer, OfDataclass(1.0), predict=predict, compile=c) for c in (True, False))
        np.testing.assert_allclose(compiled, eager, rtol=1e-6)


def wall(values):
    """A field of which each sample is held at a value of its own."""
    held = extrapolation.ConstantExtrapolation(math.tensor(np.asarray(values, float), batch("batch")))
    inside = np.random.default_rng(0).normal(size=(len(values), 4))
    return CenteredGrid(math.tensor(inside, batch("batch"), spatial("x")), held)


def test_boundaries_count_by_their_values(compiling):
    """PhiML's `repr` of them gives mean and deviation, which are equal here."""
    from phi.field import laplace

    physics = linear(lambda u: u + 0.2 * laplace(u))
    rising = np.linspace(0, 10, 12)
    found = []
    for values in (rising, rising[::-1], rising + 1e-4):
        y = wall(values)
        found.append(sip_inverse(physics, y, y * 0).x_target.values.numpy("batch,x"))
        matrix = np.eye(4) * 0.6 + 0.2 * (np.eye(4, k=1) + np.eye(4, k=-1))
        known = y.values.numpy("batch,x") - 0.2 * np.asarray(values)[:, None] * np.array([1, 0, 0, 1])
        np.testing.assert_allclose(found[-1], np.linalg.solve(matrix, known.T).T, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found[0], found[1])


def test_another_network_with_the_same_optimizer():
    """On JAX an optimizer can go on with another network of the same shapes: the one given is trained."""
    row = COMPILING[1]
    with row.backend:
        first, second = (row.u_net(in_spatial=1, batch_norm=False, levels=1, filters=1) for _ in range(2))
        optimizer = row.sgd(first, 0.1)
        y = math.convert(observation())
        sip_update_weights(first, optimizer, OfDataclass(1.0), y, solver="gradient")
        before = row.weights(first), row.weights(second)
        sip_update_weights(second, optimizer, OfDataclass(1.0), y, solver="gradient")
        unchanged = [
            all(np.array_equal(a, b) for a, b in zip(old, row.weights(net), strict=True))
            for old, net in zip(before, (first, second), strict=True)
        ]
    assert unchanged == [True, False]


def test_another_transformation_of_an_optimizer():
    import optax

    row = COMPILING[1]
    with row.backend:
        net, optimizer = network(row)
        y = math.convert(observation())
        moved = []
        for rate in (0.0, 0.5, 0.0, 0.5):
            optimizer.transformation = None
            gc.collect()
            optimizer.transformation = optax.sgd(rate)
            before = row.weights(net)
            sip_update_weights(net, optimizer, OfDataclass(1.0), y, solver="gradient")
            moved.append(not all(np.array_equal(a, b) for a, b in zip(before, row.weights(net), strict=True)))
    assert moved == [False, True, False, True]


SETTINGS = {"clipnorm": 1e-6, "momentum": 0.9, "weight_decay": 0.9, "global_clipnorm": 1e-6, "clipvalue": 1e-9}


def keras_row():
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv1D(2, 3, padding="same", kernel_regularizer="l2"), keras.layers.Conv1D(1, 1)]
    net = keras.Sequential(layers)
    net.build((None, 4, 1))
    return net, keras.optimizers.SGD(0.1, momentum=1e-12)


@pytest.mark.parametrize("compile", [True, False])
def test_settings_of_keras_optimizers_and_layers_count_when_they_change(compile):
    """Against an optimizer that has the settings from the start; in every order in one process."""
    import keras

    row = COMPILING[0]
    y = observation()
    with row.backend, math.precision(32):
        net, optimizer = keras_row()
        weights = [w.copy() for w in row.weights(net)]

        def step(optimizer, **options):
            for variable, value in zip(net.trainable_variables, weights, strict=True):
                variable.assign(value)
            for variable in optimizer.variables:
                if variable is not optimizer._learning_rate:
                    variable.assign(np.zeros(variable.shape))
            sip_update_weights(net, optimizer, OfDataclass(1.0), math.convert(y), solver="gradient", **options)
            return np.concatenate([w.ravel() for w in row.weights(net)])

        step(optimizer, compile=compile)
        for name, value in SETTINGS.items():
            before = getattr(optimizer, name)
            setattr(optimizer, name, value)
            fresh = keras.optimizers.SGD(0.1, momentum=1e-12)
            fresh.build(net.trainable_variables)
            setattr(fresh, name, value)
            expected, found = step(fresh, compile=False), step(optimizer, compile=compile)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=name)
            setattr(optimizer, name, before)
        net.layers[0].activation = keras.activations.tanh
        fresh = keras.optimizers.SGD(0.1, momentum=1e-12)
        np.testing.assert_allclose(step(optimizer, compile=compile), step(fresh, compile=False), rtol=1e-5, atol=1e-7)


class DrawsNumbers(OfDataclass):
    """What no one should write: noise in the physics."""

    draw = staticmethod(lambda: np.random.random())  # noqa: NPY002

    def forward(self, x):
        return x * (self.scale + self.draw())


@pytest.mark.parametrize("draw", ["numpy", "python", "phiml"])
def test_random_numbers_of_python_are_not_compiled(compiling, monkeypatch, draw):
    sources = {"numpy": np.random.random, "python": random.random}
    if draw == "phiml" and compiling.name == "tensorflow":
        return  # TensorFlow's are drawn when a graph runs
    function = sources.get(draw, lambda: math.random_uniform(batch(batch=2)))
    monkeypatch.setattr(DrawsNumbers, "draw", staticmethod(function))
    net, optimizer = network(compiling)
    with pytest.raises(UnsupportedError, match="random number"):
        misfit(net, optimizer, DrawsNumbers(1.0), compile=True)
    with pytest.warns(PerformanceWarning, match="random number"):
        first = misfit(net, optimizer, DrawsNumbers(1.0))
    assert not np.allclose(first, misfit(net, optimizer, DrawsNumbers(1.0)))
    if compiling.name == "jax":
        assert np.isfinite(np.asarray(JAX.rnd_key)).all()


@pytest.mark.parametrize("state", [(i for i in ()), np.random.default_rng(0)], ids=lambda s: type(s).__name__)
def test_state_that_cannot_be_compared_is_not_compiled(compiling, state):
    net, optimizer = network(compiling)
    physics = OfField(state, lambda _: 2.0)
    with pytest.raises(UnsupportedError, match="whose state cannot be compared"):
        misfit(net, optimizer, physics, compile=True)
    with pytest.warns(PerformanceWarning, match="whose state cannot be compared"):
        misfit(net, optimizer, physics)
    np.testing.assert_allclose(inverse(physics), observation().numpy("batch,x") / 2, rtol=1e-8)


def test_caches_hold_no_states(compiling):
    """After an inversion and an update, nothing of their size stays in memory."""
    least_squares._compiled.cache_clear()
    y = math.convert(observation(cells=8))
    alive = [weakref.ref(leaf) for leaf in (y,)]
    sip_inverse(OfDataclass(2.0), y, y * 0, solver=ConjugateGradient(iterations=3))
    net, optimizer = network(compiling)
    misfit(net, optimizer, OfDataclass(2.0), y)
    del y
    gc.collect()
    assert [reference() for reference in alive] == [None]


class Experiment:
    """Physics and predictions that know their optimizer."""

    def __init__(self, framework):
        self.net, self.optimizer = network(framework)

    def simulate(self, x):
        return x * 2.0

    def predict(self, y):
        with math.precision(32):
            return math.native_call(self.net, math.to_float(y))


def test_compiled_updates_go_with_an_optimizer_that_they_refer_to(compiling):
    experiment = Experiment(compiling)
    physics = linear(experiment.simulate)
    misfit(experiment.net, experiment.optimizer, physics, predict=experiment.predict, compile=True)
    gone = [weakref.ref(item) for item in (experiment.optimizer, experiment.net, experiment)]
    del experiment, physics
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3


class Remembers(OfDataclass):
    """What it computes once is computed while an update is compiled."""

    @cached_property
    def doubled(self):
        return math.tensor(self.scale) * 2

    def forward(self, x):
        return x * self.doubled


def test_nothing_that_is_being_compiled_stays_in_the_physics(compiling):
    net, optimizer = network(compiling)
    physics, kept = Remembers(1.0), []

    def keeps(x):
        kept.append(x * 2.0)
        return kept[-1]

    misfit(net, optimizer, physics)
    x = math.convert(observation())
    np.testing.assert_allclose(physics.forward(x).numpy("batch,x"), 2 * x.numpy("batch,x"))
    for _ in range(3):  # the list is another at each step
        misfit(net, optimizer, linear(keeps))


def test_few_compiled_functions_are_kept():
    functions = CompiledFunctions(2)
    for key in "aba":
        functions.keep(key, key.upper)
    functions.find("b")
    functions.keep("c", None)
    assert ["a" in functions, "b" in functions, "c" in functions, len(functions)] == [False, True, True, 2]


def test_numbers_of_objects_are_not_given_again():
    identities = Identities()

    class Thing:
        pass

    given = set()
    for _ in range(50):
        thing = Thing()
        assert identities.number(thing) == identities.number(thing)
        given.add(identities.number(thing))
        del thing
    assert len(given) == 50


def test_what_is_nested_too_deeply_is_not_compared(double):
    nested: list = []
    for _ in range(10_000):
        nested = [nested]
    with pytest.raises(NoKeyError, match="nested"):
        keys.of_value(nested)


class Raises:
    def __getattr__(self, name):
        raise KeyError(name)


def test_what_raises_is_not_compared(double):
    class Slots:
        __slots__ = ("kept",)

        @property
        def __dict__(self):
            raise RuntimeError("mine")

    with pytest.raises(NoKeyError, match="mine"):
        keys.of_value(Slots())


@pytest.mark.parametrize(
    "item",
    [logging.getLogger("mine"), np.sqrt, threading.Lock(), threading.RLock(), Raises(), math, len],
    ids=lambda i: type(i).__name__,
)
def test_what_has_no_state_that_matters_is_compared(double, item):
    assert keys.of_value([item]) == keys.of_value([item])


def test_options_of_functions_made_by_phiml_count(double):
    def f(x, y):
        return x * y

    made = [math.gradient(f, "x"), math.gradient(f, "y"), math.jit_compile(f), math.jit_compile(f, auxiliary_args="y")]
    assert len({keys.of_value(function) for function in made}) == 4


def test_circles_are_compared(double):
    first, again, other = ([value] for value in (1.0, 1.0, 2.0))
    for circle in (first, again, other):
        circle.append(circle)
    assert keys.of_value(first) == keys.of_value(again) != keys.of_value(other)


def test_large_tensors_that_are_inputs_are_not_looked_at(double):
    states = math.expand(math.wrap(0.0), batch(batch=2**26))
    assert keys.lists_in((OfField(states), OfField([states]))) != []


def test_large_arrays_are_not_compared(double):
    with pytest.raises(NoKeyError, match="more than 32 MB"):
        keys.of_value(np.broadcast_to(0.0, (2**26,)))
