"""Parameters that differ from update to update are inputs of one compiled update, also those that functions keep."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array, periodic, smooth
from phiml import math
from phiml.math import batch, channel, dual, spatial

from phi_sip import Batch, DifferentiablePhysics, HeatEquation, ProbabilisticDamping, sip_update_weights, train
from phi_sip.compilation import keys
from phi_sip.compilation.closures import has_inputs, with_inputs
from phi_sip.data import by_step

CASES = 3
GLOBAL = 2.0


def states(seed: int = 0):
    return periodic(1 + smooth(np.random.default_rng(seed), 4, 8, 8))


def factors(seed: int):
    return math.tensor(np.random.default_rng(seed).uniform(0.5, 2.0, 4), batch("batch"))


def misfits(framework, physics, **options):
    """The misfit of a network that stays as it is, by updates with one optimizer."""
    net = framework.u_net(batch_norm=False, levels=1, filters=2)
    optimizer = framework.sgd(net, 0.0)
    found = []
    for one in physics:
        update = sip_update_weights(net, optimizer, one, states(), solver="gradient", **options)
        found.append(update.y_l2.numpy("batch"))
    return np.stack(found)


class Traced:
    """Counts how often Python runs a simulation, by lists that compiled functions may add to."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def closure(self, a):
        runs = self.runs

        def simulate(x):
            runs.append(0)
            return x * a

        return simulate

    def default(self, a):
        runs = self.runs

        def simulate(x, a=a):
            runs.append(0)
            return x * a

        return simulate

    def keyword_default(self, a):
        runs = self.runs

        def simulate(x, *, a=a):
            runs.append(0)
            return x * a

        return simulate

    def nested(self, a):
        inner = self.closure(a)
        return lambda x: inner(x)

    def pair(self, a):
        runs, pair = self.runs, (a, 1.0)

        def simulate(x):
            runs.append(0)
            return x * pair[0] * pair[1]

        return simulate

    def field(self, a):
        runs, field = self.runs, states() * a

        def simulate(x):
            runs.append(0)
            return x * field

        return simulate

    def looks(self, a):
        """The value decides what is computed, so it cannot be an input."""
        runs = self.runs

        def simulate(x):
            runs.append(0)
            return x * a * float(a.numpy("batch").max())

        return simulate

    def counts(self, a):
        """Changes a variable of what is around it."""
        runs, last = self.runs, a

        def simulate(x):
            nonlocal last
            last = a
            runs.append(0)
            return x * last

        return simulate


INPUTS = ("closure", "default", "keyword_default", "nested", "pair", "field")
OTHERS = ("default", "keyword_default", "nested", "pair", "field", "counts")
QUICK = ("closure", "looks")


@pytest.mark.parametrize("form", [*QUICK, *(pytest.param(form, marks=pytest.mark.slow) for form in OTHERS)])
def test_a_new_closure_over_the_same_code(compiling, form):
    """The same results as step by step, and compiled once where tensors can be inputs."""
    with math.precision(64):
        traced = Traced()
        physics = [DifferentiablePhysics(getattr(traced, form)(factors(seed))) for seed in range(CASES)]
        eager = misfits(compiling, physics, compile=False)
        assert not np.isclose(eager[0], eager[1]).any()
        misfits(compiling, physics[:1], compile=True)
        before = len(traced.runs)
        misfits(compiling, physics[:1], compile=True)
        once = len(traced.runs) - before
        compiled = misfits(compiling, physics, compile=True)
        again = len(traced.runs) - before - once
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)
    assert again == (once if form in INPUTS else CASES * once)


def test_diffusivities_of_each_sample_are_inputs(compiling):
    """By `train`, one compiled update for batches with parameters of their own, also in parts."""
    runs: list[int] = []

    class Counted(HeatEquation):
        def forward(self, x):
            runs.append(0)
            return super().forward(x)

    def physics(seed):
        return Counted(factors(seed), 1.0 + factors(seed + 100), 1e-2, ProbabilisticDamping())

    def data(step):
        own = physics(step)
        y = own.forward(states(step))
        runs.clear()
        return Batch(y, None, own)

    counts = []

    def made(step):
        if step > 1:
            counts.append(len(runs))
        return data(step)

    net = compiling.u_net(4, 1, batch_norm=False, levels=1, filters=2)
    options = {"steps": 6, "inputs": ("y", "estimate", "parameters"), "progress": False}
    train(net, compiling.adam(net), physics(0), by_step(made), **options)
    assert counts[0] > 0, "the first update is traced"
    assert counts[1:] == [0] * (len(counts) - 1)
    assert len(counts) == 5


@pytest.mark.slow_on("jax")
def test_what_is_compiled_is_what_runs_step_by_step(compiling):
    with math.precision(64):
        physics = [HeatEquation(factors(s), factors(s + 9), 1e-2, ProbabilisticDamping()) for s in range(CASES)]
        found = [misfits(compiling, physics, compile=way) for way in (False, True)]
    np.testing.assert_allclose(*found, rtol=1e-5)


def key(function):
    return keys.of_parameters(DifferentiablePhysics(function), closures=True)


def test_functions_with_inputs_and_without():
    with math.precision(64):
        traced = Traced()
        for form in INPUTS:
            first, second = (getattr(traced, form)(factors(seed)) for seed in (1, 2))
            assert has_inputs(first), form
            assert key(first) == key(second), form
            assert keys.of_parameters(DifferentiablePhysics(first)) != keys.of_parameters(DifferentiablePhysics(second))
            replaced = with_inputs(lambda tensor: tensor * 0, first)
            assert not array(replaced(states())).any()
            assert array(first(states())).any(), "the function of the user stays as it is"
        one, other = (traced.counts(factors(seed)) for seed in (1, 2))
        assert not has_inputs(one)
        assert key(one) != key(other)


def test_what_else_differs_counts():
    a, b = factors(1), factors(2)
    with math.precision(64):
        assert key(lambda x: x * a) != key(lambda x: x / a)

        def scaled(a, scale):
            return lambda x: x * a * scale

        assert key(scaled(a, 2.0)) == key(scaled(b, 2.0)) != key(scaled(b, 3.0))
        assert key(scaled(a, 2.0)) != key(scaled(a.batch[:2], 2.0))


def test_a_function_that_keeps_itself_counts_by_value():
    def power(a):
        def simulate(x, n=2):
            return x if n == 0 else a * simulate(x, n - 1)

        return simulate

    with math.precision(64):
        assert not has_inputs(power(factors(1)))
        assert key(power(factors(1))) != key(power(factors(2)))


def test_sparse_matrices_and_layouts_count_by_value():
    """Their values are not known as arrays: such an update is made step by step, and no error ends it."""
    matrix = math.to_format(math.tensor(np.eye(3), channel("i"), dual("i")), "coo")
    layout = math.layout([1, "a"], channel("items"))
    assert not has_inputs(lambda x: (x, matrix))
    assert not has_inputs(lambda x: (x, layout))


@pytest.mark.not_on("torch")  # where nothing is compiled
def test_updates_with_a_sparse_matrix_in_a_closure(framework):
    x = math.tensor(np.random.default_rng(0).standard_normal((2, 4, 4)), batch("batch"), spatial("x,y"))
    matrix = math.to_format(math.tensor(2 * np.eye(4), channel("x_out"), dual("x")), "coo")
    net = framework.u_net(batch_norm=False, levels=1, filters=2)

    def simulate(x):
        return math.rename_dims(matrix @ x, "x_out", spatial("x"))

    update = sip_update_weights(net, framework.sgd(net, 1e-6), DifferentiablePhysics(simulate), 2 * x)
    assert bool(update.applied)
