"""The average of the weights and the replay buffer, on three frameworks: against NumPy, bit for bit, and resumed."""

from __future__ import annotations

import dataclasses
import json

import frameworks
import numpy as np
import phiml.nn
import pytest
import tensorflow as tf
import torch
from fields import array, periodic, smooth
from phi.torch import TORCH
from phiml import math

from phi_sip import (
    CheckpointError,
    EmpiricalBayes,
    HeatEquation,
    Labels,
    NonFiniteError,
    ParameterError,
    ProbabilisticDamping,
    SelfSimulated,
    Teacher,
    Tikhonov,
    UnsupportedError,
    predict_state,
    sip_inverse,
    sip_update_weights,
    start_from_estimate,
    train,
)
from phi_sip.contract.inputs import Observed
from phi_sip.contract.target import TargetContext
from phi_sip.data import by_step
from phi_sip.states import trees
from phi_sip.step.simulation import Simulation
from phi_sip.teacher import replay
from phi_sip.training import restore_best

SIGMA = 0.05
PHYSICS = HeatEquation(1.0, 0.5, SIGMA, ProbabilisticDamping())  # compiles quickly
INPUTS = ("y", "estimate")
TARGET = SelfSimulated(bias_correction=0.0, data_correction=False, transform=None, batches=2, replays=2)


def observations(seed: int = 0, samples: int = 4, n: int = 8):
    rng = np.random.default_rng(seed)
    return PHYSICS.forward(periodic(1 + smooth(rng, samples, n, n))) + periodic(
        SIGMA * rng.normal(size=(samples, n, n))
    )


def u_net(framework, channels: int = 2):
    framework.seed(0)
    with framework.backend, math.precision(32):
        return phiml.nn.u_net(channels, 1, in_spatial=2, levels=1, filters=4, batch_norm=framework.name == "torch")


def same(a, b) -> None:
    assert len(a) == len(b)
    for u, v in zip(a, b, strict=True):
        np.testing.assert_array_equal(u, v)


