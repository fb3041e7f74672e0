"""Objects that files and commands name as `module:object`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any

from .errors import UnknownNameError


def imported(reference: str) -> Any:
    """
    The object that `module:object` names; the module may lie in the current folder.

    Raises:
        UnknownNameError: if there is no such module, or no such object in it. Errors of the module itself are its own.
    """
    module_name, _, name = reference.partition(":")
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
