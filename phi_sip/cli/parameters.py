"""Parameters that are given as `name=value`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ParameterError
from ..storage.toml import assignment


def parse_parameters(texts: Iterable[str]) -> dict[str, Any]:
    """
    Returns parameters by name.

    A value is what it would be in a TOML file; what is nothing there is text: `noise_std=auto`.

    Raises:
        ParameterError: if an assignment has no name or no `=`, or a name comes twice.
    """
    parameters: dict[str, Any] = {}
    for text in texts:
        name, value = assignment(text)
        if not name.isidentifier():
            raise ParameterError(f"'{text}' is no parameter. Give name=value, e.g. time=2.0.")
        if name in parameters:
            raise ParameterError(f"Parameter '{name}' is given twice: {parameters[name]!r} and {value!r}. Remove one.")
        parameters[name] = value
    return parameters