class Gain(torch.nn.Module):
    """x = a y."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return self.a * y


def test_the_average_is_that_of_the_formula(framework):
    """By NumPy, with one weight set by hand before each update."""
    net = u_net(framework)
    teacher = Teacher(net, decay=0.5)
    expected = None
    optimizer = framework.adam(net, 1e-2)
    for t in range(5):
        sip_update_weights(net, optimizer, PHYSICS, observations(t), inputs=INPUTS, teacher=teacher, compile=False)
        now = framework.weights(net)
        decay = min(0.5, (1 + t) / (10 + t))
        expected = now if t == 0 else [decay * a + (1 - decay) * b for a, b in zip(expected, now, strict=True)]
    with teacher.answering():
        for found, value in zip(framework.weights(net), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-7)
    same(framework.weights(net), now)
    teacher.take_over()
    np.testing.assert_allclose(framework.weights(net)[0], expected[0], rtol=1e-5, atol=1e-7)


def test_batch_statistics_are_averaged_and_counters_are_not():
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2), torch.nn.Conv2d(2, 1, 1))
    optimizer, teacher = torch.optim.Adam(net.parameters()), Teacher(net)
    means = []
    with TORCH:
        for t in range(3):
            sip_update_weights(net, optimizer, PHYSICS, observations(t), teacher=teacher)
            means.append(net[1].running_mean.numpy().copy())
    first, second = means[0] + 0.9 * 0, means[1]  # d = 1/10, 2/11, 3/12
    expected = 2 / 11 * first + 9 / 11 * second
    expected = 3 / 12 * expected + 9 / 12 * means[2]
    with teacher.answering():
        np.testing.assert_allclose(net[1].running_mean.numpy(), expected, rtol=1e-5)
        assert int(net[1].num_batches_tracked) == 3
    np.testing.assert_array_equal(net[1].running_mean.numpy(), means[2])


def test_own_weights_come_back_after_an_error(framework):
    net = u_net(framework)
    teacher = Teacher(net)
    for t in range(2):
        sip_update_weights(
            net, framework.adam(net, 1e-2), PHYSICS, observations(t), inputs=INPUTS, teacher=teacher, compile=False
        )
    own = framework.weights(net)
    with teacher.answering():
        assert any(not np.array_equal(a, b) for a, b in zip(own, framework.weights(net), strict=True))
    bad = array(observations())
    bad[0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError), teacher.answering():
        predict_state(net, PHYSICS, periodic(bad), inputs=INPUTS)
    same(own, framework.weights(net))


def test_an_update_is_that_with_labels_of_what_was_simulated(framework):
    """By hand: the buffer's one batch, its states as labels, what the network is shown computed anew."""
    net, other, y = u_net(framework), u_net(framework), observations()
    teacher, target = Teacher(net), dataclasses.replace(TARGET, batches=1)
    optimizer = framework.adam(net, 1e-3, epsilon=1.0)
    math.seed(0)
    update = sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, targets=target, teacher=teacher)
    batch = teacher.buffer.draw()
    labelled = sip_update_weights(
        other,
        framework.adam(other, 1e-3, epsilon=1.0),
        PHYSICS,
        batch.y,
        x_true=batch.x,
        inputs=INPUTS,
        targets=Labels(),
        compile=False,
    )
    assert float(update.loss.mean) == pytest.approx(float(labelled.loss.mean), rel=1e-4)
    for a, b in zip(framework.weights(net), framework.weights(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    estimate = sip_inverse(PHYSICS, y, PHYSICS.initial_state(y)).x_target
    np.testing.assert_allclose(array(update.x_target), array(estimate), atol=1e-4)
    noise = array(batch.y) - array(PHYSICS.forward(batch.x))
    assert 0.7 * SIGMA < noise.std() < 1.3 * SIGMA
    assert update.x_l2 is None


def test_what_is_simulated_is_compiled(compiling, monkeypatch):
    """Compiled and step by step are the same; Python runs once by the inverse and once by the network."""
    runs, by_python = [], Simulation.__call__

    def counted(simulation, trainable, request):
        runs.append(simulation.is_taught)
        return by_python(simulation, trainable, request)

    monkeypatch.setattr(Simulation, "__call__", counted)
    losses = {}
    for compile in (None, False):
        runs.clear()
        math.seed(0)
        net, target = u_net(compiling), dataclasses.replace(TARGET, batches=2, replays=1)
        start_from_estimate(net, PHYSICS, observations(), inputs=INPUTS)
        teacher, optimizer = Teacher(net), compiling.adam(net, 1e-2)
        options = {"inputs": INPUTS, "targets": target, "teacher": teacher, "compile": compile}
        updates = [sip_update_weights(net, optimizer, PHYSICS, observations(t), **options) for t in range(6)]
        losses[compile] = [float(update.loss.mean) for update in updates]
        assert runs == ([False, True] if compile is None else [False, False, *4 * [True]])
    np.testing.assert_allclose(losses[None], losses[False], rtol=1e-3)


@pytest.mark.parametrize("updates", [0, 1, 4])
def test_what_is_simulated_and_not_finite_changes_nothing(compiling, updates):
    """When it is compiled and after that: it says what it is, and weights, average and buffer are as they were."""
    net, target = u_net(compiling), dataclasses.replace(TARGET, replays=1, noise_std=math.wrap(np.float32(SIGMA)))
    teacher, optimizer = Teacher(net), compiling.adam(net, 1e-3)

    def update(target):
        y = trees.cast(observations(), 32)
        sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, targets=target, teacher=teacher)

    for _ in range(updates):
        update(target)
    before, batches = compiling.weights(net), [*teacher.buffer._batches]
    with pytest.raises(NonFiniteError, match="What a teacher simulates holds NaN"):
        update(dataclasses.replace(target, noise_std=math.wrap(np.float32(3e38))))
    same(before, compiling.weights(net))
    assert [*teacher.buffer._batches] == batches


def test_the_buffer_is_filled_by_the_inverse_and_then_every_second_time_by_the_network():
    made = []

    class Noted(SelfSimulated):
        def simulate(self, context: TargetContext) -> tuple[Observed, object]:
            made.append(context.taught)
            return super().simulate(context)

    with TORCH:
        net = u_net(frameworks.TABLE[1])
        teacher, optimizer = Teacher(net), torch.optim.Adam(net.parameters())
        target = Noted(bias_correction=0.0, data_correction=False, transform=None, batches=2, replays=2)
        counts = []
        for t in range(6):
            y = observations(t)
            sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, targets=target, teacher=teacher)
            counts.append(len(made))
    assert counts == [1, 2, 2, 3, 3, 4]
    assert made == [False, False, True, True]
    assert len(teacher.buffer) == 2


def test_states_are_those_of_the_average():
    """A network of one weight: its averaged weight times the observation."""
    target = SelfSimulated(bias_correction=0.0, data_correction=False, transform=None, batches=1, replays=1)
    with TORCH, math.precision(64):
        net = Gain(0.5)
        teacher, optimizer = Teacher(net, decay=0.99), torch.optim.SGD(net.parameters(), 1e-3)
        for t in range(4):
            before = float(teacher.average._values[0]) if teacher.average.updates else 0.5
            y = observations(t)
            update = sip_update_weights(
                net,
                optimizer,
                PHYSICS,
                y,
                predict=lambda y: y.with_values(math.native_call(net, y.values)),
                targets=target,
                teacher=teacher,
            )
            if t:
                np.testing.assert_allclose(array(update.x_target), before * array(y), rtol=1e-12)


