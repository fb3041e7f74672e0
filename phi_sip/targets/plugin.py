"""The targets that `phi_sip` itself provides, by the hook that any plugin uses."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.markers import hookimpl
from ..contract.target import TrainingTarget
from . import Labels, LocalInverse, SelfSimulated


@hookimpl
def sip_targets() -> Sequence[type[TrainingTarget]]:
    return [Labels, LocalInverse, SelfSimulated]
