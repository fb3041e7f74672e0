"""One self-contained HTML page about one run or several."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..checkpoints.atomic import written_file
from ..errors import ParameterError, RunFolderError, UnsupportedError
from ..plots.runs import figures_of, plot_curves, plot_final_errors
from .comparison import rows_of
from .folders import RunFolder, read_folders

DPI = 110
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
    comparing = _comparing(folders)
    drawn = {folder.path: figures_of(folder.run, folder.samples) for folder in folders}
    try:
        if len(folders) == 1:
            _save(drawn[folders[0].path], folders[0].path / "figures")
        html = template.render(
            title=" against ".join(folder.run.name for folder in folders),
            rows=rows_of([folder.run for folder in folders]),
            comparing=_pictures(comparing),
            runs=[(folder.run, _facts(folder), _pictures(drawn[folder.path])) for folder in folders],
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
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = _number
    return environment.from_string(files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8"))


def _comparing(folders: list[RunFolder]) -> dict[str, Figure]:
    runs = [folder.run for folder in folders]
    if len(runs) == 1 or not any(run.steps for run in runs):
        return {}
    found = {"curves": plot_curves(runs)}
    if any(run.validations for run in runs):
        found["final"] = plot_final_errors(runs)
    return found


def _facts(folder: RunFolder) -> dict[str, str]:
    info = folder.run.info
    versions = info.get("versions") if isinstance(info.get("versions"), dict) else {}
    facts = {
        "folder": str(folder.path),
        "begun": info.get("created"),
        "ended": info.get("ended", "still running, or killed"),
        "framework": info.get("framework"),
        "physics": _plain(info.get("physics")),
        "network": _weights(info.get("network")),
        "versions": ", ".join(f"{name} {number}" for name, number in (versions or {}).items()),
    }
    return {name: str(value) for name, value in facts.items() if value}


def _plain(value: Any) -> str | None:
    """Nested plain data in one line: heat(diffusivity 1.0, time 8.0)."""
    if not isinstance(value, dict):
        return None if value is None else str(value)
    name = value.get("name") or value.get("type")
    inner = value.get("parameters", {key: v for key, v in value.items() if key not in ("name", "type")})
    text = ", ".join(f"{key} {_plain(v)}" for key, v in inner.items()) if isinstance(inner, dict) else str(inner)
    return f"{name}({text})" if name and text else str(name or text)


def _weights(layout: Any) -> str | None:
    if not isinstance(layout, list):
        return None
    count = sum(_product(entry[0]) for entry in layout if isinstance(entry, list) and entry)
    return f"{count:,} numbers in {len(layout)} arrays"


def _product(shape: Any) -> int:
    result = 1
    for size in shape if isinstance(shape, list) else []:
        result *= int(size)
    return result


def _save(figures: dict[str, Figure], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        with written_file(folder / f"{name}.png") as path:
            figure.savefig(path, dpi=150, format="png")


def _pictures(figures: dict[str, Figure]) -> list[Picture]:
    pictures = []
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=DPI, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
        pictures.append(Picture(name, CAPTIONS[name], f"data:image/png;base64,{data}"))
    return pictures


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}g}"
