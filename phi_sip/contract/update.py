"""What an update is asked for, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..errors import UnsupportedError
from .inputs import NetworkInput
from .physics import InvertiblePhysics
from .solver import InverseSolver
from .target import TrainingTarget


@dataclass(frozen=True, eq=False)
class SipUpdate:
    """
    What one update did. Losses are ½ Σ over cells, per batch entry, as PhiFlow's `l2_loss`; `float(loss.mean)` is the
    mean over the batch. Those of states are in their norm, see `InvertiblePhysics.x_scale`: where states have parts of
    different sizes or units, each part counts by its mean square in its own unit, times the size of the largest part.

    Attributes:
        loss: Proxy loss ½ ‖x − x̃‖², without losses that layers of a Keras network add.
        x: Prediction, before the update.
        y: P(x).
        x_target: Corrected state x̃ that the network was drawn towards.
        y_l2: ½ ‖y − y*‖².
        x_l2: ½ ‖x − x_true‖² if `x_true` was given, for tracking.
        applied: Whether the weights were changed. False where the gradient overflowed by the scale of Keras'
            `LossScaleOptimizer`, which was lowered then; and within a graph, where no error can be raised, if something
            was not finite. Nothing else was changed then.
    """

    loss: Tensor
    x: Any
    y: Any
    x_target: Any
    y_l2: Tensor
    x_l2: Tensor | None = None
    applied: Tensor = field(default_factory=lambda: math.wrap(True))


@dataclass(frozen=True, eq=False)
class UpdateRequest:
    """
    What `sip_update_weights` was asked for, after checks. Its arguments have the same names there.

    Attributes:
        draws: The random numbers that the target has drawn for this update.
        seen: What the network is shown, one state for each of `inputs`, if that is known already.
    """

    physics: InvertiblePhysics
    y_target: Any
    predict: Callable[..., Any] | None = None
    step_size: float | Tensor = 1.0
    solver: InverseSolver | None = None
    x_true: Any = None
    compile: bool | None = None
    micro_batches: int = 1
    inputs: tuple[NetworkInput, ...] = ()
    targets: TrainingTarget | None = None
    draws: Any = None
    seen: Sequence[Any] | None = None
    clip_norm: float | None = None

    def check_uses(self, uses: Collection[str], owner: str) -> None:
        """
        Refuses what an update of another kind than SIP would drop.

        Args:
            uses: Names of the arguments that it uses.
            owner: What makes the update, for the message.

        Raises:
            UnsupportedError: if another argument asks for something.
        """
        scaled = isinstance(self.step_size, Tensor) or self.step_size != 1
        asked = {"step_size": scaled, "solver": self.solver is not None, "compile": bool(self.compile)}
        asked |= {"targets": self.targets is not None}
        dropped = ", ".join(name for name, asks in asked.items() if asks and name not in uses)
        if dropped:
            raise UnsupportedError(f"{owner} does not use the argument {dropped}. Nothing was changed. Leave it out.")
