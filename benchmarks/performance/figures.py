"""Figures of all sections, in the colours of `phi_sip`'s own: one function per section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from report import Results, tables
from timing import Row

from phi_sip.plots.style import COLORS, MARKERS

Found = dict[str, dict[str, Any]]
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
NAMES = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}


def draw(results: Results, folder: Path) -> list[Path]:
    """Draws the figures of all sections that there are, and returns their files."""
    files = []
    with rc_context({"font.size": 12}):
        for section, found in results.items():
            files.append(folder / f"{section}.png")
            FIGURES[section](found).savefig(files[-1], dpi=200)
    return files


def steps(found: Found) -> Figure:
    """Ratios of training steps: one panel per table."""
    panels = list(tables(found).values())
    labels = ("time ÷ supervised step, framework only", "time with data ÷ chapter's SIP with its data")
    counts = [len(_cases(rows)) for rows in panels]
    figure = Figure(figsize=(9.5, 2.2 + 0.42 * sum(counts)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[n + 1.5 for n in counts])[:, 0]
    for panel, rows, label in zip(axes, panels, labels, strict=False):
        _ratios(panel, rows, "framework", list(found), label)
        panel.set_xlim(0, 1.08 * max(1.0, *(row["high"] for row in rows)))
    _legend(figure, [NAMES[framework] for framework in found])
    return figure


def inverses(found: Found) -> Figure:
    """Ratios of inversions, one panel per framework, logarithmic."""
    (rows,) = tables(found).values()
    precisions = list(dict.fromkeys(row["precision"] for row in rows))
    figure = Figure(figsize=(4 + 3.6 * len(found), 0.42 * len(_cases(rows)) + 2.2), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, framework in zip(axes, found, strict=True):
        own = [row for row in rows if row["framework"] == framework]
        _ratios(panel, own, "precision", precisions, "time ÷ two real FFTs")
        panel.set(xscale="log", title=NAMES[framework])
        panel.set_xlim(0.6 * min(row["low"] for row in rows), 1.7 * max(row["high"] for row in rows))
        _plain_numbers(panel.xaxis, (1.0,))
    _legend(figure, precisions)
    return figure


def scaling(found: Found) -> Figure:
    """Time, and time ÷ N log₂ N, one column per framework."""
    rows = next(iter(tables(found).values()))
    figure = Figure(figsize=_size(found, 7.4), layout="constrained")
    panels = figure.subplots(2, len(found), sharex=True, sharey="row", squeeze=False)
    for column, framework in zip(panels.T, found, strict=True):
        for i, (kind, label) in enumerate(SCALING.items()):
            own = [row for row in rows if (row["framework"], row["kind"]) == (framework, kind)]
            style: dict[str, Any] = {"color": COLORS[i], "marker": MARKERS[i], "linestyle": DASHES[i], "lw": 2, "ms": 6}
            cells = [row["cells"] for row in own]
            column[0].plot(cells, [row["seconds"] for row in own], label=label, **style)
            middle, low, high = ([row[key] for row in own] for key in ("ns_per_n_log_n", "low", "high"))
            column[1].plot(cells, middle, **style)
            column[1].fill_between(cells, low, high, color=COLORS[i], alpha=0.2, lw=0)
        column[0].set(title=NAMES[framework])
        column[1].set(xlabel="cells × samples")
        for axes in column:
            axes.set(xscale="log", yscale="log")
            axes.grid(True, which="major", alpha=0.25)
    panels[0, 0].set_ylabel("time [s]")
    panels[1, 0].set_ylabel("time ÷ N log₂ N [ns]")
    _plain_numbers(panels[1, 0].yaxis, (1.0, 2.0, 5.0))
    _legend_below(figure, panels)
    return figure


SCALING = {"2-D": "one square grid", "3-D": "one cube", "batch": "batch of the chapter's grid"}


def memory(found: Found) -> Figure:
    """Memory over the size of the batch, one panel per framework."""
    (rows,) = tables(found).values()
    figure = Figure(figsize=_size(found, 5.6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, framework in zip(panels, found, strict=True):
        own = [row for row in rows if row["framework"] == framework]
        for i, case in enumerate(_cases(rows)):
            points = [row for row in own if row["case"] == case]
            style: dict[str, Any] = {"color": COLORS[i], "marker": MARKERS[i], "linestyle": DASHES[i % len(DASHES)]}
            sizes = [row["batch"] for row in points], [row["growth_mb"] for row in points]
            panel.plot(*sizes, lw=3 - 0.4 * i, ms=9 - i, label=case, **style)
        batches = sorted({row["batch"] for row in rows})
        panel.set(title=NAMES[framework], xlabel="batch", xticks=batches)
        panel.set(xlim=(0, 1.08 * batches[-1]), ylim=(0, 1.08 * max(row["growth_mb"] for row in rows)))
        panel.grid(True, alpha=0.25)
    panels[0].set_ylabel("memory that the steps add [MB]")
    _legend_below(figure, panels)
    return figure


def accuracy(found: Found) -> Figure:
    """Error over time of the best rates: one panel per framework, one line per seed."""
    figure = Figure(figsize=_size(found, 5.4), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, (framework, result) in zip(panels, found.items(), strict=True):
        best = next(iter(result["tables"].values()))
        for row in best:
            of_chapter = result["curves"][0]["method"]
            for i, (method, rate) in enumerate(((of_chapter, row["chapter_rate"]), (row["fastest"], row["sip_rate"]))):
                curve = _curve(result["curves"], method, row["seed"], rate)
                label = ("chapter, through the physics", "SIP, fastest network and rate")[i] if row is best[0] else None
                style = {"color": COLORS[i], "linestyle": DASHES[1 - i], "lw": 1.6}
                panel.plot(curve["seconds"], curve["errors"], label=label, **style)
            label = "the inverse alone, no network" if row is best[0] else None
            panel.axhline(row["alone"], color="0.4", linestyle=":", lw=1.4, label=label)
            if row["sip_seconds"] is not None:
                label = "SIP reaches the chapter's error at the end" if row is best[0] else None
                panel.plot(row["sip_seconds"], row["goal"], "ko", ms=6, mfc="white", mew=1.5, zorder=3, label=label)
        panel.set(title=NAMES[framework], xlabel="seconds of training, data included", yscale="log", xlim=(0, None))
        panel.grid(True, which="both", alpha=0.25)
    panels[0].set_ylabel("½ ‖x − x*‖²  (mean over validation batch)")
    _plain_numbers(panels[0].yaxis, (1.0, 2.0, 3.0, 5.0))
    _legend_below(figure, panels)
    return figure


def _curve(curves: list[Row], method: str, seed: int, rate: float) -> Row:
    wanted = (method, seed, rate)
    return next(curve for curve in curves if (curve["method"], curve["seed"], curve["rate"]) == wanted)


def _ratios(axes: Axes, rows: Sequence[Row], key: str, groups: Sequence[str], label: str) -> None:
    """Medians and quartiles: a line per case, a mark per group."""
    cases = _cases(rows)
    offsets = np.linspace(-0.22, 0.22, len(groups)) if len(groups) > 1 else [0.0]
    axes.axvline(1, color="0.4", lw=1.2, zorder=1)
    for i, group in enumerate(groups):
        own = [row for row in rows if row[key] == group]
        places = [cases.index(row["case"]) + offsets[i] for row in own]
        ratios, low, high = (np.array([row[name] for row in own]) for name in ("ratio", "low", "high"))
        spread = np.maximum([ratios - low, high - ratios], 0)
        axes.errorbar(ratios, places, xerr=spread, fmt=MARKERS[i], color=COLORS[i], ms=6, lw=2, mec="white", mew=0.6)
    axes.set(yticks=range(len(cases)), yticklabels=cases, ylim=(len(cases) - 0.4, -0.6), xlabel=label)
    axes.grid(True, axis="x", alpha=0.25)


def _cases(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["case"] for row in rows))


def _size(found: Found, height: float) -> tuple[float, float]:
    """Of a figure with a column per framework; one column leaves room for the legend."""
    return max(6.5, 1.6 + 4 * len(found)), height


def _legend(figure: Figure, names: Sequence[str]) -> None:
    """What the marks of `_ratios` stand for."""
    marks = [
        Line2D([], [], color=color, marker=marker, ls="", ms=7, label=name)
        for name, color, marker in zip(names, COLORS, MARKERS, strict=False)
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks), frameon=False)


def _legend_below(figure: Figure, panels: np.ndarray) -> None:
    """The lines of all panels, each once, in as many columns as there is room for."""
    found = [panel.get_legend_handles_labels() for panel in panels.flat]
    lines = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
    columns = max(1, int(figure.get_figwidth() / (1 + 0.1 * max(map(len, lines)))))
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=columns, frameon=False)


def _plain_numbers(axis: Axis, digits: tuple[float, ...]) -> None:
    """0.02 rather than 2·10⁻², at these leading digits."""
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


FIGURES: dict[str, Callable[[Found], Figure]] = {
    "steps": steps,
    "inverses": inverses,
    "scaling": scaling,
    "memory": memory,
    "accuracy": accuracy,
}
