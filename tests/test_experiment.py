"""Experiment files: what they may say, how mistakes are named, and that they are what they say when they are built."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phiml import math
from phiml.backend import default_backend, set_global_default_backend

from phi_sip import HeatEquation, TotalVariation
from phi_sip.errors import ConfigurationError, ParameterError, SipError, UnknownNameError, UnsupportedError
from phi_sip.experiment import Experiment, build, read_experiment, write_experiment
from phi_sip.experiment.reading import assignments
from phi_sip.files import GridArray
from phi_sip.training import EarlyStopping, Target, WallTime

EXAMPLES = sorted((Path(__file__).parent.parent / "examples" / "experiments").glob("*.toml"))
SMALL = {
    "data": {"resolution": [16, 16], "batch_size": 4, "validation": 5},
    "network": {"arguments": {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 4}},
}


@pytest.fixture(autouse=True)
def _default_backend():
    """Experiments change it for the whole process."""
    before = default_backend()
    yield
    set_global_default_backend(before)


def on(framework: str, **tables):
    return read_experiment(None, [SMALL, {"experiment": {"framework": framework}}, tables])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_read_and_written(path, tmp_path):
    experiment = read_experiment(path)
    write_experiment(experiment, tmp_path / "again.toml")
    assert read_experiment(tmp_path / "again.toml") == experiment


def test_nothing_said_is_the_default():
    assert read_experiment() == Experiment()


def test_the_last_override_is_on_top(tmp_path):
    (tmp_path / "a.toml").write_text("[training]\nsteps = 1\nkeep = 7\n[data]\nresolution = [8, 8]\n")
    experiment = read_experiment(
        tmp_path / "a.toml", [{"training": {"steps": 2}}, assignments(["training.steps=3", "data.kind = smooth"])]
    )
    assert (experiment.training.steps, experiment.training.keep) == (3, 7)
    assert (experiment.data.kind, experiment.data.resolution) == (" smooth", [8, 8])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trainig]", r"trainig is not known. Did you mean training\?"),
        ("[training]\nstep = 1", r"training.step is not known. Did you mean training.steps\?"),
        ("[training.stop]\nsecond = 1.0", r"training.stop.second is not known. Did you mean training.stop.seconds\?"),
        ("[optimizer.schedule]\nname = 'x'\nargs = {}", "optimizer.schedule.args is not known"),
        ("[training]\nsteps = 0", "training.steps = 0: input should be greater than or equal to 1"),
        ("[training]\nsteps = '5'", "training.steps = '5': input should be a valid integer"),
        ("[experiment]\nframework = 'keras'", "experiment.framework = 'keras': input should be 'tensorflow'"),
        ("[data]\nnoise_std = nan", "data.noise_std = nan: input should be"),
        ("[data]\nnoise_std = -1.0", "data.noise_std = -1.0: input should be greater"),
        ("[data]\nresolution = [4, 4, 4, 4]", "data.resolution = .*at most 3"),
        ("training = 5", "training = 5: input should be a valid dictionary"),
        ("[training", "is not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_experiment(tmp_path / "a.toml")


def test_all_mistakes_are_named_at_once(tmp_path):
    (tmp_path / "a.toml").write_text("[training]\nsteps = 0\nkep = 1\n[physic]")
    with pytest.raises(ConfigurationError) as error:
        read_experiment(tmp_path / "a.toml")
    assert str(error.value).count("\n- ") == 3


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_experiment(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read_experiment(tmp_path / "b.toml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_experiment(tmp_path)


@pytest.mark.parametrize("text", ["steps", "=5", "training..steps=5", "a b=5"])
def test_assignments_that_set_nothing(text):
    with pytest.raises(ConfigurationError, match="sets nothing"):
        assignments([text])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
KEYS = st.sampled_from([*Experiment.model_fields, "steps", "stop", "resolution", "arguments", "schedule", "name"])
KEYS |= st.text(max_size=5)


@given(st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=20))
def test_any_tables_are_an_experiment_or_an_error_that_says_why(tables):
    with contextlib.suppress(ConfigurationError):
        assert isinstance(read_experiment(None, [tables if isinstance(tables, dict) else {"data": tables}]), Experiment)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_an_experiment_or_an_error_that_says_why(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigurationError):
        assert isinstance(read_experiment(path), Experiment)


@given(st.lists(st.text(max_size=30) | st.builds("{}={}".format, st.text(max_size=9), st.text(max_size=9)), max_size=3))
def test_any_assignments_are_tables_or_an_error(texts):
    with contextlib.suppress(ConfigurationError):
        assert isinstance(assignments(texts), dict)


def test_a_broken_file_of_many_brackets():
    with pytest.raises(ConfigurationError):
        assignments(["a=" + "[" * 10_000]) and read_experiment(None, [assignments(["a=" + "[" * 10_000])])


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("name", ["tensorflow", "torch", "jax"])
def test_it_builds_and_trains_on_every_framework(name):
    schedules = {
        "tensorflow": {"name": "CosineDecay", "arguments": {"initial_learning_rate": 2e-3, "decay_steps": 9}},
        "torch": {"name": "StepLR", "arguments": {"step_size": 1, "gamma": 0.5}},
        "jax": {"name": "cosine_decay_schedule", "arguments": {"init_value": 2e-3, "decay_steps": 9}},
    }
    built = build(
        on(
            name,
            physics={"parameters": {"time": 1.0, "regularization": {"type": "EmpiricalBayes"}}},
            optimizer={"schedule": schedules[name]},
            training={"steps": 2, "stop": {"patience": 3}},
        )
    )
    assert isinstance(built.physics, HeatEquation)
    record = built.train(None, progress=False)
    assert record.last_step == 2
    assert len(record.validations) == 1


def test_data_are_the_same_on_every_framework_and_the_held_out_ones_others():
    batches = []
    for name in ("tensorflow", "torch", "jax"):
        built = build(on(name, data={"noise_std": 0.1}))
        with math.precision(64):
            first, second = (next(iter(built.data(step))) for step in (1, 2))
        batches.append([field.values.numpy("batch,x,y") for field in (*first, *second, *built.validation)])
    for other in batches[1:]:
        for a, b in zip(batches[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    y, x, second_y, *_, held_out_x = batches[0]
    assert x.shape == (4, 16, 16)
    assert held_out_x.shape == (5, 16, 16)
    assert not np.allclose(y, second_y)
    assert not np.allclose(x, held_out_x[:4])
    residual = y - HeatEquation(1.0, 8.0).forward(built.validation.x_true.with_values(0)).values.numpy("batch,x,y")[:4]
    assert (residual - residual.mean()).std() > 0.05


def test_data_from_files(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"y{i}.npy", np.full((4, 16, 16), i + 1.0))
    known = {"size": {"x": 16.0, "y": 8.0}, "boundary": "x=periodic,y=zero-gradient"}
    kind = {"kind": "stored", "arguments": {"observations": str(tmp_path / "y*.npy"), **known}}
    built = build(on("torch", data=kind))
    assert next(iter(built.data(1))).x_true is None
    assert built.validation.y_target.shape.get_size("batch") == 5
    assert GridArray.of_field(built.validation.y_target).boundary == known["boundary"]
    math.assert_close(built.validation.y_target.dx, math.vec(x=1.0, y=0.5))
    with pytest.raises(ParameterError, match="the noise that they have"):
        build(on("torch", data={**kind, "noise_std": 0.1}))
    with pytest.raises(ParameterError, match="do not fit 'stored'"):
        build(on("torch", data={"kind": "stored", "arguments": {"obs": "a"}}))


def no_network(**_):
    """Returns nothing."""


def other_network(**_):
    return ["layers"]


def own_data(physics, batch_size, seed, offset=0.0):
    def of_step(step):
        return physics, batch_size, seed, step, offset

    return of_step


def test_data_of_ones_own():
    built = build(on("torch", data={"kind": f"{__name__}:own_data", "arguments": {"offset": 2.0}}))
    assert next(iter(built.data(7))).y_target == (built.physics, 4, 0, 7, 2.0)


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"physics": {"name": "heet"}}, UnknownNameError, "Did you mean 'heat'"),
        ({"physics": {"parameters": {"diffusivity": -1.0}}}, ParameterError, "diffusivity"),
        ({"physics": {"parameters": {"regularization": {"type": "TV"}}}}, UnknownNameError, "'TV'"),
        ({"network": {"name": "unet"}}, UnknownNameError, "Did you mean 'u_net'"),
        ({"optimizer": {"name": "addam"}}, UnknownNameError, "Did you mean 'Adam'"),
        ({"optimizer": {"arguments": {"beta": 1}}}, ParameterError, "does not take"),
        ({"optimizer": {"schedule": {"name": "Cosine"}}}, UnknownNameError, "no schedule 'Cosine'"),
        ({"data": {"kind": "squares"}}, UnknownNameError, "must be one of rectangles"),
        ({"data": {"kind": "nowhere:f"}}, UnknownNameError, "no module 'nowhere'"),
        ({"data": {"arguments": {"size": 1}}}, ParameterError, "do not fit 'rectangles'"),
        ({"optimizer": {"arguments": {"lr": 0.1}}}, ParameterError, "the learning rate is optimizer.learning_rate"),
        ({"optimizer": {"arguments": {"learning_rate": 0.1}}}, ParameterError, "is optimizer.learning_rate"),
        ({"optimizer": {"arguments": {"params": []}}}, ParameterError, "the weights are those of"),
        (
            {"optimizer": {"schedule": {"name": "ConstantLR", "arguments": {"optimizer": 1}}}},
            ParameterError,
            r"optimizer\.schedule\.arguments\.optimizer = 1 is not said here",
        ),
        ({"data": {"kind": f"{__name__}:own_data", "arguments": {"seed": 1}}}, ParameterError, "is experiment.seed"),
        ({"data": {"kind": "stored", "arguments": {"batch_size": 1}}}, ParameterError, "it is data.batch_size"),
        ({"network": {"name": f"{__name__}:no_network"}}, UnsupportedError, "returns None"),
        (
            {"network": {"name": f"{__name__}:other_network"}},
            UnsupportedError,
            "made a list, which is no network of torch",
        ),
    ],
)
def test_what_cannot_be_built_is_named(tables, error, message):
    with pytest.raises(error, match=message):
        build(on("torch", **tables))
    assert issubclass(error, SipError)


def test_rules_of_the_file():
    from phi_sip.experiment.building import stopping_rules

    stop = on("torch", training={"stop": {"x_l2": 5.0, "seconds": 60.0, "patience": 4}}).training.stop
    assert stopping_rules(stop) == [Target("x_l2", 5.0), WallTime(60.0), EarlyStopping(patience=4)]


def test_a_rule_of_the_file_is_the_rule():
    physics = build(
        on("torch", physics={"parameters": {"regularization": {"type": "TotalVariation", "minimum": 0.0}}})
    ).physics
    assert physics.regularization == TotalVariation(minimum=0.0)
