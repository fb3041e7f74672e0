"""What a checkpoint consists of, and how to tell that it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...text.printable import sentence

FORMAT = 1
NAME = "manifest.json"
LARGEST = 16 << 20  # bytes of a manifest


@dataclass(frozen=True)
class Manifest:
    """
    Attributes:
        step: Number of steps that had been done.
        framework: Which framework wrote it.
        content: What else it says: plain data.
        files: SHA-256 of every file of the folder, by its path within.
        format: Version of this layout.
    """

    step: int
    framework: str
    content: Mapping[str, Any]
    files: Mapping[str, str]
    format: int = FORMAT


def write_manifest(folder: Path, step: int, framework: str, content: Mapping[str, Any]) -> None:
    """Seals a folder: from now on every change to its files is seen."""
    fields = asdict(Manifest(step, framework, dict(content), _checksums(folder)))
    sealed = {"sha256": _digest(_canonical(fields)), "manifest": fields}
    (folder / NAME).write_text(json.dumps(sealed, indent=1))


def read_manifest(folder: Path) -> Manifest:
    """
    Reads the manifest of a folder that is as it was sealed.

    Raises:
        CheckpointError: if it is not, or another version of `phi_sip` wrote it; the message says what is wrong.
    """
    manifest = sealed_by(folder)
    _compare(folder, manifest.files)
    return manifest


def sealed_by(folder: Path) -> Manifest:
    """
    Reads a manifest that is as it was written. The other files of its folder are not looked at.

    Raises:
        CheckpointError: as `read_manifest`.
    """
    try:
        if folder.is_symlink():
            raise CheckpointError(f"{folder} is a link, so that it is not known who wrote what it leads to.")
        sealed = json.loads(_text(folder / NAME))
        fields = sealed["manifest"]
        if fields.get("format") != FORMAT:
            raise CheckpointError(
                f"{folder} has format {fields.get('format')!r}, but this version of phi_sip reads format {FORMAT}. "
                f"Use the version that wrote it."
            )
        if sealed["sha256"] != _digest(_canonical(fields)):
            raise CheckpointError(f"{folder} is damaged: {NAME} is not as it was written.")
        return _checked(Manifest(**fields))
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is no checkpoint: it has no {NAME}.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder} is damaged: {NAME} cannot be read: {error!r}.") from error


def said_by(folder: Path) -> Manifest | None:
    """Reads a manifest, whether or not the files of its folder are whole; `None` if it cannot be read."""
    try:
        return _checked(Manifest(**json.loads(_text(folder / NAME))["manifest"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(path: Path) -> str:
    """Reads a file that has been measured before."""
    size = path.stat().st_size
    if size > LARGEST or not path.is_file():
        raise ValueError(f"it is no file, or has {size} bytes, but a manifest has at most {LARGEST}")
    return path.read_text()


def _checked(manifest: Manifest) -> Manifest:
    """Returns a manifest, if it says what it should."""
    texts = [manifest.framework, *manifest.files, *manifest.files.values()]
    if type(manifest.step) is not int or manifest.step < 0 or not all(isinstance(text, str) for text in texts):
        raise ValueError("step is no whole number, or framework and files are no texts")
    if not isinstance(manifest.content, Mapping):
        raise ValueError(f"content is a {type(manifest.content).__name__}, not an object")
    return manifest


def _compare(folder: Path, expected: Mapping[str, str]) -> None:
    try:
        found = _checksums(folder)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {sentence(error)}") from error
    for name in sorted({*expected, *found}):
        if name not in found:
            raise CheckpointError(f"{folder} is damaged: {name} is missing.")
        if name not in expected:
            raise CheckpointError(f"{folder} is not as it was written: {name} does not belong to it.")
        if found[name] != expected[name]:
            raise CheckpointError(f"{folder} is damaged: {name} is not as it was written.")


def _checksums(folder: Path) -> dict[str, str]:
    entries = sorted(entry for entry in folder.rglob("*") if entry != folder / NAME)
    for entry in entries:
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise OSError(f"{entry.name} is a link or a device, not a file of this folder")
    return {entry.relative_to(folder).as_posix(): _file_digest(entry) for entry in entries if entry.is_file()}


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
