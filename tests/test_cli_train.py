"""`phi-sip train` to `invert`, as a newcomer goes: each command as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phi_sip.training.lock import locked

pytestmark = pytest.mark.slow
SMALL = [
    *("--framework", "torch", "--set", "data.resolution=[16, 16]", "--set", "data.batch_size=4"),
    *("--set", "data.validation=4", "--set", "training.validate_every=2", "--set", "training.checkpoint_every=2"),
    *("--set", "network.arguments.levels=2", "--set", "network.arguments.filters=4"),
    *("--set", "physics.parameters.time=1.0", "--set", "physics.parameters.regularization.type=EmpiricalBayes"),
]
MAIN = [sys.executable, "-c", "from phi_sip.cli import main; main()"]


def phi_sip(*arguments: object, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*MAIN, *map(str, arguments)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_from_train_to_states(tmp_path):
    done = phi_sip("train", *SMALL, "--steps", 4, "--tensorboard", folder=tmp_path)
    assert "Report: runs/heat/report.html" in done.stdout
    run = tmp_path / "runs" / "heat"
    found = {path.name for path in run.iterdir()}
    assert found >= {"experiment.toml", "run.json", "records.jsonl", "steps.csv", "samples.npz", "report.html", "model"}
    assert json.loads((run / "run.json").read_text())["physics"]["parameters"]["time"] == 1.0
    before = (run / "experiment.toml").read_text()
    with locked(run):
        refused = phi_sip("resume", "runs/heat", "--steps", 9, folder=tmp_path, code=1)
    assert "Another training is running" in refused.stderr
    assert (run / "experiment.toml").read_text() == before
    phi_sip("resume", "runs/heat", "--steps", 6, folder=tmp_path)
    assert "steps = 6\n" in (run / "experiment.toml").read_text()
    phi_sip("train", *SMALL, "--steps", 6, "--set", "training.solver=gradient", "-o", "runs/dp", folder=tmp_path)
    rows = json.loads(phi_sip("compare", "runs/heat", "runs/dp", "--json", folder=tmp_path).stdout)
    assert [(row["name"], row["steps"]) for row in rows] == [("heat", 6), ("dp", 6)]
    assert "÷ first" in phi_sip("compare", "runs/heat", "runs/dp", folder=tmp_path).stdout
    phi_sip("report", "runs/heat", "runs/dp", "-o", "both.html", folder=tmp_path)
    assert "heat against dp" in (tmp_path / "both.html").read_text()
    with np.load(run / "samples.npz") as samples:
        np.save(tmp_path / "y.npy", samples["y_target"])
    assert "4 states" in phi_sip("invert", "runs/heat/model", "y.npy", "-o", "x.nc", folder=tmp_path).stdout


def test_a_network_that_adds_to_the_inverse(tmp_path):
    """Its inputs and targets come from the file, are kept with the trained inverse, and are used on files."""
    file = Path(__file__).parents[1] / "examples" / "experiments" / "heat_beyond_the_inverse.toml"
    small = [argument for argument in SMALL if "regularization" not in argument]
    unguarded = ("--set", "training.guard=false")
    phi_sip("train", file, *small[:-1], *unguarded, "--steps", 4, "-o", "runs/beyond", folder=tmp_path)
    run = tmp_path / "runs" / "beyond"
    info = json.loads((run / "run.json").read_text())
    assert [item["type"] for item in info["inputs"]] == ["Observation", "Estimate", "LinearEstimate"]
    assert info["plan"]["targets"] == {"type": "SelfSimulated"}
    assert info["plan"]["teacher"] == {"decay": 0.99}
    phi_sip("resume", "runs/beyond", "--steps", 6, folder=tmp_path)
    with np.load(run / "samples.npz") as samples:
        np.save(tmp_path / "y.npy", samples["y_target"])
        expected = samples["x"]
    phi_sip("invert", "runs/beyond/model", "y.npy", "-o", "x.npy", "--precision", 32, folder=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), expected, atol=1e-5)


def test_one_dimensional_states(tmp_path):
    """Figures have curves in place of images; files tell which dim is which by their rank."""
    one = [
        "--set",
        "data.resolution=[32]",
        "--set",
        "network.arguments.in_spatial=1",
        "--set",
        "training.keep_best=x_l2",
    ]
    done = phi_sip("train", *SMALL, *one, "--steps", 4, "-o", "run", folder=tmp_path)
    assert "the best" in done.stdout
    run = tmp_path / "run"
    assert {path.stem for path in (run / "figures").iterdir()} >= {"curves", "reconstructions", "spectra", "damping"}
    with np.load(run / "samples.npz") as samples:
        np.savez(tmp_path / "y.npz", y=samples["y_target"])
    assert "4 states" in phi_sip("invert", "run/model", "y.npz", "-o", "x.npz", folder=tmp_path).stdout
    with np.load(tmp_path / "x.npz") as states:
        assert states["state"].shape == states["uncertainty"].shape == (4, 32)


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_an_interrupted_run_goes_on(number, code, word, tmp_path):
    begun = subprocess.Popen(
        [*MAIN, "train", *SMALL, "--steps", "100000", "--set", "training.validate_every=1", "-o", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    while "validation" not in (line := begun.stdout.readline()):
        assert line, begun.stderr.read()
    begun.send_signal(number)
    out, err = begun.communicate(timeout=120)
    assert begun.returncode == code, out + err
    assert word in err
    assert "is saved in run" in out
    done = json.loads((tmp_path / "run" / "records.jsonl").read_text().splitlines()[-1])["step"]
    phi_sip("resume", "run", "--steps", done + 2, folder=tmp_path)
    assert json.loads((tmp_path / "run" / "records.jsonl").read_text().splitlines()[-1])["step"] == done + 2


def test_what_is_wrong_is_said_before_anything_begins(tmp_path):
    (tmp_path / "a.toml").write_text("[training]\nstepz = 5\n")
    assert "Did you mean training.steps?" in phi_sip("train", "a.toml", folder=tmp_path, code=2).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    assert "is there already" in phi_sip("train", "-o", "full", folder=tmp_path, code=1).stderr
    assert "has no experiment.toml" in phi_sip("resume", "full", folder=tmp_path, code=1).stderr
    assert "not the folder of a run" in phi_sip("report", "full", folder=tmp_path, code=1).stderr
    assert "has no manifest.json" in phi_sip("invert", "full", "y.npy", "-o", "x.npy", folder=tmp_path, code=1).stderr
    assert not (tmp_path / "runs").exists()
