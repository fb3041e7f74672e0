"""
Plain data in a pickle, read without running the pickle. PhiFlow stores names and boundaries in pickles.

`pickletools` gives the instructions of a pickle one by one. Those that build numbers, text, tuples, lists, dicts and
arrays of NumPy are followed here. Nothing that the pickle names is imported or called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import FileError

LIMIT = 2**16  # largest number of bytes
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2


@dataclass(frozen=True)
class _Global:
    """Name of what a pickle wants to import."""

    module: str
    name: str


@dataclass
class _Array:
    """An array of NumPy that is being built."""

    values: Any = None


@dataclass
class _Type:
    """A type of NumPy that is being built."""

    code: str
    order: str = "="


@dataclass
class _Machine:
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise FileError("Its description is damaged.")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def since_mark(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())

    def remember(self, place: int | None = None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def named(self, module: str, name: str) -> None:
        self.push(_Global(module, name))


def _reduce(machine: _Machine) -> None:
    what, arguments = machine.pop(2)
    if what in [_Global(module, "_reconstruct") for module in MULTIARRAY]:
        machine.push(_Array())
    elif what == _Global("numpy", "dtype"):
        machine.push(_Type(str(arguments[0])))
    else:
        raise FileError(f"It wants to call {what}, which is not done.")


def _build(machine: _Machine) -> None:
    (state,) = machine.pop(1)
    target = machine.stack[-1]
    if isinstance(target, _Type):
        target.order = str(state[1])
        return
    if not isinstance(target, _Array):
        raise FileError(f"It wants to change a {type(target).__name__}, which is not done.")
    _, shape, kind, fortran, content = state
    if isinstance(content, list):
        target.values = np.empty(len(content), dtype=object)
        target.values[:] = content
    else:
        if np.dtype(kind.code).kind not in "fiu":
            raise FileError(f"It holds numbers of type {kind.code}.")
        target.values = np.frombuffer(content, np.dtype(kind.code).newbyteorder(kind.order))
    target.values = target.values.reshape(shape, order="F" if fortran else "C")


_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("SHORT_BINBYTES", "BINBYTES"),
)
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "TUPLE": lambda m, _: m.push(tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.pop(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pop(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pop(3))),
    "APPEND": lambda m, _: m.stack[-2].append(*m.pop(1)),
    "APPENDS": lambda m, _: m.stack[m.marks[-1] - 1].extend(m.since_mark()),
    "SETITEM": lambda m, _: m.set_items(m.pop(2)),
    "SETITEMS": lambda m, _: m.set_items(m.since_mark()),
    "MEMOIZE": lambda m, _: m.remember(),
    "BINPUT": lambda m, place: m.remember(place),
    "LONG_BINPUT": lambda m, place: m.remember(place),
    "BINGET": lambda m, place: m.push(m.memo[place]),
    "LONG_BINGET": lambda m, place: m.push(m.memo[place]),
    "GLOBAL": lambda m, names: m.named(*names.split(" ")),
    "STACK_GLOBAL": lambda m, _: m.named(*m.pop(2)),
    "REDUCE": lambda m, _: _reduce(m),
    "BUILD": lambda m, _: _build(m),
    **dict.fromkeys(_VALUES, lambda m, value: m.push(value)),
}


def plain_data(pickle: bytes) -> Any:
    """
    Returns the numbers, text, tuples, lists, dicts and arrays that a pickle holds.

    Raises:
        FileError: if the pickle holds anything else, is longer than 64 kB, or is damaged.
    """
    if len(pickle) > LIMIT:
        raise FileError(f"Its description is longer than {LIMIT} bytes.")
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(pickle):
            if instruction.name not in _INSTRUCTIONS:
                raise FileError(f"Its description has the instruction {instruction.name}, which is not followed.")
            _INSTRUCTIONS[instruction.name](machine, argument)
        return _without_arrays(machine.pop(1)[0], 0)
    except FileError:
        raise
    except Exception as error:  # instructions in a wrong order raise errors of many types
        raise FileError(f"Its description is damaged: {type(error).__name__}: {error}.") from error


def _without_arrays(value: Any, depth: int) -> Any:
    """Returns the value with the arrays of NumPy in place of the objects that built them."""
    if depth > 16:
        raise FileError("Its description holds itself.")
    if isinstance(value, _Array):
        return _without_arrays(value.values, depth + 1)
    if isinstance(value, np.ndarray) and value.dtype == object:
        return _without_arrays(value.tolist(), depth + 1)
    if isinstance(value, (list, tuple)):
        return type(value)(_without_arrays(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return {str(key): _without_arrays(item, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str, np.ndarray)):
        return value
    raise FileError(f"Its description holds a {type(value).__name__}.")
