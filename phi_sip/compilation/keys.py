"""What tells two computations apart: a key, equal only for objects with which one computes the same."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from typing import Any

from phi.field import Field
from phiml.math import Tensor

from ..states import trees
from .identity import identities
from .kinds import describer
from .objects import NoKeyError, attributes_of, shape_key
from .visitor import Visitor

_PLAIN = {bool, int, str, bytes, complex, type(None), type(...), type(NotImplemented)}
LARGEST = 2**25  # bytes of all arrays that are compared at every use


def of_tensors(tensors: Sequence[Tensor]) -> tuple[Hashable, ...]:
    """Returns what tells tensors apart whose values are inputs: dims, their names, and type."""
    return tuple((shape_key(tensor.shape), repr(tensor.dtype)) for tensor in tensors)


def of_state(tree: Any) -> Hashable:
    """Returns what tells states apart whose values are inputs: structure, dims, types, boundaries and grids."""
    return _made(lambda: _of_state(tree))


def of_parameters(
    item: Any,
    opaque: Iterable[Any] = (),
    logs: Container[int] = (),
    *,
    closures: bool = False,
    constants: bool = True,
) -> Hashable:
    """
    Returns what tells physics or solvers apart whose tensors of `inputs.map_inputs` are inputs.

    Args:
        item: Physics or solver.
        opaque: See `of_value`.
        logs: See `of_value`.
        closures: Whether tensors that functions keep are inputs, too.
        constants: Whether the values of tensors count that dataclasses list in `constants`.
    """
    ways = {"closures_are_inputs": closures, "constants_count": constants}
    return _made(lambda: Key(values_are_inputs=True, opaque=opaque, logs=logs, **ways).of(item))


def of_value(item: Any, opaque: Iterable[Any] = (), logs: Container[int] = ()) -> Hashable:
    """
    Returns what tells objects apart that become part of what is compiled: everything in them, by value.

    Args:
        item: Anything.
        opaque: Objects that stand for themselves, whatever state they have: network and optimizer.
        logs: Ids of lists of which it does not matter what they hold, see `lists_in`.
    """
    return _made(lambda: Key(values_are_inputs=False, opaque=opaque, logs=logs).of(item))


def lists_in(item: Any, opaque: Iterable[Any] = ()) -> list[tuple[list[Any], int]]:
    """
    Returns all lists that an object holds, with their lengths.

    Code that counts its calls, or keeps what it has computed, adds to a list when it is compiled, but not when what is
    compiled runs. Such a list is a log: what it holds is no reason to compile anew.
    """
    key = Key(values_are_inputs=True, opaque=opaque)
    _made(lambda: key.of(item))
    return key.lists()


def grown(lists: Iterable[tuple[list[Any], int]]) -> list[list[Any]]:
    """Returns those of `lists_in` that have become longer since."""
    return [found for found, length in lists if len(found) > length]


def _made(make: Callable[[], Hashable]) -> Hashable:
    try:
        return make()
    except NoKeyError:
        raise
    except RecursionError as error:
        raise NoKeyError("an object in which too many others are nested") from error
    except Exception as error:  # of the user's code, which looking at attributes can call
        raise NoKeyError(f"an object that cannot be looked at ({type(error).__name__}: {error})") from error


def _of_state(tree: Any) -> Hashable:
    """Goes through a state as `trees.tree_map` does."""
    if tree is None or isinstance(tree, (int, float)):
        return (type(tree),)
    if isinstance(tree, (Tensor, Field)):
        return Key(values_are_inputs=True).of(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree), *(_of_state(item) for item in tree)
    if isinstance(tree, dict):
        return dict, *((key, _of_state(item)) for key, item in tree.items())
    values = trees.value_attributes(tree)
    others = {name: value for name, value in attributes_of(tree).items() if name not in values}
    return of_value((type(tree), others)), *((name, _of_state(getattr(tree, name))) for name in values)


class Key(Visitor):
    """
    Goes through an object and all that it holds.

    Numbers, words, arrays and tensors count by value. Functions count by their code, defaults, closures and, in the
    user's own code, the global variables that they read. Objects count by their class and attributes, those of the
    user's own classes by the attributes and methods of the class too. What a library brings, and objects that are
    `opaque`, count as themselves.

    Args:
        values_are_inputs: Whether tensors and numbers that `inputs.map_inputs` replaces count by dims and type only.
        closures_are_inputs: Whether the same holds for tensors that functions keep, see `closures`.
        constants_count: Whether the values of tensors count that dataclasses list in `constants`.
        opaque: See `of_value`.
        logs: See `of_value`.

    Raises:
        NoKeyError: from `of`, naming an object whose state cannot be told: a generator, a random number generator, an
            open file, a tensor that is being traced, or arrays of more than `LARGEST` bytes.
    """

    def __init__(
        self,
        values_are_inputs: bool,
        opaque: Iterable[Any] = (),
        logs: Container[int] = (),
        closures_are_inputs: bool = False,
        constants_count: bool = True,
    ) -> None:
        self.values_are_inputs, self.closures_are_inputs, self._logs = values_are_inputs, closures_are_inputs, logs
        self.constants_count = constants_count
        self._opaque = {id(item): item for item in opaque}
        self._bytes = 0  # of all arrays
        self._seen: dict[Hashable, tuple[int, Any]] = {}  # keeps objects alive, so that no two have one id

    def of(self, item: Any) -> Hashable:
        """Returns the key of `item`."""
        if type(item) in _PLAIN:
            return type(item), item
        if type(item) is float:
            return float, item.hex()
        if id(item) in self._opaque:
            return "itself", identities.number(item)
        if type(item) is list and id(item) in self._logs:
            return ("log",)
        place = id(item), self.values_are_inputs
        if place in self._seen:
            return "again", self._seen[place][0]
        self._seen[place] = len(self._seen), item
        return describer(type(item))(self, item)  # type: ignore[arg-type]  # mypy takes classes for unhashable

    def lists(self) -> list[tuple[list[Any], int]]:
        """Returns the lists that it came across, with their lengths."""
        return [(item, len(item)) for _, item in self._seen.values() if type(item) is list]

    def by_value(self, item: Any) -> Hashable:
        """Returns the key of something whose tensors become part of what is compiled."""
        before, self.values_are_inputs = self.values_are_inputs, False
        try:
            return self.of(item)
        finally:
            self.values_are_inputs = before

    def count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > LARGEST:
            raise NoKeyError(f"arrays of more than {LARGEST // 2**20} MB, which is too much to compare at every step")
