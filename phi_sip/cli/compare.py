"""`phi-sip compare`: numbers of runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from .output import console, print_json

COLUMNS = {
    "steps": "steps",
    "seconds": "time [s]",
    "seconds_per_step": "s per step",
    "final": "last error",
    "best": "best error",
    "best_step": "at step",
    "risk": "risk",
    "ratio": "÷ first",
    "alone": "inverse alone",
    "seconds_to_common": "s to common error",
}


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs; the first is what others are compared with.", metavar="RUN..."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print plain data for scripts.")] = False,
) -> None:
    """
    Compare runs: final and best validation errors, time, ratio to the first, and the error of the inverse alone.

    The common error is the one that all of them have reached.

    \b
    Examples:
      phi-sip compare runs/sip runs/dp
      phi-sip compare runs/* --json
    """
    from ..reporting import compare as rows_of

    rows = [asdict(row) for row in rows_of(runs)]
    if json:
        print_json(rows)
        return
    console().print(_table(rows))
    console().print(f"Validation error {rows[0]['quantity']}, summed over cells, mean over samples.")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)  # to fit into 80 columns
    table.add_column("run", overflow="fold")
    known = [name for name in COLUMNS if name != "risk" or any(row[name] is not None for row in rows)]
    for name in known:
        table.add_column(COLUMNS[name], justify="right", min_width=len(COLUMNS["ratio"]) if name == "ratio" else None)
    for row in rows:
        table.add_row(row["name"], *(_text(row[name]) for name in known))
    return table


def _text(value: float | int | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.4g}"
