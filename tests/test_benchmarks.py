"""The baseline that benchmarks measure against is the published one, and the benchmarks run."""

from __future__ import annotations

import importlib.util
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
