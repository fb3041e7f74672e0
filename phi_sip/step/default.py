"""How `sip_update_weights` makes an update unless a plugin takes over: by the SIP gradient, compiled if it pays."""

from __future__ import annotations

from ..contract.markers import hookimpl
from ..contract.trainable import CompilingTrainable, Trainable
from ..contract.update import SipUpdate, UpdateRequest
from .compiled import compiled_update
from .eager import sip_update


@hookimpl(trylast=True)
def sip_update_weights(trainable: Trainable, request: UpdateRequest) -> SipUpdate:
    """Makes the update. It is the default implementation of the hook."""
    if isinstance(trainable, CompilingTrainable):
        return compiled_update(trainable, request)
    return sip_update(trainable, request)
