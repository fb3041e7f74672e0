"""The network on samples that it is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.backend import choose_backend
from phiml.math import Tensor

from ..compilation.inputs import part_of
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.step import SipStep
from ..errors import NonFiniteError
from ..inversion.operator import sip_inverse
from ..spectral import SpectralBasis
from ..states import trees
from ..states.checks import check_same_grid
from ..states.order import by_name, in_canonical_order
from ..states.scales import StateScales
from .batch_physics import PhysicsBatch
from .callbacks import Arrays
from .inverse_alone import inverted_alone, is_comparable, unless_it_fails
from .predictions import Predictions
from .records import QUANTITIES, ValidationRecord
from .validation_risk import ValidationRisk

SHOWN = 4  # samples that are kept as arrays


class Validation:
    """
    Validation errors ½ Σ over cells, mean over all samples, and the first samples as arrays.

    Args:
        batches: Samples, seen by the optimizer never, and their physics.
        physics: That of the run.
        evaluation: See `Predictions`.
        solver: Of the training, for the corrected states.
        risk: Estimates the risk of the network; `None`: nobody asks for it.
    """

    def __init__(
        self,
        batches: Sequence[PhysicsBatch],
        physics: InvertiblePhysics,
        evaluation: Callable[[PhysicsBatch], Callable[[], Any]],
        solver: str | InverseSolver | None,
        risk: ValidationRisk | None = None,
    ) -> None:
        self._batches, self._physics, self._solver, self._risk = batches, physics, solver, risk
        self._predictions = Predictions(batches, evaluation)
        self._alone: Arrays = {}

    @property
    def first(self) -> PhysicsBatch:
        """One of the batches."""
        return self._batches[0]

    def check(self) -> None:
        """
        Looks at whether x_true can be compared with what the network predicts, before there is anything to lose.

        Raises:
            GridMismatchError: if it cannot.
        """
        if all(batch.x_true is None for batch in self._batches):
            return
        for batch, x in zip(self._batches, self._predictions.states(), strict=True):
            if batch.x_true is not None:
                check_same_grid("x_true of the validation", batch.x_true, "what the network predicts there", x)

    def run(self, step: int, elapsed: float) -> tuple[ValidationRecord, Arrays]:
        """
        Returns the errors after `step` steps, and samples, see `samples_of`.

        Raises:
            NonFiniteError: if an error is NaN or infinite.
        """
        y_errors: list[float] = []
        x_errors: list[float] | None = []
        states = self._predictions.states()
        for batch, x in zip(self._batches, states, strict=True):
            with math.precision(trees.precision_of(batch.y_target)):
                y_errors += _losses(batch.physics.forward(x), _beside(x, batch.y_target))
                known = x_errors is not None and batch.x_true is not None
                x_errors = [*(x_errors or []), *_x_losses(batch, x)] if known else None
        x_l2 = None if x_errors is None else _mean("x_l2", x_errors)
        y_l2, risk = _mean("y_l2", y_errors), None if self._risk is None else self._risk.of(states)
        return ValidationRecord(step, elapsed, y_l2, x_l2, risk), {**self._samples(states[0]), **self._alone}

    def invert_alone(self) -> dict[str, float]:
        """
        Inverts all samples without a network, for comparison. From then on `run` also returns what the inverse makes of
        its samples, as `x_alone`.

        Returns:
            Errors by quantity; nothing where there is no inverse.
        """
        if not is_comparable(self._physics, self._solver):
            return {}

        def evaluation(batch: PhysicsBatch) -> Callable[[], Any]:
            return lambda: inverted_alone(batch)

        found = unless_it_fails(lambda: Validation(self._batches, self._physics, evaluation, None).run(0, 0.0))
        if found is None:
            return {}
        record, samples = found
        self._alone = {"x_alone": samples["x"]} if "x" in samples else {}
        errors = {quantity: getattr(record, quantity) for quantity in QUANTITIES}
        return {quantity: error for quantity, error in errors.items() if error is not None}

    def _samples(self, x: Any) -> Arrays:
        first = self._batches[0]
        if not _is_grid(first.y_target):
            return {}
        y_target, x_true = _beside(x, _first(first.y_target, SHOWN)), _first_states(first.x_true)
        physics = part_of(first.physics, _places(first.y_target, SHOWN))
        with math.precision(trees.precision_of(y_target)):
            x = _first_states(x)
            return samples_of(sip_inverse(physics, y_target, x, solver=self._solver), y_target, x_true)


def samples_of(step: SipStep, y_target: Field, x_true: Field | None) -> Arrays:
    """
    Returns arrays by name, (samples, cells…) or (samples, cells…, channels), as far as they are centered grids of the
    axes of the observations: `y_target`, `y`, `x`, `x_target`, and `x_true` and `uncertainty` where they are known.
    `axes` names these axes, in whose order arrays are stored. For spectral physics there are `wavenumber` |k| and
    `gain` h per mode, and `kernel`, by which the rule multiplies a residual, if it has one.
    """
    fields = {"y_target": y_target, "y": step.y, "x": step.x, "x_target": step.x_target}
    fields |= {"x_true": x_true, "uncertainty": step.uncertainty}
    axes = by_name(y_target.resolution.names)
    shown = {name: f for name, f in fields.items() if _is_grid(f) and by_name(f.resolution.names) == axes}
    arrays = {name: _array(field.values) for name, field in shown.items()}
    return {"axes": np.array(axes)} | arrays | _modes(step, y_target)


def _modes(step: SipStep, y_target: Field) -> dict[str, np.ndarray]:
    if "log_gain" not in step.stats:
        return {}
    basis = SpectralBasis.of(y_target)
    per_mode = {"wavenumber": math.sqrt(basis.k_squared()), "gain": math.exp(step.stats["log_gain"])}
    if "kernel" in step.stats:
        per_mode["kernel"] = step.stats["kernel"]
    return {name: _array(math.expand(values, basis.modes)) for name, values in per_mode.items()}


def _mean(quantity: str, errors: list[float]) -> float:
    """Returns the mean over all samples."""
    if not np.isfinite(errors).all():
        raise NonFiniteError(
            f"{quantity} of {len(errors) - np.isfinite(errors).sum()} of {len(errors)} validation samples is NaN or "
            f"infinite: the simulation of what the network predicts for them overflows, or they are not finite "
            f"themselves. Look at these samples, lower the learning rate, or use float64."
        )
    return float(np.mean(errors))


def _beside(x: Any, tree: Any) -> Any:
    """Returns data on the framework of a prediction: they may have been made on another."""
    return trees.to_backend(tree, choose_backend(*trees.natives(x)))


def _x_losses(batch: PhysicsBatch, x: Any) -> list[float]:
    """Computes ½ ‖x − x_true‖² in the norm of states."""
    return _values(StateScales(batch.physics.x_scale).loss(trees.subtract(x, _beside(x, batch.x_true))))


def _losses(a: Any, b: Any) -> list[float]:
    return _values(trees.l2_loss(trees.subtract(a, b)))


def _values(loss: Tensor) -> list[float]:
    return [float(value) for value in loss.numpy(loss.shape).ravel()]


def _first_states(tree: Any) -> Any:
    return None if tree is None else trees.tree_map(lambda values: _first(values, SHOWN), tree)


def _first(values: Any, count: int) -> Any:
    sizes = _places(values, count)
    return values[sizes] if sizes else values


def _places(value: Any, count: int) -> dict[str, slice]:
    """Returns which entries of the batch dims are the first ones."""
    entries = by_name(value.shape.batch.names)
    return {name: slice(0, count if name == entries[0] else 1) for name in entries}


def _is_grid(tree: Any) -> bool:
    return isinstance(tree, Field) and tree.is_grid and tree.is_centered


def _array(values: Tensor) -> np.ndarray:
    values = in_canonical_order(values)
    shape = values.shape
    dims: list[Any] = [shape.batch, *shape.spatial.names, shape.channel]
    array: np.ndarray = values.numpy([dim for dim in dims if dim])
    return array
