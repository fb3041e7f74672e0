"""An update by the gradient of its target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from .target_gradient import target_gradient
from .transaction import make_update

USES = ("step_size", "solver", "compile", "targets")


@dataclass(frozen=True)
class GradientUpdate:
    """An update by the gradient of its target, which uses all that the request asks for."""

    what: ClassVar[str] = "An update"

    def __call__(self, trainable: Trainable, request: UpdateRequest) -> SipUpdate:
        return make_update(trainable, request, target_gradient, USES)
