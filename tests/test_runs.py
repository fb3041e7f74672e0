"""What can happen to a run, and what is true after it: no work is lost or mixed up, no misuse reports success."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optax
import pytest
import torch
from fields import periodic
from phi.torch import TORCH
from phiml import math, nn
from training_runs import ROWS

from phi_sip import Correction, EmpiricalBayes, HeatEquation, InvertiblePhysics, OptaxOptimizer, sip_update_weights
from phi_sip.cli.running import claimed_folder, go_on
from phi_sip.data import Batch, Samples, by_step
from phi_sip.errors import (
    CheckpointError,
    CheckpointWarning,
    ConfigurationError,
    NonFiniteError,
    ParameterError,
    RecordError,
    RunFolderError,
    SipError,
    TrainingError,
    TrainingWarning,
    UnsupportedError,
)
from phi_sip.experiment import read_experiment
from phi_sip.experiment.changes import check_goes_on, made_by
from phi_sip.experiment.optimizer import made_by_name
from phi_sip.frameworks import training_framework
from phi_sip.text.printable import sentence
from phi_sip.training import Callback, EarlyStopping, read_run, restore_best, train
from phi_sip.training.checkpoints import CheckpointStore
from phi_sip.training.differences import differences
from phi_sip.training.files import RunFiles
from phi_sip.training.lock import locked
from phi_sip.training.run_folder import is_free
from phi_sip.training.run_info import known_of

STEPS = 6
PHYSICS = HeatEquation(1.0, 1.0, 1e-4, EmpiricalBayes())


def make(step: int) -> Batch:
    x = periodic(1 + np.random.default_rng(step).normal(size=(2, 8, 8)))
    return Batch(PHYSICS.forward(x), x)


class Same(InvertiblePhysics):
    """y = x, inverted by what is asked for."""

    def forward(self, x):
        return x

    def inverse(self, y_target, x, y):
        return Correction(y_target - y)


def network() -> tuple[Any, Any]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.BatchNorm2d(2), torch.nn.Conv2d(2, 1, 1))
    return net, torch.optim.Adam(net.parameters(), 1e-3)


def state_of(net: Any, optimizer: Any) -> list[np.ndarray]:
    return ROWS["torch"].everything(net, optimizer)


def go(folder: Path | None, net: Any = None, optimizer: Any = None, physics: Any = PHYSICS, **options: Any) -> Any:
    """The same training every time, but for `options`."""
    net, optimizer = (net, optimizer) if net is not None else network()
    kept = {} if folder is None else {"checkpoint_every": 2}
    given = {"steps": STEPS, "validation": make(999), "validate_every": 3, "progress": False, **kept, **options}
    with TORCH:
        return train(net, optimizer, physics, given.pop("data", by_step(make)), folder=folder, **given)


@pytest.fixture(scope="module")
def undisturbed() -> dict[int, list[np.ndarray]]:
    """Weights, batch statistics and optimizer after each step."""
    net, optimizer = network()
    states = {0: state_of(net, optimizer)}

    class Keep(Callback):
        def on_step(self, record):
            states[record.step] = state_of(net, optimizer)

    go(None, net, optimizer, callbacks=[Keep()])
    return states


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


class Note(Callback):
    """Notes what it was told at the end."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.ended: list[str] = []
        self._error = error

    def on_end(self, run, reason):
        self.ended.append(reason)
        if self._error is not None:
            raise self._error


def one(method: str, error: BaseException, at: int | None = None) -> dict[str, Any]:
    callback = Callback()
    at = at or {"on_start": 0, "on_step": 4, "on_validation": 3, "on_checkpoint": 4}[method]

    def fail(told: Any) -> None:
        if getattr(told, "last_step", getattr(told, "step", told)) == at:
            raise error

    setattr(callback, method, fail if method != "on_validation" else lambda record, samples: fail(record))
    return {"callbacks": [callback]}


def data_that(raises: BaseException | None = None, closes: BaseException | None = None) -> Any:
    def data(step):
        try:
            while True:
                if step == 4 and raises is not None:
                    raise raises
                yield make(step)
                step += 1
        finally:
            if closes is not None:
                raise closes

    return {"data": data}


