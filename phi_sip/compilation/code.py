"""What a function reads besides its arguments."""

from __future__ import annotations

import builtins
import dis
import importlib.util
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


def is_library(module_name: str | None, file: str) -> bool:
    """
    Returns whether code belongs to an installed library, which is taken not to change while a program runs.

    Args:
        module_name: Name of the module that holds it.
        file: Source file.
    """
    return (module_name or "").partition(".")[0] in _LINKED or _is_installed(file)


@lru_cache(maxsize=4096)
def _is_installed(file: str) -> bool:
    if file.startswith("<frozen"):
        return True
    path = Path(file).resolve()
    return not _INSTALLED.isdisjoint(path.parts) or str(path).startswith(_STANDARD_LIBRARY)


def class_is_library(cls: type) -> bool:
    """Returns whether a class belongs to an installed library, or is written in C."""
    name = cls.__module__
    module = sys.modules.get(name) or sys.modules.get(name.partition(".")[0])
    if module is None or (not hasattr(module, "__file__") and name != "__main__"):
        return not any(isinstance(value, FunctionType) for value in vars(cls).values())
    return module_is_library(module)


def module_is_library(module: ModuleType) -> bool:
    """Returns whether a module belongs to an installed library, or to Python. One without a file is the user's."""
    file, root = getattr(module, "__file__", None), module.__name__.partition(".")[0]
    if file is None:
        return root in _LINKED or (root in sys.stdlib_module_names and root != "__main__")
    return is_library(module.__name__, file)


@dataclass(frozen=True)
class Names:
    """The names in code of what it may read: global variables, attributes, and modules that it imports by itself."""

    variables: tuple[str, ...]
    attributes: tuple[str, ...]
    modules: tuple[tuple[int, str], ...]  # level of a relative import, 0 if it is none, and name


@lru_cache(maxsize=4096)
def names_read(code: CodeType) -> Names:
    """Returns the names that `code` and the functions in it read."""
    found: dict[str, dict[Any, None]] = {"variables": {}, "attributes": {}, "modules": {}}
    for part in nested(code):
        instructions = list(dis.get_instructions(part))
        for i, instruction in enumerate(instructions):
            kind = _READING.get(instruction.opname)
            if kind == "modules":  # the level is put on the stack before the names that are imported
                found[kind][instructions[i - 2].argval, instruction.argval] = None
            elif kind is not None:
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


def nested(code: CodeType) -> Iterator[CodeType]:
    """Yields `code` and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def variables_read(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """
    Yields the global variables that a function reads, by name, with their values: those of its module, and those of
    other modules of the same program that it reaches as `module.name` or imports.
    """
    names = names_read(function.__code__)
    values: Mapping[str, Any] = function.__globals__
    read = {name: values[name] for name in names.variables if name in values}
    read |= dict(_modules_imported(names.modules, values.get("__package__")))
    seen: set[str] = set()
    for name, value in read.items():
        if isinstance(value, ModuleType):
            yield from _variables_of(value, name, names.attributes, seen)
        elif value is not getattr(builtins, name, None):
            yield name, value


def _modules_imported(imports: Sequence[tuple[int, str]], package: str | None) -> Iterator[tuple[str, ModuleType]]:
    """Returns what a function imports when it is called, as far as it has been imported."""
    for level, name in imports:
        absolute = importlib.util.resolve_name("." * level + name, package) if level and package else name
        if absolute in sys.modules:
            yield absolute, sys.modules[absolute]


def plain_values(module: ModuleType) -> dict[str, Any]:
    """Returns the numbers and words among the variables of a module of the user's."""
    if module_is_library(module):
        return {}
    return {n: v for n, v in vars(module).items() if not n.startswith("__") and isinstance(v, (bool, int, float, str))}


def _variables_of(
    module: ModuleType, prefix: str, attributes: Sequence[str], seen: set[str]
) -> Iterator[tuple[str, Any]]:
    if module.__name__ in seen or module_is_library(module):
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
