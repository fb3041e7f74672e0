"""`phi-sip doctor`: faults are named, whatever does not import, crashes or hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from phi_sip import __version__
from phi_sip.cli.exit_codes import ExitCode
from phi_sip.doctor import LIBRARIES, Fault, Installed
from phi_sip.doctor.faults import failures
from phi_sip.doctor.looks import Look, look_at
from phi_sip.doctor.requirements import unmet_requirements
from phi_sip.doctor.versions import installed_libraries


def distribution(folder: Path, name: str, version: str, requires: tuple[str, ...] = (), entry_points: str = "") -> None:
    """Metadata as pip leaves it, without a package."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n")
    (info / "entry_points.txt").write_text(entry_points)


def package(folder: Path, name: str, source: str) -> None:
    """A package that runs `source` when it is imported."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(textwrap.dedent(source))


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`phi-sip doctor` where `folder` hides what is installed."""
    return subprocess.run(
        [sys.executable, "-c", "from phi_sip.cli import main; main()", "doctor", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "80"},
        timeout=300,
    )


def libraries(**versions: str) -> dict[str, Installed]:
    return {name: Installed(name, version) for name, version in versions.items()}


PHIFLOW, PHIML = "asks for phiflow<4,>=3.4, but phiflow", "asks for phiml<2,>=1.14.3, but phiml"


def unmet(**versions: str) -> list[Fault]:
    """What is wrong where `phi-sip` is installed with these."""
    return unmet_requirements({"phi-sip": Installed("phi-sip", __version__), **libraries(**versions)})


@pytest.mark.parametrize(
    ("versions", "complaint"),
    [
        # PhiFlow before 3.4 does not import with PhiML 1.15 or later.
        ({"phiflow": "3.3.0", "phiml": "1.15.1"}, f"{PHIFLOW} 3.3.0 is installed"),
        ({"phiflow": "3.3.0", "phiml": "1.15.0"}, f"{PHIFLOW} 3.3.0 is installed"),
        ({"phiflow": "3.2.0", "phiml": "1.16.1"}, f"{PHIFLOW} 3.2.0 is installed"),
        # PhiFlow 3.4 does not import with PhiML before 1.14.1.
        ({"phiflow": "3.4.0", "phiml": "1.14.0"}, f"{PHIML} 1.14.0 is installed"),
        # math.seed of PhiML before 1.14.3 raises a TypeError with NumPy 2 or later.
        ({"phiml": "1.14.1", "numpy": "2.4.0"}, f"{PHIML} 1.14.1 is installed"),
        ({"phiml": "1.14.2", "numpy": "2.0.2"}, f"{PHIML} 1.14.2 is installed"),
        # These work, but are not what phi-sip is tested with.
        ({"phiflow": "3.3.0", "phiml": "1.14.3"}, f"{PHIFLOW} 3.3.0 is installed"),
        ({"phiml": "1.14.2", "numpy": "1.26.4"}, f"{PHIML} 1.14.2 is installed"),
        ({"phiflow": "3.3.0"}, f"{PHIFLOW} 3.3.0 is installed"),
    ],
)
def test_versions_that_phi_sip_does_not_ask_for(versions, complaint):
    """Its own requirements leave out all that is known not to work, and the remedy is what they say."""
    (fault,) = unmet(**versions)
    assert complaint in fault.what
    command, verb, wanted = fault.remedy.split()
    assert (command, verb) == ("pip", "install")
    assert Requirement(wanted.strip("'")) in [Requirement(text) for text in requires("phi-sip") or ()]


@pytest.mark.parametrize(
    "versions",
    [
        {"phiflow": "3.4.0", "phiml": "1.16.1", "numpy": "2.4.6"},
        {"phiflow": "3.4.0", "phiml": "1.14.3", "numpy": "2.4.6"},
        {},
    ],
)
def test_versions_that_work(versions):
    assert unmet(**versions) == []


