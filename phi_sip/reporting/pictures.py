"""Figures as pictures: drawn, put into a page, and saved in the folder of a run."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ..errors import RecordWarning
from ..storage.atomic import refuse_link, written_file

DPI = 130
CAPTIONS = {
    "curves": "Errors over steps and time: lines of the training, marks of the validation, levels of the inverse.",
    "final": "Last validation error, and that of the inverse alone.",
    "reconstructions": "A validation sample: observed, predicted, corrected by the inverse, and by the inverse alone.",
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


def drawn(drawings: Mapping[str, Callable[[], Figure]], of: str) -> dict[str, bytes]:
    """Returns pictures as PNG, by name. What cannot be drawn of the files of anybody is left out, with a warning."""
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


def pictures_of(figures: Mapping[str, bytes]) -> list[Picture]:
    """Returns the pictures of a page, with their captions."""
    return [
        Picture(name, CAPTIONS[name], f"data:image/png;base64,{base64.b64encode(picture).decode()}")
        for name, picture in figures.items()
    ]


def save_pictures(figures: Mapping[str, bytes], folder: Path) -> None:
    """Writes each picture into a folder."""
    refuse_link(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in figures.items():
        with written_file(folder / f"{name}.png") as path:
            path.write_bytes(picture)
