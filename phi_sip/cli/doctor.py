"""`phi-sip doctor`: what this installation is made of, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..doctor import LIBRARIES, Diagnosis, Look, diagnose
from .exit_codes import ExitCode
from .output import console, print_json


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print plain data for scripts.")] = False,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that each import may take.")] = 120.0,
) -> None:
    """
    Find out what is wrong with this installation, and how to mend it.

    Shows versions and their known faults, what does not import and why,
    devices, and plugins. Exit code 1 if anything is wrong.

    \b
    Examples:
      phi-sip doctor
      phi-sip doctor --json > installation.json
    """
    diagnosis = diagnose(timeout)
    if json:
        print_json(_plain(diagnosis))
    else:
        _show(diagnosis, console())
    raise typer.Exit(ExitCode.FAULT if diagnosis.faults else ExitCode.DONE)


def _plain(diagnosis: Diagnosis) -> dict[str, Any]:
    """Returns the whole diagnosis as JSON holds it; what is not installed is null."""
    names = [library.distribution for library in LIBRARIES]
    return {
        "python": diagnosis.python,
        "system": diagnosis.system,
        "versions": {name: getattr(diagnosis.libraries.get(name), "version", None) for name in names},
        "imports": {name: dataclasses.asdict(look) for name, look in diagnosis.looks.items() if name in names},
        "plugins": diagnosis.plugins,
        "faults": [dataclasses.asdict(fault) for fault in diagnosis.faults],
    }


def _show(diagnosis: Diagnosis, out: Console) -> None:
    out.print(f"Python {diagnosis.python} on {diagnosis.system}", soft_wrap=True)
    out.print(_libraries(diagnosis))
    plugins = {"loaded": 0, "failures": (), "physics": (), "solvers": (), "networks": (), **diagnosis.plugins}
    out.print(
        f"Plugins: {plugins['loaded']} loaded, {len(plugins['failures'])} failed. "
        f"They bring {len(plugins['physics'])} physics, {len(plugins['solvers'])} solvers and "
        f"{len(plugins['networks'])} networks, see phi-sip physics."
    )
    for number, fault in enumerate(diagnosis.faults, 1):
        out.print()
        out.print(Text.assemble((f"Fault {number}: ", "bold red"), fault.what), soft_wrap=not out.is_terminal)
        if fault.remedy:
            out.print(Text.assemble(("Remedy: ", "bold green"), fault.remedy), soft_wrap=True)
    if not diagnosis.faults:
        out.print(Text("No faults found.", "bold green"))


def _libraries(diagnosis: Diagnosis) -> Table:
    table = Table("Library", "Version", "Import", "Devices", box=box.SIMPLE_HEAD)
    for library in LIBRARIES:
        installed = diagnosis.libraries.get(library.distribution)
        look = diagnosis.looks.get(library.distribution, Look(library.distribution))
        table.add_row(
            library.title,
            Text("not installed", "dim")
            if installed is None
            else str(installed).removeprefix(f"{library.distribution} "),
            _import(look),
            ", ".join(look.found.get("devices", ())),
        )
    return table


def _import(look: Look) -> Text:
    if look.cause:
        return Text("fails", "bold red")
    return Text("works", "green") if look.stage else Text("")
