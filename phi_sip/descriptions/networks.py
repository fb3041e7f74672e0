"""Networks by name and arguments, so that files can say which."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

from phiml import math, nn

from ..contract.markers import hookimpl
from ..errors import ParameterError, UnknownNameError, UnsupportedError
from ..plugins.references import Resolver, trusted
from ..plugins.registry import network_function


@dataclass(frozen=True)
class NetworkSpec:
    """
    A network as plain data.

    Args:
        name: Registered name, see `available_networks()`: those of `phiml.nn`, `u_net`, `conv_net`, `res_net` and
            `mlp`, and those of plugins; or `package.module:function`, which returns a network.
        arguments: Keyword arguments of the function, plain data.
        resolve: What imports a `package.module:function`. As you have written the name, the default imports it; names
            that were read from a file go through one that asks who wrote them.

    Raises:
        UnknownNameError: if there is no such function.
        DuplicateNameError: if two plugins provide the name; the message names both distributions.
        ParameterError: if the arguments do not fit it.
        UntrustedError: if `resolve` refuses to import it.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    resolve: InitVar[Resolver] = trusted
    _function: Callable[..., Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self, resolve: Resolver) -> None:
        function = self._found(resolve)
        try:
            inspect.signature(function).bind(**self.arguments)
        except TypeError as error:
            raise ParameterError(f"Network '{self.name}' takes {inspect.signature(function)}: {error}.") from error
        object.__setattr__(self, "_function", function)

    def build(self) -> Any:
        """
        Makes a new network on the default backend of PhiML, in single precision, with random weights.

        Raises:
            UnsupportedError: if the function returns nothing.
        """
        with math.precision(32):
            net = self._function(**self.arguments)
        if net is None:
            raise UnsupportedError(f"Network '{self.name}' returns None. Its function must return the network.")
        return net

    def describe(self) -> dict[str, Any]:
        """Returns plain data: `NetworkSpec(**data)` is the same."""
        return {"name": self.name, "arguments": dict(self.arguments)}

    def _found(self, resolve: Resolver) -> Callable[..., Any]:
        if ":" not in self.name:
            return network_function(self.name)
        function = resolve(self.name, self.arguments)
        if not callable(function):
            raise UnknownNameError(f"Network '{self.name}' is a {type(function).__name__}, not a function.")
        return function  # type: ignore[no-any-return]


@hookimpl
def sip_networks() -> Mapping[str, Callable[..., Any]]:
    return {"u_net": nn.u_net, "conv_net": nn.conv_net, "res_net": nn.res_net, "mlp": nn.mlp}
