"""Files from elsewhere are data: code that pickle would run is not run, whoever has sealed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fields import periodic
from training_runs import PHYSICS, ROWS, run

from phi_sip.descriptions.networks import NetworkSpec
from phi_sip.errors import CheckpointError, FileError, RecordError
from phi_sip.files import read_grid
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.reporting import compare, write_report
from phi_sip.training.checkpoints.manifest import read_manifest, write_manifest

TORCH = ROWS["torch"]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> Any:
        return Path.touch, (self._proof,)


def test_the_payload_works(tmp_path):
    torch.save(Payload(tmp_path / "proof"), tmp_path / "a.pt")
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert (tmp_path / "proof").exists()


def test_checkpoints(tmp_path):
    run(TORCH, tmp_path / "run", steps=2)
    place = tmp_path / "run" / "checkpoints" / "step-00000002"
    before = read_manifest(place)
    torch.save({"modules": Payload(tmp_path / "proof")}, place / "state.pt")
    (place / "manifest.json").unlink()
    write_manifest(place, before.step, before.framework, before.content)
    with pytest.raises(CheckpointError, match="cannot be restored"):
        run(TORCH, tmp_path / "run", steps=3)
    assert not (tmp_path / "proof").exists()


def test_trained_inverses(tmp_path):
    spec = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 4})
    with TORCH.backend:
        folder = save_inverse(tmp_path / "model", spec.build(), PHYSICS, spec, periodic(np.ones((1, 8, 8))))
    before = read_manifest(folder)
    torch.save(Payload(tmp_path / "proof"), folder / "weights.pt")
    (folder / "manifest.json").unlink()
    write_manifest(folder, before.step, before.framework, before.content)
    with pytest.raises(CheckpointError, match="do not fit the network"):
        load_inverse(folder)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays(suffix, tmp_path):
    values = np.array([[Payload(tmp_path / "proof")]], dtype=object)
    (np.save if suffix == ".npy" else np.savez)(tmp_path / f"a{suffix}", values)
    with pytest.raises(FileError, match="allow_pickle"):
        read_grid(tmp_path / f"a{suffix}")
    assert not (tmp_path / "proof").exists()


def test_samples_of_a_run(tmp_path):
    run(TORCH, tmp_path / "run", steps=1)
    np.savez(tmp_path / "run" / "samples.npz", x=np.array([Payload(tmp_path / "proof")], dtype=object))
    for read in (lambda: compare([tmp_path / "run"]), lambda: write_report([tmp_path / "run"], tmp_path / "a.html")):
        with pytest.raises(RecordError, match="allow_pickle"):
            read()
    assert not (tmp_path / "proof").exists()
