"""Collects what plugins have registered. Imports PhiFlow: to be imported inside a command."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import PluginWarning
from ..plugins.collection import Network, collect, place_of
from ..plugins.manager import get_plugin_manager
from ..plugins.registry import get_physics, get_solver, network_function
from .entries import Catalogue, Entry, Parameter


@dataclass(frozen=True)
class Kind:
    """
    What plugins can register.

    Attributes:
        hook: The hook that collects it.
        base: Its class; `Network` for functions.
        get: Makes one by name, or raises the error that says what is wrong with the name.
    """

    hook: str
    base: Any
    get: Callable[[str], Any]


PHYSICS = Kind("sip_physics", InvertiblePhysics, get_physics)
SOLVERS = Kind("sip_solvers", InverseSolver, get_solver)
NETWORKS = Kind("sip_networks", Network, network_function)


def catalogue(kind: Kind) -> Catalogue:
    """Returns what is registered now. Plugins that fail are in `left_out`, and not warned about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        registered = collect(kind.hook, kind.base)
    names = sorted(set(registered.classes) - set(registered.contested))
    failures = (str(failure) for failure in get_plugin_manager().failures)
    return Catalogue(
        tuple(_entry(name, *registered.classes[name]) for name in names), (*failures, *registered.contested.values())
    )


def only(found: Catalogue, name: str, kind: Kind) -> Catalogue:
    """
    Returns the catalogue with no other entry than the one of that name.

    Raises:
        UnknownNameError: if there is none.
        DuplicateNameError: if two plugins claim it.
    """
    entries = tuple(entry for entry in found.entries if entry.name == name)
    if not entries:
        kind.get(name)
        raise AssertionError(f"'{name}' is registered, but not in the catalogue")
    return Catalogue(entries, found.left_out)


def _entry(name: str, item: Any, plugin: str) -> Entry:
    docs = inspect.getdoc(item) or ""
    described = _described_arguments(docs)
    return Entry(
        name,
        " ".join(docs.partition("\n\n")[0].split()).rstrip(":"),
        place_of(item),
        plugin,
        get_plugin_manager().distribution_of(plugin),
        tuple(_parameter(parameter, described) for parameter in inspect.signature(item).parameters.values()),
    )


def _parameter(parameter: inspect.Parameter, docs: dict[str, str]) -> Parameter:
    name = str(parameter).partition(":")[0].partition("=")[0]  # with its stars
    annotation, default = parameter.annotation, parameter.default
    required = default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    return Parameter(
        name,
        "" if annotation is parameter.empty else inspect.formatannotation(annotation).strip("'"),
        None if required else "()" if default is parameter.empty else repr(default),
        docs.get(name, ""),
    )


def _described_arguments(docs: str) -> dict[str, str]:
    """Returns what a docstring says under `Args:`, by argument."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", docs, re.MULTILINE)
    if section is None:
        return {}
    arguments = re.split(r"^ {4}(\*{0,2}\w+): ", section[1], flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in zip(arguments[1::2], arguments[2::2], strict=True)}
