"""How `sip_update_weights` makes an update unless a plugin takes over: by its target, compiled if that pays."""

from __future__ import annotations

from ..contract.markers import hookimpl
from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..targets import LocalInverse
from .compiled import computed
from .gradient_update import GradientUpdate


@hookimpl(trylast=True)
def sip_update_weights(trainable: Trainable, request: UpdateRequest) -> SipUpdate:
    """
    Makes the update. It is the default implementation of the hook.

    Raises:
        UnsupportedError: if an argument is given that the target does not use.
    """
    target = request.targets or LocalInverse()
    request.check_uses((*target.uses, "compile", "targets"), type(target).__name__)
    return computed(GradientUpdate(), trainable, request)
