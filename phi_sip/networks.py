"""Networks by name and arguments, so that files can say which."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from phiml import math, nn

from .errors import ParameterError, UnknownNameError
from .references import imported

BUILT_IN = ("u_net", "conv_net", "res_net", "mlp")


@dataclass(frozen=True)
class NetworkSpec:
    """
    A network as plain data.

    Args:
        name: One of `phiml.nn`: `u_net`, `conv_net`, `res_net`, `mlp`; or `package.module:function`, which returns one.
        arguments: Keyword arguments of the function, plain data.

    Raises:
        UnknownNameError: if there is no such function.
        ParameterError: if the arguments do not fit it.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        function = self._function()
        try:
            inspect.signature(function).bind(**self.arguments)
        except TypeError as error:
            raise ParameterError(f"Network '{self.name}' takes {inspect.signature(function)}: {error}.") from error

    def build(self) -> Any:
        """A new network on the default backend of PhiML, in single precision, with random weights."""
        with math.precision(32):
            return self._function()(**self.arguments)

    def describe(self) -> dict[str, Any]:
        """As plain data: `NetworkSpec(**data)` is the same."""
        return {"name": self.name, "arguments": dict(self.arguments)}

    def _function(self) -> Callable[..., Any]:
        if ":" in self.name:
            function = imported(self.name)
            if not callable(function):
                raise UnknownNameError(f"Network '{self.name}' is a {type(function).__name__}, not a function.")
            return function  # type: ignore[no-any-return]
        if self.name not in BUILT_IN:
            close = difflib.get_close_matches(self.name, BUILT_IN, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise UnknownNameError(
                f"There is no network '{self.name}'.{hint} Give one of {', '.join(BUILT_IN)}, or module:function."
            )
        return getattr(nn, self.name)  # type: ignore[no-any-return]
