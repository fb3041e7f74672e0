"""A trained inverse: a network, and the physics that it inverts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from phi.field import Field
from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..descriptions.networks import NetworkSpec
from ..errors import NetworkOutputError, ParameterError, SipError
from ..inversion.observed import InvertedObservation
from ..inversion.operator import sip_inverse
from ..risk import Guard, Interval
from ..states import trees
from ..states.checks import check_finite
from ..step.prediction import prediction
from ..text.printable import sentence
from ..training.batch_physics import check_own_physics
from .grid import TrainingGrid
from .misfit import TrainingMisfit, per_sample


@dataclass(frozen=True)
class Inversion:
    """
    What a trained inverse makes of observations.

    Attributes:
        x: Predicted states.
        y_l2: ½ ‖P(x) − y*‖² per sample: whether they explain the observations.
        uncertainty: Standard deviation per cell to be expected of a state inverted from these observations by the
            physics' own inverse, which the network was trained to give; `None` if the physics knows none.
        misfit_ratio: `y_l2` of each sample per value ÷ what 95 % of the samples stayed below with which the network was
            saved; far above 1 for observations unlike those. `None` if it was saved without.
        interval: Half the width per cell of the interval around `x` that is to hold the true state, see `fit_interval`;
            `None` if it was saved without, the inverse does not know its uncertainty, or states were refined.
    """

    x: Any
    y_l2: Tensor
    uncertainty: Any
    misfit_ratio: Tensor | None = None
    interval: Any = None


@dataclass(frozen=True)
class TrainedInverse:
    """
    A network that inverts a physics.

    Attributes:
        physics: The process, if no other parameters are given.
        network: Which network it is.
        grid: What it was trained on, if that is known.
        backend: PhiML's, on which it runs.
        description: What its folder says: framework, physics, network, grid, misfit, versions, SHA-256 of its files.
        misfit: How well it explained observations like those of the training, if that is known.
        inputs: What the network is shown.
        guard: Keeps its states from being worse than those of the inverse, if it has one.
        interval: How far the true states are from its own, if that is known.
    """

    physics: InvertiblePhysics
    network: NetworkSpec
    grid: TrainingGrid | None
    backend: Backend
    description: dict[str, Any]
    evaluate: Callable[[Any], Any]
    misfit: TrainingMisfit | None = None
    inputs: tuple[NetworkInput, ...] = ()
    guard: Guard | None = None
    interval: Interval | None = None

    def predict(self, y_target: Field | Tensor, physics: InvertiblePhysics | None = None) -> Any:
        """
        x = f(y*; θ), with what y* says exactly imposed by `physics.constrain`, and with the guard, if there is one. The
        network takes axes and named components in the order in which it was trained, whatever the order in which y* is
        stored.

        Args:
            y_target: Observations: `Field` or `Tensor` with the channels that the network has.
            physics: The process that made them, if its parameters are others than those of `self.physics`, such as the
                diffusivity of each sample. It is of the same class.

        Raises:
            ParameterError: if `physics` is of another class, or has parameters of another number of samples.
            NonFiniteError: if they hold NaN or infinity.
            GridMismatchError: if they have other cells than those that it was trained on.
            NetworkOutputError: if the network cannot be evaluated on this resolution.
        """
        check_finite("y_target", y_target, "Remove or repair these samples before inverting.")
        if self.grid is not None and isinstance(y_target, Field):
            self.grid.check(y_target)
        precision, physics = trees.precision_of(y_target), self._made_by(y_target, physics)
        with self.backend, math.precision(precision):
            y_target = trees.to_backend(y_target, self.backend)
            observed = InvertedObservation(physics, y_target)
            axes = () if self.grid is None else self.grid.axes
            try:
                return prediction(self.evaluate, observed, self.inputs, axes=axes, guard=self.guard)()
            except SipError:
                raise
            except Exception as error:
                raise NetworkOutputError(
                    f"The network '{self.network.name}' cannot be evaluated on {trees.describe(y_target)}: "
                    f"{type(error).__name__}: {sentence(error)} A u_net of n levels needs resolutions that are "
                    f"multiples of 2^(n−1), and every network the rank and channels that it was made for."
                ) from error

    def invert(self, y_target: Field | Tensor, refine: int = 0, physics: InvertiblePhysics | None = None) -> Inversion:
        """
        Returns the prediction, how well it explains the observations, and the uncertainty,

            x₀ = f(y*; θ),   xₖ = P⁻¹(y*; xₖ₋₁),   x = x_refine

        Args:
            y_target: As for `predict`.
            refine: How many times ≥ 0 the physics' own inverse goes on from the prediction. Once is all there is to
                gain where it is exact; for an iterative one, the network gives the start.
            physics: As for `predict`.

        Warns with `MisfitWarning` of samples that their states explain far worse than those of the training.

        Raises:
            ParameterError: if `refine` is no such number.
            SipError: as `predict` and `sip_inverse`.
        """
        inversion = self.answer(y_target, refine, physics)
        if self.misfit is not None and inversion.misfit_ratio is not None:
            self.misfit.warn(per_sample(inversion.misfit_ratio))
        return inversion

    def answer(self, y_target: Field | Tensor, refine: int = 0, physics: InvertiblePhysics | None = None) -> Inversion:
        """Does the same as `invert`, but without warnings, for who looks at `misfit_ratio`."""
        if not isinstance(refine, int) or refine < 0:
            raise ParameterError(f"refine = {refine!r}, but it must be an integer ≥ 0.")
        physics = self._made_by(y_target, physics)
        x = self.predict(y_target, physics)
        with self.backend, math.precision(trees.precision_of(y_target)):  # PhiML rounds what it converts
            y_target = trees.to_backend(y_target, self.backend)
            step = sip_inverse(physics, y_target, x)
            for _ in range(refine):
                step = sip_inverse(physics, y_target, step.x_target)
            ratio = None if self.misfit is None else self.misfit.ratio(step.residual, y_target)
            interval = None if refine or step.uncertainty is None else self._interval(step.uncertainty)
        return Inversion(step.x, trees.l2_loss(step.residual), step.uncertainty, ratio, interval)

    def _made_by(self, y_target: Any, physics: InvertiblePhysics | None) -> InvertiblePhysics:
        """Returns the physics that made observations, checked if it is given."""
        if physics is None:
            return self.physics
        check_own_physics(physics, self.physics, y_target, "The trained inverse was given")
        return physics

    def _interval(self, uncertainty: Any) -> Any:
        """Returns half the width of the interval around what the network gives, if that is known."""
        return None if self.interval is None else self.interval.half_width(uncertainty)
