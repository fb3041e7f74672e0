"""`phi-sip physics`: what plugins have registered."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import ParameterError
from .entries import Catalogue, Entry
from .output import console, print_json


def physics(
    name: Annotated[
        str | None, typer.Argument(show_default=False, help="Show one of them with its parameters.")
    ] = None,
    solvers: Annotated[bool, typer.Option("--solvers", help="Numerical inverses instead of physics.")] = False,
    networks: Annotated[bool, typer.Option("--networks", help="Networks instead of physics.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print plain data for scripts.")] = False,
) -> None:
    """
    List the registered physics, or show one with its parameters.

    Names the distribution that brought each, and plugins that were left
    out with the cause.

    \b
    Examples:
      phi-sip physics
      phi-sip physics heat
      phi-sip physics --solvers
      phi-sip physics --networks u_net
      phi-sip physics heat --json
    """
    from .catalogue import NETWORKS, PHYSICS, SOLVERS, catalogue, only

    if solvers and networks:
        raise ParameterError("--solvers and --networks are given, but one kind is listed at a time. Leave out one.")
    kind = SOLVERS if solvers else NETWORKS if networks else PHYSICS
    found = catalogue(kind)
    if name is not None:
        found = only(found, name, kind)
    if json:
        print_json(dataclasses.asdict(found))
        return
    out = console()
    if name is None:
        out.print(_overview(found))
    else:
        _show(found.entries[0], out)
    for message in found.left_out:
        out.print(Text.assemble(("Left out: ", "bold red"), message), soft_wrap=not out.is_terminal)


def _overview(found: Catalogue) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Name", style="bold", overflow="fold")
    table.add_column("From", overflow="fold")
    table.add_column("What it is and takes", overflow="fold")
    for entry in found.entries:
        takes = ", ".join(p.name if p.default is None else f"{p.name}={p.default}" for p in entry.parameters)
        what = Text.assemble(entry.summary, ("\n" + takes if takes else "", "dim"))
        table.add_row(entry.name, entry.distribution, what)
    return table


def _show(entry: Entry, out: Console) -> None:
    out.print(Text.assemble((entry.name, "bold"), f": {entry.summary}"))
    out.print(Text(f"{entry.defined_in}, registered by plugin '{entry.plugin}' of {entry.distribution}", "dim"))
    for parameter in entry.parameters:
        default = "required" if parameter.default is None else f"default {parameter.default}"
        out.print()
        out.print(Text.assemble("  ", (parameter.name, "bold"), f": {parameter.type}, {default}"))
        out.print(Padding(Text(parameter.docs), (0, 0, 0, 6)))
