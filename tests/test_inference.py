"""Trained inverses in folders: loaded elsewhere they predict the same, and damaged ones are refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from fields import array, periodic, smooth
from phiml import math

from phi_sip import DifferentiablePhysics, EmpiricalBayes, HeatEquation, NetworkSpec, UnsupportedError
from phi_sip.errors import CheckpointError, FileError, NetworkOutputError, NonFiniteError
from phi_sip.files import read_grid
from phi_sip.inference import invert_file, load_inverse, save_inverse

PHYSICS = HeatEquation(1.0, 1.0, 1e-4, EmpiricalBayes())
SPEC = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 4, "batch_norm": False})


def observations(samples: int = 3, n: int = 16):
    with math.precision(64):
        return PHYSICS.forward(periodic(1 + smooth(np.random.default_rng(0), samples, n, n)))


def saved(framework, folder):
    framework.seed(1)
    with framework.backend:
        net = SPEC.build()
    return save_inverse(folder, net, PHYSICS, SPEC), net


def test_another_process_predicts_the_same(framework, tmp_path):
    folder, _ = saved(framework, tmp_path / "model")
    inverse = load_inverse(folder)
    assert inverse.physics == PHYSICS
    y = observations()
    with math.precision(64):
        np.save(tmp_path / "y.npy", array(y))
    x = inverse.predict(y)
    assert x.values.dtype.precision == 64
    np.testing.assert_allclose(array(x).mean((1, 2)), array(y).mean((1, 2)))  # what the physics says exactly
    code = (
        "import sys\nfrom phi_sip.inference import invert_file, load_inverse\n"
        "invert_file(load_inverse(sys.argv[1]), sys.argv[2], sys.argv[3], batch_size=2)\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "y.npy"), str(tmp_path / "x.npz")]
    subprocess.run(command, check=True, capture_output=True)
    np.testing.assert_allclose(read_grid(tmp_path / "x.npz", "state").values, array(x), atol=1e-6)
    uncertainty = read_grid(tmp_path / "x.npz", "uncertainty").values
    np.testing.assert_allclose(uncertainty, array(inverse.invert(y).uncertainty), rtol=1e-6)


def test_saving_again_replaces_it(framework, tmp_path):
    folder, _ = saved(framework, tmp_path / "model")
    with framework.backend:
        net = SPEC.build()
    save_inverse(folder, net, PHYSICS, SPEC)
    x = load_inverse(folder).predict(observations())
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    other, _ = saved(framework, tmp_path / "other")
    assert not np.allclose(array(load_inverse(other).predict(observations())), array(x))


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


def test_files_of_all_formats_and_their_errors(tmp_path):
    import frameworks

    inverse = load_inverse(saved(frameworks.TABLE[1], tmp_path / "model")[0])
    y = observations(1)
    with math.precision(64):
        np.save(tmp_path / "y.npy", array(y)[0])
    done = invert_file(inverse, tmp_path / "y.npy", tmp_path / "x.nc", dims=("x", "y"))
    assert done["samples"] == 1
    expected = array(inverse.predict(y))
    for suffix in (".npy", ".zarr"):
        invert_file(inverse, tmp_path / "y.npy", tmp_path / f"x{suffix}", dims=("x", "y"))
    for path, variable in (("x.nc", "state"), ("x.zarr", "state"), ("x.npy", None)):
        np.testing.assert_allclose(read_grid(tmp_path / path, variable).values, expected, atol=1e-6)
    with pytest.raises(FileError, match="is there already"):
        invert_file(inverse, tmp_path / "y.npy", tmp_path / "x.zarr", dims=("x", "y"))
    import xarray

    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        assert "HeatEquation" in dataset.attrs["source"]
        assert json.dumps("heat")[1:-1] in dataset.attrs["physics"]
