"""The baseline that benchmarks measure against is the published one, and the benchmarks run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fields import array, periodic
from frameworks import TABLE

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PUBLISHED = np.load(Path(__file__).parent / "data" / "published_heat_inverse.npz")


def load(file: Path) -> ModuleType:
    """A module that is not in the path."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[file.stem]
    return module


@pytest.fixture(scope="module")
def chapter() -> ModuleType:
    return load(BENCHMARKS / "chapter.py")


def test_baseline_is_the_published_inverse(framework, double, chapter):
    residual = periodic(PUBLISHED["n64_t8_y_target"] - PUBLISHED["n64_t8_y"])
    np.testing.assert_allclose(array(chapter.inverse(residual)), PUBLISHED["n64_t8_dx"], atol=1e-9)


@pytest.mark.parametrize("row", TABLE[:2], ids=lambda row: row.name)
def test_baseline_trains(row, double, chapter):
    """The chapter has no JAX version."""
    with row.backend:
        x = chapter.rectangles(4, 64)
        assert 0 <= array(x).min() <= array(x).max() < 10
        net = row.u_net()
        optimizer = row.adam(net, 1e-2)
        losses = [float(chapter.step(net, optimizer, x, sip)[3].mean) for sip in (True, True, True, True, False)]
    assert losses[-1] < losses[0]


@pytest.fixture
def timing() -> ModuleType:
    return load(BENCHMARKS / "performance" / "timing.py")


