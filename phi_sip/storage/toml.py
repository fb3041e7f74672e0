"""TOML, by the standard library since Python 3.11, else by tomli."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

loads = tomllib.loads
DecodeError = tomllib.TOMLDecodeError


def assignment(text: str) -> tuple[str, Any]:
    """Returns the name and the value of `name=value`, see `value_of`; the name is empty where there is no `=`."""
    name, equals, value = text.partition("=")
    return name if equals else "", value_of(value)


def value_of(text: str) -> Any:
    """Returns the value that `text` has in a TOML file; `text` itself if it is no value there."""
    try:
        return loads(f"value = {text}")["value"]
    except (DecodeError, RecursionError):
        return text
