"""Updates by half-inverse gradients: a plugin like any other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math as phimath
from phiml.math import DType, channel, instance

from ..contract.markers import hookimpl
from ..contract.target import TrainingTarget
from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import ParameterError, UnsupportedError
from ..inversion.operator import OVERFLOW
from ..states import trees
from ..storage.memory import available
from ..targets import HalfInverse
from .compiled import computed
from .half_inversion import HalfInversion
from .jacobian import linearized
from .part import Part
from .transaction import make_update

USES = ("compile", "targets")


@hookimpl
def sip_targets() -> Sequence[type[TrainingTarget]]:
    return [HalfInverse]


@hookimpl
def sip_update_weights(trainable: Trainable, request: UpdateRequest) -> SipUpdate | None:
    """
    Makes the update if `targets=HalfInverse(...)` asks for it.

    Raises:
        UnsupportedError: if another argument is given that it does not use, or several workers train the network.
    """
    if not isinstance(request.targets, HalfInverse):
        return None
    request.check_uses(USES, type(request.targets).__name__)
    if trainable.workers is not None:
        raise UnsupportedError(
            "Half-inverse gradients need the derivatives of the whole batch, of which each of several workers has a "
            "part. Nothing was changed. Train with one worker, or by another target."
        )
    return computed(HalfInverseUpdate(), trainable, request)


@dataclass(frozen=True)
class HalfInverseUpdate:
    """An update by half-inverse gradients, compiled or step by step."""

    what: ClassVar[str] = "An update by half-inverse gradients"

    def __call__(self, trainable: Trainable, request: UpdateRequest) -> SipUpdate:
        gradient = HalfInverseGradient(trainable, request)
        return make_update(trainable, request, gradient.of, USES, gradient.finish)


class HalfInverseGradient:
    """
    −Δθ, in place of a gradient: `of` collects the rows of one micro-batch after the other, `finish` inverts them.

    Args:
        trainable: Network and optimizer.
        request: What is asked for, of the whole batch.
    """

    def __init__(self, trainable: Trainable, request: UpdateRequest) -> None:
        assert isinstance(request.targets, HalfInverse)
        self._trainable, self._rule, self._parts = trainable, request.targets, request.micro_batches
        self._inversion: HalfInversion | None = None
        self._weights: list[tuple[tuple[int, ...], DType] | None] = []

    def of(self, part: Part) -> tuple[SipUpdate, None]:
        """Adds the rows of one micro-batch, and returns what the update says of it."""
        y_target = part.observation()
        with phimath.precision(trees.precision_of(y_target)):
            if self._inversion is not None:
                natives = self._trainable.after(trees.natives(y_target), self._inversion.kept)
                y_target = trees.with_natives(y_target, natives)
            found = linearized(part, y_target)
            part.expect_finite("The simulated observation", found.y, OVERFLOW)
            samples, values = found.residual.shape
            unknowns = sum(leaf.shape.non_batch.volume for leaf in trees.leaves(found.x))
            self._check_size(samples * values * self._parts, samples**2 * values * unknowns)
            self._add(part, found.rows(), found.residual)
            residual = trees.subtract(trees.in_order_of(y_target, found.y), found.y)
            loss = trees.l2_loss(residual)
        return SipUpdate(loss, found.x, found.y, found.x, loss), None

    def finish(self) -> None:
        """Gives the optimizer −Δθ."""
        if self._inversion is None:  # the prediction does not depend on the weights
            return
        change, gradients, start = self._inversion.change(), [], 0
        for weight in self._weights:
            stop = start + (0 if weight is None else math.prod(weight[0]))
            gradients.append(None if weight is None else self._like(-change[start:stop], *weight))
            start = stop
        self._trainable.add_gradients(gradients)

    def _check_size(self, values: int, pulled_back: int) -> None:
        """
        Refuses a batch that does not fit into memory, before its rows are computed.

        Args:
            values: Number of observed values of the whole batch.
            pulled_back: See `HalfInversion.bytes_needed`.
        """
        weights = sum(math.prod(weight.shape) for weight in self._trainable.weights)
        needed, left = HalfInversion.bytes_needed(values, weights, self._parts, pulled_back), available()
        if needed > left:
            raise ParameterError(
                f"HalfInverse needs the derivatives of {values} observed values by {weights} weights, which take "
                f"{needed / 1e9:.3g} GB, but {left / 1e9:.3g} GB of memory are left. Nothing was changed. Take fewer "
                f"samples in a batch, more micro_batches, or a smaller network."
            )

    def _add(self, part: Part, rows: list[Any], residual: Any) -> None:
        backend = self._trainable.backend
        self._weights = [None if row is None else (tuple(row.shape)[1:], backend.dtype(row)) for row in rows]
        if all(weight is None for weight in self._weights):
            return
        with phimath.precision(64):  # to which operations of PhiML convert
            double = [backend.cast(native, DType(float, 64)) for native in (*rows, residual) if native is not None]
            *flat, left = [backend.reshape(native, (native.shape[0], -1)) for native in double]
            jacobian, column = backend.concat(flat, 1), backend.reshape(left, (-1, 1))
        shown = phimath.reshaped_tensor(jacobian, [instance("values"), channel("weights")], convert=False)
        part.expect_finite("The Jacobian of network and physics", shown, OVERFLOW)
        values, weights = jacobian.shape
        if self._inversion is None:
            self._inversion = HalfInversion(self._rule, backend, values * self._parts, weights)
        self._inversion.add(jacobian, column)

    def _like(self, values: Any, shape: tuple[int, ...], dtype: DType) -> Any:
        """Returns values in the shape and type of a weight."""
        backend = self._trainable.backend
        with phimath.precision(64):
            return backend.cast(backend.reshape(values, shape) if shape else values[0, 0], dtype)
