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
    expected = {"steps": [11, 4], "scaling": [7, 1], "accuracy": [1, 1, 3]}
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
    assert list(tables) == ["noise", "cases", "data", "others", "estimate", "mild", "coverage"]
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
    assert all(ratio["loss"] > 0 and ratio["time"] > 0 for ratio in row["ratios"].values())


@pytest.mark.slow
def test_the_loop_is_measured():
    command = [sys.executable, str(BENCHMARKS / "loop.py"), "--quick", "--framework", "torch", "--steps", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "A step of train ÷ a bare one: " in done.stdout


@pytest.mark.slow
def test_label_free_runs(tmp_path):
    """Every method, on a few samples."""
    methods = list(load(BENCHMARKS / "label_free.py").METHODS)
    command = [sys.executable, str(BENCHMARKS / "label_free.py"), "--quick", "--data", "rectangles"]
    subprocess.run([*command, "--methods", *methods], cwd=tmp_path, check=True, capture_output=True)
    rows = [json.loads(line) for line in (tmp_path / "label_free.jsonl").read_text().splitlines()]
    assert [row["method"] for row in rows] == methods
    assert all(np.isfinite(row["ratio"]) for row in rows)


@pytest.mark.slow
def test_noise_laws_hold(tmp_path):
    """What each law brings, on a few samples."""
    command = [sys.executable, str(BENCHMARKS / "noise_laws.py"), "--quick", "--output", str(tmp_path / "r.json")]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    (rows,) = json.loads((tmp_path / "r.json").read_text()).values()
    assert len({row["noise"] for row in rows}) * 3 == len(rows)
