"""What a report reads from the folder of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import RecordError
from ..storage.archives import read_arrays
from ..text.printable import in_one_line
from ..training.record_files import read_run
from ..training.records import RunRecord
from ..training.run_folder import SAMPLES


@dataclass(frozen=True)
class RunFolder:
    """
    Attributes:
        path: The folder.
        run: Its records, by the name of the folder.
        samples: Arrays of the last validation; none if there was none.
    """

    path: Path
    run: RunRecord
    samples: dict[str, np.ndarray]


LARGEST = 2 << 30  # bytes of samples.npz in memory


def read_folders(paths: list[Path]) -> list[RunFolder]:
    """
    Reads several runs; those of one name are told apart by their paths.

    Raises:
        RecordError: if a folder holds no run, or it cannot be read.
    """
    folders = [RunFolder(path, read_run(path), _samples(path / SAMPLES)) for path in paths]
    names = [folder.run.name for folder in folders]
    return [
        folder
        if names.count(folder.run.name) == 1
        else replace(folder, run=replace(folder.run, name=in_one_line(str(folder.path))))
        for folder in folders
    ]


def _samples(path: Path) -> dict[str, np.ndarray]:
    try:
        if not path.exists():
            return {}
        return read_arrays(path, LARGEST)
    except Exception as error:  # NumPy and zipfile have many for what is damaged
        raise RecordError(f"{path} cannot be read: {error}. Remove it, and the report goes without.") from error
