"""Intervals for the states of a trained network, fitted to observations alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math

from ..contract.inputs import NetworkInput, Observed
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..frameworks import framework_for
from ..inversion.noise import ObservationNoise
from ..inversion.observed import InvertedObservation
from ..risk import Guard, Interval
from ..risk.white_noise import white_noise
from ..states import order, trees
from ..states.checks import check_finite
from ..text.printable import sentence
from .predict_state import predict_state
from .prediction import check_physics_type

SEED = 30103  # of the simulated noise


def fit_interval(
    net: Any,
    physics: InvertiblePhysics,
    y_target: Field,
    *,
    inputs: Sequence[str | NetworkInput] | None = None,
    predict: Callable[..., Any] | None = None,
    guard: Guard | None = None,
    coverage: float = 0.95,
) -> Interval:
    """
    Returns the interval x ± q u that holds the true values of this fraction of the cells, without true states:

        t = states f(y*) of half the size,   y₂ = P(t) + σ n,   |f(y₂) − t| ≤ q u₂ in 95 % of the cells

    with u₂ the uncertainty that the inverse gives of y₂. What the network says of an observation lacks the details that
    the observation hides, so a simulation of it would be too easy. Half the size, with cells as large as before, the
    details that it has are those that the observation of it hides. This takes states for alike at both sizes, as
    pictures and things with edges are; for states with a length of their own the intervals are off by what differs.

    Args:
        net: Trained network, as given to `sip_update_weights`. It is evaluated on half as many cells per axis.
        physics: Process that made the observations; its inverse must know its uncertainty.
        y_target: Observations y* that the network was not trained on, on a centered grid.
        inputs: As in `sip_update_weights`: what the network was trained with.
        predict: As in `sip_update_weights`.
        guard: That of the network, if it has one.
        coverage: Fraction of the cells, between 0 and 1.

    Raises:
        ParameterError: if σ of the noise is not known, `coverage` is out of range, or both `inputs` and `predict` are
            given.
        UnsupportedError: if the states are on no centered grid, a number of cells is odd, or the inverse does not know
            its uncertainty.
        NonFiniteError: if y* holds NaN or infinity.
        NetworkOutputError: if the network cannot be evaluated on half as many cells.

    Source: like at all scales: Ruderman, Bialek, "Statistics of Natural Images: Scaling in the Woods", Physical Review
    Letters 73, 1994; the quantile: `Interval.of`.
    """
    check_physics_type(physics)
    check_finite("y_target", y_target, "Remove or repair these samples.")
    if not 0 < coverage < 1:
        raise ParameterError(f"fit_interval: coverage = {coverage}, but it must be between 0 and 1, such as 0.95.")
    backend = framework_for(net).backend
    with backend, math.precision(trees.precision_of(y_target)):
        y_target = trees.to_backend(y_target, backend)
        noise = ObservationNoise.of("fit_interval", InvertedObservation(physics, y_target))

        def state(y: Any) -> Any:
            return predict_state(net, physics, y, inputs=inputs, predict=predict, guard=guard)

        truth = physics.admissible(_half_size(state(y_target)))
        try:
            y = physics.forward(truth)
            simulated = physics.add_noise(y, white_noise(y, SEED), noise.facts)
        except Exception as error:
            raise UnsupportedError(_not_smaller(physics, truth, error)) from error
        uncertainty = _known(InvertedObservation(physics, simulated))
        errors = trees.subtract(state(simulated), truth)
        return Interval.of(_values(errors, errors), _values(uncertainty, errors), coverage)


def _values(state: Any, like: Any) -> np.ndarray:
    """Returns all values of a state in the order of those of another."""
    pairs = zip(trees.leaves(state, like), trees.leaves(like), strict=True)
    return np.concatenate([math.expand(leaf, other.shape).numpy([other.shape]) for leaf, other in pairs])


def check_interval(
    net: Any, physics: InvertiblePhysics, y_target: Any, inputs: Sequence[str | NetworkInput] | None = None
) -> None:
    """
    Looks at whether an interval can be fitted, before a network is trained: all is done once, at half the size too.

    Raises:
        UnsupportedError, ParameterError: as `fit_interval`.
    """
    observed = InvertedObservation(physics, y_target)
    noise = ObservationNoise.of("fit_interval", observed)
    _known(observed)
    small = _half_size(physics.initial_state(y_target))
    try:
        y = physics.forward(small)
        simulated = physics.add_noise(y, white_noise(y, SEED), noise.facts)
        _known(InvertedObservation(physics, simulated))
        predict_state(net, physics, simulated, inputs=inputs)
    except Exception as error:
        raise UnsupportedError(_not_smaller(physics, small, error)) from error


def _not_smaller(physics: InvertiblePhysics, small: Field, error: Exception) -> str:
    return (
        f"fit_interval: {type(physics).__name__} or the network cannot be evaluated on half as many cells, "
        f"{small.resolution}: {type(error).__name__}: {sentence(error)} Leave out the interval, or what has a value of "
        f"its own in each cell."
    )


def _known(observed: Observed) -> Any:
    """Returns the uncertainty of the inverse."""
    uncertainty = observed.inverted().uncertainty
    if uncertainty is None:
        raise UnsupportedError(
            f"fit_interval: the inverse of {type(observed.physics).__name__} does not know its uncertainty, of which "
            f"the interval is a multiple. Choose a rule that knows it, e.g. EmpiricalBayes()."
        )
    return uncertainty


def _half_size(state: Any) -> Field:
    """Returns a state with all lengths but that of a cell halved, by the means of neighbouring cells."""
    if not isinstance(state, Field) or not state.is_grid or not state.is_centered:
        raise UnsupportedError(
            f"fit_interval: the states are {trees.describe(state)}, but only those on a centered grid are made smaller."
        )
    values = state.values
    for axis in order.by_name(state.resolution.names):
        if state.resolution.get_size(axis) % 2:
            raise UnsupportedError(
                f"fit_interval: the states have {state.resolution}, of which half the size is to be made. Give an even "
                f"number of cells along {axis}."
            )
        values = (values[{axis: slice(0, None, 2)}] + values[{axis: slice(1, None, 2)}]) / 2
    lower = state.bounds.lower
    return CenteredGrid(values, state.boundary, bounds=Box(lower, lower + state.bounds.size / 2))