def test_this_installation_is_in_order():
    found = installed_libraries()
    assert {"phi-sip", "phiflow", "phiml", "tensorflow", "torch", "jax", "numpy"} <= set(found)
    assert unmet_requirements(found) == []


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A folder whose distributions hide those that are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_versions_below_the_floor(pretended):
    distribution(pretended, "phiml", "1.14.2")
    distribution(pretended, "pluggy", "0.9")
    found = {fault.remedy: fault.what for fault in unmet_requirements(installed_libraries())}
    assert "but phiml 1.14.2 is installed" in found["pip install 'phiml<2,>=1.14.3'"]
    assert "but pluggy 0.9 is installed" in found["pip install 'pluggy>=1.2'"]
    assert len(found) == 2


def test_what_libraries_ask_of_each_other(pretended):
    distribution(pretended, "jaxlib", "0.1.0")
    faults = unmet_requirements(installed_libraries())
    assert any(fault.what.startswith("jax ") and "but jaxlib 0.1.0 is installed" in fault.what for fault in faults)


def test_what_an_extra_asks_for_counts_where_it_is_installed(pretended):
    distribution(pretended, "phi-sip", "9.0", ("torch>=2.1; extra == 'torch'", "absent-library; extra == 'torch'"))
    extra = pretended / "phi_sip-9.0.dist-info" / "METADATA"
    extra.write_text(extra.read_text() + "Provides-Extra: torch\n")
    found = installed_libraries()
    assert unmet_requirements(found) == []
    old = {**found, "torch": Installed("torch", "1.13")}
    assert [fault.what for fault in unmet_requirements(old)] == [
        "phi-sip 9.0 asks for torch>=2.1, but torch 1.13 is installed."
    ]


def test_what_is_missing(pretended):
    distribution(pretended, "phi-sip", "9.0", ("absent-library>=1", "never; python_version < '3'"))
    assert unmet_requirements(installed_libraries()) == [
        Fault("phi-sip 9.0 asks for absent-library>=1, but it is not installed.", "pip install 'absent-library>=1'")
    ]
    without = {name: found for name, found in installed_libraries().items() if name != "phi-sip"}
    assert [fault.remedy for fault in unmet_requirements(without)] == ["pip install phi-sip"]


def test_a_variant_of_a_library_counts(monkeypatch):
    variants = {"tensorflow-cpu": "2.20.0", "phi-sip": "9.0"}
    monkeypatch.setattr("phi_sip.doctor.versions.version_of", variants.get)
    assert installed_libraries()["tensorflow"] == Installed("tensorflow-cpu", "2.20.0")


def test_one_fault_for_each_cause():
    """What fails for one reason is one fault, with what is likely to be its origin first."""
    plugins = [{"plugin": name, "distribution": "phi-sip 9.0", "cause": "ImportError: x"} for name in "abcd"]
    other = {"plugin": "mine", "distribution": "my-plugin 1.0", "cause": "RuntimeError: y"}
    looks = [
        Look("phiflow", "import phi.flow", "ImportError: x"),
        Look("jax", "import phi.jax", "ImportError: x", {"devices": ["cpu:0"]}),
        Look("numpy", "import numpy"),
        Look("plugins", "collect", "", {"failures": [*plugins, other], "complaints": ["'heat' is registered twice"]}),
    ]
    first, second, third = failures(looks, versions_are_wrong=False)
    assert first.what == "Failed: `import phi.flow`, `import phi.jax`, 4 plugins of phi-sip 9.0: ImportError: x"
    assert "pip install --force-reinstall phiflow" in first.remedy
    assert second.what == "Failed: plugin 'mine' of my-plugin 1.0: RuntimeError: y"
    assert second.remedy == "Update or remove my-plugin 1.0, or go without: PHI_SIP_DISABLE_PLUGINS=mine"
    assert third == Fault("'heat' is registered twice")
    assert all("versions above" in fault.remedy for fault in failures(looks, versions_are_wrong=True)[:2])


