"""Table and figure of what `label_free.py` has measured, from its JSON lines alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phi_sip.plots.style import COLORS, MARKERS

Row = dict[str, Any]
Cell = tuple[str, float, int]  # data, σ, cells per side
LIBRARY = "deepinv"


def read(files: Sequence[Path]) -> list[Row]:
    """All rows."""
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def show(files: Sequence[Path], output: Path) -> None:
    """Prints the table, and writes it and the figure beside `output`."""
    rows = read(files)
    text = table(rows)
    print(text, end="")
    output.with_suffix(".md").write_text(text)
    with rc_context({"font.size": 11}):
        figure(rows).savefig(output.with_suffix(".png"), dpi=150)


def table(rows: Sequence[Row]) -> str:
    """
    Markdown with one row per method, and one column per problem: the mean over seeds of error ÷ that of the inverse
    alone, and its range. The least of a column that needs no labels is bold.
    """
    cells, methods = problems(rows), methods_of(rows)
    best = {cell: min((mean(rows, m, cell) for m in methods if "labels" not in m), default=0.0) for cell in cells}
    heads = [f"{data}, {n}², σ = {noise:g}" for data, noise, n in cells]
    lines = [["error ÷ inverse alone", *heads, "samples made worse", "processor s", "steps", "seeds"]]
    lines.append(["---", *("--:" for _ in range(len(cells) + 4))])
    for method in methods:
        mine = [row for row in rows if row["method"] == method]
        shown = [entry(rows, method, cell, mean(rows, method, cell) == best[cell]) for cell in cells]
        spent = [f"{np.median([row[key] for row in mine]):.0f}" for key in ("processor seconds", "steps")]
        worse = f"{np.mean([row['worse'] for row in mine]):.0%}"
        lines.append([method, *shown, worse, *spent, str(len({row["seed"] for row in mine}))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def problems(rows: Sequence[Row]) -> list[Cell]:
    """All problems, in the order of the rows for data, by noise and size."""
    data = list(dict.fromkeys(row["data"] for row in rows))
    return sorted({(r["data"], r["noise"], r["cells"]) for r in rows}, key=lambda c: (data.index(c[0]), c[2], c[1]))


def methods_of(rows: Sequence[Row]) -> list[str]:
    """All methods, those of deepinv last."""
    return sorted(dict.fromkeys(row["method"] for row in rows), key=lambda name: name.startswith(LIBRARY))


def ratios(rows: Sequence[Row], method: str, cell: Cell) -> list[float]:
    """Those of all seeds."""
    return [r["ratio"] for r in rows if r["method"] == method and (r["data"], r["noise"], r["cells"]) == cell]


def mean(rows: Sequence[Row], method: str, cell: Cell) -> float:
    """The mean over seeds; infinite where nothing was measured."""
    found = ratios(rows, method, cell)
    return float(np.mean(found)) if found else float("inf")


def entry(rows: Sequence[Row], method: str, cell: Cell, is_best: bool) -> str:
    found = ratios(rows, method, cell)
    if not found:
        return ""
    text = f"{np.mean(found):.3f}"
    spread = f" ({min(found):.3f} – {max(found):.3f})" if len(found) > 1 else ""
    return (f"**{text}**" if is_best else text) + spread


def figure(rows: Sequence[Row]) -> Figure:
    """One panel per problem, one line per method: all seeds and their mean, with the inverse alone at 1."""
    cells, methods = problems(rows), methods_of(rows)
    columns = min(3, len(cells))
    lines = -(-len(cells) // columns)
    drawn = Figure(figsize=(2.5 + 3.2 * columns, lines * (1.2 + 0.26 * len(methods))), layout="constrained")
    panels = drawn.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for panel, cell in zip(panels, cells, strict=False):
        draw(panel, rows, methods, cell)
    for panel in panels[len(cells) :]:
        panel.set_axis_off()
    return drawn


def draw(axes: Axes, rows: Sequence[Row], methods: Sequence[str], cell: Cell) -> None:
    """One panel. Trained networks that are much worse than the inverse lie at its right edge."""
    data, noise, size = cell
    most = 1.5
    for place, method in enumerate(methods):
        found = np.minimum(ratios(rows, method, cell), most)
        if len(found):
            is_theirs = method.startswith(LIBRARY)
            color, marker = COLORS[is_theirs], MARKERS[is_theirs]
            axes.plot(found, [place] * len(found), marker, color=color, alpha=0.4, markersize=4)
            axes.plot(found.mean(), place, marker, color=color, markersize=8)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set(xlim=(None, 1.03 * most), yticks=range(len(methods)), title=f"{data}, {size}², σ = {noise:g}")
    axes.set_yticklabels(methods)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlabel(f"error ÷ inverse alone ({most}: that or more)")
    axes.grid(axis="x", alpha=0.3)
