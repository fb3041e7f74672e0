"""Parameters that are given as `name=value`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ParameterError
from ..storage.toml import value_of


def parse_parameters(assignments: Iterable[str]) -> dict[str, Any]:
    """
    Parameters by name. A value is what it would be in a TOML file; what is nothing there is text: `noise_std=auto`.

    Raises:
        ParameterError: if an assignment has no name or no `=`, or a name comes twice.
    """
    parameters: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise ParameterError(f"'{assignment}' is no parameter. Give name=value, e.g. time=2.0.")
        if name in parameters:
            raise ParameterError(f"Parameter '{name}' is given twice: {parameters[name]!r} and {value!r}. Remove one.")
        parameters[name] = value_of(value)
    return parameters
