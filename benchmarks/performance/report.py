"""All results as one JSON file, as Markdown and on the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from timing import Row

Results = dict[str, dict[str, dict[str, Any]]]  # section → framework → what `measure` returned

HEADINGS = {
    "first": "first call [s]",
    "seconds": "median [s]",
    "ns_per_n_log_n": "time ÷ N log₂ N [ns]",
    "peak_mb": "peak of the process [MB]",
    "growth_mb": "added [MB]",
    "arrays": "added ÷ size of x",
    "rate": "learning rate",
    "end": "error at the end",
    "goal": "error to reach",
    "alone": "error of the inverse alone",
    "steps_to_goal": "steps to it",
    "to_goal": "seconds to it",
    "step": "median step [s]",
    "preparation": "first step, excess [s]",
    "chapter_rate": "chapter: rate",
    "chapter_seconds": "chapter: all steps [s]",
    "fastest": "SIP",
    "sip_rate": "SIP: rate",
    "sip_steps": "SIP: steps to it",
    "sip_seconds": "SIP: seconds to it",
    "compiling": "SIP: compiling [s]",
    "ratio_with_compiling": "ratio with compiling",
    "ratio_to_first": "ratio to the chapter's first time at it",
}
MEDIANS = ("ratio", "ns_per_n_log_n")  # what rows may have quartiles of
QUARTILES = " (quartiles)"
WIDTH = 170  # characters of tables that are not shown on a terminal


def write(results: Results, folder: Path) -> None:
    """`results.json` and `table.md`."""
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False))
    parts = [f"## {section}\n\n{machines(found)}\n\n{_markdown(found)}" for section, found in results.items()]
    (folder / "table.md").write_text("# Performance\n\n" + "\n\n".join(parts) + "\n")


def show(results: Results) -> None:
    """Prints all tables."""
    console = Console()
    console.width = max(console.width, WIDTH)
    for found in results.values():
        for title, rows in tables(found).items():
            rows = [_with_quartiles(row) for row in rows]
            table = Table(title=title, title_justify="left")
            for heading, is_text in _columns(rows):
                table.add_column(heading, justify="left" if is_text else "right")
            for row in rows:
                table.add_row(*_cells(row))
            console.print(table)


def tables(found: dict[str, dict[str, Any]]) -> dict[str, list[Row]]:
    """The tables of a section, with the rows of all frameworks."""
    joined: dict[str, list[Row]] = {}
    for framework, result in found.items():
        for title, rows in result["tables"].items():
            joined.setdefault(title, []).extend({"framework": framework, **row} for row in rows)
    return joined


def machines(found: dict[str, dict[str, Any]]) -> str:
    """Where each framework was measured."""
    lines = []
    for framework, result in found.items():
        machine = result["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        before, after = machine["load"]
        lines.append(
            f"- {framework}: {machine['cores']} cores, load {before:.1f} before, {after:.1f} after; {versions}"
        )
    return "\n".join(lines)


def _markdown(found: dict[str, dict[str, Any]]) -> str:
    return "\n\n".join(f"**{title}**\n\n{markdown_table(rows)}" for title, rows in tables(found).items())


def markdown_table(rows: list[Row]) -> str:
    """A table with the columns of the first row."""
    rows = [_with_quartiles(row) for row in rows]
    columns = _columns(rows)
    lines = [[heading for heading, _ in columns], ["---" if is_text else "--:" for _, is_text in columns]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines + [_cells(row) for row in rows])


def _with_quartiles(row: Row) -> Row:
    """The row under its headings, with quartiles behind the median that they belong to."""
    shown = {}
    for key, value in row.items():
        heading = HEADINGS.get(key, key)
        if key in MEDIANS and "low" in row:
            shown[heading + QUARTILES] = f"{_cell(value)} ({_cell(row['low'])} – {_cell(row['high'])})"
        elif key not in ("low", "high"):
            shown[heading] = value
    return shown


def _columns(rows: list[Row]) -> list[tuple[str, bool]]:
    """Heading, and whether it is text to be read from the left."""
    return [(heading, isinstance(value, str) and not heading.endswith(QUARTILES)) for heading, value in rows[0].items()]


def _cells(row: Row) -> list[str]:
    return [_cell(value) for value in row.values()]


def _cell(value: str | float | None) -> str:
    if value is None:
        return "not reached"
    if isinstance(value, (str, int)):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
