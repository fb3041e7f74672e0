"""The command line: help, errors and exit codes, and the commands that look at physics."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
import warnings
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

import phi_sip
from phi_sip import errors, hookimpl
from phi_sip.cli import app as app_module
from phi_sip.cli.app import COMMANDS, app
from phi_sip.cli.exit_codes import ExitCode
from phi_sip.cli.missing import BROUGHT
from phi_sip.plugins.manager import get_plugin_manager
from phi_sip.testing import CHECKS

HEAVY = ("phi", "phiml", "numpy", "tensorflow", "keras", "torch", "jax", "matplotlib", "pluggy")


def run(*arguments: str):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, arguments, prog_name="phi-sip")


def process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)


def command(monkeypatch, function) -> None:
    """Makes `phi-sip trial` call a function."""
    monkeypatch.setattr(app_module, "COMMANDS", (*COMMANDS, "trial"))
    monkeypatch.setitem(sys.modules, "phi_sip.cli.trial", types.SimpleNamespace(trial=function))


def raising(error: BaseException):
    def trial() -> None:
        raise error

    return trial


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_process_of_its_own():
    done = process("from phi_sip.cli import main; main()", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"phi-sip {phi_sip.__version__}\n", "")


def test_help_is_quick():
    """It lists all commands, and imports neither PhiFlow nor a framework."""
    code = (
        "import sys; from phi_sip.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        f"sys.exit(code or [name for name in {HEAVY} if name in sys.modules] or 0)"
    )
    done = process(code, "--help")
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_shows_how_to_call_it(name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Examples:\s+phi-sip {name}", result.stdout), result.stdout


def test_without_typer():
    done = process("import sys; sys.modules['typer'] = None; from phi_sip.cli import main; main()", "doctor")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == "phi-sip needs typer, which is not installed. Install it: pip install 'phi-sip[cli]'\n"


def test_a_missing_library_names_the_extra_that_brings_it(monkeypatch):
    command(monkeypatch, raising(ModuleNotFoundError("No module named 'pydantic'", name="pydantic")))
    result = run("trial")
    message = "Error: phi-sip needs pydantic, which is not installed. Install it: pip install 'phi-sip[cli]'\n"
    assert (result.exit_code, result.stderr) == (ExitCode.FAULT, message)


def test_libraries_that_the_extra_brings():
    wanted = [Requirement(text) for text in requires("phi-sip") or ()]
    brought = {r.name.replace("-", "_") for r in wanted if "extra == 'cli'" in str(r.marker).replace('"', "'")}
    assert set(BROUGHT) <= {*brought, "tomli"}  # which Python 3.11 has itself


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SipError("a reason"), 1),
        (errors.CheckpointError("a reason"), 1),
        (errors.ParameterError("a reason"), 2),
        (errors.UnknownNameError("a reason"), 2),
        (errors.UnsupportedError("a reason"), 2),
        (errors.NonFiniteError("a reason"), 3),
        (caused(errors.TrainingError("a reason"), errors.NonFiniteError("the loss is NaN")), 3),
        (caused(errors.TrainingError("a reason"), ZeroDivisionError()), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_end_as_one_message_and_an_exit_code(monkeypatch, error, code):
    command(monkeypatch, raising(error))
    result = run("trial")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "Error: a reason\n")


def test_a_message_is_not_taken_for_markup(monkeypatch):
    command(monkeypatch, raising(errors.SipError("give [red] or :x: " + "long " * 60)))
    assert run("trial").stderr == "Error: give [red] or :x: " + "long " * 60 + "\n"


def test_warnings_are_messages_too(monkeypatch):
    def trial() -> None:
        warnings.warn("a reason", errors.PerformanceWarning, stacklevel=1)
        warnings.warn("of another library", FutureWarning, stacklevel=1)

    command(monkeypatch, trial)
    with pytest.warns(FutureWarning, match="of another library") as others:
        result = run("trial")
    assert (result.exit_code, result.stderr) == (0, "Warning: a reason\n")
    assert [warning.category for warning in others] == [FutureWarning]


def test_debug_shows_where_an_error_came_from(monkeypatch):
    error = errors.SipError("a reason")
    command(monkeypatch, raising(error))
    assert run("--debug", "trial").exception is error
    monkeypatch.setenv("PHI_SIP_DEBUG", "1")
    assert run("trial").exception is error


def test_a_fault_of_phi_sip_keeps_its_traceback(monkeypatch):
    error = ZeroDivisionError()
    command(monkeypatch, raising(error))
    assert run("trial").exception is error


def test_what_does_not_import_sends_to_the_doctor(monkeypatch):
    command(monkeypatch, raising(ImportError("cannot import name 'unstack' from 'phiml.math'")))
    result = run("trial")
    assert result.exit_code == 1
    assert "cannot import name 'unstack'" in result.stderr
    assert "phi-sip doctor" in result.stderr


def test_interrupted(monkeypatch):
    command(monkeypatch, raising(KeyboardInterrupt()))
    assert run("trial").exit_code == ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["doktor"], "Did you mean 'doctor'?"),
        (["doctor", "--jsn"], "--jsn"),
        (["physics", "haet"], "Did you mean 'heat'?"),
        (["physics", "heat", "--solvers"], "No solver is named 'heat'"),
        (["check", "haet"], "Did you mean 'heat'?"),
        (["check", "heat", "time=1"], "missing a required argument: 'diffusivity'"),
        (["check", "heat", "time"], "Give name=value"),
        (["check", "heat", "time=1", "time=2"], "given twice"),
        (["check", "heat", "time=-1", "diffusivity=1"], "time = -1, but it must be ≥ 0"),
        (["check", "heat", "time=soon", "diffusivity=1"], "time is a str"),
        (["check", "exponential", "--solver", "newton"], "No solver is named 'newton'"),
        (["check", "exponential", "--state", "vector"], "scalar, velocity, pair, numbers"),
        (["check", "exponential", "--precision", "16"], "32"),
        (["check", "burgers", "viscosity=1", "time_step=0.1", "steps=1"], "--state"),
        (["check", "no_such_module:Physics"], "There is no module 'no_such_module'"),
        (["check", "phi_sip.physics.heat:HeetEquation"], "Did you mean 'phi_sip.physics.heat:HeatEquation'?"),
        (["check", "phi_sip.physics.heat:__name__"], "is a str"),
        (["check", "phi_sip.physics.heat:HeatEquation", "time=1"], "diffusivity"),
        (["check", "phi_sip.solvers.gradient:GradientSolver"], "makes a GradientSolver"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_says_what_to_change(arguments, message):
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("option", [[], ["--solvers"]], ids=["physics", "solvers"])
def test_all_that_is_registered_is_listed(option):
    names = phi_sip.available_solvers() if option else phi_sip.available_physics()
    listed = run("physics", *option).stdout
    for name in names:
        assert name in listed
    assert f"phi-sip {phi_sip.__version__}" in listed
    plain = json.loads(run("physics", *option, "--json").stdout)
    assert [entry["name"] for entry in plain["entries"]] == list(names)
    assert plain["left_out"] == []


@pytest.mark.parametrize("option", [[], ["--solvers"]], ids=["physics", "solvers"])
def test_each_parameter_is_explained(option):
    for entry in json.loads(run("physics", *option, "--json").stdout)["entries"]:
        assert entry["summary"], entry
        for parameter in entry["parameters"]:
            assert parameter["type"], (entry["name"], parameter)
            assert parameter["docs"], (entry["name"], parameter)


def test_one_physics_with_its_parameters():
    (heat,) = json.loads(run("physics", "heat", "--json").stdout)["entries"]
    assert heat["defined_in"] == "phi_sip.physics.heat:HeatEquation"
    assert [(p["name"], p["default"]) for p in heat["parameters"]] == [
        ("diffusivity", None),
        ("time", None),
        ("noise_std", "'auto'"),
        ("regularization", "None"),
        ("noise", "None"),
    ]
    shown = run("physics", "heat").stdout
    assert "diffusivity: float | Tensor, required" in shown
    assert "Duration t ≥ 0" in shown


def test_plugins_that_are_left_out_are_listed_with_the_cause(fresh_plugins):
    impostor = type("Impostor", (phi_sip.HeatEquation,), {})
    broken = types.SimpleNamespace(sip_physics=hookimpl(lambda: 1 / 0))
    second = types.SimpleNamespace(sip_physics=hookimpl(lambda: [impostor]))
    get_plugin_manager().register(broken, name="broken")
    get_plugin_manager().register(second, name="impostor")
    listed = run("physics").stdout
    assert "plugin 'broken' of this process: ZeroDivisionError" in listed
    assert "'heat' is registered twice" in listed
    plain = json.loads(run("physics", "--json").stdout)
    assert "heat" not in [entry["name"] for entry in plain["entries"]]
    assert len(plain["left_out"]) == 2
    assert run("physics", "heat").exit_code == ExitCode.USAGE


def test_check_of_a_registered_physics(framework):
    result = run("check", "exponential", "rate=0.5", "--cells", "8", "--framework", framework.name)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Exponential(rate=0.5)"
    for name, _ in CHECKS:
        assert any(re.fullmatch(rf"  (passed|skipped) +{name}( .*)?", line) for line in lines), (name, result.stdout)
    assert re.fullmatch(r"\d+ passed, \d+ skipped, 0 FAILED", lines[-1])


@pytest.mark.parametrize(
    "arguments",
    [
        ["heat", "diffusivity=0.5", "time=1.0", "--dims", "1"],
        ["poisson", "--cells", "12"],
        ["burgers", "viscosity=0.5", "time_step=0.1", "steps=2", "--cells", "8", "--state", "velocity"],
        ["wave", "speed=1", "time_step=0.5", "steps=2", "--cells", "8", "--state", "pair"],
        ["rotated-sine", "condition=5", "angle=0.7", "scale=2", "--state", "numbers"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_sample_states_fit_the_physics(arguments):
    result = run("check", *arguments, "--framework", "torch", "--json")
    assert result.exit_code == 0, result.output
    assert [check["name"] for check in json.loads(result.stdout)["results"]] == [name for name, _ in CHECKS]


PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from phi.field import CenteredGrid
from phiml.math import batch, extrapolation
from phiml import math
from phi_sip import Correction, InvertiblePhysics

@dataclass(frozen=True)
class Doubling(InvertiblePhysics):
    name: ClassVar[str] = "doubling"
    sign: float = 1.0

    def forward(self, x):
        return x * 2

    def inverse(self, y_target, x, y):
        return Correction(self.sign * (y_target - y) / 2)

GOOD = Doubling()

class Broken(Doubling):
    def forward(self, x):
        return x * (1 / 0)

def state(cells, seed):
    return CenteredGrid(math.random_normal(batch(batch=2), cells), extrapolation.ZERO_GRADIENT, resolution=cells)
"""


