"""The baseline that benchmarks measure against is the published one, and the benchmarks run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fields import array, periodic
from frameworks import TABLE

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PUBLISHED = np.load(Path(__file__).parent / "data" / "published_heat_inverse.npz")


@pytest.fixture(scope="module")
def chapter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chapter", BENCHMARKS / "chapter.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


@pytest.mark.parametrize("framework", ["tensorflow", "torch"])
def test_step_benchmark_runs(framework):
    flags = ["--framework", framework, "--repeats", "1", "--batch", "4", "--resolution", "16"]
    command = [sys.executable, str(BENCHMARKS / "step.py"), *flags]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for row in ("data", "inverse", "training step"):
        assert row in result.stdout


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
    assert list(tables) == ["noise", "cases", "data", "others", "estimate", "coverage"]
    assert result.stdout.count("\nholds: ") == len(tables)


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
