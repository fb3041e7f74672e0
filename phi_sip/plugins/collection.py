"""What all plugins give for one hook, by name: classes, functions or objects."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pluggy

from ..errors import DuplicateNameError, PluginWarning, UnknownNameError
from .manager import DISABLE_VARIABLE, PluginManager, get_plugin_manager

T = TypeVar("T")
Network = Callable[..., Any]
Named = list[tuple[str, Any]]
Reader = Callable[[Any, Any], Named]


@dataclass
class Registered(Generic[T]):
    """
    What plugins have registered.

    Attributes:
        classes: By name, what makes it: a class, or the function of a network; and the plugin that it comes from.
        contested: Complaints about names that are registered twice.
    """

    classes: dict[str, tuple[T, str]] = field(default_factory=dict)
    contested: dict[str, str] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Returns all names, sorted, without those that two plugins claim, of which a warning tells."""
        for complaint in self.contested.values():
            warnings.warn(complaint, PluginWarning, stacklevel=3)
        return tuple(sorted(set(self.classes) - set(self.contested)))

    def named(self, kind: str, name: str) -> T:
        """
        Returns what is registered under a name.

        Args:
            kind: What it is called in messages.
            name: Registered name.

        Raises:
            UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
            DuplicateNameError: if two plugins provide `name`; the message names both distributions.
        """
        if name in self.contested:
            raise DuplicateNameError(self.contested[name])
        if name not in self.classes:
            raise _unknown(kind, name, self.classes)
        return self.classes[name][0]


def _unknown(kind: str, name: str, registered: Iterable[str]) -> UnknownNameError:
    close = difflib.get_close_matches(name, registered, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    message = f"No {kind} is named '{name}'.{hint} Registered: {', '.join(sorted(registered)) or 'none'}."
    failures = get_plugin_manager().failures
    if not failures:
        error = UnknownNameError(f"{message} Install the distribution that provides it, or check the spelling.")
    else:
        failed = "; ".join(str(failure) for failure in failures)
        error = UnknownNameError(f"{message} It may belong to a plugin that could not be loaded: {failed}.")
        error.__cause__ = next((f.cause for f in failures if f.name == name), failures[0].cause)
    return error


def collect(hook: str, base: Any, read: Reader | None = None) -> Registered[Any]:
    """
    Collects what plugins give for `hook`. A plugin that raises, exits or answers wrongly is isolated and named.

    Args:
        hook: Name of the hook.
        base: Base class of what it gives; `Network` for functions.
        read: Checks the answer of one plugin and gives it by name: `classes` (default), `objects` or `functions`.
    """
    manager = get_plugin_manager()
    failed = {failure.name for failure in manager.failures}
    read = read or (functions if base is Network else classes)
    registered: Registered[Any] = Registered()
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin_name in failed:
            continue
        try:
            found = read(_answer(implementation), base)
        except (Exception, SystemExit) as cause:
            manager.fail(implementation.plugin_name, cause)
            continue
        for name, item in found:
            _add(registered, name, item, implementation.plugin_name, manager)
    return registered


def _answer(implementation: pluggy.HookImpl) -> Any:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError(f"{implementation.function.__name__} is collected from all plugins and cannot be wrapped")
    return implementation.function()


def classes(answer: Any, base: type) -> Named:
    """
    Returns the subclasses of `base` in an answer, by their class attribute `name`.

    Raises:
        TypeError: if the answer holds anything else.
    """
    found: list[Any] = list(answer)
    for cls in found:
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise TypeError(f"expected subclasses of {base.__name__}, got {cls!r}")
        _check_has_name(cls, f"{cls.__module__}.{cls.__qualname__}")
    return [(cls.name, cls) for cls in found]


def objects(answer: Any, base: type) -> Named:
    """
    Returns the objects of class `base` in an answer, by their attribute `name`.

    Raises:
        TypeError: if the answer holds anything else.
    """
    found: list[Any] = list(answer)
    for item in found:
        if not isinstance(item, base):
            raise TypeError(f"expected objects of class {base.__name__}, got {item!r}")
        _check_has_name(item, f"A {type(item).__module__}.{type(item).__qualname__}")
    return [(item.name, item) for item in found]


def _check_has_name(item: Any, called: str) -> None:
    if not isinstance(getattr(item, "name", None), str) or not item.name:
        raise TypeError(f"{called} has no class attribute 'name'")


def functions(answer: Any, _: Any = None) -> Named:
    """
    Returns the functions in an answer, by the names under which they are given.

    Raises:
        TypeError: if the answer is no mapping from names to functions.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"expected functions by name, got {answer!r}")
    for name, function in answer.items():
        if not isinstance(name, str) or not name or ":" in name:
            raise TypeError(f"{name!r} is no name: a name is a text without ':'")
        if not callable(function):
            raise TypeError(f"'{name}' is a {type(function).__name__}, not a function")
    return list(answer.items())


def _add(registered: Registered[Any], name: str, item: Any, plugin: str, manager: PluginManager) -> None:
    first, first_plugin = registered.classes.setdefault(name, (item, plugin))
    if first is not item:
        registered.contested[name] = (
            f"'{name}' is registered twice: {place_of(first)} by plugin '{first_plugin}' of "
            f"{manager.distribution_of(first_plugin)}, and {place_of(item)} by plugin '{plugin}' of "
            f"{manager.distribution_of(plugin)}. Rename one, uninstall one of the two, or leave one out with "
            f"{DISABLE_VARIABLE}={plugin}."
        )


def place_of(item: Any) -> str:
    """Returns where a class or function is defined, as `module:name`."""
    owner = item if hasattr(item, "__qualname__") else type(item)
    return f"{owner.__module__}:{owner.__qualname__}"
