"""The training loop: what it records, what ends it, and that a run goes on where it was."""

from __future__ import annotations

import csv
import os
import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import training_runs
from fields import array, periodic
from phiml import math
from training_runs import PHYSICS, ROWS, network, run, sample

from phi_sip import DifferentiablePhysics, Exponential, HeatEquation, sip_inverse
from phi_sip.contract.markers import hookimpl
from phi_sip.data.batches import Batch, by_step
from phi_sip.errors import (
    CheckpointError,
    CheckpointWarning,
    NonFiniteError,
    ParameterError,
    RecordError,
    RunFolderError,
    TrainingError,
    UnsupportedError,
)
from phi_sip.plugins.manager import get_plugin_manager
from phi_sip.states import trees
from phi_sip.training import (
    Callback,
    EarlyStopping,
    RunRecord,
    Target,
    ValidationRecord,
    WallTime,
    read_run,
    restore_best,
    train,
)
from phi_sip.training.lock import locked

TORCH = ROWS["torch"]


class Note(Callback):
    """Notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_start(self, run):
        self.told.append(f"start {run.last_step}")

    def on_step(self, record):
        self.told.append(f"step {record.step}")

    def on_validation(self, record, samples):
        self.told.append(f"validation {record.step}")
        self.samples = samples

    def on_checkpoint(self, step):
        self.told.append(f"checkpoint {step}")

    def on_end(self, run, reason):
        self.told.append(f"end {run.last_step}: {reason}")


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_trains_and_records_every_step(framework, tmp_path):
    note = Note()
    record, _, _ = run(framework, tmp_path / "run", steps=5, callbacks=[note])
    assert note.told == [
        *("start 0", "step 1", "step 2", "step 3", "checkpoint 3", "step 4", "validation 4", "step 5", "validation 5"),
        *("checkpoint 5", "end 5: all steps are done"),
    ]
    assert [entry.step for entry in record.steps] == [1, 2, 3, 4, 5]
    assert record.validations[-1].x_l2 < record.steps[0].x_l2
    assert np.isclose(record.elapsed, sum(entry.seconds for entry in record.steps))
    assert record.steps[0].learning_rate == (None if framework.name == "jax" else pytest.approx(1e-3))
    stored = read_run(tmp_path / "run")
    assert (stored.steps, stored.validations) == (record.steps, record.validations)
    assert stored.info["framework"] == framework.name
    assert stored.info["ended"] == "all steps are done"
    with (tmp_path / "run" / "steps.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2, 3, 4, 5]


@dataclass(frozen=True)
class OfOtherStates(Exponential):
    """Nobody says where an inversion begins."""

    name: ClassVar[str] = ""

    def initial_state(self, y_target):
        raise ValueError("of which dims?")


@pytest.mark.parametrize("solver", [None, "gradient"])
def test_the_inverse_alone_is_kept_for_comparison(tmp_path, solver):
    run(TORCH, tmp_path, steps=1, solver=solver)
    y, x_true = sample(1000)
    x = sip_inverse(PHYSICS, y, PHYSICS.initial_state(y)).x_target
    losses = [
        0.5 * np.sum((array(a) - array(b)) ** 2, (1, 2)).mean() for a, b in ((x, x_true), (PHYSICS.forward(x), y))
    ]
    stored = read_run(tmp_path)
    assert [stored.error_alone(quantity) for quantity in ("x_l2", "y_l2")] == pytest.approx(losses, rel=1e-3)
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as samples:
        np.testing.assert_allclose(samples["x_alone"], array(x), atol=1e-5)
        assert not np.allclose(samples["x"], samples["x_alone"], atol=1e-2)


@pytest.mark.parametrize(
    ("physics", "solver"),
    [(OfOtherStates(), None), (DifferentiablePhysics(lambda x: 2 * x), "gradient")],
    ids=["no initial state", "no inverse"],
)
def test_where_there_is_no_inverse_nothing_is_compared(physics, solver):
    y = physics.forward(periodic(np.random.default_rng(0).random((2, 8, 8))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record, *_ = run(TORCH, physics=physics, data=by_step(lambda _: y), validation=y, steps=1, solver=solver)
    assert record.error_alone("y_l2") is None


def test_data_may_be_of_another_framework_than_the_network(tmp_path):
    """Training converts its batches, and so does validation, with the same errors and samples."""
    found = []
    for name in ("torch", "jax"):
        given = Batch(*(trees.to_backend(tree, ROWS[name].backend) for tree in sample(1000)))
        data = by_step(lambda step, name=name: trees.to_backend(sample(step).y_target, ROWS[name].backend))
        note = Note()
        record, *_ = run(TORCH, steps=2, validation=given, data=data, callbacks=[note])
        found.append((record.validations[-1].x_l2, record.validations[-1].y_l2, note.samples["x_target"]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_samples_of_the_validation_are_kept(tmp_path):
    note = Note()
    run(TORCH, tmp_path, steps=1, callbacks=[note])
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as samples:
        assert set(samples) >= {
            "y_target",
            "y",
            "x",
            "x_target",
            "x_true",
            "uncertainty",
            "wavenumber",
            "gain",
            "kernel",
        }
        assert samples["x"].shape == (4, 16, 16)
        assert samples["wavenumber"].shape == (16, 9)
        np.testing.assert_allclose(samples["x_true"], sample(1000).x_true.values.numpy("batch,x,y"))
        np.testing.assert_array_equal(samples["kernel"], note.samples["kernel"])


def test_a_run_that_goes_on_ends_bit_identical(framework, tmp_path):
    """Three checkpoints, weights, batch statistics, optimizer; validation and records too."""
    whole, net, optimizer = run(framework, tmp_path / "whole", steps=8)
    run(framework, tmp_path / "parts", steps=5)
    note = Note()
    parts, other_net, other_optimizer = run(framework, tmp_path / "parts", steps=8, callbacks=[note])
    assert note.told[:2] == ["start 5", "step 6"]
    assert_same(framework.everything(net, optimizer), framework.everything(other_net, other_optimizer))
    assert [entry.loss for entry in whole.steps] == [entry.loss for entry in parts.steps]
    assert [entry.x_l2 for entry in whole.validations if entry.step == 8] == [parts.validations[-1].x_l2]


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, net, optimizer = run(TORCH, tmp_path, steps=3)
    second, other_net, other_optimizer = run(TORCH, tmp_path, steps=3)
    assert second.steps == first.steps
    assert_same(TORCH.everything(net, optimizer), TORCH.everything(other_net, other_optimizer))


def test_random_numbers_go_on_where_they_were(tmp_path):
    """A network that draws by itself, and data from the global generators."""

    def dropping() -> tuple:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Dropout(0.3), torch.nn.Conv2d(4, 1, 1))
        return net, torch.optim.Adam(net.parameters(), 1e-2)

    def noisy(step: int) -> Batch:
        batch = sample(step)
        values = np.random.standard_normal((4, 16, 16))  # noqa: NPY002
        noise = math.tensor(values, *batch.y_target.shape.batch, *batch.y_target.shape.spatial)
        return Batch(batch.y_target + 1e-3 * noise, batch.x_true)

    def data(first):
        return map(noisy, range(first, 100))

    def train(folder: Path, *ends: int) -> list[np.ndarray]:
        np.random.seed(1)  # noqa: NPY002
        for steps in ends:
            net, optimizer = dropping()
            with TORCH.backend:
                training_runs.train(net, optimizer, PHYSICS, data, steps=steps, folder=folder, progress=False)
            np.random.rand(7)  # noqa: NPY002
        return TORCH.everything(net, optimizer)

    assert_same(train(tmp_path / "whole", 6), train(tmp_path / "parts", 2, 4, 6))


def test_schedules_go_on_where_they_were(tmp_path):
    def train(folder: Path, *ends: int) -> list[float]:
        for steps in ends:
            net, optimizer = network(TORCH)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
            with TORCH.backend:
                record = training_runs.train(
                    net,
                    optimizer,
                    PHYSICS,
                    by_step(sample),
                    steps=steps,
                    folder=folder,
                    schedule=schedule,
                    progress=False,
                )
        return [entry.learning_rate for entry in record.steps]

    rates = [1e-3 * 0.5**i for i in range(4)]
    assert train(tmp_path / "whole", 4) == pytest.approx(rates)
    assert train(tmp_path / "parts", 2, 4) == pytest.approx(rates)


@pytest.mark.parametrize(
    ("options", "steps", "reason"),
    [
        ({"stop": [Target("x_l2", 1e9)], "validate_every": 2}, 2, "x_l2 is"),
        ({"stop": [WallTime(1e-9)]}, 1, "s of training are over"),
        (
            {"stop": [EarlyStopping("y_l2", patience=2, improvement=0.99)], "validate_every": 1},
            3,
            "has not fallen below",
        ),
        ({"data": lambda first: map(sample, range(first, 4)), "steps": 9}, 3, "the data are at their end"),
    ],
)
def test_what_ends_a_run(options, steps, reason):
    note = Note()
    record, _, _ = run(TORCH, callbacks=[note], **options)
    assert record.last_step == steps
    assert reason in note.told[-1]


def test_the_best_state_is_kept_and_put_back(framework, tmp_path):
    """The data of the fourth step and those after lead elsewhere, so that errors grow."""
    net, optimizer = network(framework, levels=2)
    states = {}

    class Keep(Callback):
        def on_validation(self, record, samples):
            states[record.step] = framework.everything(net, optimizer)

    def data(step: int) -> Batch:
        batch = sample(step)
        return batch if step < 4 else Batch(batch.y_target * -30.0, None)

    options = {"validation": sample(1000), "validate_every": 1, "keep": 1, "folder": tmp_path, "progress": False}
    with framework.backend:
        record = train(net, optimizer, PHYSICS, by_step(data), steps=8, keep_best="x_l2", callbacks=[Keep()], **options)
    errors = record.errors("x_l2")
    best = 1 + errors.index(min(errors))
    assert best < 8
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [f"step-{best:08d}", "step-00000008"]
    assert restore_best(tmp_path, net, optimizer, "x_l2") == record.validations[best - 1]
    assert_same(framework.everything(net, optimizer), states[best])


def test_a_best_state_that_is_not_there(tmp_path):
    run(TORCH, tmp_path / "run", steps=3, validate_every=1, checkpoint_every=99)
    net, optimizer = network(TORCH)
    before = TORCH.everything(net, optimizer)
    (tmp_path / "run" / "checkpoints" / "step-00000003").rename(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match=r"state after step \d.*keep_best='y_l2'"):
        restore_best(tmp_path / "run", net, optimizer, "y_l2")
    with pytest.raises(RecordError, match="not the folder of a run"):
        restore_best(tmp_path, net, optimizer, "y_l2")
    run(TORCH, tmp_path / "blind", steps=1, validation=None)
    with pytest.raises(ParameterError, match="no validation"):
        restore_best(tmp_path / "blind", net, optimizer, "y_l2")
    run(TORCH, tmp_path / "damaged", steps=1, keep_best="y_l2")
    weights = next((tmp_path / "damaged" / "checkpoints" / "step-00000001").glob("*.pt"))
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="is damaged"):
        restore_best(tmp_path / "damaged", net, optimizer, "y_l2")
    assert_same(TORCH.everything(net, optimizer), before)


def test_patience_counts_validations_without_a_new_least_error():
    def reason(*errors: float) -> str | None:
        validations = [ValidationRecord(i, 0.0, error) for i, error in enumerate(errors)]
        return EarlyStopping(patience=2).reason(RunRecord("", {}, [], validations))

    assert reason(3, 2, 2.5) is None
    assert reason(3, 2, 2.5, 1) is None
    assert "below 2 in 2" in reason(3, 2, 2.5, 2)


def test_observations_alone_are_enough():
    record, _, _ = run(
        TORCH, steps=2, data=lambda first: (sample(i).y_target for i in range(first, 9)), validation=sample(0).y_target
    )
    assert [entry.x_l2 for entry in record.steps] == [None, None]
    assert record.validations[0].x_l2 is None


def test_validation_uses_learned_batch_statistics_and_leaves_the_mode():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 1, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    held_out, modes, note = sample(0), [], Note()

    class Mode(Callback):
        def on_validation(self, record, samples):
            modes.append(net.training)

    with TORCH.backend:
        train(
            *(net, optimizer, PHYSICS, by_step(sample)),
            steps=1,
            validation=held_out,
            callbacks=[note, Mode()],
            progress=False,
        )
    assert modes == [True]
    values = torch.as_tensor(held_out.y_target.values.numpy("batch,x,y"))[:, None]
    with torch.no_grad():
        learned = net.eval()(values)[:, 0].numpy()
        of_the_batch = net.train()(values)[:, 0].numpy()
    np.testing.assert_allclose(_without_mean(note.samples["x"]), _without_mean(learned), atol=1e-5)
    assert np.abs(_without_mean(of_the_batch) - _without_mean(learned)).max() > 1e-2


def _without_mean(states: np.ndarray) -> np.ndarray:
    """The physics imposes the mean."""
    return states - states.mean((1, 2), keepdims=True)


def stops_at(step: int, action):
    class Stop(Callback):
        def on_step(self, record):
            if record.step == step:
                action()

    return Stop()


def test_ctrl_c_saves_and_the_run_goes_on(framework, tmp_path):
    press = stops_at(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    note = Note()
    with pytest.raises(KeyboardInterrupt):
        run(framework, tmp_path / "run", steps=6, callbacks=[press, note])
    assert note.told[-2:] == [
        "checkpoint 2",
        f"end 2: interrupted. The state after step 2 is saved in {tmp_path / 'run'}.",
    ]
    _, net, optimizer = run(framework, tmp_path / "run", steps=6)
    _, other_net, other_optimizer = run(framework, tmp_path / "whole", steps=6)
    assert_same(framework.everything(net, optimizer), framework.everything(other_net, other_optimizer))


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_nan_in_the_middle_ends_it_with_the_state_before_saved(framework, tmp_path):
    def data(first):
        for step in range(first, 9):
            batch = sample(step)
            yield batch if step != 3 else Batch(batch.y_target * float("nan"), None)

    with pytest.raises(
        TrainingError, match=r"Step 3 failed: NonFiniteError: y_target .* after step 2 is saved"
    ) as error:
        run(framework, tmp_path / "run", steps=9, data=data)
    assert isinstance(error.value.__cause__, NonFiniteError)
    _, net, optimizer = run(framework, tmp_path / "run", steps=5)
    _, other_net, other_optimizer = run(framework, steps=5)
    assert_same(framework.everything(net, optimizer), framework.everything(other_net, other_optimizer))


def test_physics_that_raises_in_the_middle(tmp_path):
    class Failing(HeatEquation):
        def forward(self, x):
            if len(done) == 2:
                raise RuntimeError("the license of the simulator has expired")
            return super().forward(x)

    done: list[int] = []
    count = stops_at(2, lambda: done.extend([1, 2]))
    with pytest.raises(TrainingError, match=r"Step 3 failed: RuntimeError: the license .* after step 2 is saved"):
        run(TORCH, tmp_path, steps=9, physics=Failing(1.0, 1.0, 1e-4), callbacks=[count], validation=None)
    assert read_run(tmp_path).last_step == 2
    assert "license" in read_run(tmp_path).info["ended"]


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_a_plugin_that_raises_in_the_middle(framework, fresh_plugins, tmp_path):
    """It takes the inversions of one step over, and fails."""

    class Plugin:
        calls = 0

        @hookimpl
        def sip_inverse(self, physics, y_target, x, step_size, solver):
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("the server of the solver is gone")

    get_plugin_manager().register(Plugin(), name="remote")
    with pytest.raises(TrainingError, match=r"Step 3 failed: .*the server of the solver .* after step 2 is saved"):
        run(framework, tmp_path / "run", steps=9, validation=None, compile=False)
    get_plugin_manager().unregister(name="remote")
    _, net, optimizer = run(framework, tmp_path / "run", steps=5, compile=False)
    _, other_net, other_optimizer = run(framework, steps=5, compile=False)
    assert_same(framework.everything(net, optimizer), framework.everything(other_net, other_optimizer))


def test_data_and_callbacks_that_raise(tmp_path):
    def data(first):
        yield sample(1)
        raise ValueError("disk unplugged")

    with pytest.raises(TrainingError, match=r"Step 2 failed: ValueError: disk unplugged\. .* after step 1 is saved"):
        run(TORCH, tmp_path / "data", steps=9, data=data)

    def fail() -> None:
        raise ValueError("no more paper")

    with pytest.raises(TrainingError, match=r"no more paper\. .* after step 1 is saved"):
        run(TORCH, tmp_path / "callback", steps=9, callbacks=[stops_at(1, fail)])
    with pytest.raises(TrainingError, match=r"Step 1 failed: .* Nothing has been saved in .*/first yet"):
        run(TORCH, tmp_path / "first", steps=9, data=lambda first: iter([1.0]))


def test_two_trainings_in_one_folder(tmp_path):
    with locked(tmp_path), pytest.raises(RunFolderError, match="Another training is running"):
        run(TORCH, tmp_path, steps=1)
    run(TORCH, tmp_path, steps=1)


def test_no_right_to_write(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # root may write everywhere: let the system say what it says to others
        monkeypatch.setattr(
            Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
    with pytest.raises(RunFolderError, match="Permission denied"):
        run(TORCH, folder, steps=1)


def test_a_full_disk_in_the_middle(tmp_path, monkeypatch):
    run(TORCH, tmp_path, steps=3)
    monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CheckpointError, match=r"step 6 .* No space left on device.* step-00000003"):
        run(TORCH, tmp_path, steps=9)
    monkeypatch.undo()
    record, _, _ = run(TORCH, tmp_path, steps=4)
    assert record.last_step == 4


def test_the_run_of_something_else_is_refused(tmp_path):
    run(TORCH, tmp_path, steps=1)
    with pytest.raises(RunFolderError, match=r"another framework: .*torch.* there, .*tensorflow.* here"):
        run(ROWS["tensorflow"], tmp_path, steps=2)
    with pytest.raises(RunFolderError, match="another physics"):
        run(TORCH, tmp_path, steps=2, physics=HeatEquation(2.0, 1.0, 1e-4))
    net = TORCH.u_net(filters=8)
    with TORCH.backend, pytest.raises(RunFolderError, match="another network"):
        training_runs.train(net, TORCH.adam(net), PHYSICS, by_step(sample), steps=2, folder=tmp_path, progress=False)
    net, _ = network(TORCH)
    other = torch.optim.SGD([{"params": [p]} for p in net.parameters()], 1e-3)
    with TORCH.backend, pytest.raises(CheckpointError, match="as they were when the run began"):
        training_runs.train(net, other, PHYSICS, by_step(sample), steps=2, folder=tmp_path, progress=False)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_a_damaged_checkpoint_costs_its_steps_and_no_more(framework, tmp_path):
    run(framework, tmp_path / "run", steps=6)
    for path in (tmp_path / "run" / "checkpoints" / "step-00000006").rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(CheckpointWarning, match="is damaged"):
        _, net, optimizer = run(framework, tmp_path / "run", steps=7)
    _, other_net, other_optimizer = run(framework, steps=7)
    assert_same(framework.everything(net, optimizer), framework.everything(other_net, other_optimizer))


def test_a_torn_line_is_left_out_and_a_wrong_one_named(tmp_path):
    run(TORCH, tmp_path, steps=2)
    lines = tmp_path / "records.jsonl"
    whole = lines.read_text()
    lines.write_text(whole + '{"kind": "step", "st')
    assert read_run(tmp_path).last_step == 2
    for wrong in ('{"kind": "other"}', '{"kind": "step", "step": "1"}', "[]", "x"):
        lines.write_text(wrong + "\n" + whole)
        with pytest.raises(RecordError, match="line 1 is not a record"):
            read_run(tmp_path)
    with pytest.raises(RecordError, match="not the folder of a run"):
        read_run(tmp_path / "other")


def test_numbers_that_are_not_finite_never_reach_the_records(tmp_path):
    """The square of what is held out overflows."""
    held_out = Batch(sample(0).y_target * 1e30, None)
    with pytest.raises(TrainingError, match=r"y_l2 of 4 of 8 validation samples .* after step 2 is saved") as error:
        run(TORCH, tmp_path, steps=9, validation=[sample(0), held_out], validate_every=2)
    assert isinstance(error.value.__cause__, NonFiniteError)
    assert (read_run(tmp_path).last_step, read_run(tmp_path).validations) == (2, [])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ParameterError, "nothing ends the training"),
        ({"steps": 0}, ParameterError, "steps = 0"),
        ({"steps": 1, "keep": 0}, ParameterError, "keep = 0"),
        ({"steps": 1, "checkpoint_every": -1}, ParameterError, "checkpoint_every = -1"),
        ({"steps": 1, "schedule": 0.9}, UnsupportedError, "schedule is a float"),
        (
            {"stop": [Target("x_l2", 1.0)], "validation": sample(0).y_target, "validate_every": 1},
            ParameterError,
            "no x_true",
        ),
        ({"stop": [Target("y_l2", 1.0)], "validation": None}, ParameterError, "y_l2 .* but there is none"),
        ({"steps": 1, "keep_best": "loss"}, ParameterError, "keep_best = 'loss'"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        run(TORCH, **options)


def test_rules_check_their_numbers():
    with pytest.raises(ParameterError, match="quantity = 'loss'"):
        Target("loss", 1.0)
    with pytest.raises(ParameterError, match="patience"):
        EarlyStopping(patience=0)
    with pytest.raises(ParameterError, match="seconds"):
        WallTime(-1.0)
