"""How commands print: tables and messages for people, JSON for scripts."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from .. import errors
from ..text.terminal import PlainConsole


def console() -> PlainConsole:
    """Returns the console for results: standard output, as wide as the terminal."""
    return PlainConsole()


def print_error(message: str) -> None:
    """Prints one message on standard error; a line only breaks where a terminal ends."""
    _print_message("Error: ", "bold red", message)


def _print_message(label: str, style: str, message: str) -> None:
    out = PlainConsole(stderr=True)
    out.print(Text.assemble((label, style), message), soft_wrap=not out.is_terminal)


@contextlib.contextmanager
def warnings_as_messages() -> Iterator[None]:
    """Prints the warnings of `phi_sip` as errors are printed, those of others as usual."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if category.__module__ == errors.__name__:
                _print_message("Warning: ", "bold yellow", str(message))
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = show
        yield


def print_json(data: Any) -> None:
    """Prints plain data on standard output, for scripts: no NaN, no colours, no line breaks for a terminal."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))
