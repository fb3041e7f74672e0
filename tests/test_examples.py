"""Examples run as a user runs them, small."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from phi_sip.records import TrainingRecord, load_records, save_records

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent / "examples"
FIGURES = ("x_loss", "y_loss", "reconstructions", "damping")
FLOW_FIGURES = ("velocity", "marker", "errors")
NOISE_FIGURES = ("error_vs_noise", "reconstructions", "training", "uncertainty")


def command(output: Path, *flags: str, script: str = "heat_inversion.py") -> list[str]:
    return [sys.executable, str(EXAMPLES / script), "--output", str(output), *flags]


def check_outputs(output: Path, methods: list[str], steps: int) -> None:
    check_records(output, methods, steps)
    check_figures(output, FIGURES)
    assert (output / "summary.md").read_text().count("\n") == 2 + len(methods) + 1  # the inverse alone


def check_records(output: Path, methods: list[str], steps: int) -> None:
    records = load_records(output / "records.json")
    assert [record.method for record in records] == methods
    for record in records:
        assert len(record.x_l2) == len(record.y_l2) == len(record.seconds) == steps
        assert np.isfinite(record.x_l2).all()


def check_figures(output: Path, names: tuple[str, ...]) -> None:
    for name in names:
        image = matplotlib.image.imread(output / f"{name}.png")
        assert image.shape[0] > 300
        assert image.std() > 0.01, f"{name} is blank"


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_quick_mode(framework, tmp_path):
    flags = ["--quick", "--framework", framework, "--noise", "1e-3", "--supervised"]
    result = subprocess.run(command(tmp_path, *flags), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Mean of the last 10 steps" in result.stdout
    check_outputs(tmp_path, ["SIP", "DP", "supervised"], steps=8)


def test_noise_example(tmp_path):
    flags = ["--quick", "--framework", "torch"]
    result = subprocess.run(command(tmp_path, *flags, script="heat_noise.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check_records(tmp_path, ["SIP, default", "SIP, total variation, x ≥ 0", "DP", "supervised"], steps=8)
    check_figures(tmp_path, NOISE_FIGURES)
    errors = json.loads((tmp_path / "errors.json").read_text())
    at = errors["noise"].index(1e-3)
    assert errors["rules"]["total variation, x ≥ 0"][at] < errors["linear bound"][at]
    assert errors["rules"]["empirical Bayes"][at] < 1.1 * errors["linear bound"][at]
    assert errors["rules"]["published damping"][at] > 2 * errors["linear bound"][at]
    summary = (tmp_path / "summary.md").read_text()
    assert all(name in summary for name in [*errors["rules"], "supervised"])
    losses = {row[1].strip(): row[3] for row in (line.split("|") for line in summary.splitlines()) if len(row) == 7}
    assert float(losses["inverse alone, default"]) < float(losses["SIP, default"])  # after eight steps
    assert "inverse alone, total variation, x ≥ 0" in losses


def test_control_example(tmp_path):
    """Networks that act at every step, beside the forces of each sample optimized by themselves, which need none."""
    flags = ["--quick", "--problems", "heat", "state"]
    result = subprocess.run(command(tmp_path, *flags, script="control.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check_figures(tmp_path, ("heat", "errors"))
    found = json.loads((tmp_path / "errors.json").read_text())
    assert list(found) == ["heat", "state"]
    assert found["heat"]["levels"]["inverse alone"] < 1e-3
    for problem in found.values():
        assert set(problem["runs"]) == {"SIP", "DP", "DP, clipped", "labels"}
        assert len(problem["runs"]["DP"]["rates"]) == 3
        assert all(np.isfinite(run["curves"][0][-1][2]) for run in problem["runs"].values())
    assert (tmp_path / "summary.md").read_text().count("\n") == 2 + 2 * 5


ALONE = [f"inverse alone, {n} ×" for n in (1, 2, 6)]
PROJECTED = [f"inverse alone, projected, {n} ×" for n in (1, 2, 6)]
IN_FAMILY = ["the family, nothing inverted", *PROJECTED, "the nearest of the family"]
FLOW_METHODS = {
    "blobs": ["SIP", "SIP, shown the inverse", "SIP, predictions free", "DP", "DP, same prior", "labels"],
    "fields": ["SIP", "SIP, shown the inverse", "DP", "labels"],
}


@pytest.mark.parametrize(
    ("framework", "data"), [("tensorflow", "fields"), ("torch", "blobs"), ("torch", "fields"), ("jax", "fields")]
)
def test_flow_example(framework, data, tmp_path):
    flags = ["--quick", "--framework", framework, "--data", data]
    result = subprocess.run(command(tmp_path, *flags, script="flow.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    records = load_records(tmp_path / "records.json")
    assert [record.method for record in records] == [f"{method}, seed 0" for method in FLOW_METHODS[data]]
    for record in records:
        assert len(record.x_l2) == len(record.y_l2) == len(record.seconds) > 0
        assert sum(record.seconds) >= 1
        assert np.isfinite(record.x_l2).all()
    check_figures(tmp_path, FLOW_FIGURES)
    rows = (tmp_path / "summary.md").read_text().splitlines()[2:]
    errors = {row.split("|")[1].strip(): float(row.split("|")[4]) for row in rows}
    assert list(errors) == [*ALONE, *(IN_FAMILY if data == "blobs" else []), *FLOW_METHODS[data]]
    for names in (ALONE, PROJECTED) if data == "blobs" else (ALONE,):
        assert 1 > errors[names[0]] > errors[names[1]] > errors[names[2]]


def test_bad_flags_of_flow_example(tmp_path):
    result = subprocess.run(command(tmp_path, "--methods", "SGD", script="flow.py"), capture_output=True, text=True)
    assert result.returncode == 2
    assert "no such methods: SGD" in result.stderr


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_rotated_sine_example(framework, tmp_path):
    flags = ["--quick", "--framework", framework, "--closed-form"]
    result = subprocess.run(command(tmp_path, *flags, script="rotated_sine.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    methods = ["SIP, saddle-free Newton", "DP, Adam", "supervised", "SIP, closed form"]
    check_records(tmp_path, methods, steps=20)
    check_figures(tmp_path, ("distances", "training"))
    entries = json.loads((tmp_path / "distances.json").read_text())
    found = {(entry["method"], entry["ξ"], entry["φ"]): entry["distance"] for entry in entries}
    assert len(found) == 4 * 4
    for method in ("SIP, saddle-free Newton", "SIP, closed form"):
        assert found[method, 32.0, 45.0] < 0.6 * found["DP, Adam", 32.0, 45.0]
    summary = (tmp_path / "summary.md").read_text()
    assert summary.count("\n") == 2 + 4
    assert "inverse alone, saddle-free Newton" in summary


def test_bad_flags_of_rotated_sine_example(tmp_path):
    flags = ["--learning-rates", "1e-3", "-1"]
    result = subprocess.run(command(tmp_path, *flags, script="rotated_sine.py"), capture_output=True, text=True)
    assert result.returncode == 2
    assert "must be positive" in result.stderr


def test_optimizer_comparison(tmp_path):
    problems = ["heat conduction", "rotated sine", "nonlinear oscillators", "Poisson"]
    flags = ["--quick", "--problems", *problems]
    result = subprocess.run(command(tmp_path, *flags, script="compare_optimizers.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    records = load_records(tmp_path / "records.json")
    assert len({record.method for record in records}) == 9
    assert len(records) == (8 + 9 * 3) * 2  # methods, but half-inverse gradients on heat, and seeds
    for record in records:
        assert len(record.x_l2) == len(record.y_l2) == len(record.seconds) > 0
    check_figures(tmp_path, ("comparison",))
    summary = (tmp_path / "summary.md").read_text()
    methods = {*(record.method for record in records), "the inverse alone"}
    assert all(summary.count(f"| {method} |") == 4 - (method == "HIG, SGD") for method in methods)
    assert all(problem in summary for problem in problems)


def test_half_inverse_gradients(tmp_path):
    flags = ["--quick", "--problems", "nonlinear oscillators", "Poisson", "quantum dipole"]
    result = subprocess.run(command(tmp_path, *flags, script="half_inverse.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    records = load_records(tmp_path / "records.json")
    assert [record.method for record in records] == 3 * [name for name in METHODS_OF_HALF_INVERSE for _ in range(2)]
    for record in records:
        assert len(record.y_l2) == len(record.seconds) > 0
        assert np.isfinite(record.y_l2).all()
    check_figures(tmp_path, ("comparison",))
    summary = (tmp_path / "summary.md").read_text()
    assert all(summary.count(f"| {name} |") == 3 for name in (*METHODS_OF_HALF_INVERSE, "the inverse alone"))
    *_, alone = [line for line in summary.split("quantum dipole")[0].splitlines() if "the inverse alone" in line]
    assert float(alone.split("|")[5].split("±")[0]) < 1e-8, "that of Poisson's equation is exact"


METHODS_OF_HALF_INVERSE = ("HIG, SGD", "DP, Adam", "SIP, Adam")


SMALL = {
    "exponential.py": (["SIP", "DP", "SIP, Gauss–Newton"], ("training", "error_vs_x")),
    "poisson.py": (["SIP", "DP", "supervised"], ("training", "reconstructions")),
}


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
@pytest.mark.parametrize("script", SMALL)
def test_small_examples(script, framework, tmp_path):
    methods, figures = SMALL[script]
    flags = ["--quick", "--framework", framework]
    result = subprocess.run(command(tmp_path, *flags, script=script), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check_records(tmp_path, methods, steps=12)
    check_figures(tmp_path, figures)
    errors = json.loads((tmp_path / "l1.json").read_text())
    assert np.isfinite(list(errors.values())).all()
    *_, alone = (tmp_path / "summary.md").read_text().splitlines()
    assert alone.startswith("| the inverse alone |")
    assert float(alone.split("|")[3]) < 1e-4, "it is exact"
    assert (tmp_path / "summary.md").read_text().count("\n") == 2 + len(methods) + 1


@pytest.mark.parametrize("script", SMALL)
def test_bad_flags_of_small_examples(script, tmp_path):
    result = subprocess.run(command(tmp_path, "--steps", "0", script=script), capture_output=True, text=True)
    assert result.returncode == 2
    assert "must be positive" in result.stderr


def test_sensors(tmp_path):
    result = subprocess.run(command(tmp_path, "--quick", script="sensors.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check_figures(tmp_path, ("sensors",))
    told, fitted, whole = [float(line.split("|")[2]) for line in (tmp_path / "summary.md").read_text().splitlines()[2:]]
    assert whole < fitted < told < 1


def test_own_simulation(tmp_path):
    result = subprocess.run(command(tmp_path, "--quick", script="own_simulation.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check_records(tmp_path, ["SIP", "DP"], steps=3)
    check_figures(tmp_path, ("x_loss", "reconstructions"))
    assert "the inverse alone: x loss" in result.stdout


def test_unknown_parameter(tmp_path):
    flags = ["--quick", "--framework", "torch"]
    result = subprocess.run(command(tmp_path, *flags, script="unknown_parameter.py"), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check_figures(tmp_path, ("errors",))
    rows = [line.split("|")[1:4] for line in (tmp_path / "summary.md").read_text().splitlines()[2:]]
    u, nu = ({name.strip(): float((row[i].split() or ["nan"])[0]) for name, *row in rows} for i in (0, 1))
    assert u["SIP on the inverse"] < 1.05 * u["SIP on the inverse, ν known"]
    assert nu["SIP on the inverse"] < 5
    assert nu["inverse alone"] < 1


def test_coupled_oscillators(tmp_path):
    result = subprocess.run(
        command(tmp_path, "--quick", script="coupled_oscillators.py"), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    losses = [float(cell) for cell in (tmp_path / "summary.md").read_text().splitlines()[2].split("|")[3:7]]
    assert losses[0] == pytest.approx(losses[2], rel=1e-2)  # an exact inverse trains as labels do
    assert losses[3] < 1e-10, "and needs no network"


@pytest.mark.parametrize("flags", [["--samples", "0"], ["--noise", "0"], ["--resolution", "20"]])
def test_bad_flags_of_noise_example(flags, tmp_path):
    result = subprocess.run(command(tmp_path, *flags, script="heat_noise.py"), capture_output=True, text=True)
    assert result.returncode == 2
    assert "must be positive" in result.stderr


def test_published_rule_diverges_under_noise(tmp_path):
    flags = ["--framework", "torch", "--batch", "8", "--steps", "15", "--resolution", "64", "--noise", "1e-2"]
    for flag in ([], ["--published"]):
        subprocess.run(command(tmp_path / str(len(flag)), *flags, *flag), check=True, capture_output=True)
    safe, published = (load_records(tmp_path / str(i) / "records.json")[0] for i in range(2))
    assert safe.final("x_l2") < safe.x_l2[0]
    assert published.final("x_l2") > 10 * safe.final("x_l2")


def test_interrupting_keeps_what_was_done(tmp_path):
    flags = ["--framework", "torch", "--batch", "4", "--steps", "100000", "--resolution", "16"]
    process = subprocess.Popen(
        command(tmp_path, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "120", "TTY_COMPATIBLE": "1"},
    )
    while not re.search(r" [1-9]\d*/100000", process.stdout.readline()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Interrupted" in output
    (record,) = load_records(tmp_path / "records.json")
    check_outputs(tmp_path, ["SIP"], steps=len(record.x_l2))
    assert len(record.x_l2) > 0


@pytest.mark.parametrize(
    "flags", [["--resolution", "20"], ["--steps", "0"], ["--noise", "-1"], ["--framework", "caffe"]]
)
def test_bad_flags(flags, tmp_path):
    result = subprocess.run(command(tmp_path, *flags), capture_output=True, text=True)
    assert result.returncode == 2
    assert "usage" in result.stderr


def test_records_survive_a_file(tmp_path):
    record = TrainingRecord("SIP", [1.0], [2.0], [float("nan")], [0.1])
    save_records([record], tmp_path / "r.json")
    (loaded,) = load_records(tmp_path / "r.json")
    assert loaded.method == "SIP"
    assert np.isnan(loaded.final("y_l2"))
    assert np.isnan(TrainingRecord("none").final("x_l2"))
