"""What a function reads besides its arguments."""

from __future__ import annotations

import builtins
import dis
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Names:
    """The names in code of what it may read: global variables, attributes, and modules that it imports by itself."""

    variables: tuple[str, ...]
    attributes: tuple[str, ...]
    modules: tuple[str, ...]


@lru_cache(maxsize=4096)
def names_read(code: CodeType) -> Names:
    """Returns the names that `code` and the functions in it read."""
    found: dict[str, dict[str, None]] = {"variables": {}, "attributes": {}, "modules": {}}
    for part in _nested(code):
        for instruction in dis.get_instructions(part):
            kind = _READING.get(instruction.opname)
            if kind is not None:
                found[kind][instruction.argval] = None
    return Names(**{kind: tuple(names) for kind, names in found.items()})


_READING = {
    "LOAD_GLOBAL": "variables",
    "LOAD_NAME": "variables",
    "LOAD_ATTR": "attributes",
    "LOAD_METHOD": "attributes",
    "IMPORT_FROM": "attributes",
    "IMPORT_NAME": "modules",
}


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def variables_read(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """
    Yields the global variables that a function reads, by name, with their values: those of its module, and those of
    other modules of the same program that it reaches as `module.name` or imports.
    """
    names = names_read(function.__code__)
    values: Mapping[str, Any] = function.__globals__
    read = {name: values[name] for name in names.variables if name in values}
    read |= {name: sys.modules[name] for name in names.modules if name in sys.modules}
    seen: set[str] = set()
    for name, value in read.items():
        if isinstance(value, ModuleType):
            yield from _variables_of(value, name, names.attributes, seen)
        elif value is not getattr(builtins, name, None):
            yield name, value


def _variables_of(
    module: ModuleType, prefix: str, attributes: Sequence[str], seen: set[str]
) -> Iterator[tuple[str, Any]]:
    if module.__name__ in seen or is_library(module.__name__, getattr(module, "__file__", None)):
        return
    seen.add(module.__name__)
    for name in attributes:
        if name not in vars(module):
            continue
        value = vars(module)[name]
        if isinstance(value, ModuleType):
            yield from _variables_of(value, f"{prefix}.{name}", attributes, seen)
        else:
            yield f"{prefix}.{name}", value
