"""What `phi-sip train` asks of experiment files and names that may come from anybody."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigurationError
from ..inference.folder import KIND
from ..training.checkpoints.manifest import said_by
from ..training.lock import CHECKPOINTS, LOCK
from ..training.record_files import INFO
from .running import MODEL

LONGEST_NAME = 200  # bytes, as file systems have it, with room for a number


def is_of_a_run(file: Path | None) -> bool:
    """Tells whether an experiment file lies in the folder of a run: beside what only `phi_sip` writes."""
    if file is None:
        return False
    folder = file.resolve().parent
    begun = (folder / LOCK).exists() and (folder / CHECKPOINTS).exists()
    return begun or (folder / INFO).exists() or _holds_inverse(folder / MODEL)


def _holds_inverse(folder: Path) -> bool:
    manifest = said_by(folder)
    return manifest is not None and manifest.content.get("kind") == KIND


def check_name(name: str) -> None:
    """
    Checks that a name can be that of a folder.

    Raises:
        ConfigurationError: if this cannot be the name of a folder, or is that of a place elsewhere.
    """
    whole = name == Path(name).name and name not in ("", "..") and "\\" not in name
    if not whole or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise ConfigurationError(
            f"experiment.name = {name[:LONGEST_NAME]!r} cannot be the name of a folder: it has /, \\ or control "
            f"characters, or more than {LONGEST_NAME} bytes. Give another name, or a folder: --output."
        )
