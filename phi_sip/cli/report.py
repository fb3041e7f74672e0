"""`phi-sip report`: a page about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN...")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", show_default=False, help="HTML file. Default: report.html in RUN.")
    ] = None,
) -> None:
    """
    Write a self-contained HTML page about one run or several compared.

    \b
    Examples:
      phi-sip report runs/heat
      phi-sip report runs/sip runs/dp -o comparison.html
    """
    from ..reporting import write_report

    default = runs[0] / "report.html" if len(runs) == 1 else Path("report.html")
    console().print(f"Report: {write_report(runs, output or default)}")