@pytest.fixture
def my_plugin(tmp_path, monkeypatch):
    """A module in the current folder."""
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("my_plugin", None)


@pytest.mark.parametrize("options", [[], ["--precision", "32"]], ids=["double", "single"])
def test_check_of_a_module_in_the_current_folder(my_plugin, options):
    result = run("check", "my_plugin:GOOD", "--cells", "4", "--state", "my_plugin:state", *options)
    assert result.exit_code == 0, result.output
    assert f"{options[-1] if options else 64} bits" in result.stdout
    assert run("check", "my_plugin:GOOD", "sign=1.0").exit_code == ExitCode.USAGE


def test_a_check_that_fails_says_what_to_change(my_plugin):
    result = run("check", "my_plugin:Doubling", "sign=-1.0", "--cells", "4")
    assert result.exit_code == ExitCode.FAULT
    assert "  FAILED   inverse approaches the target" in result.stdout
    assert "Check sign and scale of `inverse`" in " ".join(result.stdout.split())


def test_a_physics_that_raises_fails_its_checks(my_plugin):
    result = run("check", "my_plugin:Doubling", "sign=text", "--cells", "4", "--json")
    assert result.exit_code == ExitCode.FAULT, result.output
    outcomes = {check["name"]: check["outcome"] for check in json.loads(result.stdout)["results"]}
    assert outcomes["forward is finite"] == "passed"
    assert outcomes["inverse approaches the target"] == "FAILED"
    result = run("check", "my_plugin:Broken", "--cells", "4", "--json")
    assert result.exit_code == ExitCode.FAULT, result.output
    assert "ZeroDivisionError" in result.stdout
