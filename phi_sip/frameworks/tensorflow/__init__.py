"""TensorFlow with Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...contract.framework import Framework
from ...contract.markers import hookimpl
from ..folder import FrameworkFolder
from ..origin import defined_in


class TensorFlow(FrameworkFolder):
    """TensorFlow with Keras."""

    name: ClassVar[str] = "tensorflow"
    of_phiflow = ("phi.tf", "TENSORFLOW")
    trainable_class = "TensorFlowTrainable"
    state_class = "TensorFlowState"

    def is_network(self, net: Any) -> bool:
        return defined_in(net, "keras", "tensorflow") and hasattr(net, "trainable_variables")


@hookimpl
def sip_frameworks() -> Sequence[Framework]:
    return [TensorFlow()]
