"""One self-contained HTML page about one run or several."""

from __future__ import annotations

import base64
import io
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..errors import ParameterError, RecordWarning, RunFolderError, UnsupportedError
from ..plots.runs import comparisons_of, drawings_of
from ..storage.atomic import refuse_link, written_file
from ..text.printable import in_one_line, printable
from .comparison import ending, rows_of
from .folders import RunFolder, read_folders

DPI = 130
LONGEST = 2000  # characters of a fact
LARGEST_SIZE = 10**9  # of a dim of an array of weights
CAPTIONS = {
    "curves": "Errors over steps and time: lines of the training, marks of the validation.",
    "final": "Last validation error.",
    "reconstructions": "A validation sample: what was observed, predicted, and what the inverse corrects it to.",
    "spectra": "Mean power over wavenumber: what is smoothed out shows at the right.",
    "damping": "Share of the error in each mode that one step corrects, by the inverse and by the gradient.",
    "uncertainty": "Standard deviation per cell to be expected of the corrected state, and how often it holds.",
}


@dataclass(frozen=True)
class Picture:
    """
    A figure in the page.

    Attributes:
        name: Short.
        caption: What it shows.
        data: PNG as a `data:` address.
    """

    name: str
    caption: str
    data: str


def write_report(paths: list[Path], page: Path) -> Path:
    """
    Writes a report of the runs in these folders; for one run, its figures also go to `figures/` in its folder.

    Args:
        paths: Folders of runs.
        page: HTML file to write.

    Returns:
        `page`.

    Raises:
        RecordError: if a folder holds no run.
        RunFolderError: if it cannot be written.
        UnsupportedError: if the library for templates is missing.
    """
    if not paths:
        raise ParameterError("write_report: no runs. Give the folder of at least one.")
    template = _template()
    folders = read_folders(list(paths))
    comparing = _drawn(comparisons_of([folder.run for folder in folders]), "the comparison")
    drawn = [_drawn(drawings_of(folder.run, folder.samples), str(folder.path)) for folder in folders]
    try:
        if len(folders) == 1:
            _save(drawn[0], folders[0].path / "figures")
        html = template.render(
            title=" against ".join(folder.run.name for folder in folders),
            rows=rows_of([folder.run for folder in folders]),
            comparing=_pictures(comparing),
            runs=[(folder.run, _facts(folder), _pictures(d)) for folder, d in zip(folders, drawn, strict=True)],
        )
        page.parent.mkdir(parents=True, exist_ok=True)
        with written_file(page) as unfinished:
            unfinished.write_text(html, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"The report cannot be written to {page}: {error}.") from error
    return page


def _template() -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
    except ModuleNotFoundError as error:
        raise UnsupportedError("Reports need jinja2. Install it: pip install 'phi-sip[report]'.") from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters["number"] = _number
    return environment.from_string(files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8"))


def _shown(value: Any) -> Any:
    """All that the template puts into the page comes through here."""
    return printable(value) if isinstance(value, str) else value


def _drawn(drawings: Mapping[str, Callable[[], Figure]], of: str) -> dict[str, bytes]:
    """Pictures as PNG, by name. What cannot be drawn of the files of anybody is left out, with a warning."""
    pictures = {}
    for name, draw in drawings.items():
        buffer = io.BytesIO()
        try:
            draw().savefig(buffer, dpi=DPI, format="png")
        except Exception as error:
            warnings.warn(
                f"The figure '{name}' of {of} is left out, as it cannot be drawn: {type(error).__name__}: {error}. The "
                f"records or samples are damaged.",
                RecordWarning,
                stacklevel=2,
            )
            continue
        pictures[name] = buffer.getvalue()
    return pictures


def _facts(folder: RunFolder) -> dict[str, str]:
    info = folder.run.info
    versions = info.get("versions")
    facts = {
        "folder": str(folder.path),
        "begun": _plain(info.get("created")),
        "ended": ending(folder.run),
        "framework": _plain(info.get("framework")),
        "physics": _plain(info.get("physics")),
        "network": _weights(info.get("network")),
        "versions": _plain(versions) if isinstance(versions, dict) else None,
    }
    return {name: value for name, value in facts.items() if value}


def _plain(value: Any, depth: int = 8) -> str | None:
    """Nested plain data in one line: heat(diffusivity 1.0, time 8.0)."""
    if not isinstance(value, dict):
        return None if value is None else in_one_line(value if isinstance(value, str) else repr(value)[:LONGEST])
    if depth == 0:
        return "…"
    name = value.get("name") or value.get("type")
    inner = value.get("parameters", {key: v for key, v in value.items() if key not in ("name", "type")})
    pairs = inner.items() if isinstance(inner, dict) else [("", inner)]
    text = ", ".join(f"{key} {_plain(v, depth - 1)}".strip() for key, v in pairs)[:LONGEST]
    return f"{name}({text})" if name and text else str(name or text)


def _weights(layout: Any) -> str | None:
    """How many weights a layout, a list of shapes and types, has."""
    shapes = [entry[0] for entry in layout if isinstance(entry, list) and entry] if isinstance(layout, list) else []
    sizes = [size for shape in shapes if isinstance(shape, list) for size in shape]
    if not shapes or not all(type(size) is int and 0 <= size <= LARGEST_SIZE for size in sizes):
        return None
    count = sum(math.prod(shape) for shape in shapes if isinstance(shape, list) and len(shape) < 16)
    return f"{count:,} numbers in {len(shapes)} arrays"


def _save(figures: Mapping[str, bytes], folder: Path) -> None:
    refuse_link(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in figures.items():
        with written_file(folder / f"{name}.png") as path:
            path.write_bytes(picture)


def _pictures(figures: Mapping[str, bytes]) -> list[Picture]:
    return [
        Picture(name, CAPTIONS[name], f"data:image/png;base64,{base64.b64encode(picture).decode()}")
        for name, picture in figures.items()
    ]


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}g}"
