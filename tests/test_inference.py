"""Trained inverses in folders: loaded elsewhere they predict the same, and damaged ones are refused."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys

import earlier_weights
import frameworks
import keras
import numpy as np
import pytest
import torch
import xarray
from fields import array, periodic, smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import CenteredGrid
from phi.geom import Box
from phiml import math
from phiml.math import extrapolation, spatial
from typer.testing import CliRunner

from phi_sip import (
    DifferentiablePhysics,
    EmpiricalBayes,
    HeatEquation,
    NetworkSpec,
    ProbabilisticDamping,
    UnsupportedError,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.cli.app import app
from phi_sip.cli.exit_codes import ExitCode
from phi_sip.errors import (
    CheckpointError,
    FileError,
    GridMismatchError,
    NetworkOutputError,
    NonFiniteError,
    ParameterError,
)
from phi_sip.files import GridArray, read_grid, write_grids
from phi_sip.inference import invert_file, load_inverse, save_inverse
from phi_sip.training.checkpoints.manifest import write_manifest

PHYSICS = HeatEquation(1.0, 1.0, 1e-4, ProbabilisticDamping())
SPEC = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 4})
TORCH = frameworks.TABLE[1]


def observations(samples: int = 3, n: int = 16):
    with math.precision(64):
        return PHYSICS.forward(periodic(1 + smooth(np.random.default_rng(0), samples, n, n)))


def saved(framework, folder):
    framework.seed(1)
    with framework.backend:
        net = SPEC.build()
    return save_inverse(folder, net, PHYSICS, SPEC), net


def written(path, y):
    with math.precision(64):
        write_grids(path, {"observation": GridArray.of_field(y)})
    return path


@pytest.fixture
def torch_model(tmp_path):
    with TORCH.backend:
        return saved(TORCH, tmp_path / "model")[0]


@pytest.mark.slow_on("tensorflow", "jax")
def test_another_process_predicts_the_same_to_the_bit(framework, tmp_path):
    """Weights, and the statistics of batches that have been seen in training."""
    y = observations()
    framework.seed(1)
    net = SPEC.build()
    sip_update_weights(net, framework.adam(net, 0.1), PHYSICS, y)
    folder = save_inverse(tmp_path / "model", net, PHYSICS, SPEC, y)
    inverse = load_inverse(folder)
    assert inverse.physics == PHYSICS
    x = inverse.predict(y)
    misfits = ((array(PHYSICS.forward(x)) - array(y)) ** 2).mean((1, 2))
    expected = {"median": np.median(misfits), "high": np.quantile(misfits, 0.95)}
    assert inverse.misfit.describe() == pytest.approx(expected, rel=1e-4)
    assert x.values.dtype.precision == 64
    np.testing.assert_allclose(array(x).mean((1, 2)), array(y).mean((1, 2)))  # what the physics says exactly
    code = (
        "import sys\nfrom phi_sip.inference import invert_file, load_inverse\n"
        "invert_file(load_inverse(sys.argv[1]), sys.argv[2], sys.argv[3])\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(written(tmp_path / "y.npz", y)), str(tmp_path / "x.npz")]
    subprocess.run(command, check=True, capture_output=True)
    with math.precision(64):  # to which PhiML rounds what is read
        values = array(x)
    np.testing.assert_array_equal(read_grid(tmp_path / "x.npz", "state").values, values)
    uncertainty = read_grid(tmp_path / "x.npz", "uncertainty").values
    np.testing.assert_allclose(uncertainty, array(inverse.invert(y).uncertainty), rtol=1e-6)


def test_folders_of_earlier_versions_load(framework, tmp_path):
    """Weights in NumPy's, Keras' and PyTorch's own formats."""
    folder, y = saved(framework, tmp_path / "model")[0], observations()
    before = array(load_inverse(folder).predict(y))
    assert [path.name for path in folder.iterdir() if path.suffix != ".json"] == ["weights.safetensors"]
    earlier_weights.rewritten(framework, folder, SPEC)
    assert not (folder / "weights.safetensors").exists()
    np.testing.assert_array_equal(array(load_inverse(folder).predict(y)), before)