def test_cases_take_turns(timing, monkeypatch):
    """Each is first in its turn once, and compared within a turn: a slow turn of the machine changes no ratio."""
    clock, calls = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def case(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            slowness = 1 + len(calls) // 3
            calls.append(name)
            clock[0] += seconds * slowness

        return run

    cases = {"a": case("a", 1.0), "b": case("b", 2.0), "c": case("c", 3.0)}
    times = timing.interleaved(cases, 3, "test")
    assert "".join(calls) == "abcbcacababcbca"
    assert times["a"] == timing.Times(1.0, [3.0, 4.0, 5.0])
    rows = {row["case"]: row for row in timing.comparison(times, "a")}
    for name, ratio in {"a": 1.0, "b": 2.0, "c": 3.0}.items():
        np.testing.assert_allclose([rows[name][key] for key in ("low", "ratio", "high")], ratio)


@pytest.mark.slow
def test_performance_runs(tmp_path):
    sections = ("steps", "scaling", "accuracy")
    flags = [flag for section in sections for flag in ("--section", section)]
    command = [sys.executable, str(BENCHMARKS / "performance"), "--quick", "--framework", "torch", *flags]
    result = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert tuple(found) == sections
    expected = {"steps": [12, 4], "scaling": [7, 1], "accuracy": [1, 1, 3]}
    text = (tmp_path / "table.md").read_text()
    for section, rows in expected.items():
        tables = found[section]["torch"]["tables"]
        assert [len(table) for table in tables.values()] == rows
        for title, table in tables.items():
            assert title in text
            values = [value for row in table for value in row.values() if not isinstance(value, str)]
            assert all(value is None or np.isfinite(value) for value in values)
            assert all(row["ratio"] is None or row["ratio"] > 0 for row in table if "ratio" in row)
        assert (tmp_path / f"{section}.png").stat().st_size > 10_000
    methods = [(len(curve["seconds"]), len(curve["errors"])) for curve in found["accuracy"]["torch"]["curves"]]
    assert methods == [(6, 6), (6, 6), (6, 6)]


GPU = [sys.executable, str(BENCHMARKS / "performance" / "gpu.py"), "--quick", "--framework", "torch"]


@pytest.mark.slow
def test_gpu_benchmark_measures_each_problem_alone(tmp_path):
    """Two processes prepare at the same time, and measure one after the other."""
    command = [*GPU, "--repeats", "2", "--processes", "2", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert not [row for row in rows if "error" in row]
    assert {row["problem"] for row in rows} == {"16², batch 4", "8³, batch 2"}
    assert len(rows) == 2 * (4 + 4)
    assert all(row["ratio"] > 0 for row in rows)
    assert sum(row["ratio"] == 1 for row in rows) == 2 * 2
    text = (tmp_path / "table.md").read_text()
    assert all(f"| {row['case']} |" in text for row in rows)


def test_gpu_benchmark_writes_what_it_has_when_the_time_is_over(tmp_path):
    command = [*GPU, "--seconds", "0", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nothing was measured" in (tmp_path / "table.md").read_text()


@pytest.mark.slow
def test_inversion_quality_holds(tmp_path):
    command = [
        sys.executable,
        str(BENCHMARKS / "inversion_quality.py"),
        "--quick",
        "--output",
        str(tmp_path / "r.json"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    tables = json.loads((tmp_path / "r.json").read_text())
    names = ["noise", "cases", "data", "others", "estimate", "mild", "coverage", "points", "elsewhere"]
    assert list(tables) == names
    assert result.stdout.count("\nholds: ") == len(tables)


@pytest.mark.slow
def test_noise_training_runs(tmp_path):
    flags = [
        "--steps",
        "2",
        "--batch",
        "2",
        "--resolution",
        "16",
        "--noise",
        "1e-3",
        "--output",
        str(tmp_path / "r.json"),
    ]
    command = [sys.executable, str(BENCHMARKS / "noise_training.py"), *flags]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (row,) = json.loads((tmp_path / "r.json").read_text())
    assert set(row["ratios"]) == {"total variation, x ≥ 0", "default"}
    assert all(ratio[name] > 0 for name in ("loss", "alone", "time") for ratio in row["ratios"].values())


@pytest.mark.slow
def test_the_loop_is_measured():
    command = [sys.executable, str(BENCHMARKS / "loop.py"), "--quick", "--framework", "torch", "--steps", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "A step of train ÷ a bare one: " in done.stdout


@pytest.fixture
def label_free(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)  # what it imports beside it
    return load(BENCHMARKS / "label_free.py")


@pytest.mark.slow
def test_label_free_runs(tmp_path, label_free):
    """Every method, on a few samples."""
    others = label_free.deepinv.METHODS if importlib.util.find_spec("deepinv") else {}
    methods = [*label_free.METHODS, *others]
    command = [sys.executable, str(BENCHMARKS / "label_free.py"), "--quick", "--data", "rectangles"]
    done = subprocess.run([*command, "--methods", *methods], cwd=tmp_path, check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in (tmp_path / "label_free.jsonl").read_text().splitlines()]
    assert [row["method"] for row in rows] == methods
    assert all(np.isfinite(row["ratio"]) and row["steps"] == 4 for row in rows)
    assert all(f"| {method} |" in done.stdout for method in methods)


def test_label_free_gives_all_methods_the_same_time(label_free, monkeypatch):
    """The rate of learning goes to zero when the time is over, however many steps it was enough for."""
    clock = [0.0]
    monkeypatch.setattr(sys.modules[label_free.Budget.__module__].time, "process_time", lambda: clock[0])

    def step(seconds: float) -> None:
        clock[0] += seconds

    budget, decays = label_free.Budget(1000, 10.0), []
    while budget.done < 1:
        decays.append(budget.decay)
        budget.spend(step, 2.5)
        step(7.0)  # evaluation, which does not count
    assert budget.taken == 4
    np.testing.assert_allclose(decays, [1.0, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5])
    by_steps = label_free.Budget(2, None)
    by_steps.spend(step, 2.5)
    assert (by_steps.done, by_steps.taken) == (0.5, 1)


def test_label_free_report(label_free, tmp_path, capsys):
    def row(method: str, seed: int, ratio: float, data: str = "rectangles") -> dict[str, object]:
        about = {"data": data, "noise": 0.01, "cells": 32, "seed": seed, "method": method}
        return {**about, "ratio": ratio, "worse": 0.25, "processor seconds": 30.4, "steps": 400}

    rows = [
        row("deepinv SURE", 0, 0.97),
        row("labels", 0, 0.70),
        row("self-simulated", 0, 0.84),
        row("self-simulated", 1, 0.86),
        row("self-simulated", 0, 0.99, "photographs"),
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    label_free.report.show([file], tmp_path / "found")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| error ÷ inverse alone | rectangles, 32², σ = 0.01 | photographs, 32², σ = 0.01 |")
    assert lines[2:] == [
        "| labels | 0.700 |  | 25% | 30 | 400 | 1 |",
        "| self-simulated | **0.850** (0.840 – 0.860) | **0.990** | 25% | 30 | 400 | 2 |",
        "| deepinv SURE | 0.970 |  | 25% | 30 | 400 | 1 |",
    ]
    assert (tmp_path / "found.md").read_text().splitlines() == lines
    assert (tmp_path / "found.png").stat().st_size > 10_000


def test_deepinv_is_given_the_same_problem(label_free):
    pytest.importorskip("deepinv")
    theirs = label_free.deepinv
    with label_free.TORCH:
        problem = label_free.Problem("rectangles", 1e-2, 16, 0, 4, 2)
        x, y = label_free.grid(problem.truths), theirs.native(label_free.grid(problem.y))
        heat = theirs.heat(problem)
        simulated = theirs.native(problem.physics.forward(x))
        np.testing.assert_allclose(heat.A(theirs.native(x)), simulated, atol=1e-5)
        z = heat.prox_l2(0, y, 100.0)  # (AᵀA + 1/γ) z = Aᵀ y
        np.testing.assert_allclose(heat.A_adjoint(heat.A(z)) + z / 100.0, heat.A_adjoint(y), atol=1e-5)
        net, given = label_free.Network(3), label_free.grid(problem.y)
        ours = label_free.predict_state(net, problem.physics, given, inputs=theirs.ALL)
        shown = theirs.Shown(net, problem.physics, theirs.ALL)(y).detach()
        np.testing.assert_allclose(shown, theirs.native(ours), atol=1e-5)


@pytest.mark.slow
def test_risk_runs(tmp_path):
    """On top of the inverse and on y alone, on a few samples."""
    command = [sys.executable, str(BENCHMARKS / "risk.py"), "--quick", "--noise", "1e-2"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    rows = [json.loads(line) for line in (tmp_path / "risk.jsonl").read_text().splitlines()]
    assert [row["method"] for row in rows] == ["self-simulated", "local inverse, y alone"]
    assert all(np.isfinite(row["rank correlation"]) and 0 <= row["gain"] <= 1 for row in rows)
    assert rows[1]["guarded"] < 0.5 * rows[1]["others"]  # which has learned nothing yet


@pytest.mark.slow
def test_known_parameters_run(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "known_parameters.py"), "--quick", "--ways", "SIP", "self-simulated"]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    rows = [line.split(": ") for line in said.splitlines() if ", rate " in line]
    assert len(rows) == 8
    assert all(float(ratio) == pytest.approx(1, abs=0.2) for shown, ratio in rows if "estimate" in shown)


@pytest.mark.slow
def test_own_simulation_runs(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "own_simulation.py"), "--quick", "--framework", "torch"]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.count("│ torch") == 2  # a function, and time steps


def quick_figures(script: str, folder: Path, *options: str) -> Any:
    """What a script writes as JSON on tiny sizes."""
    command = [sys.executable, str(BENCHMARKS / script), "--quick", "--output", str(folder / "r.json"), *options]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((folder / "r.json").read_text())


@pytest.mark.slow
def test_noise_laws_hold(tmp_path):
    """What each law brings, on a few samples."""
    (rows,) = quick_figures("noise_laws.py", tmp_path).values()
    assert len({row["noise"] for row in rows}) * 3 == len(rows)


@pytest.mark.slow
def test_sensors_are_inverted_nearly_as_well_as_can_be(tmp_path):
    """60 sensors on 32² nodes: within 10 % of the posterior mean with the true prior, and far below stopping early."""
    rows = quick_figures("sensors.py", tmp_path)
    errors = {(row["method"], row["equation"], row["noise"]): row["error"] for row in rows}
    assert len(errors) == len(rows) == 5 * 2 * 3
    for (method, equation, noise), error in errors.items():
        if method.startswith("GaussianProcess"):
            assert error < 1.1 * errors["limit", equation, noise]
            assert error < 0.7 * errors["ConjugateGradient, σ told", equation, noise]


@pytest.mark.slow
def test_networks_learn_from_sensors(tmp_path):
    """A few tiny steps of each method, beside the inverse alone."""
    errors = quick_figures("sensor_training.py", tmp_path)
    assert len(errors) == 5
    assert errors["the inverse alone"][0] < 0.6 < min(errors["labels"][0], errors["SIP"][0]) < 1.1


@pytest.mark.slow
def test_masks_are_inverted_with_a_prior(tmp_path):
    """16² cells: as well as the closed form where nothing is hidden, better than without a prior where half is."""
    rows = quick_figures("masked.py", tmp_path)
    assert [row["data"] for row in rows] == ["rectangles", "photographs", "smooth"]
    for row in rows:
        assert 0.8 < row["nothing hidden"]["error"] < 1.15
        assert row["half hidden"]["error"] < 0.95 * row["half hidden, conjugate gradients, σ told"]["error"]


@pytest.mark.slow
def test_rules_that_need_no_closed_form_are_compared(tmp_path):
    """16² cells: the error of the closed form where nothing is hidden; edges are best where half is."""
    rows = quick_figures("masked.py", tmp_path, "--rules", "--data", "rectangles")
    assert all(abs(row["0%"] / row["closed form"] - 1) < 0.02 for row in rows)
    assert rows[-1]["rule"] == "TotalVariation(minimum=0.0)"
    assert rows[-1]["50%"] < 0.85 * rows[0]["50%"]