def test_a_gaussian_prior_stays_near_the_posterior_mean():
    """
    States of white noise of variance 1, seen with white noise of variance 1: the best answer is y / 2, of risk 1/2.
    Without the correction by the data, states lose variance with every generation.
    """
    rng = np.random.default_rng(0)
    physics = HeatEquation(1.0, 1e-12, 1.0, Tikhonov(1.0))
    gains = {}
    for corrected in (True, False):
        with TORCH, math.precision(64):
            net = Gain(0.5)
            optimizer, teacher = torch.optim.SGD(net.parameters(), 1e-4), Teacher(net, 0.9)
            target = SelfSimulated(bias_correction=0.0, data_correction=corrected, batches=4, replays=1)
            math.seed(0)
            for _ in range(40):
                y = periodic(rng.normal(size=(8, 16, 16)) + rng.normal(size=(8, 16, 16)))
                sip_update_weights(
                    net,
                    optimizer,
                    physics,
                    y,
                    predict=lambda y, net=net: y.with_values(math.native_call(net, y.values)),
                    targets=target,
                    teacher=teacher,
                )
            with teacher.answering():
                gains[corrected] = float(net.a.detach())
    risks = {corrected: (1 - a) ** 2 + a**2 for corrected, a in gains.items()}
    assert risks[True] < 1.02 * 0.5, gains
    assert risks[False] > 1.1 * 0.5, gains


def run(framework, folder, steps, target=TARGET, data=observations, physics=PHYSICS, **options):
    net = u_net(framework)
    optimizer, teacher = framework.adam(net), Teacher(net, 0.9)
    math.seed(0)
    with framework.backend, math.precision(32):
        record = train(
            net,
            optimizer,
            physics,
            by_step(data),
            steps=steps,
            inputs=INPUTS,
            targets=target,
            teacher=teacher,
            validation=observations(1000),
            validate_every=2,
            checkpoint_every=2,
            folder=folder,
            progress=False,
            **options,
        )
    return record, net, optimizer, teacher


@pytest.mark.slow_on("jax")
def test_a_run_that_goes_on_ends_bit_identical(framework, tmp_path):
    """Weights, average and buffer, before the buffer is full and after."""
    whole, net, optimizer, teacher = run(framework, tmp_path / "whole", 6)
    for steps in (1, 4, 6):
        parts, other, other_optimizer, other_teacher = run(framework, tmp_path / "parts", steps)
    assert [entry.loss for entry in whole.steps] == [entry.loss for entry in parts.steps]
    assert whole.validations[-1].y_l2 == parts.validations[-1].y_l2
    same(framework.everything(net, optimizer), framework.everything(other, other_optimizer))
    with teacher.answering(), other_teacher.answering():
        same(framework.weights(net), framework.weights(other))
    assert other_teacher.average.updates == 6


def test_batches_of_other_sizes_go_on_too(tmp_path):
    """The last batch of all observations is often smaller."""

    def data(step: int):
        return observations(step, samples=4 if step % 3 else 2)

    torch_row = frameworks.TABLE[1]
    target = dataclasses.replace(TARGET, batches=4)
    whole, *_ = run(torch_row, tmp_path / "whole", 9, target, data)
    for steps in (3, 6, 9):
        parts, *_ = run(torch_row, tmp_path / "parts", steps, target, data)
    assert [entry.loss for entry in whole.steps] == [entry.loss for entry in parts.steps]


class Drawing(HeatEquation):
    """An inverse that draws random numbers, as a solver with random restarts does."""

    def inverse(self, y_target, x, y):
        np.random.rand()  # noqa: NPY002
        return super().inverse(y_target, x, y)


