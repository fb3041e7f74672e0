"""What a function reads besides its arguments."""

from __future__ import annotations

import builtins
import dis
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

_STANDARD_LIBRARY = tuple(str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib"))
_INSTALLED = {"site-packages", "dist-packages"}
_LINKED = ("phi", "phiml", "phi_sip", "builtins")  # libraries, even where they are linked to a checkout


def is_library(module_name: str | None, file: str | None) -> bool:
    """
    Returns whether code belongs to an installed library, which does not change while a program runs.

    Args:
        module_name: Name of the module that holds it.
        file: Source file; `None` for what is not written in Python.
    """
    if file is None or (module_name or "").partition(".")[0] in _LINKED:
        return True
    return _is_installed(file)


@lru_cache(maxsize=4096)
def _is_installed(file: str) -> bool:
    if file.startswith("<frozen"):
        return True
    path = Path(file).resolve()
    return not _INSTALLED.isdisjoint(path.parts) or str(path).startswith(_STANDARD_LIBRARY)


def class_is_library(cls: type) -> bool:
    """Returns whether a class belongs to an installed library."""
    module = sys.modules.get(cls.__module__)
    if module is None or cls.__module__ == "__main__":
        return False
    return is_library(cls.__module__, getattr(module, "__file__", None))


@lru_cache(maxsize=4096)
def names_read(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the global variables that `code` and the functions in it read, and those of attributes."""
    globals_read: dict[str, None] = {}
    attributes: dict[str, None] = {}
    for part in _nested(code):
        for instruction in dis.get_instructions(part):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                globals_read[instruction.argval] = None
            elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
                attributes[instruction.argval] = None
    return tuple(globals_read), tuple(attributes)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def variables_read(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """
    Yields the global variables that a function reads, by name, with their values: those of its module, and those of
    other modules of the same program that it reaches as `module.name`.
    """
    found, attributes = names_read(function.__code__)
    values: Mapping[str, Any] = function.__globals__
    for name in found:
        if name not in values or values[name] is getattr(builtins, name, None):
            continue
        value = values[name]
        if not isinstance(value, ModuleType):
            yield name, value
        elif not is_library(value.__name__, getattr(value, "__file__", None)):
            yield from ((f"{name}.{a}", vars(value)[a]) for a in attributes if a in vars(value))
