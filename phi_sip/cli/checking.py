"""Makes the checks of a physics and shows their results. Imports PhiFlow: to be imported inside a command."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

from phiml.math import Shape
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..contract.physics import InvertiblePhysics
from ..errors import SipError, UnsupportedError
from ..inversion.operator import resolve_solver
from ..testing import CHECKS, CheckResult
from ..testing.report import run
from ..testing.sample import Sample
from .objects import state_maker
from .output import console, print_json

FAILED = "FAILED"
STYLES = {"passed": "green", "skipped": "dim", FAILED: "bold red"}


def check_physics(
    physics: InvertiblePhysics, solver: str | None, state: str, cells: Shape, seed: int, json: bool
) -> bool:
    """
    Makes all checks and prints their results.

    Args:
        physics: What is checked.
        solver: Numerical inverse to check on it; by default its own inverse.
        state: Which sample states, see `state_maker`.
        cells: Their number of cells along each axis.
        seed: Of the states and their perturbations.
        json: Whether to print plain data.

    Returns:
        Whether none has failed.
    """
    sample = Sample(physics, state_maker(state)(cells, seed), resolve_solver(solver), None, seed)
    _try(sample, state)
    show = _json if json else _text
    results = show(physics, (run(name, check, sample) for name, check in CHECKS))
    return all(result.outcome != FAILED for result in results)


def _try(sample: Sample, state: str) -> None:
    """Raises `UnsupportedError` if the physics refuses the sample states."""
    try:
        sample.y_target  # noqa: B018
    except SipError as error:
        raise UnsupportedError(
            f"{error} This is what the physics says of sample states of the kind '{state}'; for others see --state."
        ) from error
    except Exception:  # a fault of the physics: the checks report it
        return


def _text(physics: InvertiblePhysics, results: Iterable[CheckResult]) -> list[CheckResult]:
    """Prints each check as soon as it is done."""
    out, done = console(), []
    out.print(repr(physics))
    for result in results:
        out.print(_line(result))
        done.append(result)
    counts = Counter(result.outcome for result in done)
    out.print(", ".join(f"{counts[outcome]} {outcome}" for outcome in STYLES))
    return done


def _line(result: CheckResult) -> RenderableType:
    """Shows outcome, name and detail; what to change gets the whole width."""
    failed = result.outcome == FAILED
    line = Table.grid(padding=(0, 2, 0, 0))
    for width in (9, 33, None):
        line.add_column(width=width)
    outcome = Text(f"  {result.outcome}", STYLES[result.outcome])
    line.add_row(outcome, Text(result.name), Text("" if failed else result.detail, "dim"))
    return Group(line, Padding(Text(result.detail), (0, 0, 0, 11), expand=False)) if failed else line


def _json(physics: InvertiblePhysics, results: Iterable[CheckResult]) -> list[CheckResult]:
    done = list(results)
    print_json({"physics": repr(physics), "results": [dataclasses.asdict(result) for result in done]})
    return done