def test_layers_of_keras_that_keep_numbers_made_of_their_weights(tmp_path):
    module = importlib.import_module("phi_sip.frameworks.tensorflow.weights")
    layers = [[keras.layers.Normalization(), keras.layers.Dense(2)] for _ in range(2)]
    saved_net, loaded = (keras.Sequential([keras.Input((3,)), *both]) for both in layers)
    values = np.random.default_rng(0).normal(5, 3, size=(8, 3)).astype(np.float32)
    layers[0][0].adapt(values)
    module.save(saved_net, tmp_path)
    module.load(loaded, tmp_path)
    np.testing.assert_array_equal(loaded(values).numpy(), saved_net(values).numpy())


def test_layers_of_keras_that_save_more_than_their_variables(tmp_path):
    class Counting(keras.layers.Layer):
        calls = 0

        def save_own_variables(self, store):
            super().save_own_variables(store)
            store["calls"] = np.asarray(self.calls)

        def load_own_variables(self, store):
            self.calls = int(store["calls"][()])
            super().load_own_variables({name: store[name] for name in store if name != "calls"})

        def call(self, inputs):
            return inputs * float(self.calls)

    module = importlib.import_module("phi_sip.frameworks.tensorflow.weights")
    nets = [keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Counting()]) for _ in range(2)]
    nets[0].layers[1].calls = 7
    module.save(nets[0], tmp_path)
    module.load(nets[1], tmp_path)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(nets[0](x).numpy(), nets[1](x).numpy())


@pytest.mark.parametrize("kind", ["complex32", "sparse"])
def test_what_has_no_form_in_a_file_of_weights_is_named(kind, tmp_path):
    net = torch.nn.Linear(2, 2)
    tables = {"complex32": torch.zeros(2, dtype=torch.complex32), "sparse": torch.eye(2).to_sparse()}
    net.register_buffer("table", tables[kind])
    module = importlib.import_module("phi_sip.frameworks.torch.weights")
    with pytest.raises(UnsupportedError, match="table of the network"):
        module.save(net, tmp_path)
    assert not list(tmp_path.iterdir())


def test_formats_to_come_are_refused(torch_model):
    content = json.loads((torch_model / "manifest.json").read_text())["manifest"]["content"]
    assert content["format"] == 2
    (torch_model / "manifest.json").unlink()
    write_manifest(torch_model, 0, "torch", {**content, "format": 5})
    with pytest.raises(CheckpointError, match="has format 5, but this version of phi_sip reads formats up to 4"):
        load_inverse(torch_model)


@pytest.mark.parametrize("framework", frameworks.TABLE[:2], ids=lambda row: row.name)
def test_an_answer_does_not_depend_on_what_else_is_asked(framework, tmp_path):
    """But on JAX, where PhiML's networks keep no statistics of batches."""
    inverse = load_inverse(saved(framework, tmp_path / "model")[0])
    y = observations()
    alone = inverse.predict(y.batch[:1])
    np.testing.assert_allclose(array(alone), array(inverse.predict(y))[:1], atol=1e-5)


def test_saving_again_replaces_it(framework, tmp_path):
    folder, _ = saved(framework, tmp_path / "model")
    with framework.backend:
        net = SPEC.build()
    save_inverse(folder, net, PHYSICS, SPEC)
    x = load_inverse(folder).predict(observations())
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    other, _ = saved(framework, tmp_path / "other")
    assert not np.allclose(array(load_inverse(other).predict(observations())), array(x))


