"""Targets whose costly rule is computed for a random part of the batch: against the whole, and by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import phiml.nn
import pytest
import torch
from fields import array, periodic
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, spatial
from test_total_variation import blocks

from phi_sip import (
    ColoredNoise,
    Composite,
    CrossValidated,
    EmpiricalBayes,
    Evolution,
    HeatEquation,
    LocalInverse,
    ParameterError,
    PowerLaw,
    TotalVariation,
    Wiener,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.descriptions.from_data import construct
from phi_sip.descriptions.to_data import describe
from phi_sip.regularization import evidence
from phi_sip.regularization.subsampled import Subsampled

SIGMA, N = 0.02, 16
RULES = {"edges": TotalVariation(minimum=0.0), "chosen": CrossValidated(), "pooled": CrossValidated(Wiener())}


def observations(samples: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    x = np.stack([np.roll(blocks((N, N)), int(rng.integers(N)), 0) * rng.uniform(0.5, 2) for _ in range(samples)])
    x = x.reshape(samples, N, N)
    return HeatEquation(1.0, 0.5).forward(periodic(x)) + periodic(SIGMA * rng.normal(size=(samples, N, N)))


def physics(rule: Any = RULES["edges"]) -> HeatEquation:
    return HeatEquation(1.0, 0.5, SIGMA, rule)


def estimate(rule: Any, y: Any) -> np.ndarray:
    return array(sip_inverse(physics(rule), y, y).x_target)


def numbers(values: Any) -> Any:
    return math.tensor(np.asarray(values, float), batch("batch"))


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("name", RULES)
def test_each_sample_gets_what_the_formula_says(framework, double, name):
    y, rule = observations(6), RULES[name]
    drawn = [0.3, 0.9, 0.1, 0.8, 0.5, 0.7]  # samples 2 and 0 are chosen
    found = estimate(Subsampled(rule, 1 / 3, numbers(drawn)), y)
    linear, edges = estimate(rule.control, y), estimate(rule, y)
    chosen = np.isin(np.arange(6), [0, 2])[:, None, None]
    np.testing.assert_allclose(found, linear + chosen * 3 * (edges - linear), atol=2e-5)
    assert np.abs(edges - linear).max() > 0.01


def test_the_mean_over_all_draws_is_the_whole(double):
    """Exactly: every sample is chosen once in so many rotations of the numbers."""
    with NUMPY:
        y = observations(5)
        rule, drawn = RULES["edges"], np.arange(5) / 5
        found = [estimate(Subsampled(rule, 0.4, numbers(np.roll(drawn, i))), y) for i in range(5)]
        np.testing.assert_allclose(np.mean(found, 0), estimate(rule, y), atol=1e-5)


def net_of(framework):
    framework.seed(0)
    with math.precision(32):
        return phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2, batch_norm=False)


def update(framework, y, target, seed: int = 0, **options):
    net = net_of(framework)
    math.seed(seed)
    made = sip_update_weights(net, framework.sgd(net, 1e-3), physics(), y, targets=target, **options)
    return made, framework.weights(net)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_targets_average_to_the_whole(framework):
    """Over random draws, within three standard errors."""
    options = {} if framework.name == "torch" else {"compile": False}
    y, net = observations(4), net_of(framework)
    optimizer, found = framework.sgd(net, 1e-30), []
    math.seed(0)
    for _ in range(40):
        made = sip_update_weights(net, optimizer, physics(), y, targets=LocalInverse(subset=0.5), **options)
        found.append(array(made.x_target))
    whole, linear = (estimate(rule, y) for rule in (RULES["edges"], EmpiricalBayes()))
    b = np.stack([np.abs(one - linear).max((1, 2)) > 1e-4 for one in found])
    assert (b.sum(1) == 2).all(), "half of four samples each time"
    assert b.any(0).all(), "each of them at times"
    error = np.abs(np.mean(found, 0) - whole).max((1, 2)) / np.abs(whole - linear).max((1, 2))
    assert (error < 3 / np.sqrt(40)).all(), error


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_targets_of_networks_are_those_of_the_inverse(framework, double):
    """To the single precision in which rules iterate here."""
    y, options = observations(3), {} if framework.name == "torch" else {"compile": False}
    for rule in RULES.values():
        net = net_of(framework)
        made = sip_update_weights(net, framework.sgd(net), physics(rule), y, **options)
        np.testing.assert_allclose(array(made.x_target), estimate(rule, y), atol=1e-5)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_all_of_the_batch_is_the_inverse_itself(framework):
    y, options = observations(3), {} if framework.name == "torch" else {"compile": False}
    (a, weights_a), (b, weights_b) = (update(framework, y, t, **options) for t in (None, LocalInverse(subset=1)))
    np.testing.assert_array_equal(array(a.x_target), array(b.x_target))
    for one, other in zip(weights_a, weights_b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_large_batches_have_edges_in_16_samples(framework):
    """Of the default target, others anew in each update; with `subset=1.0`, or a solver, all are alike."""
    y, net = observations(40), net_of(framework)
    optimizer = framework.sgd(net, 1e-30)
    compiles = {} if framework.name == "torch" else {"compile": False}

    def is_linear(**options):
        made = sip_update_weights(net, optimizer, physics(), y, **compiles, **options)
        return np.abs(array(made.x_target) - linear).max((1, 2)) < 1e-4

    linear = estimate(EmpiricalBayes(), y)
    math.seed(0)
    found = [is_linear() for _ in range(3)]
    assert [int(one.sum()) for one in found] == [24, 24, 24]
    assert (found[0] != found[1]).any()
    assert (found[1] != found[2]).any()
    math.seed(0)
    assert not is_linear(targets=LocalInverse(subset=1.0)).any()
    is_linear(solver="gradient")
    np.testing.assert_array_equal(is_linear(), found[0], "nothing is drawn where nothing is chosen")


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_compiled_updates_are_the_same(framework):
    if framework.name == "torch":
        pytest.skip("PyTorch runs step by step")
    y = observations(4)
    (a, _), (b, _) = (update(framework, y, LocalInverse(0.5), compile=compile) for compile in (False, True))
    np.testing.assert_allclose(array(a.x_target), array(b.x_target), atol=1e-4)


def test_compiled_updates_draw_anew(framework):
    if framework.name == "torch":
        pytest.skip("PyTorch runs step by step")
    y, net = observations(4), net_of(framework)
    optimizer = framework.sgd(net, 1e-30)
    math.seed(0)
    targets = [
        array(sip_update_weights(net, optimizer, physics(), y, targets=LocalInverse(0.25), compile=True).x_target)
        for _ in range(6)
    ]
    assert len({int(np.argmax(np.abs(t - targets[0]).max((1, 2)))) for t in targets[1:]}) > 1


def test_each_micro_batch_has_its_part():
    with TORCH, math.precision(64):
        y = observations(8)
        linear = estimate(EmpiricalBayes(), y)
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
        for parts, expected in ((2, [2, 2]), (4, [1, 1, 1, 1]), (8, [1] * 8)):
            made = sip_update_weights(
                net, phiml.nn.sgd(net), physics(), y, targets=LocalInverse(0.5), micro_batches=parts
            )
            chosen = np.abs(array(made.x_target) - linear).max((1, 2)) > 1e-6
            assert chosen.reshape(parts, -1).sum(1).tolist() == expected


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_axes_may_be_stored_in_any_order(framework):
    with NUMPY, math.precision(64):
        y = observations(4)
        values = y.values.numpy("y,batch,x")
        turned = y.with_values(math.reshaped_tensor(values, [spatial(y=N), batch(batch=4), spatial(x=N)]))
    options = {} if framework.name == "torch" else {"compile": False}
    (a, _), (b, _) = (update(framework, field, LocalInverse(0.5), **options) for field in (y, turned))
    np.testing.assert_allclose(array(a.x_target), array(b.x_target), atol=1e-5)


def test_several_batch_dims_and_observations(double):
    """Samples along two dims, and two observations of each state, which are one sample."""
    with TORCH:
        y = observations(6)
        times = math.tensor([0.3, 0.6], channel("t"))
        rule = RULES["edges"]
        process = HeatEquation(1.0, times, SIGMA, rule)
        x = periodic(np.stack([blocks((N, N)).reshape(N, N)] * 6) * np.linspace(1, 2, 6)[:, None, None])
        x = x.with_values(math.unpack_dim(x.values, "batch", batch(a=2, b=3)))
        y = process.forward(x)
        net, values = torch.nn.Linear(1, 1), torch.tensor(x.values.numpy("a,b,x,y"))

        def predict(y: Any) -> Any:
            found = values * net.weight.double() + net.bias.double()
            return x.with_values(math.reshaped_tensor(found, [*x.values.shape.only("a,b,x,y", reorder=True)]))

        sgd = torch.optim.SGD(net.parameters(), 1e-6)
        made = sip_update_weights(net, sgd, process, y, targets=LocalInverse(0.5), predict=predict)
        whole, linear = (
            sip_inverse(HeatEquation(1.0, times, SIGMA, r), y, x).x_target.values.numpy("a,b,x,y")
            for r in (rule, EmpiricalBayes())
        )
    found = made.x_target.values.numpy("a,b,x,y")
    chosen = np.abs(found - linear).max((2, 3)) > 1e-6
    assert chosen.sum() == 3
    expected = linear + chosen[..., None, None] * 2 * (whole - linear)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("process", "options", "message"),
    [
        (physics(EmpiricalBayes()), {}, "obeys EmpiricalBayes, which costs little"),
        (Composite(HeatEquation(1.0, 0.5), HeatEquation(1.0, 0.5)), {}, "Composite obeys no rule"),
        (Evolution(lambda u, dt: u, 0.1, 1), {}, "Evolution obeys no rule"),
        (physics(), {"solver": "gradient"}, "solver=... inverts without the rule"),
    ],
)
def test_where_nothing_would_be_saved_it_is_refused(process, options, message):
    with TORCH:
        net = phiml.nn.u_net(1, 1, in_spatial=2, levels=1, filters=2)
        before = [p.detach().clone() for p in net.parameters()]
        with pytest.raises(ParameterError, match=message):
            sip_update_weights(net, phiml.nn.adam(net), process, observations(2), targets=LocalInverse(0.5), **options)
        assert all(bool((a == b).all()) for a, b in zip(before, net.parameters(), strict=True))


def test_noise_may_have_a_spectrum_of_its_own_in_each_sample():
    """The mean over all draws of one of two samples is the target of both."""
    spectrum = PowerLaw(math.tensor([0.5, 2.0], batch("batch")), math.tensor([0.0, 2.0], batch("batch")))
    colored = dataclasses.replace(physics(TotalVariation()), noise=ColoredNoise(spectrum))
    y = observations(2)
    with NUMPY, math.precision(64):
        start = colored.initial_state(y)

        def found(rule) -> np.ndarray:
            return array(sip_inverse(dataclasses.replace(colored, regularization=rule), y, start).x_target)

        edges = TotalVariation(single=True)
        whole, linear = found(edges), found(edges.control)
        drawn = [found(Subsampled(edges, 0.5, math.tensor(n, batch("batch")))) for n in ([0.1, 0.9], [0.9, 0.1])]
    assert not np.allclose(whole, linear, atol=1e-3)
    np.testing.assert_allclose(sum(drawn) / 2, whole, atol=1e-4)


@pytest.mark.parametrize("wrong", [0, -0.1, 1.5, True, "half", float("nan")])
def test_what_is_no_part_is_refused(wrong):
    with pytest.raises(ParameterError, match="subset = "):
        LocalInverse(subset=wrong)


def test_it_is_plain_data():
    assert construct(describe(LocalInverse(subset=0.25))) == LocalInverse(subset=0.25)


@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        (None, LocalInverse()),
        (None, LocalInverse(0.5)),
        (("y", "estimate", "linear"), LocalInverse(0.5)),
    ],
)
def test_a_spectrum_is_fitted_once(monkeypatch, inputs, target):
    """To an observation, whichever rules ask for it."""
    fits = []
    laws = evidence.LawEvidence

    def counted(problem: Any, pooled: bool) -> Any:
        fits.append(problem)
        return laws(problem, pooled)

    monkeypatch.setattr(evidence, "LawEvidence", counted)
    with TORCH:
        net = phiml.nn.u_net(3 if inputs else 1, 1, in_spatial=2, levels=1, filters=2)
        sip_update_weights(
            net, phiml.nn.adam(net), physics(CrossValidated()), observations(4), inputs=inputs, targets=target
        )
    assert len(fits) == 1
