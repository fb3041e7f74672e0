"""What is computed for a request: an update, or what a teacher simulates."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol, TypeVar

from phiml.math import Tensor

from ..contract.trainable import Trainable
from ..contract.update import UpdateRequest


class Result(Protocol):
    """
    What a computation returns: a dataclass, whose fields are states or `None`.

    Attributes:
        applied: Whether everything was finite. Within a graph, where no error can be raised, it is not known yet.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def applied(self) -> Tensor: ...


R_co = TypeVar("R_co", bound=Result, covariant=True)


class Computation(Protocol[R_co]):
    """
    Something that is computed for a request, compiled or step by step. Those that are equal compute the same.

    Attributes:
        what: Its name, for messages.
    """

    what: ClassVar[str]

    def __hash__(self) -> int: ...

    def __call__(self, trainable: Trainable, request: UpdateRequest) -> R_co: ...
