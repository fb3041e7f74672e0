"""Objects that files and commands name as `module:object`, and who may have them imported."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import UnknownNameError, UntrustedError
from ..text.printable import shortened

Resolver = Callable[[str, Mapping[str, Any]], Any]
"""Gives the object of a reference, which will be called with these arguments, or refuses to import it."""


def trusted(reference: str, arguments: Mapping[str, Any]) -> Any:
    """Returns the object of a reference that the user has written, or has said that he trusts. A `Resolver`."""
    return imported(reference)


@dataclass(frozen=True)
class Untrusted:
    """
    Refuses the references of a file that may come from anybody. A `Resolver`.

    Attributes:
        source: The file or folder.
        remedy: How the user says that he trusts it.
        references: Those that it holds; others are the user's own. `None`: all.
    """

    source: str
    remedy: str
    references: frozenset[str] | None = None

    def __call__(self, reference: str, arguments: Mapping[str, Any]) -> Any:
        if self.references is not None and reference not in self.references:
            return trusted(reference, arguments)
        return self._refuse(reference, arguments)

    def _refuse(self, reference: str, arguments: Mapping[str, Any]) -> NoReturn:
        module, _, name = reference.partition(":")
        given = ", ".join(f"{key}={shortened(repr(value))}" for key, value in arguments.items())
        raise UntrustedError(
            f"{self.source} names code: '{module}' would be imported, and {name}({given}) of it called. Nothing was "
            f"imported or called, as code runs only where you have named it or trust who wrote this. If you know "
            f"what it does, {self.remedy}."
        )


def imported(reference: str) -> Any:
    """
    Returns the object that `module:object` names; the module may lie in the current folder.

    Raises:
        UnknownNameError: if there is no such module, or no such object in it. Errors of the module itself are its own.
    """
    module_name, _, name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise UnknownNameError(f"'{reference}' names no object of a module. Give package.module:object.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # at the end: nothing in the folder can hide what is installed
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UnknownNameError(
            f"There is no module '{error.name}', which '{reference}' names. Install it, or go to the folder it is in."
        ) from error
    if hasattr(module, name):
        return getattr(module, name)
    close = difflib.get_close_matches(name, dir(module), n=1)
    hint = f" Did you mean '{module_name}:{close[0]}'?" if close else ""
    raise UnknownNameError(f"Module '{module_name}' has no object '{name}'.{hint}")