def test_what_is_inverted_for_comparison_draws_no_random_numbers_of_the_training(tmp_path):
    physics = Drawing(1.0, 0.5, SIGMA, ProbabilisticDamping())
    whole, *_ = run(frameworks.TABLE[1], tmp_path / "whole", 4, physics=physics)
    for steps in (2, 4):
        parts, *_ = run(frameworks.TABLE[1], tmp_path / "parts", steps, physics=physics)
    assert [entry.loss for entry in whole.steps] == [entry.loss for entry in parts.steps]


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("{", "holds no teacher"),
        ('{"updates": 1, "due": 1, "batches": [{"batch": 1000000000000}]}', "smaller than the batches"),
        ('{"updates": 1, "due": 1, "batches": [{"time": 2}]}', "other dims than batch"),
        ('{"updates": -10, "due": 1, "batches": []}', "no number of something"),
        ('{"updates": 1, "due": 1, "batches": 1000000000000}', "holds no teacher"),
    ],
)
def test_a_teacher_of_a_stranger_takes_no_memory(about, message, tmp_path):
    net = u_net(frameworks.TABLE[1])
    teacher = Teacher(net)
    update(net, teacher)
    teacher.save(tmp_path)
    (tmp_path / "teacher.json").write_text(about)
    other = Teacher(net)

    def used() -> None:
        other.load(tmp_path)
        update(net, other)

    with pytest.raises(CheckpointError, match=message):
        used()


def update(net, teacher) -> None:
    with TORCH:
        optimizer = torch.optim.Adam(net.parameters())
        sip_update_weights(net, optimizer, PHYSICS, observations(), inputs=INPUTS, targets=TARGET, teacher=teacher)


def test_validations_are_of_the_average(tmp_path):
    record, net, optimizer, teacher = run(frameworks.TABLE[1], tmp_path, 4, keep_best="y_l2")
    y = observations(1000)

    def misfit() -> float:
        x = predict_state(net, PHYSICS, y, inputs=INPUTS)
        return float(0.5 * np.sum((array(PHYSICS.forward(x)) - array(y)) ** 2, (1, 2)).mean())

    with teacher.answering():
        averaged = misfit()
    assert record.validations[-1].y_l2 == pytest.approx(averaged, rel=1e-5)
    assert misfit() != pytest.approx(averaged, rel=1e-5)
    best = restore_best(tmp_path, net, optimizer, "y_l2", teacher=teacher)
    teacher.take_over()
    assert misfit() == pytest.approx(best.y_l2, rel=1e-5)


def test_an_update_that_fails_leaves_the_average(framework):
    net = u_net(framework)
    teacher, optimizer = Teacher(net), framework.adam(net)
    options = {"inputs": INPUTS, "targets": TARGET, "teacher": teacher, "compile": False}
    sip_update_weights(net, optimizer, PHYSICS, observations(), **options)
    bad = array(observations())
    bad[0, 0, 0] = np.nan
    own = framework.weights(net)
    with pytest.raises(NonFiniteError, match="y_target holds NaN"):
        sip_update_weights(net, optimizer, PHYSICS, periodic(bad), **options)
    assert teacher.average.updates == len(teacher.buffer) == 1
    same(own, framework.weights(net))


def test_an_update_that_is_undone_leaves_the_buffer():
    """The optimizer overflows, after a batch has been simulated in place of another."""
    with TORCH:
        net = u_net(frameworks.TABLE[1])
        teacher, optimizer = Teacher(net), torch.optim.SGD(net.parameters(), 1e-6)
        options = {"inputs": INPUTS, "targets": TARGET, "teacher": teacher}
        for t in range(4):
            sip_update_weights(net, optimizer, PHYSICS, observations(t), **options)
        before, due = list(teacher.buffer._batches), teacher._due
        optimizer.param_groups[0]["lr"] = float("inf")
        for _ in range(3):
            with pytest.raises(NonFiniteError):
                sip_update_weights(net, optimizer, PHYSICS, observations(5), **options)
        assert [id(batch) for batch in teacher.buffer._batches] == [id(batch) for batch in before]
        assert (teacher._due, teacher.average.updates) == (due, 4)
        with pytest.raises(ParameterError, match="micro_batches"):
            sip_update_weights(net, optimizer, PHYSICS, observations(5), micro_batches=3, **options)


def test_the_average_of_coarse_weights_moves(tmp_path):
    """In bfloat16, 1 − decay of a difference is less than a unit in the last place."""
    net = torch.nn.Conv2d(1, 1, 1).to(torch.bfloat16)
    teacher = Teacher(net, decay=0.999)
    with torch.no_grad():
        net.weight.fill_(1.0)
        for _ in range(2000):
            teacher.average.follow()
        net.weight.fill_(1.5)
        for _ in range(100):
            teacher.average.follow()
    left = np.prod([min(0.999, (1 + t) / (10 + t)) for t in range(2000, 2100)])
    assert float(teacher.average._values[0]) == pytest.approx(1.5 - 0.5 * left, rel=1e-5)
    with teacher.answering():
        assert float(net.weight.detach()) == pytest.approx(1.5 - 0.5 * left, rel=1e-2)
    assert float(net.weight.detach()) == 1.5
    teacher.save(tmp_path)
    other = Teacher(net, decay=0.999)
    other.load(tmp_path)
    assert torch.equal(other.average._values[0], teacher.average._values[0])
    assert other.average._values[0].dtype == torch.float32


