"""`phi-sip check`: whether a physics can be trained with."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import SipError, UnsupportedError
from .exit_codes import ExitCode
from .frameworks import Framework, backend_of
from .objects import physics_of, state_maker
from .output import console, print_json
from .parameters import parse_parameters

if TYPE_CHECKING:
    from ..contract.physics import InvertiblePhysics
    from ..testing import CheckResult
    from ..testing.sample import Sample

FAILED = "FAILED"
STYLES = {"passed": "green", "skipped": "dim", FAILED: "bold red"}


class Precision(str, Enum):
    """Bits of a floating point number."""

    single = "32"
    double = "64"


def check(
    physics: Annotated[str, typer.Argument(help="A registered name, or module:object.")],
    parameters: Annotated[
        list[str] | None, typer.Argument(show_default=False, help="Its parameters: name=value ...")
    ] = None,
    solver: Annotated[str | None, typer.Option(show_default=False, help="Check this numerical inverse on it.")] = None,
    state: Annotated[
        str, typer.Option(help="Sample states: scalar, velocity, pair, numbers, or module:function of (cells, seed).")
    ] = "scalar",
    cells: Annotated[int, typer.Option(min=4, help="Cells per axis.")] = 32,
    dims: Annotated[int, typer.Option(min=1, max=3, help="Number of axes.")] = 2,
    precision: Annotated[Precision, typer.Option(help="Bits of a number.")] = Precision.double,
    framework: Annotated[Framework, typer.Option(help="Framework to compute with.")] = Framework.tensorflow,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample states and their perturbations.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print plain data for scripts.")] = False,
) -> None:
    """
    Check that a physics can be trained with, on random sample states.

    Makes the checks of phi_sip.testing.check_physics, of which each says
    what to change if it fails. Exit code 1 if one fails.

    \b
    Examples:
      phi-sip check heat diffusivity=1.0 time=2.0
      phi-sip check burgers viscosity=0.5 time_step=0.1 steps=3 --dims 1
      phi-sip check wave speed=1 time_step=0.5 steps=8 --state pair
      phi-sip check my_module:MyPhysics rate=0.5 --cells 16 --framework jax
    """
    from phiml import math
    from phiml.math import spatial

    from ..inversion.operator import resolve_solver
    from ..testing import CHECKS
    from ..testing.report import run
    from ..testing.sample import Sample

    with backend_of(framework), math.precision(int(precision.value)):
        subject = physics_of(physics, parse_parameters(parameters or ()))
        x = state_maker(state)(spatial(**dict.fromkeys("xyz"[:dims], cells)), seed)
        sample = Sample(subject, x, resolve_solver(solver), None, seed)
        _try(sample, state)
        report = _json if json else _text
        results = report(subject, (run(name, check, sample) for name, check in CHECKS))
    raise typer.Exit(ExitCode.FAULT if any(result.outcome == FAILED for result in results) else ExitCode.DONE)


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
    """Each check as soon as it is done."""
    out, done = console(), []
    out.print(repr(physics))
    for result in results:
        out.print(_line(result))
        done.append(result)
    counts = Counter(result.outcome for result in done)
    out.print(", ".join(f"{counts[outcome]} {outcome}" for outcome in STYLES))
    return done


def _line(result: CheckResult) -> RenderableType:
    """Outcome, name and detail; what to change gets the whole width."""
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
