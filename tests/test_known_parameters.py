"""Known parameters of the physics: what `predict` is given, batches with parameters of their own, and the input."""

from __future__ import annotations

import copy
import functools
import pickle
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from fields import array, periodic, smooth
from frameworks import TABLE
from phi.field import CenteredGrid
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, instance, spatial

from phi_sip import (
    Batch,
    Correction,
    DifferentiablePhysics,
    Exponential,
    GridMismatchError,
    HeatEquation,
    HeterogeneousHeat,
    InvertiblePhysics,
    Masked,
    NetworkOutputError,
    NetworkSpec,
    ParameterError,
    Parameters,
    ProbabilisticDamping,
    RiskEstimate,
    SelfSimulated,
    Sensors,
    Teacher,
    TrainingError,
    UnsupportedError,
    fit_guard,
    predict_state,
    sip_inverse,
    sip_update_weights,
    train,
)
from phi_sip.data import by_step
from phi_sip.errors import RunFolderError, TrainingWarning
from phi_sip.experiment import build, read_experiment
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.inversion.observed import InvertedObservation
from phi_sip.step.predict_function import predicted_by
from phi_sip.training import read_run

SIGMA = 1e-2
RULE = ProbabilisticDamping()  # compiles quickly
MEAN = HeatEquation(1.0, 1.0, SIGMA, RULE)
BOUND = HeatEquation(1.0, 2.0)
INPUTS = ("y", "estimate", "parameters")
ROWS = {row.name: row for row in TABLE}


def heat(nu: Any) -> HeatEquation:
    return HeatEquation(math.tensor(np.asarray(nu, float), batch("batch")), 1.0, SIGMA, RULE)


def without_rule(nu: Any) -> HeatEquation:
    """What may be observed in part."""
    return replace(heat(nu), regularization=None)


def sample(step: int, samples: int = 4, n: int = 8) -> Batch:
    """Observations of bodies of which each has a known diffusivity of its own."""
    rng = np.random.default_rng(step)
    x = periodic(1 + smooth(rng, samples, n, n))
    physics = heat(rng.uniform(0.2, 2.0, samples))
    return Batch(physics.forward(x) + periodic(SIGMA * rng.standard_normal((samples, n, n))), x, physics)


def same(a, b) -> None:
    for u, v in zip(a, b, strict=True):
        np.testing.assert_array_equal(u, v)


# predict


class Callable1:
    def __call__(self, y, physics):
        return y, physics


OBSERVED = InvertedObservation(MEAN, "y")


@pytest.mark.parametrize(
    ("predict", "given"),
    [
        (lambda y: (y,), ("y",)),
        (lambda y, scale=2.0: (y, scale), ("y", 2.0)),
        (lambda y, *, scale=2.0: (y, scale), ("y", 2.0)),
        (lambda *everything: everything, ("y",)),
        (lambda y, **names: (y, *names), ("y",)),
        (lambda y, *more: (y, *more), ("y",)),
        (lambda y, physics: (y, physics), ("y", MEAN)),
        (lambda y, p: (y, p), ("y", MEAN)),
        (lambda y, p, /: (y, p), ("y", MEAN)),
        (lambda y, physics=None: (y, physics), ("y", MEAN)),
        (lambda y, scale=2.0, physics=None: (y, scale, physics), ("y", 2.0, MEAN)),
        (lambda y, *, physics: (y, physics), ("y", MEAN)),
        (functools.partial(lambda scale, y, p: (scale, y, p), 3.0), (3.0, "y", MEAN)),
        (functools.partial(lambda y, scale: (y, scale), scale=3.0), ("y", 3.0)),
        (functools.partial(lambda y, physics: (y, physics), physics=BOUND), ("y", BOUND)),
        (lambda y, physics=BOUND: (y, physics), ("y", BOUND)),
        (Callable1(), ("y", MEAN)),
        (Callable1().__call__, ("y", MEAN)),
    ],
)
def test_predict_is_given_what_it_asks_for(predict, given):
    assert predicted_by(predict, OBSERVED) == given


