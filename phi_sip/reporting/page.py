"""One self-contained HTML page about one run or several."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import ParameterError, RunFolderError, UnsupportedError
from ..plots.runs import comparisons_of, drawings_of
from ..storage.atomic import written_file
from ..text.printable import printable
from .comparison import rows_of
from .facts import facts_of
from .folders import read_folders
from .pictures import drawn, pictures_of, save_pictures


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
    comparing = drawn(comparisons_of([folder.run for folder in folders]), "the comparison")
    of_runs = [drawn(drawings_of(folder.run, folder.samples), str(folder.path)) for folder in folders]
    try:
        if len(folders) == 1:
            save_pictures(of_runs[0], folders[0].path / "figures")
        rows = rows_of([folder.run for folder in folders])
        html = template.render(
            title=" against ".join(folder.run.name for folder in folders),
            rows=rows,
            risks=any(row.risk is not None for row in rows),
            comparing=pictures_of(comparing),
            runs=[(folder.run, facts_of(folder), pictures_of(d)) for folder, d in zip(folders, of_runs, strict=True)],
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
    """Makes text safe to show: all that the template puts into the page comes through here."""
    return printable(value) if isinstance(value, str) else value


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}g}"
