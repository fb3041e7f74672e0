"""What a file format is: the base class of ours and of those that plugins add."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from ..errors import FileError, UnsupportedError
from .arrays import GridArray


class FileFormat(ABC):
    """
    A file format. `read` and `write` may raise any error; those of phi_sip are passed on, others become a `FileError`.

    Attributes:
        name: Name under which the format is registered.
        suffixes: Suffixes of its files, with a dot and in lower case; the most usual one first.
        libraries: Modules that it needs and phi_sip does not install.
        install: What `pip install` takes to install them.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = "phi-sip[files]"

    @abstractmethod
    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        """
        Returns the grid of a file, with what the file says about it and nothing else.

        Args:
            path: The file, or a folder. It exists.
            variable: Name of one of its arrays; `None`: the only one.
            dims: Names of the dims of the array, in place of those in the file; `None`: as in the file.
        """

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        """
        Writes grids of the same dims and bounds. A format without this method is read only.

        Args:
            path: The file. It must be there whole or not at all, see `phi_sip.storage.atomic`.
            grids: The grids by name.
            attributes: Texts about the grids, by name.
        """
        raise NotImplementedError

    @classmethod
    def check_installed(cls, path: Path) -> None:
        """
        Checks that the libraries of the format are installed.

        Raises:
            UnsupportedError: if one is missing.
        """
        missing = [library for library in cls.libraries if find_spec(library) is None]
        if missing:
            raise UnsupportedError(
                f"{path}: {path.suffix} needs {', '.join(missing)}, not installed here. Install it: "
                f"pip install '{cls.install}'"
            )

    @classmethod
    def check_written(cls, path: Path) -> None:
        """
        Checks that the format can be written.

        Raises:
            FileError: if it is read only.
        """
        if cls.write is FileFormat.write:
            raise FileError(f"{path}: files of the format '{path.suffix}' can only be read. Write .npz, .nc or .zarr.")