class Stream:
    """Data that fail, and fail to be closed."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __iter__(self):
        return self

    def __next__(self):
        if self.step == 4:
            raise ValueError("gone")
        self.step += 1
        return make(self.step - 1)

    def close(self):
        raise ValueError("open")


def predicting(error: BaseException) -> Any:
    """Fails in the fourth call, after the batch statistics have been changed."""

    def predict(net):
        calls = []

        def call(y):
            calls.append(y)
            with math.precision(32):
                x = y.with_values(math.native_call(net, math.to_float(y.values)))
            if len(calls) == 4:
                raise error
            return x

        return call

    return predict


class Row(NamedTuple):
    """A fault, what is raised in the end, and the step whose state is saved."""

    options: Any
    raised: type[BaseException]
    message: str
    step: int
    ended: str


IO = OSError(28, "No space left on device")
TABLE = {
    "on_start raises": Row(one("on_start", ValueError("mine")), TrainingError, "ValueError: mine", 0, "mine"),
    "on_step raises": Row(one("on_step", ValueError("mine")), TrainingError, "after step 4 is saved", 4, "mine"),
    "on_step exits": Row(one("on_step", SystemExit(3)), SystemExit, "3", 4, "SystemExit"),
    "on_step interrupts": Row(one("on_step", KeyboardInterrupt()), KeyboardInterrupt, "", 4, "interrupted"),
    "on_validation raises": Row(one("on_validation", ValueError("mine")), TrainingError, "mine", 3, "mine"),
    "on_checkpoint raises": Row(one("on_checkpoint", ValueError("mine")), TrainingError, "step 4 is saved", 4, "mine"),
    "on_checkpoint exits": Row(one("on_checkpoint", SystemExit(3)), SystemExit, "3", 4, "SystemExit"),
    "data raise": Row(data_that(ValueError("gone")), TrainingError, "Step 4 failed.*gone.*step 3 is saved", 3, "gone"),
    "data exit": Row(data_that(SystemExit(3)), SystemExit, "3", 3, "SystemExit"),
    "closing raises": Row(data_that(None, ValueError("open")), TrainingError, "open.*step 6 is saved", 6, "open"),
    "both raise": Row({"data": Stream}, TrainingError, "gone.*step 3 is saved.*closing the data.*open", 3, "gone"),
}


def check_after(folder: Path, net: Any, optimizer: Any, undisturbed: Any, step: int, ended: str) -> None:
    """Records, checkpoint and weights say the same step, `run.json` says how it ended, and the run goes on."""
    run = read_run(folder)
    assert [record.step for record in run.steps] == list(range(1, step + 1))
    assert ended in run.info["ended"]
    assert_same(state_of(net, optimizer), undisturbed[step])
    newest = CheckpointStore(folder / "checkpoints").newest()
    assert (newest[1].step if newest else 0) == step
    again = network()
    go(folder, *again)
    assert_same(state_of(*again), undisturbed[STEPS])
    assert [record.step for record in read_run(folder).steps] == list(range(1, STEPS + 1))


@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_whatever_raises_nothing_is_lost(row, tmp_path, undisturbed):
    net, optimizer = network()
    note = Note()
    options = {**row.options, "callbacks": [*row.options.get("callbacks", []), note]}
    with pytest.raises(row.raised, match=row.message):
        go(tmp_path, net, optimizer, **options)
    assert len(note.ended) == 1
    check_after(tmp_path, net, optimizer, undisturbed, row.step, row.ended)


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_predict_that_raises_leaves_the_step_undone(error, tmp_path):
    """The statistics of the batch, which it has changed, are those of before."""
    states: dict[int, Any] = {}
    net, optimizer = network()

    class Keep(Callback):
        def on_step(self, record):
            states[record.step] = state_of(net, optimizer)

    options = {"validation": None, "validate_every": None, "predict": predicting(error)(net), "callbacks": [Keep()]}
    with pytest.raises(TrainingError if isinstance(error, Exception) else type(error)):
        go(tmp_path, net, optimizer, **options)
    assert_same(state_of(net, optimizer), states[3])
    assert read_run(tmp_path).last_step == CheckpointStore(tmp_path / "checkpoints").newest()[1].step == 3


def test_an_error_at_the_very_end_is_told_and_all_is_saved(tmp_path, undisturbed):
    net, optimizer = network()
    first, last = Note(ValueError("mine")), Note()
    with pytest.raises(TrainingError, match=r"has ended, as all steps are done.*mine.*step 6 is saved"):
        go(tmp_path, net, optimizer, callbacks=[first, last])
    assert last.ended == ["all steps are done"]
    check_after(tmp_path, net, optimizer, undisturbed, 6, "all steps are done")


def test_records_that_cannot_be_written_do_not_keep_the_state_from_being_saved(tmp_path, monkeypatch, undisturbed):
    """A disk that is full for a while, between two checkpoints; half a line is left of the record."""
    net, optimizer = network()
    write = RunFiles.on_step

    def full(self, record):
        write(self, record)
        if record.step == 3:
            self._complete = False
            self._files[0].write('{"kind": "st')
            raise IO

    monkeypatch.setattr(RunFiles, "on_step", full)
    with pytest.raises(TrainingError, match=r"No space left.*after step 3 is saved"):
        go(tmp_path, net, optimizer)
    monkeypatch.undo()
    check_after(tmp_path, net, optimizer, undisturbed, 3, "No space left")


def test_a_disk_that_stays_full_is_said_with_the_first_error(tmp_path, monkeypatch):
    def no_room(*_):
        raise IO

    def data(step):
        yield from map(make, range(step, 4))
        monkeypatch.setattr(torch, "save", no_room)
        raise ValueError("gone")

    with pytest.raises(TrainingError, match=r"gone.*step 2 is saved.*In saving the state after step 3: .*No space"):
        go(tmp_path, data=data)


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_a_row_on_other_frameworks(name, tmp_path):
    """Nothing is lost; a rate that was changed holds, though the saved optimizer brings the old one with it."""
    framework = ROWS[name]

    def part(rate: float, **options: Any) -> Any:
        framework.seed(0)
        with framework.backend, math.precision(32):
            net = nn.conv_net(1, 1, [1], batch_norm=False, in_spatial=1)
            optimizer = framework.adam(net, rate)
            if name == "jax":
                optimizer = OptaxOptimizer(net, optax.inject_hyperparams(optax.adam)(rate))
            given = {"folder": tmp_path, "checkpoint_every": 2, "progress": False, "compile": False, **options}
            return train(net, optimizer, Same(), by_step(tiny), **given)

    def tiny(step: int) -> Any:
        return math.tensor(np.random.default_rng(step).normal(size=(2, 4)), math.batch("batch"), math.spatial("x"))

    with pytest.raises(TrainingError, match=r"mine.*after step 2 is saved"):
        part(1e-3, steps=3, callbacks=one("on_checkpoint", ValueError("mine"), at=2)["callbacks"])
    assert CheckpointStore(tmp_path / "checkpoints").newest()[1].step == read_run(tmp_path).last_step == 2
    with pytest.warns(TrainingWarning, match=r"settings.learning_rate"):
        run = part(4e-3, steps=3)
    assert [step.learning_rate for step in run.steps] == pytest.approx([1e-3, 1e-3, 4e-3])


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
def test_a_signal_while_weights_change_leaves_the_update_done_and_counted(number, tmp_path, undisturbed):
    """However many come, and whoever handles them."""
    net, optimizer = network()
    step, calls = optimizer.step, []

    def interrupted(closure):
        step(closure)
        calls.append(1)
        if len(calls) == 3:
            for _ in range(3):
                os.kill(os.getpid(), number)

    def raising(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, raising)
    try:
        optimizer.step = interrupted
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path, net, optimizer)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(calls) == 3
    check_after(tmp_path, net, optimizer, undisturbed, 3, "interrupted")


def test_two_signals_in_a_simulation_leave_the_update_undone(tmp_path, undisturbed):
    class Long(HeatEquation):
        def inverse(self, y_target, x, y):
            if len(read_run(tmp_path).steps) == 3:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                raise AssertionError("goes on for hours")
            return super().inverse(y_target, x, y)

    net, optimizer = network()
    options = {"validation": None, "validate_every": None}
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, net, optimizer, Long(1.0, 1.0, 1e-4, EmpiricalBayes()), **options)
    assert read_run(tmp_path).last_step == 3
    assert CheckpointStore(tmp_path / "checkpoints").newest()[1].step == 3


# Two at once


def at_once(count: int, action: Any) -> list[Any]:
    """What `count` threads make of it that begin together and wait for each other before they end."""
    begin, end, results = threading.Barrier(count), threading.Barrier(count), []

    def run() -> None:
        begin.wait()
        try:
            with action() as found:
                results.append(found)
                end.wait(30)
        except SipError as error:
            results.append(error)
            end.wait(30)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_that_begin_together_never_share_a_folder(tmp_path):
    for round in range(20):
        folder = tmp_path / str(round)
        first, second = sorted(at_once(2, lambda: locked(folder)), key=lambda found: isinstance(found, SipError))  # noqa: B023
        assert first.path == folder
        assert isinstance(second, RunFolderError)
        assert "Another training is running" in str(second)
    named = at_once(8, lambda: claimed_folder(None, tmp_path, "heat"))
    assert sorted(str(found.path.name) for found in named) == sorted(["heat", *(f"heat-{i}" for i in range(2, 9))])


def test_the_process_that_has_the_folder_is_named(tmp_path):
    with locked(tmp_path), pytest.raises(RunFolderError, match=f"process {os.getpid()} on"):
        go(tmp_path)
    assert not (tmp_path / "run.owner").exists()


def test_two_processes(tmp_path):
    """The second is another process, which finds the folder taken and takes another name."""
    read, write = os.pipe()
    with claimed_folder(None, tmp_path, "heat") as mine:
        child = os.fork()
        if child == 0:
            try:
                with claimed_folder(None, tmp_path, "heat") as other:
                    os.write(write, other.path.name.encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert (mine.path.name, os.read(read, 99)) == ("heat", b"heat-2")


def test_a_run_that_never_started_leaves_its_name(tmp_path):
    folder = tmp_path / "heat"
    with pytest.raises(TrainingError, match="Step 1 failed"):
        go(folder, data=lambda step: iter([1.0]))
    assert is_free(folder)
    with claimed_folder(None, tmp_path, "heat") as claimed:
        assert claimed.path == folder
    with claimed_folder(folder, tmp_path, "heat") as claimed:
        go(claimed, steps=1)
    assert not is_free(folder)
    with pytest.raises(RunFolderError, match="there already"), claimed_folder(folder, tmp_path, "heat"):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "experiment.toml").write_text("")
    assert not is_free(tmp_path / "mine")


# Whose checkpoint


@pytest.mark.parametrize(
    "name",
    ["step-00000002-backup", "step-00000002.bak", "step-2", "step-00000002 (copy)", "step-old", "step-" + "9" * 31],
)
def test_copies_beside_the_checkpoints_are_left_alone(name, tmp_path):
    store = CheckpointStore(tmp_path, 2)
    for step in (2, 4, 6):
        store.save(step, "none", {}, lambda folder: (folder / "a").write_text("a") and None)
        if step == 2:
            shutil.copytree(store.place(2), tmp_path / name)
            (tmp_path / "step-zzz").write_text("a file")
    assert store.newest()[1].step == 6
    assert {entry.name for entry in tmp_path.iterdir()} == {"step-00000004", "step-00000006", name, "step-zzz"}


def test_a_renamed_checkpoint_is_not_that_of_its_name(tmp_path):
    store = CheckpointStore(tmp_path, 2)
    store.save(2, "none", {}, lambda folder: (folder / "a").write_text("a") and None)
    shutil.copytree(store.place(2), store.place(7))
    with pytest.warns(CheckpointWarning, match="but of step 2"):
        assert store.newest()[1].step == 2
    for step in (4, 6, 7, 8):
        store.save(step, "none", {}, lambda folder: (folder / "a").write_text("a") and None)
    assert {entry.name[5:] for entry in tmp_path.iterdir()} == {"00000007", "00000007-other", "00000008"}


@pytest.fixture
def begun(tmp_path) -> Path:
    """A run of four steps."""
    go(tmp_path / "run", steps=4)
    return tmp_path / "run"


def test_a_checkpoint_of_another_run_is_refused(begun, tmp_path):
    go(tmp_path / "other", steps=6, physics=HeatEquation(1.0, 3.0, 1e-4, EmpiricalBayes()))
    shutil.copytree(tmp_path / "other" / "checkpoints" / "step-00000006", begun / "checkpoints" / "step-00000006")
    before = (begun / "records.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"another run, 'other' \(physics.parameters.time: 3.0 there, 1.0 here\)"):
        go(begun)
    assert (begun / "records.jsonl").read_bytes() == before
    shutil.rmtree(begun / "checkpoints" / "step-00000006")
    shutil.copy(tmp_path / "other" / "run.json", begun / "run.json")
    with pytest.raises(CheckpointError, match="another run"):
        go(begun)


def test_without_run_json_the_checkpoint_says_what_the_run_is(begun, undisturbed):
    (begun / "run.json").unlink()
    with (
        pytest.warns(TrainingWarning, match="has no run.json"),
        pytest.raises(RunFolderError, match=r"another physics: parameters.time: 1.0 there, 2.0 here"),
    ):
        go(begun, physics=HeatEquation(1.0, 2.0, 1e-4, EmpiricalBayes()))
    (begun / "run.json").write_text("{}")
    net, optimizer = network()
    go(begun, net, optimizer)
    assert_same(state_of(net, optimizer), undisturbed[6])
    assert read_run(begun).last_step == len(read_run(begun).steps) == 6


def test_records_without_what_they_are_the_records_of_are_not_emptied(begun):
    before = (begun / "records.jsonl").read_bytes()
    shutil.move(begun / "checkpoints", begun.parent / "elsewhere")
    with pytest.raises(RunFolderError, match="no checkpoint of them"):
        go(begun)
    (begun / "run.json").unlink()
    with pytest.raises(RunFolderError, match=r"holds records but no run.json"):
        go(begun)
    assert (begun / "records.jsonl").read_bytes() == before


def test_missing_records_are_reported(begun):
    lines = (begun / "records.jsonl").read_text().splitlines(keepends=True)
    (begun / "records.jsonl").write_text("".join(line for line in lines if '"step": 2' not in line))
    with pytest.warns(TrainingWarning, match="lacks 1 of the 4 steps"):
        go(begun)


class Own(InvertiblePhysics):
    """Parameters that are no fields."""

    def __init__(self, factor: float) -> None:
        object.__setattr__(self, "factor", factor)

    def forward(self, x):
        return x * self.factor

    def inverse(self, y_target, x, y):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"physics": HeatEquation(2.0, 1.0, 1e-4, EmpiricalBayes())},
            "another physics: parameters.diffusivity: 1.0 there",
        ),
        ({"physics": Own(1.0)}, "another physics"),
        ({"solver": "gradient"}, "another solver: .*that of the physics.* there, .*GradientSolver.* here"),
        (
            {"data": by_step(lambda step: Batch(*(_in(64, field) for field in make(step))))},
            "another precision: 32 there",
        ),
    ],
)
def test_what_cannot_change_is_refused(options, message, begun):
    before = [(begun / name).read_bytes() for name in ("run.json", "records.jsonl")]
    net, optimizer = network()
    weights = state_of(net, optimizer)
    with pytest.raises(RunFolderError, match=message):
        go(begun, net, optimizer, **options)
    assert [(begun / name).read_bytes() for name in ("run.json", "records.jsonl")] == before
    assert_same(state_of(net, optimizer), weights)


def _in(precision: int, field: Any) -> Any:
    return field.with_values(math.cast(field.values, math.DType(float, precision)))


def test_physics_that_is_no_plain_data_is_compared(tmp_path):
    from phi_sip.training.identity import identity_of

    def curve(k):
        return lambda x: k * x

    assert list(differences(identity_of(Own(1.0)), identity_of(Own(2.0)))) == [("factor", 1.0, 2.0)]
    first = HeatEquation(math.tensor([1.0, 2.0], math.batch("batch")), 1.0)
    assert identity_of(first) == identity_of(HeatEquation(math.tensor([1.0, 2.0], math.batch("batch")), 1.0))
    with math.precision(64):
        exact = [HeatEquation(math.tensor([1.0, k], math.batch("batch")), 1.0) for k in (2.0, 2.0 + 1e-12)]
    assert identity_of(exact[0]) != identity_of(exact[1])
    assert identity_of(curve(1)) == identity_of(curve(2))  # code is only named


def test_another_kind_of_optimizer_or_schedule_is_refused(begun, tmp_path):
    net, _ = network()
    with pytest.raises(CheckpointError, match=r"another optimizer: .*Adam.* there, .*SGD.* here"):
        go(begun, net, torch.optim.SGD(net.parameters(), 1e-3))
    net, optimizer = network()
    with pytest.raises(RunFolderError, match="another schedule"):
        go(begun, net, optimizer, schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5))


def test_settings_that_were_changed_hold_and_are_named(begun):
    """The saved optimizer brings the old ones with it."""
    net, _ = network()
    optimizer = torch.optim.Adam(net.parameters(), 5e-3, betas=(0.8, 0.9))
    with pytest.warns(
        TrainingWarning, match=r"plan.steps: 4 there, 6 here; .*made_by.seed: null there, 3 here"
    ) as told:
        record = go(begun, net, optimizer, made_by={"seed": 3}, step_size=0.5)
    assert [step.learning_rate for step in record.steps] == [1e-3] * 4 + [5e-3] * 2
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    text = str(told[0].message)
    assert all(key in text for key in ("settings.lr: 0.001 there, 0.005 here", "settings.betas", "plan.step_size"))
    (change,) = read_run(begun).info["changes"]
    assert (change["after_step"], change["changed"]["settings.lr"]) == (4, [1e-3, 5e-3])
    assert len(optimizer.state[net[0].weight]) == 3


def test_a_schedule_that_was_changed_goes_on_where_it_was(tmp_path):
    def part(steps: int, rate: float, gamma: float) -> list[float]:
        net, _ = network()
        optimizer = torch.optim.Adam(net.parameters(), rate)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)
        return [step.learning_rate for step in go(tmp_path, net, optimizer, steps=steps, schedule=schedule).steps]

    assert part(2, 1e-3, 0.5) == pytest.approx([1e-3, 5e-4])
    assert part(4, 2e-3, 0.1)[2:] == pytest.approx([5e-4, 5e-5])


def test_an_experiment_that_was_changed():
    begun = read_experiment(None, [{"experiment": {"framework": "torch"}}])
    before = made_by(begun)
    check_goes_on("run", before, begun)
    free = [
        {"training": {"steps": 9, "keep_best": "x_l2", "stop": {"patience": 3}, "step_size": 0.5}},
        {"optimizer": {"learning_rate": 1e-2}},
        {"data": {"batch_size": 4}},
    ]
    for tables in free:
        check_goes_on("run", before, read_experiment(None, [{"experiment": {"framework": "torch"}}, tables]))
    check_goes_on("run", {}, read_experiment())
    tables = {"network": {"arguments": {"periodic": True}}, "physics": {"parameters": {"time": 2.0}}}
    with pytest.raises(ConfigurationError) as error:
        check_goes_on("run", before, read_experiment(None, [tables, {"training": {"solver": "gradient"}}]))
    assert str(error.value).count("\n- ") == 4
    assert "- physics.parameters.time: 8.0 there, 2.0 here" in str(error.value)
    assert '- experiment.framework: "torch" there, "tensorflow" here' in str(error.value)


# Misuse


ONE_BATCH = {
    "Batch": make,
    "Field": lambda step: make(step).y_target,
    "Tensor": lambda step: make(step).y_target.values,
    "list of Fields": lambda step: [make(step).y_target, make(step + 1).y_target],
    "tuple": lambda step: (make(step).y_target, make(step).x_true),
    "dict": lambda step: {"y": make(step).y_target},
    "array": lambda step: np.ones((2, 8, 8)),
    "nothing": lambda step: None,
    "Samples": Samples(lambda seed: seed, make),
    "no argument": lambda: iter([make(1)]),
    "two arguments": lambda step, seed: iter([make(1)]),
    "generator": (make(step) for step in range(9)),
    "a list of batches": [make(1), make(2)],
    "a batch itself": make(1),
}


@pytest.mark.parametrize("data", ONE_BATCH.values(), ids=list(ONE_BATCH))
def test_data_that_are_no_generator_function_are_refused_with_the_remedy(data, tmp_path):
    net, optimizer = network()
    before = state_of(net, optimizer)
    with pytest.raises(ParameterError, match=r"generator function|by_step"):
        go(tmp_path / "run", net, optimizer, data=data)
    assert_same(state_of(net, optimizer), before)
    assert is_free(tmp_path / "run")


GARBAGE = {
    "None": None,
    "a number": 3,
    "a NumPy number": np.float64(3),
    "a word": "y",
    "an array": np.ones((2, 8, 8)),
    "Batch(None)": Batch(None),
    "a Batch in a Batch": Batch(make(1)),
    "an empty tree": {},
    "a generator": (make(step) for step in range(3)),
    "a function": make,
    "x_true = 3": Batch(make(1).y_target, 3),
}


@pytest.mark.parametrize("item", GARBAGE.values(), ids=list(GARBAGE))
def test_what_is_no_batch_is_refused_at_its_step(item, tmp_path):
    with pytest.raises(
        TrainingError, match=r"Step 3 failed: ParameterError: data\(step\) yielded .* after step 2 is saved"
    ):
        go(tmp_path, data=lambda step: iter([make(1), make(2), item, make(4)][step - 1 :]))
    with pytest.raises(ParameterError, match="validation"):
        go(None, validation=[make(1), item])


def test_lists_of_batches_and_data_of_other_kinds_train(undisturbed):
    net, optimizer = network()
    go(None, net, optimizer, data=lambda step: [make(i) for i in range(step, 99)])
    assert_same(state_of(net, optimizer), undisturbed[STEPS])


def test_data_that_end_early_say_so(tmp_path):
    note = Note()
    with pytest.warns(TrainingWarning, match="ends early: the data are at their end after 2 of 6 steps"):
        record = go(tmp_path, data=lambda step: map(make, range(step, 3)), callbacks=[note])
    assert note.ended == ["the data are at their end after 2 of 6 steps"]
    assert record.info["ended"] == read_run(tmp_path).info["ended"] == note.ended[0]
    with pytest.raises(TrainingError, match=r"Step 1 failed.*data\(1\) yields no batch"):
        go(tmp_path / "none", data=lambda step: iter([]))
    with pytest.raises(TrainingError, match="StopIteration"):
        go(None, data=by_step(lambda step: next(iter([]))))


@pytest.mark.parametrize(
    ("make_wrong", "options", "message"),
    [
        (3, {}, "make is a int"),
        (lambda: 1, {}, "cannot be called with the number of a step"),
        (make, {"ahead": 3}, "are for Samples"),
    ],
)
def test_what_by_step_refuses(make_wrong, options, message):
    with pytest.raises(ParameterError, match=message):
        by_step(make_wrong, **options)
    with pytest.raises(ParameterError, match="Give it to train as it is"):
        by_step(data_that()["data"])


def callback(**methods: Any) -> Callback:
    return type("Mine", (Callback,), methods)()


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (Callback(), "Give a list"),
        ([Callback], "the class Callback"),
        ([lambda record: None], "hold a function"),
        ([callback(on_steps=lambda self, record: None)], r"Mine.on_steps is never called. Did you mean on_step\?"),
        ([callback(on_epoch_end=lambda self: None)], "on_epoch_end is never called"),
        ([callback(on_step=lambda self: None)], r"on_step is called with \(record\), which it does not take"),
        ([callback(on_validation=lambda self, record: None)], r"with \(record, samples\)"),
        ([callback(on_end=3)], "which it does not take"),
    ],
)
def test_callbacks_that_would_not_be_called_are_refused(callbacks, message):
    with pytest.raises(ParameterError, match=message):
        go(None, callbacks=callbacks)


def test_callbacks_that_wait_or_yield_are_refused():
    class Waits(Callback):
        async def on_step(self, record):
            pass

    class Yields(Callback):
        def on_step(self, record):
            yield record

    for wrong in (Waits(), Yields()):
        with pytest.raises(ParameterError, match="do nothing then"):
            go(None, callbacks=[wrong])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 2.0}, "steps = 2.0"),
        ({"steps": True}, "steps = True"),
        ({"steps": "2"}, "steps = '2'"),
        ({"validation": None}, "validate_every has no effect without validation"),
        ({"validation": []}, "empty list"),
        ({"checkpoint_every": 2, "folder": None}, "checkpoint_every has no effect without folder"),
        ({"keep": 2, "keep_best": "x_l2", "folder": None}, "keep, keep_best has no effect without folder"),
        ({"keep_best": "x_l2", "validation": None, "validate_every": None}, "there is none"),
        ({"stop": EarlyStopping("x_l2")}, "Give a list of rules"),
        ({"stop": ["never"]}, "Give a list of rules"),
        ({"folder": ""}, "folder = ''"),
        ({"folder": 3}, "folder = 3"),
    ],
)
def test_options_without_effect_or_meaning_are_refused(options, message, tmp_path):
    given = {"folder": tmp_path, **options}
    with pytest.raises(ParameterError, match=message):
        go(given.pop("folder"), **given)
    with pytest.raises(UnsupportedError, match="physics is a str"):
        go(None, physics="heat")


def test_true_states_that_are_not_finite_are_named_and_cost_nothing(tmp_path, undisturbed):
    net, optimizer = network()

    def damaged(step):
        batch = make(step)
        return batch if step != 3 else Batch(batch.y_target, batch.x_true * float("nan"))

    with pytest.raises(TrainingError, match=r"x_l2 of step 3 is NaN.*after step 3 is saved"):
        go(tmp_path, net, optimizer, data=by_step(damaged))
    check_after(tmp_path, net, optimizer, undisturbed, 3, "x_true")


def test_a_loss_that_overflows_changes_nothing():
    """Its square does not fit into single precision, though the gradient does."""
    net, optimizer = network()
    before = state_of(net, optimizer)
    y_target = _in(32, make(1).y_target) * 1e25
    with TORCH, pytest.raises(NonFiniteError, match=r"overflows|NaN or infinity"):
        sip_update_weights(net, optimizer, Same(), y_target)
    assert_same(state_of(net, optimizer), before)


def test_a_best_state_that_is_asked_for_later(begun):
    go(begun, keep_best="x_l2", validate_every=1)
    net, optimizer = network()
    best = restore_best(begun, net, optimizer, "x_l2")
    assert best.step in {record.step for record in read_run(begun).validations}


def test_run_json_says_what_the_run_is(begun):
    info = json.loads((begun / "run.json").read_text())
    manifest = CheckpointStore(begun / "checkpoints").newest()[1]
    assert manifest.content["run"]["id"] == info["id"]
    assert (info["optimizer"], info["precision"], info["saved"], info["ended"]) == ("Adam", 32, 4, "all steps are done")


# What is sealed, and what may have been edited


def edit(folder: Path, change: Any) -> None:
    info = json.loads((folder / "run.json").read_text())
    change(info)
    (folder / "run.json").write_text(json.dumps(info))


def test_the_sealed_checkpoint_wins_over_files_that_were_edited(tmp_path):
    """Also when all of them say the same, and when what they say is of another type."""
    before = read_experiment(None, [{"experiment": {"framework": "torch"}}])
    now = read_experiment(None, [{"experiment": {"framework": "torch"}, "physics": {"parameters": {"time": 2.0}}}])
    go(tmp_path, steps=2, made_by=made_by(before))
    physics = HeatEquation(1.0, 2.0, 1e-4, EmpiricalBayes())

    def other(info: Any) -> None:
        info["made_by"] = made_by(now)
        info["physics"]["parameters"]["time"] = 2.0

    edit(tmp_path, other)
    for remedy in (lambda info: None, lambda info: info.update(made_by="x")):
        edit(tmp_path, remedy)
        with pytest.raises(ConfigurationError, match=r"- physics.parameters.time: 8.0 there, 2.0 here"):
            go_on(now, tmp_path, False, False)
    edit(tmp_path, other)
    with pytest.raises(RunFolderError, match=r"another physics: parameters.time: 1.0 there, 2.0 here"):
        go(tmp_path, physics=physics, made_by=made_by(now))


def test_a_manifest_that_was_edited_too_is_not_believed(begun):
    path = begun / "checkpoints" / "step-00000004" / "manifest.json"
    path.write_text(path.read_text().replace('"time": 1.0', '"time": 2.0'))
    assert known_of(begun)["physics"]["parameters"]["time"] == 1.0
    with (
        pytest.warns(CheckpointWarning, match="damaged"),
        pytest.raises(RunFolderError, match=r"time: 1.0 there, 2.0 here"),
    ):
        go(begun, physics=HeatEquation(1.0, 2.0, 1e-4, EmpiricalBayes()))


def test_a_setting_that_was_changed_holds_after_a_kill_before_the_next_checkpoint(begun):
    """`run.json` says the new one already, the optimizer in the checkpoint is the old one."""
    edit(begun, lambda info: info["settings"].update(lr=5e-3))
    net, _ = network()
    with pytest.warns(TrainingWarning, match="settings.lr: 0.001 there, 0.005 here"):
        record = go(begun, net, torch.optim.Adam(net.parameters(), 5e-3))
    assert [step.learning_rate for step in record.steps] == [1e-3] * 4 + [5e-3] * 2


@pytest.mark.parametrize("text", ["{", "[]", '{"made_by": "x"}', '{"saved": "4"}', '{"id": 3}'])
def test_run_json_that_is_damaged_is_written_anew(text, begun):
    (begun / "run.json").write_text(text)
    with pytest.raises(RecordError, match=r"run.json cannot be read.*remove it and go on"):
        read_run(begun)
    with pytest.warns(TrainingWarning, match="It is written anew from what the newest checkpoint says"):
        assert go(begun).last_step == 6
    assert read_run(begun).info["saved"] == 6


def test_the_best_state_of_another_run_or_step_is_refused(begun, tmp_path):
    go(begun, keep_best="x_l2", validate_every=1)
    best = read_run(begun).best("x_l2", 4).step
    go(tmp_path / "other", steps=best)
    place, other = (folder / "checkpoints" / f"step-{best:08d}" for folder in (begun, tmp_path / "other"))
    net, optimizer = network()
    before = state_of(net, optimizer)
    for source, message in ((other, "another run"), (begun / "checkpoints" / "step-00000004", "but of step 4")):
        shutil.rmtree(place)
        shutil.copytree(source, place)
        with pytest.raises(CheckpointError, match=message):
            restore_best(begun, net, optimizer, "x_l2")
    assert_same(state_of(net, optimizer), before)


def test_records_count_by_their_steps(begun):
    """Not by the order of their lines; of those that are lost the checkpoint knows."""
    lines = (begun / "records.jsonl").read_text().splitlines(keepends=True)
    (begun / "records.jsonl").write_text("".join(reversed(lines)))
    run = read_run(begun)
    assert [record.step for record in run.steps] == [1, 2, 3, 4] == list(range(1, run.last_step + 1))
    assert [record.step for record in run.validations] == [3, 4]
    (begun / "records.jsonl").write_text(lines[0])
    assert (read_run(begun).last_step, read_run(begun).up_to(2).last_step) == (4, 2)
    with pytest.warns(TrainingWarning, match="lacks 3 of the 4 steps"):
        assert go(begun, steps=4).last_step == 4


# What can be known before the first step


def _cut(state: Any, **size: slice) -> Any:
    return state[size]


WRONG_VALIDATION = {
    "other samples": (lambda y, x: (y, _cut(x, batch=slice(0, 1))), ParameterError, "'batch' has two sizes"),
    "NaN in y*": (lambda y, x: (y * float("nan"), x), NonFiniteError, r"y\* of the validation holds NaN"),
    "NaN in x": (lambda y, x: (y, x * float("inf")), NonFiniteError, "x_true of the validation holds NaN"),
    "no sample": (lambda y, x: (_cut(y, batch=slice(0, 0)), None), ParameterError, "without any values"),
    "other cells": (
        lambda y, x: (y, periodic(np.ones((2, 4, 4)))),
        TrainingError,
        "Step 1 failed: GridMismatchError: x_true of the validation.*Nothing has been saved",
    ),
}


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG_VALIDATION.values(), ids=list(WRONG_VALIDATION))
def test_a_wrong_validation_is_refused_before_the_first_step(wrong, error, message, tmp_path):
    net, optimizer = network()
    before = state_of(net, optimizer)
    with pytest.raises(error, match=message):
        go(tmp_path / "run", net, optimizer, validation=[make(1), Batch(*wrong(*make(999)))])
    assert_same(state_of(net, optimizer), before)
    assert is_free(tmp_path / "run")


def test_an_empty_batch_is_refused(tmp_path):
    empty = make(1).y_target[{"batch": slice(0, 0)}]
    with pytest.raises(TrainingError, match=r"Step 2 failed: ParameterError: data\(step\) yielded .* without any val"):
        go(tmp_path, data=lambda step: iter([make(1), empty][step - 1 :]))


@pytest.mark.parametrize(
    "wrong", [Path("a"), np.ones(2), object(), np.int64(1), {(1, 2): 3}], ids=lambda w: type(w).__name__
)
def test_what_cannot_be_kept_with_a_run_is_refused(wrong, tmp_path):
    with pytest.raises(ParameterError, match=r"made_by\['mine'\] cannot be kept in a file: .* Give plain data"):
        go(tmp_path / "run", made_by={"seed": 0, "mine": wrong})
    with pytest.raises(ParameterError, match="made_by is a "):
        go(tmp_path / "run", made_by=[wrong])
    assert not (tmp_path / "run").exists()


def test_nan_is_no_difference():
    nan = float("nan")
    assert not list(differences({"a": nan, "b": [1, nan]}, {"a": nan, "b": [1, nan]}))
    assert [key for key, *_ in differences({"a": nan, "b": [1, nan], "c": 1}, {"a": 1.0, "b": [2, nan], "c": 1.0})] == [
        "a",
        "b",
    ]


# What is told


def test_each_callback_is_told_of_a_checkpoint_once(tmp_path):
    told: list[Any] = []

    def telling(name: str) -> Callback:
        def on_checkpoint(self, step):
            told.append((name, step))
            if (name, step) == ("b", 4):
                raise ValueError("mine.")

        return callback(on_checkpoint=on_checkpoint)

    with pytest.raises(TrainingError, match=r"ValueError: mine\. The state after step 4 is saved") as error:
        go(tmp_path, callbacks=[telling(name) for name in "abc"])
    assert told == [(name, step) for step in (2, 4) for name in "abc"]
    assert ".." not in str(error.value)


def test_the_name_of_an_optimizer_has_no_case():
    named = [read_experiment(None, [{"optimizer": {"name": name}}]) for name in ("Adam", "adam", "sgd")]
    check_goes_on("run", made_by(named[0]), named[1])
    with pytest.raises(ConfigurationError, match=r'optimizer.name: "Adam" there, "sgd" here'):
        check_goes_on("run", made_by(named[0]), named[2])


@pytest.mark.parametrize("schedule", [None, {"name": "StepLR", "arguments": {"steps": 3}}])
def test_an_optimizer_that_refuses_its_arguments_names_them(schedule):
    tables = {"arguments": {} if schedule else {"decay": 0.5}, "schedule": schedule}
    spec = read_experiment(None, [{"optimizer": tables}]).optimizer
    with pytest.raises(ParameterError, match=r"does not take .*(decay = 0.5|steps = 3)") as error:
        made_by_name(training_framework("torch"), network()[0], spec)
    assert " object at 0x" not in str(error.value)
    assert "Parameter Group" not in str(error.value)


def test_messages_end_with_one_full_stop(capsys):
    assert [sentence(text) for text in ("a", "a.", "a?", ValueError("a. "))] == ["a.", "a.", "a?", "a."]
    with pytest.raises(TrainingError):
        go(None, data=data_that(ValueError("gone."))["data"], progress=True)
    told = "".join(capsys.readouterr())
    assert "Ended after step 3: ValueError: gone. Nothing is saved, as no folder was given.\n" in told
