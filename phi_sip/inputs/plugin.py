"""The inputs of networks that `phi_sip` itself provides, by the hook that any plugin uses."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.inputs import NetworkInput
from ..contract.markers import hookimpl
from . import Estimate, LinearEstimate, Observation, Parameters, Uncertainty


@hookimpl
def sip_inputs() -> Sequence[type[NetworkInput]]:
    return [Observation, Estimate, LinearEstimate, Uncertainty, Parameters]