@pytest.mark.parametrize("error", [OSError("No space left on device"), RuntimeError("PytorchStreamWriter failed")])
def test_a_failed_saving_leaves_what_was_there(error, torch_model, tmp_path, monkeypatch):
    before = array(load_inverse(torch_model).predict(observations()))

    def full(net, folder):
        (folder / "weights.safetensors").write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(importlib.import_module("phi_sip.frameworks.torch.weights"), "save", full)
    with pytest.raises(CheckpointError, match=f"cannot be written.*{error}"):
        saved(TORCH, torch_model)
    np.testing.assert_array_equal(array(load_inverse(torch_model).predict(observations())), before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(torch_model, tmp_path, monkeypatch):
    before = array(load_inverse(torch_model).predict(observations()))
    rename = os.rename

    def refusing(path, target):
        if path.name.startswith(".new-"):
            raise PermissionError("not allowed")
        return rename(path, target)

    monkeypatch.setattr(os, "rename", refusing)
    with pytest.raises(CheckpointError, match="not allowed"):
        saved(TORCH, torch_model)
    np.testing.assert_array_equal(array(load_inverse(torch_model).predict(observations())), before)


def test_what_a_killed_saving_has_left_behind_does_not_matter(torch_model, tmp_path):
    for name in (".new-model", ".old-model"):
        torch_model.parent.joinpath(name).mkdir()
        torch_model.parent.joinpath(name, "weights.safetensors").write_bytes(b"")
    saved(TORCH, torch_model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_kill_while_replacing_leaves_one_of_them(moment, torch_model, tmp_path, monkeypatch):
    """At the renames that give a name to the new folder beside, take it from the old one, and pass it on."""
    before = array(load_inverse(torch_model).predict(observations()))
    count = iter(range(1, 9))

    def killed(what):
        def rename(*arguments):
            if next(count) == moment:
                raise KeyboardInterrupt
            return what(*arguments)

        return rename

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed(os.rename))
        with pytest.raises(KeyboardInterrupt):
            saved(TORCH, torch_model)
    folder = load_inverse(torch_model)
    np.testing.assert_array_equal(array(folder.predict(observations())), before)
    saved(TORCH, torch_model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_other_cells_than_those_of_the_training_are_refused(torch_model, tmp_path):
    y = observations()
    net = SPEC.build()
    folder = save_inverse(tmp_path / "of a grid", net, PHYSICS, SPEC, y)
    inverse = load_inverse(folder)
    assert inverse.grid.describe() == {"axes": ("x", "y"), "cell_size": (1.0, 1.0), "boundary": "periodic"}
    inverse.predict(observations(n=32))  # more of the same cells
    finer = periodic(array(y), (0.5, 0.5))
    for cells, message in [
        (finer, "have cells of 0.5 × 0.5, but the network was trained on cells of 1 × 1"),
        (CenteredGrid(y.values, extrapolation.ZERO_GRADIENT, bounds=y.bounds), "a zero-gradient boundary"),
        (
            CenteredGrid(math.rename_dims(y.values, "y", spatial("z")), extrapolation.PERIODIC),
            "the axes x, z, but the network was trained on x, y",
        ),
    ]:
        with pytest.raises(GridMismatchError, match=message):
            inverse.predict(cells)
    load_inverse(torch_model).predict(finer)  # saved without a grid
    with pytest.raises(GridMismatchError, match=r"0\.5"):
        invert_file(inverse, written(tmp_path / "finer.npz", finer), tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()


def test_files_without_lengths_get_those_of_the_training(tmp_path):
    physics = HeatEquation(1.0, 0.01, 1e-4, EmpiricalBayes())
    y = observations()
    finer = CenteredGrid(y.values, extrapolation.PERIODIC, bounds=Box(x=1.6, y=1.6))
    with TORCH.backend:
        folder = save_inverse(tmp_path / "model", SPEC.build(), physics, SPEC, finer)
    np.save(tmp_path / "y.npy", array(y))
    xarray.DataArray(array(y), dims=("batch", "x", "y"), name="T").to_netcdf(tmp_path / "y.nc")
    for name in ("y.npy", "y.nc"):
        invert_file(load_inverse(folder), tmp_path / name, tmp_path / "x.npz")
        assert read_grid(tmp_path / "x.npz", "state").cell_size == pytest.approx((0.1, 0.1))
    np.save(tmp_path / "turned.npy", array(y).transpose(0, 2, 1))
    with pytest.raises(GridMismatchError, match="the axes x, z, but"):
        invert_file(load_inverse(folder), tmp_path / "turned.npy", tmp_path / "x.npz", dims=("batch", "x", "z"))


def test_what_neither_files_nor_training_say_is_asked_for(torch_model, tmp_path):
    np.save(tmp_path / "y.npy", array(observations()))
    inverse = load_inverse(torch_model)  # saved without a grid
    for known, message in (({"boundary": "periodic"}, "Give size="), ({"size": 16.0}, "Give boundary=")):
        with pytest.raises(ParameterError, match=message):
            invert_file(inverse, tmp_path / "y.npy", tmp_path / "x.npz", **known)
    assert not (tmp_path / "x.npz").exists()
    command = ["invert", *map(str, (torch_model, tmp_path / "y.npy", "-o", tmp_path / "x.npz"))]
    assert CliRunner().invoke(app, [*command, "--boundary", "periodic"]).exit_code == ExitCode.USAGE
    for size in ("16", "x=16,y=8.0"):
        done = CliRunner().invoke(app, [*command, "--boundary", "x=periodic,y=zero-gradient", "--size", size])
        assert done.exit_code == ExitCode.DONE, done.output
    grid = read_grid(tmp_path / "x.npz", "state")
    assert (grid.cell_size, grid.boundary) == ((1.0, 0.5), "x=periodic,y=zero-gradient")


def test_damaged_and_foreign_folders_are_refused(framework, tmp_path):
    folder, _ = saved(framework, tmp_path / "model")
    with pytest.raises(CheckpointError, match="no manifest"):
        load_inverse(tmp_path)
    weights = next(path for path in folder.iterdir() if path.name != "manifest.json")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=f"{weights.name} is not as it was written"):
        load_inverse(folder)


@given(data=st.data())
@settings(max_examples=40)
def test_any_damage_is_refused_or_harmless(tmp_path_factory, data):
    with TORCH.backend:
        folder, _ = saved(TORCH, tmp_path_factory.getbasetemp() / "damaged")
    whole = array(load_inverse(folder).predict(observations()))
    victim = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(victim.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    victim.write_bytes(bytes(content))
    try:
        found = load_inverse(folder)
    except CheckpointError:
        return
    np.testing.assert_array_equal(array(found.predict(observations())), whole)


def test_folders_of_something_else_are_refused_with_the_reason(torch_model, tmp_path, monkeypatch):
    content = {"physics": {"name": "heat", "parameters": {"diffusivity": 1.0, "time": 1.0}}, "versions": {}}
    for number, (framework, other, message) in enumerate(
        [
            ("torch", {"kind": "checkpoint"}, "no trained inverse"),
            ("theano", {"kind": "trained inverse"}, "'theano', but known are torch, tensorflow, jax"),
            ("torch", {"kind": "trained inverse", "network": SPEC.describe()}, "do not fit the network"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_manifest(folder, 0, framework, {**content, **other})
        with pytest.raises(CheckpointError, match=message):
            load_inverse(folder)
    monkeypatch.setitem(sys.modules, "phi.torch", None)
    with pytest.raises(UnsupportedError, match=r"needs torch.*pip install 'phi-sip\[torch\]'"):
        load_inverse(torch_model)


def test_what_cannot_be_inverted_is_named(framework, tmp_path):
    inverse = load_inverse(saved(framework, tmp_path / "model")[0])
    with pytest.raises(NetworkOutputError, match="multiples of"):
        inverse.predict(observations(n=9))
    with pytest.raises(NonFiniteError, match="y_target"):
        inverse.predict(observations() * float("nan"))
    with pytest.raises(UnsupportedError, match="no plugin registers it"):
        save_inverse(tmp_path / "other", SPEC.build(), DifferentiablePhysics(lambda x: x), SPEC)
    with pytest.raises(UnsupportedError, match="cannot be saved"):
        save_inverse(tmp_path / "other", print, PHYSICS, SPEC)
    assert not (tmp_path / "other").exists()


def test_refined_by_the_inverse_of_the_physics(framework, tmp_path):
    inverse = load_inverse(saved(framework, tmp_path / "model")[0])
    y = observations()
    plain, refined = inverse.invert(y), inverse.invert(y, refine=1)
    np.testing.assert_array_equal(array(plain.x), array(inverse.predict(y)))
    assert float(refined.y_l2.max) < 1e-3 * float(plain.y_l2.min)
    with inverse.backend:
        expected = sip_inverse(PHYSICS, y, plain.x).x_target
    np.testing.assert_allclose(array(refined.x), array(expected), atol=1e-12)
    for wrong in (-1, 0.5):
        with pytest.raises(ParameterError, match="refine"):
            inverse.invert(y, refine=wrong)


def test_files_of_all_formats_and_what_they_say(torch_model, tmp_path):
    inverse = load_inverse(torch_model)
    y = observations()
    about = {"units": {"x": "m"}, "dims": ("x", "y")}
    with math.precision(64):
        grid = GridArray.of_field(y)
    single = GridArray(grid.values[0], lower=grid.lower, upper=grid.upper, boundary="periodic", **about)
    write_grids(tmp_path / "y1.nc", {"observation": single})
    assert invert_file(inverse, tmp_path / "y1.nc", tmp_path / "x1.nc")["samples"] == 1
    assert read_grid(tmp_path / "x1.nc", "state").units == {"x": "m"}
    written(tmp_path / "y.npz", y)
    expected = array(inverse.predict(y))
    for path, variable in (("x.npy", None), ("x.npz", "state"), ("x.nc", "state"), ("x.zarr", "state")):
        done = invert_file(inverse, tmp_path / "y.npz", tmp_path / path, batch_size=2)
        np.testing.assert_allclose(read_grid(tmp_path / path, variable).values, expected, atol=1e-6)
        np.testing.assert_allclose(done["y_l2"], float(inverse.invert(y).y_l2.mean), rtol=1e-4)
    assert read_grid(tmp_path / "x.nc", "uncertainty").boundary == "periodic"
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        assert "HeatEquation" in dataset.attrs["source"]
        assert json.loads(dataset.attrs["physics"])["name"] == "heat"
        weights = hashlib.sha256((torch_model / "weights.safetensors").read_bytes()).hexdigest()
        assert json.loads(dataset.attrs["files"]) == {"weights.safetensors": weights}


def test_what_cannot_be_written_is_said_before_anything_is_computed(torch_model, tmp_path, monkeypatch):
    inverse = load_inverse(torch_model)
    y = written(tmp_path / "y.npz", observations())
    before = y.read_bytes()
    (tmp_path / "x.zarr").mkdir()
    monkeypatch.setattr(type(inverse), "predict", lambda *_: pytest.fail("it was computed"))
    for states, message in (
        ("x.txt", "'.txt' is not known"),
        ("missing/x.npz", "there is no folder"),
        ("x.zarr", "is there already"),
        ("y.npz", "holds the observations"),
    ):
        with pytest.raises(FileError, match=message):
            invert_file(inverse, y, tmp_path / states)
    with pytest.raises(ParameterError, match="precision"):
        invert_file(inverse, y, tmp_path / "x.npz", precision=48)
    assert y.read_bytes() == before
    assert not (tmp_path / "x.npz").exists()


def test_the_command(torch_model, tmp_path):
    def run(*arguments: str):
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["invert", str(torch_model), *map(str, arguments)])

    y = written(tmp_path / "y.npz", observations())
    plain, refined = tmp_path / "plain.npz", tmp_path / "refined.npz"
    done = run(y, "-o", plain, "--batch", 2)
    assert done.exit_code == ExitCode.DONE, done.output
    assert "3 states" in done.output
    assert (
        run(y, "-o", refined, "--refine", 1, "--variable", "observation", "--boundary", "periodic").exit_code
        == ExitCode.DONE
    )
    assert not np.allclose(read_grid(plain, "state").values, read_grid(refined, "state").values)
    for code, message, arguments in (
        (ExitCode.FAULT, "There is no file", (tmp_path / "z.npz", "-o", plain)),
        (ExitCode.FAULT, "no variable 'z'", (y, "-o", plain, "--variable", "z")),
        (ExitCode.USAGE, "precision = 48", (y, "-o", plain, "--precision", 48)),
        (ExitCode.USAGE, "refine", (y, "-o", plain, "--refine", -1)),
        (ExitCode.USAGE, "boundary", (y, "-o", plain, "--boundary", "open")),
    ):
        done = run(*arguments)
        assert done.exit_code == code, done.output
        assert message in done.output
