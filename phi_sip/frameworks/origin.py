"""Which package an object comes from."""

from __future__ import annotations

from typing import Any


def defined_in(thing: Any, *packages: str) -> bool:
    """Tells whether the class of `thing`, or a base of it, comes from one of `packages`. Imports nothing."""
    modules = [f"{cls.__module__}." for cls in type(thing).__mro__]
    return any(module.startswith(f"{package}.") for module in modules for package in packages)