@pytest.mark.slow
def test_a_healthy_installation_with_one_broken_plugin(tmp_path):
    distribution(tmp_path, "my-plugin", "1.0", entry_points="[phi_sip]\nlicensed = my_plugin\n")
    package(tmp_path, "my_plugin", "raise RuntimeError('needs a licence')")
    done = doctor(tmp_path, "--json")
    assert done.returncode == ExitCode.FAULT, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == [
        {
            "what": "Failed: plugin 'licensed' of my-plugin 1.0: RuntimeError: needs a licence",
            "remedy": "Update or remove my-plugin 1.0, or go without: PHI_SIP_DISABLE_PLUGINS=licensed",
        }
    ]
    assert {"heat", "poisson"} <= set(found["plugins"]["physics"])
    assert "gauss-newton" in found["plugins"]["solvers"]
    assert set(found["versions"]) == {library.distribution for library in LIBRARIES}
    for framework in ("tensorflow", "torch", "jax"):
        assert any("cpu" in device.lower() for device in found["imports"][framework]["found"]["devices"])


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """PhiFlow 3.3 with PhiML 1.15, a framework that crashes, one that hangs, and one that ends the process."""
    folder = tmp_path_factory.mktemp("sick")
    for name, version in {"phiflow": "3.3.0", "phiml": "1.15.1", "keras": "3.0"}.items():
        distribution(folder, name, version)
    package(folder, "phiml", "from . import math")
    (folder / "phiml" / "math.py").write_text("")
    package(folder, "phi", "from phiml.math import no_such_name")
    package(folder, "tensorflow", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    package(folder, "torch", "import time\ntime.sleep(600)")
    package(folder, "jax", "import os, sys\nprint('no driver', file=sys.stderr)\nos._exit(7)")
    package(folder, "keras", "raise SystemExit('wrong machine')")
    return folder


@pytest.fixture(scope="module")
def diagnosis(sick):
    done = doctor(sick, "--json", "--timeout", "5")
    assert done.returncode == ExitCode.FAULT
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_version_that_does_not_import_is_named_first(diagnosis):
    assert diagnosis["faults"][0] == {
        "what": f"phi-sip {__version__} {PHIFLOW} 3.3.0 is installed.",
        "remedy": "pip install 'phiflow<4,>=3.4'",
    }


@pytest.mark.parametrize(
    ("library", "stage", "cause"),
    [
        ("phiflow", "import phi.flow", "ImportError: cannot import name 'no_such_name' from 'phiml.math'"),
        ("phiml", "from phiml import math; math.seed(0)", "AttributeError"),
        ("tensorflow", "import tensorflow", "the process was ended by SIGKILL"),
        ("torch", "import torch", "not done after 5 seconds"),
        ("jax", "import jax", "the process ended with code 7; it said: no driver"),
        ("keras", "import keras", "SystemExit: wrong machine"),
    ],
)
def test_neither_errors_nor_crashes_nor_hangs_take_the_doctor_down(diagnosis, library, stage, cause):
    assert diagnosis["imports"][library]["stage"] == stage
    assert diagnosis["imports"][library]["cause"].startswith(cause)
    assert any(f"`{stage}`" in fault["what"] and cause in fault["what"] for fault in diagnosis["faults"])


def test_plugins_that_fail_with_phiflow_are_one_fault(diagnosis):
    (fault,) = [fault for fault in diagnosis["faults"] if "no_such_name" in fault["what"]]
    assert "plugins of phi-sip" in fault["what"]


def test_keras_on_another_backend(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (look,) = look_at(["keras"], 120.0)
    (fault,) = failures([look], versions_are_wrong=False)
    assert "Keras computes with 'jax'" in fault.what
    assert "Unset KERAS_BACKEND" in fault.what


def test_a_plugin_that_ends_the_process_is_named(tmp_path):
    """And what people read says the same as the JSON."""
    distribution(tmp_path, "my-plugin", "1.0", entry_points="[phi_sip]\ndeadly = my_plugin\n")
    package(tmp_path, "my_plugin", "import os\nos.abort()")
    for name in ("tensorflow", "torch", "jax", "keras", "optax"):
        package(tmp_path, name, "raise ImportError('left out of this test')")
    done = doctor(tmp_path)
    assert done.returncode == ExitCode.FAULT
    assert "`load plugin 'deadly' of my-plugin`: the process was ended by SIGABRT" in done.stdout
    assert "Remedy: Go without this plugin: PHI_SIP_DISABLE_PLUGINS=<its name>" in done.stdout
    assert "Fault 1: " in done.stdout
