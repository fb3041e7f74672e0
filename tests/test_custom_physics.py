"""A plugin that someone else wrote: built, installed by pip, found, used; a broken neighbour does not stop it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parent.parent / "examples" / "custom_physics"

BROKEN = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "phi-sip-broken"
version = "6.6.6"
[project.entry-points.phi_sip]
broken = "phi_sip_broken"
[tool.hatch.build.targets.wheel]
packages = ["phi_sip_broken"]
""",
    "phi_sip_broken/__init__.py": "raise RuntimeError('I was written for another version')\n",
}

USE = """
import warnings, numpy as np
from phiml import math
from phiml.math import batch, channel
import phi_sip

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert "logistic-growth" in phi_sip.available_physics() and "heat" in phi_sip.available_physics()
messages = [str(w.message) for w in caught if issubclass(w.category, phi_sip.PluginWarning)]
assert len(messages) == 1 and "phi-sip-broken 6.6.6" in messages[0] and "another version" in messages[0], messages
assert "newton1d" in phi_sip.available_solvers()
physics = phi_sip.get_physics("logistic-growth", time=0.5, capacity=2.0)
with math.precision(64):
    x = math.tensor(np.linspace(0.1, 3, 12).reshape(4, 3), batch("batch"), channel("k"))
    y = physics.forward(x)
    for solver in (None, phi_sip.get_solver("newton1d", iterations=12)):
        step = phi_sip.sip_inverse(physics, y, x * 0 + 1, solver=solver)
        np.testing.assert_allclose(step.x_target.numpy("batch,k"), x.numpy("batch,k"), atol=1e-6)
try:
    phi_sip.get_physics("something_else")
except phi_sip.UnknownNameError as error:
    assert "phi-sip-broken" in str(error) and isinstance(error.__cause__, RuntimeError)
print("installed plugin used")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both plugins, built and installed by pip."""
    target = tmp_path_factory.mktemp("site")
    broken = tmp_path_factory.mktemp("broken")
    for name, text in BROKEN.items():
        (broken / name).parent.mkdir(exist_ok=True)
        (broken / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(EXAMPLE), str(broken)], check=True, capture_output=True)
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True)


def test_installed_plugin_is_used_by_name(installed):
    result = run(installed, "-c", USE)
    assert result.returncode == 0, result.stderr
    assert "installed plugin used" in result.stdout


def test_the_plugins_own_tests_pass(installed):
    alone = [
        "-c",
        os.devnull,
        "--rootdir",
        str(EXAMPLE),
        "--confcutdir",
        str(EXAMPLE),
    ]  # nothing above the plugin's folder
    result = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", *alone, str(EXAMPLE / "tests"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "6 passed" in result.stdout
