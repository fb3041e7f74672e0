"""The table of file formats: ours, and those that plugins add by the hook `sip_file_formats`."""

from __future__ import annotations

import warnings
from pathlib import Path

from ..errors import DuplicateNameError, FileError, PluginWarning
from ..plugins.collection import collect, place_of
from ..plugins.manager import DISABLE_VARIABLE
from .file_format import FileFormat
from .hdf5 import Hdf5
from .mat import Mat
from .netcdf import NetCdf
from .npy import Npy
from .npz import Npz
from .tiff import Tiff
from .zarr import Zarr

OWN: tuple[type[FileFormat], ...] = (Npy, Npz, NetCdf, Zarr, Hdf5, Tiff, Mat)
HOOK = "sip_file_formats"


def file_formats() -> list[type[FileFormat]]:
    """
    Returns our file formats and those of plugins. Plugins that fail, and formats whose name another plugin gives too,
    are left out with a `PluginWarning`.
    """
    registered = collect(HOOK, FileFormat)
    for complaint in registered.contested.values():
        warnings.warn(complaint, PluginWarning, stacklevel=2)
    return [*OWN, *(fmt for name, (fmt, _) in registered.classes.items() if name not in registered.contested)]


def known_suffixes() -> list[str]:
    """Returns the suffixes of all file formats: the most usual one of each first."""
    formats = file_formats()
    usual, others = (fmt.suffixes[:1] for fmt in formats), (fmt.suffixes[1:] for fmt in formats)
    return list(dict.fromkeys(suffix for suffixes in (*usual, *others) for suffix in suffixes))


def format_of(path: Path) -> FileFormat:
    """
    Returns the format of a file by its name.

    Raises:
        FileError: if the format is unknown, or the file is inside of a Zarr folder.
        DuplicateNameError: if two formats have this suffix; the message names both.
        UnsupportedError: if a library for the format is missing.
    """
    around = next((folder for folder in path.parents if folder.suffix == ".zarr"), None)
    if around is not None:
        group = path.relative_to(around).as_posix()
        raise FileError(f"{path} is inside of {around}. Name {around}, and the array with --variable {group}/NAME.")
    found = [fmt for fmt in file_formats() if path.suffix in fmt.suffixes]
    if not found:
        raise FileError(f"{path}: the format '{path.suffix}' is not known. Use one of {', '.join(known_suffixes())}.")
    if len(found) > 1:
        raise DuplicateNameError(
            f"{path}: the suffix '{path.suffix}' belongs to {' and to '.join(map(place_of, found))}. Leave out all but "
            f"one of the plugins that give them, with {DISABLE_VARIABLE}=…, or rename a suffix."
        )
    found[0].check_installed(path)
    return found[0]()
