"""Data that can be kept in a file as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import ParameterError
from ..text.printable import sentence


def plain(value: Any) -> Any:
    """Returns plain data as they are after writing and reading."""
    return json.loads(json.dumps(value))


def check_plain(owner: str, name: str, value: Any) -> dict[str, Any]:
    """
    Returns a mapping as it is after writing and reading.

    Raises:
        ParameterError: if it is none, or cannot be written; the message names the key.
    """
    if not isinstance(value, Mapping):
        raise ParameterError(f"{owner}: {name} is a {type(value).__name__}. Give a dict: {name}={{'seed': 0}}.")
    for key, part in value.items():
        try:
            plain({key: part})
        except (TypeError, ValueError, RecursionError) as error:
            raise ParameterError(
                f"{owner}: {name}[{key!r}] cannot be kept in a file: {sentence(error)} Give plain data: texts, "
                f"numbers, lists and dicts with texts as keys, e.g. str(path) or array.tolist()."
            ) from error
    return plain(dict(value))  # type: ignore[no-any-return]
