"""README and docs say what the code does: snippets run, tables agree."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import phi_sip
from phi_sip import available_solvers
from phi_sip.contract import hookspecs
from phi_sip.testing import CHECKS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DESIGN = (ROOT / "docs" / "design.md").read_text()
WRITING = (ROOT / "docs" / "writing-physics.md").read_text()
TRAINING = (ROOT / "docs" / "training.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(SNIPPETS)))
def test_readme_snippets_run(index, tmp_path):
    result = subprocess.run([sys.executable, "-c", SNIPPETS[index]], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_writing_physics_runs():
    """All its snippets, one after the other, then the test that it suggests."""
    script = "\n".join([*re.findall(r"```python\n(.*?)```", WRITING, re.DOTALL), "test_conformance(64, None)"])
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "check_physics: Mixing" in result.stdout


@pytest.mark.slow
def test_training_runs(tmp_path):
    script = "\n".join(re.findall(r"```python\n(.*?)```", TRAINING, re.DOTALL))
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_every_check_and_solver_is_explained():
    rows = re.findall(r"^\| `([^`]+)` (?:\(`[^`]+`\) )?\|", WRITING, re.MULTILINE)
    solvers = {type(phi_sip.get_solver(name)).__name__ for name in available_solvers()}
    assert {name for name, _ in CHECKS} <= set(rows)
    assert solvers <= set(rows)


def test_script_is_as_short_as_promised():
    lines = [line for line in SNIPPETS[0].splitlines() if line.strip()]
    assert len(lines) <= 15


@pytest.mark.parametrize("text", [README, DESIGN], ids=["README", "design"])
def test_hook_tables_are_complete(text):
    hooks = {name for name, value in vars(hookspecs).items() if name.startswith("sip_") and callable(value)}
    assert set(re.findall(r"^\| `(sip_\w+)` \|", text, re.MULTILINE)) == hooks


def test_ci_runs_the_readme_command():
    commands = re.findall(r"^python3 -m venv .*-m pytest$", README, re.MULTILINE)
    assert len(commands) == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_links_lead_somewhere():
    for page in (README, DESIGN, WRITING, (ROOT / "CONTRIBUTING.md").read_text()):
        base = ROOT / "docs" if page in (DESIGN, WRITING) else ROOT
        for link in re.findall(r"\]\(([^)#]+)\)", page):
            assert link.startswith("http") or (base / link).exists(), link


def test_entry_points_in_design():
    ours = [entry for entry in entry_points(group="phi_sip") if entry.dist.name == "phi-sip"]
    assert ours
    for entry in ours:
        assert f"`{entry.name}`" in DESIGN, entry.name


def test_everything_public_can_be_imported_and_is_documented():
    assert set(dir(phi_sip)) == {*phi_sip.__all__, "__version__"}
    for name in phi_sip.__all__:
        documented = getattr(phi_sip, name).__doc__ or ""
        assert len(documented) > 20, name
        assert not documented.startswith(f"{name}("), f"{name} has the docstring that dataclasses make"
    with pytest.raises(AttributeError, match="no attribute 'sip_updat'"):
        _ = phi_sip.sip_updat


def test_no_placeholders():
    for page in (README, DESIGN, WRITING):
        assert not re.search(r"^[A-Z_]{6,}$|[A-Z]+_TABLE", page, re.MULTILINE)


def test_changelog_has_unreleased_on_top():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