def test_buffers_of_earlier_versions_know_one_physics(tmp_path, monkeypatch):
    with TORCH, math.precision(64):
        net = Gain(0.5)
        teacher, options = Teacher(net), {"predict": net_of(net), "targets": TARGET}
        optimizer = torch.optim.SGD(net.parameters(), 1e-3)
        sip_update_weights(net, optimizer, PHYSICS, observations(), teacher=teacher, **options)
        with monkeypatch.context() as patch:
            patch.setattr(replay, "parameters_in", lambda _: [])
            teacher.save(tmp_path)
        about = json.loads((tmp_path / "teacher.json").read_text())
        del about["physics"]
        (tmp_path / "teacher.json").write_text(json.dumps(about))
        other = Teacher(net)
        other.load(tmp_path)
        sip_update_weights(net, optimizer, PHYSICS, observations(), teacher=other, **options)
        (first, *_), (again, *_) = teacher.buffer._batches, other.buffer._batches
        same([a.numpy(a.shape) for a in trees.leaves(first.y)], [a.numpy(a.shape) for a in trees.leaves(again.y)])
        assert again.physics is PHYSICS


def net_of(net):
    return lambda y: y.with_values(math.native_call(net, y.values))


def test_predict_sees_simulated_observations_stored_as_real_ones_are():
    y = observations()
    values = y.values.numpy("y,batch,x")
    dims = [math.spatial(y=8), math.batch(batch=4), math.spatial(x=8)]
    turned, seen = y.with_values(math.reshaped_tensor(values, dims)), []
    with TORCH, math.precision(64):
        net = Gain(0.5)

        def predict(y):
            seen.append(y.values.shape.names)
            return y.with_values(math.native_call(net, y.values))

        sip_update_weights(
            net,
            torch.optim.SGD(net.parameters(), 1e-3),
            PHYSICS,
            turned,
            predict=predict,
            targets=TARGET,
            teacher=Teacher(net),
        )
    assert seen
    assert set(seen) == {("y", "batch", "x")}


def test_what_a_teacher_cannot_do_is_said(framework):
    net, y = u_net(framework), observations()
    optimizer = framework.adam(net)
    with pytest.raises(ParameterError, match="another network"):
        sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, teacher=Teacher(u_net(framework)))
    with pytest.raises(UnsupportedError, match="Give Teacher"):
        sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, teacher=0.99)
    with pytest.raises(ParameterError, match="x_true has no effect with SelfSimulated and a teacher"):
        sip_update_weights(
            net, optimizer, PHYSICS, y, x_true=y, inputs=INPUTS, targets="self-simulated", teacher=Teacher(net)
        )
    with pytest.raises(UnsupportedError, match="SelfSimulated does not use the argument step_size"):
        sip_update_weights(
            net, optimizer, PHYSICS, y, step_size=0.5, inputs=INPUTS, targets=TARGET, teacher=Teacher(net)
        )
    for decay in (1.0, -0.1, "much"):
        with pytest.raises(ParameterError, match="decay"):
            Teacher(net, decay)


def test_in_a_graph_a_teacher_is_refused():
    framework = frameworks.TABLE[0]
    with framework.backend:
        net, y = u_net(framework), observations()
        optimizer, teacher = framework.sgd(net), Teacher(net)
        sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, compile=False)

        @tf.function(autograph=False)
        def step() -> None:
            sip_update_weights(net, optimizer, PHYSICS, y, inputs=INPUTS, teacher=teacher)

        with pytest.raises(UnsupportedError, match="within a graph or a strategy"):
            step()


@pytest.mark.slow_on("jax")
def test_linear_inputs_are_kept_with_the_buffer(framework):
    physics = HeatEquation(1.0, 0.5, SIGMA, EmpiricalBayes())
    net = u_net(framework, 3)
    teacher = Teacher(net)
    sip_update_weights(
        net,
        framework.adam(net),
        physics,
        observations(),
        inputs=("y", "estimate", "linear"),
        targets=SelfSimulated(batches=2),
        teacher=teacher,
        compile=False,
    )
    batch = teacher.buffer.draw()
    again = sip_inverse(physics, batch.y, physics.initial_state(batch.y)).x_target
    assert len(batch.seen) == 3
    np.testing.assert_allclose(array(batch.seen[1]), array(again), atol=1e-4)
