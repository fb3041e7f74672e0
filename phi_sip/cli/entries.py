"""What plugins have registered, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """
    One argument of a registered class or function.

    Attributes:
        name: Its name.
        type: Its annotation.
        default: Its default as Python writes it; `None` if the argument is required.
        docs: What the docstring says about it.
    """

    name: str
    type: str
    default: str | None
    docs: str


@dataclass(frozen=True)
class Entry:
    """
    One registered class, or function of a network.

    Attributes:
        name: Registered name.
        summary: First paragraph of the docstring.
        defined_in: `module:class`, or `module:function`.
        plugin: Name of the plugin that registered it.
        distribution: Name and version of the distribution that brought the plugin.
        parameters: What it is called with.
    """

    name: str
    summary: str
    defined_in: str
    plugin: str
    distribution: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Catalogue:
    """
    All that is registered of one kind.

    Attributes:
        entries: Sorted by name.
        left_out: Why plugins or names are missing, one message for each.
    """

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]
