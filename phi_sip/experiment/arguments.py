"""Arguments that an experiment says in a place of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ParameterError


def check_said_here(place: str, arguments: Mapping[str, Any], elsewhere: Mapping[str, str]) -> None:
    """
    Refuses arguments that an experiment says elsewhere.

    Raises:
        ParameterError: if arguments hold what is said elsewhere; the message says where.
    """
    for name in arguments:
        if name in elsewhere:
            raise ParameterError(
                f"{place}.{name} = {arguments[name]!r} is not said here: {elsewhere[name]}. Remove it from {place}."
            )
