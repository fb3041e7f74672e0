"""
Trainings that are killed at random moments go on and end bit-identical to one that was not.

`PHI_SIP_KILLS=20 python -m pytest -m slow tests/test_kills.py` kills each framework's twenty times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("PHI_SIP_KILLS", "1"))
LONGEST = 500  # seconds
SCRIPT = Path(__file__).with_name("killed_run.py")


def start(framework: str, folder: Path, steps: int, log: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONHASHSEED": "0"}
    with log.open("a") as file:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), framework, str(folder), str(steps)],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=environment,
        )


def finished(framework: str, folder: Path, steps: int, log: Path) -> list[np.ndarray]:
    process = start(framework, folder, steps, log)
    process.communicate(timeout=LONGEST)
    assert process.returncode == 0, log.read_text()
    with np.load(folder / "everything.npz", allow_pickle=False) as arrays:
        return list(arrays.values())


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_killed_runs_end_as_if_they_had_not_been(framework, tmp_path):
    steps, log, generator = 8 + 20 * KILLS, tmp_path / "log.txt", random.Random(f"{framework} {KILLS}")
    begun = []
    for _ in range(KILLS):
        process = start(framework, tmp_path / "killed", steps, log)
        line = process.stdout.readline()
        assert line.startswith("step"), log.read_text()
        begun.append(int(line.split()[1]))
        try:
            process.wait(generator.uniform(0.0, 0.8))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    killed = finished(framework, tmp_path / "killed", steps, log)
    whole = finished(framework, tmp_path / "whole", steps, log)
    assert len(killed) == len(whole) > 0
    for a, b in zip(killed, whole, strict=True):
        np.testing.assert_array_equal(a, b)
    assert begun == sorted(begun)
    print(f"{framework}: killed {KILLS} times, first steps {begun} of {steps}")