@pytest.mark.parametrize(
    ("predict", "error", "message"),
    [
        (3, UnsupportedError, "predict is a int"),
        (lambda: 0, ParameterError, r"predict\(\) takes other arguments"),
        (lambda y, p, q: 0, ParameterError, "'q'.*Give predict"),
        (lambda y, *, scale: 0, ParameterError, "scale"),
        (lambda physics, y: 0, ParameterError, "y. comes first"),
        (lambda y, scale, physics: 0, ParameterError, "'physics'|'scale'"),
    ],
)
def test_predict_with_other_arguments_is_refused(predict, error, message):
    net = torch.nn.Conv2d(1, 1, 1)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with TORCH:
        y = sample(0).y_target
        for call in (
            lambda: sip_update_weights(net, optimizer, MEAN, y, predict=predict),
            lambda: predict_state(net, MEAN, y, predict=predict),
            lambda: fit_guard(net, MEAN, y, predict=predict),
            lambda: train(net, optimizer, MEAN, by_step(sample), steps=1, predict=predict, progress=False),
        ):
            with pytest.raises(error, match=message):
                call()
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("parts", [1, 2])
def test_predict_is_given_the_physics_of_its_part(framework, parts):
    """As by a closure over the parameters; compiled as well."""
    data, seen, found = sample(0), [], []
    ways = [{"compile": way} for way in ((None,) if framework.name == "torch" else (False, True))]
    nu = data.physics.diffusivity
    for options in [*ways, None]:
        net = framework.u_net(2, 1, batch_norm=False)

        def answer(y, nu, net=net):
            shown = [y.values, math.expand(nu, y.resolution)]
            return y + math.native_call(net, math.to_float(math.stack(shown, channel("c"))))

        def of_physics(y, physics, answer=answer):
            seen.append(physics.diffusivity.shape.get_size("batch"))
            return answer(y, physics.diffusivity)

        predict = of_physics if options else functools.partial(answer, nu=nu)
        micro_batches = parts if options else 1
        sip_update_weights(
            *(net, framework.sgd(net, 1e-3), data.physics, data.y_target),
            **{"predict": predict, "micro_batches": micro_batches, "compile": False, **(options or {})},
        )
        found.append(framework.weights(net))
    assert set(seen) == {4 // parts}
    for other in found[:-1]:
        for a, b in zip(found[-1], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


# Batches


def test_a_batch_is_the_pair_of_before():
    y, x = Batch("y", "x", MEAN)
    assert (y, x) == ("y", "x") == Batch("y", "x")
    assert Batch("y").physics is None
    for again in (copy.copy(Batch("y", "x", MEAN)), pickle.loads(pickle.dumps(Batch("y", "x", MEAN)))):
        assert (again, again.physics) == (("y", "x"), MEAN)
    assert Batch("y", "x", MEAN)._replace(y_target="z").physics is MEAN


def run(framework, folder=None, **options):
    net = framework.u_net(3, 1)
    optimizer = framework.adam(net)
    given = {"inputs": INPUTS, "validation": [sample(100), sample(101)], "validate_every": 2, "progress": False}
    given |= {"checkpoint_every": 3} if folder is not None else {}
    record = train(net, optimizer, MEAN, options.pop("data", by_step(sample)), folder=folder, **{**given, **options})
    return record, net, optimizer


@pytest.mark.slow_on("jax", "tensorflow")
def test_training_uses_the_physics_of_each_batch(framework):
    """It is the loop that one would write, and the validation too."""
    record, trained, _ = run(framework, steps=3)
    net = framework.u_net(3, 1)
    optimizer = framework.adam(net)
    for step in (1, 2, 3):
        y, x = data = sample(step)
        sip_update_weights(net, optimizer, data.physics, y, x_true=x, inputs=INPUTS)
    for a, b in zip(framework.weights(net), framework.weights(trained), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    errors: dict[str, list[float]] = {"x_l2": [], "y_l2": [], "x alone": [], "y alone": []}
    for data in (sample(100), sample(101)):
        y, x_true = data
        states = [
            predict_state(net, data.physics, y, inputs=INPUTS),
            sip_inverse(data.physics, y, data.physics.initial_state(y)).x_target,
        ]
        for names, x in zip((("x_l2", "y_l2"), ("x alone", "y alone")), states, strict=True):
            for name, pair in zip(names, ((x, x_true), (data.physics.forward(x), y)), strict=True):
                errors[name].append(0.5 * np.sum((array(pair[0]) - array(pair[1])) ** 2, (1, 2)).mean())
    last = record.validations[-1]
    found = [last.x_l2, last.y_l2, record.error_alone("x_l2"), record.error_alone("y_l2")]
    assert found == pytest.approx([np.mean(values) for values in errors.values()], rel=1e-3)


@pytest.mark.slow_on("jax", "tensorflow")
def test_a_run_goes_on_bit_identical(framework, tmp_path):
    whole, net, optimizer = run(framework, tmp_path / "whole", steps=5, keep_best="x_l2")
    run(framework, tmp_path / "run", steps=3, keep_best="x_l2")
    with pytest.warns(TrainingWarning, match="plan.steps"):
        resumed, again, optimizer_again = run(framework, tmp_path / "run", steps=5, keep_best="x_l2")
    same(framework.everything(net, optimizer), framework.everything(again, optimizer_again))
    assert [(v.step, v.x_l2) for v in whole.validations][-1] == [(v.step, v.x_l2) for v in resumed.validations][-1]
    assert read_run(tmp_path / "run").error_alone("x_l2") == whole.error_alone("x_l2")


def test_what_a_run_is_made_by(tmp_path):
    torch_row = ROWS["torch"]
    with TORCH:
        run(torch_row, tmp_path, steps=2)
        other = sample(100)
        other = Batch(*other, replace(other.physics, diffusivity=other.physics.diffusivity * 2))
        with pytest.warns(TrainingWarning, match="plan.validation"):
            run(torch_row, tmp_path, steps=3, validation=[other, sample(101)])
        with pytest.raises(RunFolderError, match="physics"):
            train(*(net := torch_row.u_net(3, 1), torch_row.adam(net)), replace(MEAN, time=2.0), by_step(sample),
                  steps=4, inputs=INPUTS, folder=tmp_path, progress=False)  # fmt: skip


def test_the_risk_is_that_of_the_physics_of_the_batch(tmp_path):
    row, data = ROWS["torch"], sample(7)
    with TORCH:
        options = {"steps": 2, "validation": data, "keep_best": "risk", "validate_every": 1}
        record, net, _ = run(row, tmp_path, **options)
        estimate = RiskEstimate.of(data.physics, data.y_target)
        states = [predict_state(net, data.physics, y, inputs=INPUTS) for y in (estimate.y_target, estimate.probed)]
        assert record.validations[-1].risk == pytest.approx(estimate.relative(*states).mean(), rel=1e-4)
        wrong = RiskEstimate.of(MEAN, data.y_target).relative(*states).mean()
        assert record.validations[-1].risk != pytest.approx(wrong, rel=1e-2)


def test_what_a_teacher_has_simulated_is_kept_with_its_physics(tmp_path):
    target = SelfSimulated(bias_correction=0.0, data_correction=False, transform=None, batches=2, replays=2)
    row = ROWS["torch"]

    def trained(folder, steps):
        net = row.u_net(3, 1, batch_norm=False)
        optimizer = row.adam(net, 1e-2)
        math.seed(0)
        np.random.seed(3)  # noqa: NPY002
        options = {"inputs": INPUTS, "targets": target, "teacher": Teacher(net), "checkpoint_every": 3}
        train(net, optimizer, MEAN, by_step(sample), steps=steps, folder=folder, progress=False, **options)
        return row.everything(net, optimizer)

    with TORCH, math.precision(64):
        whole = trained(tmp_path / "whole", 8)
        trained(tmp_path / "run", 3)
        with pytest.warns(TrainingWarning, match="plan.steps"):
            again = trained(tmp_path / "run", 8)
    same(whole, again)


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (Exponential(), "physics Exponential, but the network is trained for HeatEquation"),
        (heat([1.0] * 3), "'batch' has two sizes"),
        ("heat", "'heat', which is a str"),
    ],
    ids=["class", "samples", "none"],
)
def test_physics_of_another_kind_is_refused(physics, message):
    row, note = ROWS["torch"], []

    def data(step):
        y, x = sample(step)
        yield Batch(y, x)
        note.append(row.weights(net))
        yield Batch(y, x, physics)

    with TORCH:
        net = row.u_net(2, 1)
        options = {"steps": 3, "inputs": ("y", "estimate"), "progress": False}
        with pytest.raises(TrainingError, match=f"Step 2 failed: .*{message}"):
            train(net, row.adam(net), MEAN, data, **options)
        same(note[0], row.weights(net))
        with pytest.raises(ParameterError, match=f"validation holds .*{message}"):
            train(net, row.adam(net), MEAN, by_step(sample), validation=Batch(*sample(0), physics), **options)
        same(note[0], row.weights(net))


def test_physics_within_physics_counts():
    y, x = sample(0)
    mask = math.ones(spatial(x=8, y=8))
    row = ROWS["torch"]
    with TORCH:
        net = row.u_net(1, 1)
        options = {"steps": 1, "progress": False, "validation": Batch(y, x, Masked(Exponential(), mask))}
        with pytest.raises(ParameterError, match=r"Masked of Exponential, but .* Masked of HeatEquation"):
            train(net, row.adam(net), Masked(without_rule([1.0]), mask), by_step(sample), **options)


# The input


def shown(physics, quantity=None, n=8):
    with NUMPY, math.precision(64):
        y = periodic(np.ones((2, n, n)))
        observed = InvertedObservation(physics, y)
        quantity = quantity or Parameters()
        found = quantity.of(observed)
        return math.expand(found, y.shape.batch).numpy("batch,x,y,_parameters"), quantity.channels(observed, found)


def test_each_parameter_is_a_channel_in_the_order_of_the_fields():
    time, nu = (math.tensor(values, batch("batch")) for values in ([1.0, 2.0], [3.0, 4.0]))
    values, names = shown(HeatEquation(nu, time, SIGMA))
    assert names == ["diffusivity", "time"]
    np.testing.assert_array_equal(values, np.broadcast_to([[[[3, 1]]], [[[4, 2]]]], (2, 8, 8, 2)))
    per_axis = math.tensor([[5.0, 3.0], [6.0, 4.0]], batch("batch"), channel(vector="y,x"))
    values, names = shown(HeatEquation(per_axis, 1.0, SIGMA))
    assert names == ["diffusivity (x)", "diffusivity (y)"]
    np.testing.assert_array_equal(values[:, 0, 0], [[3, 5], [4, 6]])


def test_fields_and_layers_are_shown_as_they_are():
    grid = {"extrapolation": extrapolation.PERIODIC, "x": 8, "y": 8}
    with NUMPY, math.precision(64):
        field = CenteredGrid(lambda p: 1 + p["x"], **grid)
        layers = math.tensor(np.arange(1.0, 9.0), spatial("y"))
        mask = math.tensor(np.eye(8), spatial("x,y"))
    values, names = shown(HeterogeneousHeat(field, 1.0, max_diffusivity=math.tensor([9.0, 9.0], batch("batch"))))
    assert names == ["diffusivity"]
    np.testing.assert_allclose(values[0, :, 0, 0], 1.5 + np.arange(8))
    values, _ = shown(HeterogeneousHeat(layers, 1.0))
    np.testing.assert_allclose(values[1, 3, :, 0], np.arange(1, 9))
    values, names = shown(Masked(without_rule([1.0, 2.0]), mask))
    assert names == ["physics.diffusivity", "mask"]
    np.testing.assert_array_equal(values[1, ..., 1], np.eye(8))
    own = DifferentiablePhysics(lambda x, nu, k: x, {"nu": math.tensor([1.0, 2.0], batch("batch")), "k": 3.0})
    assert shown(own)[1] == ["arguments.nu"]
    values, names = shown(own, Parameters(["arguments.k", "arguments.nu"]))
    np.testing.assert_array_equal(values[:, 0, 0], [[3, 1], [3, 2]])


def test_positions_of_sensors_are_no_picture():
    unit = periodic(np.ones((1, 8, 8)))[{"batch": 0}]
    with NUMPY:
        at = math.tensor([[1.0, 2.0], [3.0, 4.0]], instance("sensors"), channel(vector="x,y"))
    sensors = Sensors(without_rule([1.0, 2.0]), at, unit)
    assert list(sensors.network_parameters) == ["physics.diffusivity", "physics.time"]


@dataclass(frozen=True)
class LogHeat(HeatEquation):
    """Its author knows in which form its diffusivity is best shown."""

    name: ClassVar[str] = ""

    @property
    def network_parameters(self):
        return {"log diffusivity": math.log(self.diffusivity)}


def test_a_physics_says_in_which_form_its_parameters_are_shown():
    values, names = shown(LogHeat(math.tensor([1.0, np.e], batch("batch")), 1.0, SIGMA))
    assert names == ["log diffusivity"]
    np.testing.assert_allclose(values[:, 0, 0, 0], [0, 1], atol=1e-7)


@pytest.mark.parametrize(
    ("physics", "quantity", "error", "message"),
    [
        (MEAN, Parameters(), ParameterError, "no known parameter that differs.*diffusivity, time"),
        (Exponential(), Parameters(), ParameterError, "none to show"),
        (MEAN, Parameters(["nu"]), ParameterError, "no parameter 'nu' to show a network, but diffusivity, time"),
        (HeterogeneousHeat(math.ones(spatial(x=4)), 1.0), Parameters(), GridMismatchError, "has the cells"),
    ],
)
def test_what_cannot_be_shown_is_refused(physics, quantity, error, message):
    with pytest.raises(error, match=message):
        shown(physics, quantity)


@pytest.mark.parametrize("names", [[], "nu", ["a", "a"], [1]])
def test_names_are_checked(names):
    with pytest.raises(ParameterError, match="Give a list of different names"):
        Parameters(names)


def test_channels_are_named_where_a_network_does_not_fit(framework):
    data = sample(0)
    listed = "1: y, 2: estimate, 3: diffusivity"
    with pytest.raises(NetworkOutputError, match=rf"3 channel\(s\) in and 1 out .* are {listed}"):
        predict_state(framework.u_net(3, 2), data.physics, data.y_target, inputs=INPUTS)
    with pytest.raises(Exception, match=f"given the channels {listed}"):
        predict_state(framework.u_net(2, 1), data.physics, data.y_target, inputs=INPUTS)


@pytest.mark.slow_on("tensorflow")
def test_micro_batches_are_the_whole_batch(framework):
    data, found = sample(0), []
    for parts in (1, 2):
        net = framework.u_net(3, 1, batch_norm=False)
        optimizer = framework.adam(net, 1e-3, epsilon=1.0)
        sip_update_weights(net, optimizer, data.physics, data.y_target, inputs=INPUTS, micro_batches=parts)
        found.append(framework.weights(net))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


# Trained inverses and experiment files


def test_a_trained_inverse_is_used_with_other_parameters(framework, tmp_path):
    spec = NetworkSpec("u_net", {"in_channels": 3, "out_channels": 1, "levels": 1, "filters": 2})
    data, other, net = sample(0), sample(1), spec.build()
    save_inverse(tmp_path / "model", net, MEAN, spec, data, inputs=INPUTS)
    inverse = load_inverse(tmp_path / "model")
    assert inverse.inputs[-1] == Parameters(["diffusivity"])
    assert inverse.misfit is not None
    expected = predict_state(net, other.physics, other.y_target, inputs=INPUTS)
    same([array(inverse.predict(other.y_target, other.physics))], [array(expected)])
    answer = inverse.invert(other.y_target, physics=other.physics)
    misfit = array(other.physics.forward(answer.x)) - array(other.y_target)
    np.testing.assert_allclose(answer.y_l2.numpy("batch"), 0.5 * (misfit**2).sum((1, 2)), rtol=1e-4)
    constant = predict_state(net, heat([1.0] * 4), other.y_target, inputs=INPUTS)
    np.testing.assert_allclose(array(inverse.predict(other.y_target)), array(constant), atol=1e-6)
    with pytest.raises(ParameterError, match="was given the physics Exponential"):
        inverse.predict(other.y_target, Exponential())
    with pytest.raises(ParameterError, match="two sizes"):
        inverse.invert(other.y_target, physics=heat([1.0] * 3))


def test_a_trained_inverse_says_what_it_cannot_keep(tmp_path):
    spec = NetworkSpec("u_net", {"in_channels": 3, "out_channels": 1, "levels": 1, "filters": 2})
    data = sample(0)
    with TORCH:
        net = spec.build()
        with pytest.raises(UnsupportedError, match=r"the physics of one sample, made of numbers"):
            save_inverse(tmp_path / "a", net, data.physics, spec, data.y_target, inputs=INPUTS)
        with pytest.raises(ParameterError, match="Choose them by name"):
            save_inverse(tmp_path / "a", net, MEAN, spec, data.y_target, inputs=INPUTS)
    assert not (tmp_path / "a").exists()


def bodies(physics, batch_size, seed, spread):
    """Data of an experiment file: each body has a diffusivity of its own."""

    def of_step(step):
        rng = np.random.default_rng([seed, step])
        x = periodic(1 + smooth(rng, batch_size, 8, 8))
        nu = math.tensor(rng.uniform(1 / spread, spread, batch_size), batch("batch"))
        own = replace(physics, diffusivity=nu)
        return Batch(own.forward(x), x, own)

    return of_step


@pytest.mark.slow_on("jax", "tensorflow")
def test_an_experiment_file(framework, tmp_path):
    experiment = read_experiment(
        None,
        [
            {
                "experiment": {"framework": framework.name},
                "physics": {"parameters": {"diffusivity": 1.0, "time": 1.0, "noise_std": 1e-2,
                                           "regularization": {"type": "ProbabilisticDamping"}}},
                "data": {"kind": f"{__name__}:bodies", "arguments": {"spread": 2.0}, "batch_size": 3},
                "network": {
                    "arguments": {"in_channels": 3, "out_channels": 1, "levels": 1, "filters": 2},
                    "inputs": ["y", "estimate", {"type": "Parameters", "names": ["diffusivity"]}],
                },
                "training": {"steps": 2, "guard": True},
            }
        ],
    )  # fmt: skip
    built = build(experiment)
    record = built.train(None, progress=False)
    assert record.last_step == 2
    assert record.error_alone("x_l2") is not None
    assert 0 <= built.fit_guard().gain <= 1
    assert isinstance(built.validation.physics, InvertiblePhysics)


@dataclass(frozen=True)
class Scaled(InvertiblePhysics):
    """y = a x."""

    name: ClassVar[str] = "scaled"

    factor: Any = 1.0

    def forward(self, x):
        return x * self.factor

    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / self.factor)


def test_a_network_that_knows_the_parameter_learns_more():
    """With y and a the state is known, with y alone it is not."""

    def data(step):
        rng = np.random.default_rng(step)
        x, own = periodic(rng.standard_normal((16, 4))), Scaled(math.tensor(rng.uniform(0.5, 2.0, 16), batch("batch")))
        return Batch(own.forward(x), x, own)

    errors = {}
    with TORCH:
        for inputs in (("y",), ("y", "parameters")):
            torch.manual_seed(0)
            layers = (torch.nn.Conv1d(len(inputs), 32, 1), torch.nn.Tanh(), torch.nn.Conv1d(32, 1, 1))
            net = torch.nn.Sequential(*layers)
            optimizer = torch.optim.Adam(net.parameters(), 2e-2)
            options = {"steps": 150, "validate_every": 150, "validation": data(10**6), "inputs": inputs}
            record = train(net, optimizer, Scaled(), by_step(data), progress=False, **options)
            errors[inputs] = record.validations[-1].x_l2
    assert errors["y", "parameters"] < 0.1 * errors[("y",)]
