"""`phi-sip check`: whether a physics can be trained with."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from .exit_codes import ExitCode
from .frameworks import Framework, backend_of
from .parameters import parse_parameters


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

    from .checking import check_physics
    from .objects import physics_of

    with backend_of(framework), math.precision(int(precision.value)):
        subject = physics_of(physics, parse_parameters(parameters or ()))
        passed = check_physics(subject, solver, state, spatial(**dict.fromkeys("xyz"[:dims], cells)), seed, json)
    raise typer.Exit(ExitCode.DONE if passed else ExitCode.FAULT)
