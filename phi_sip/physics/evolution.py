"""Physics that advance a state in time, step by step, and those that can do so backwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..regularization import Regularization
from ..states import trees
from ..states.checks import check_count, check_parameter
from ..states.scales import StateScales
from .fitted import FittedPrior
from .time_loop import repeated


def check_time_steps(owner: str, time_step: float | Tensor, steps: int) -> None:
    """
    Checks n steps of dt.

    Raises:
        ParameterError: if `time_step` is not a positive number or `steps` not an integer ≥ 1.
    """
    check_parameter(owner, "time_step", time_step, positive=True)
    check_count(owner, "steps", steps)


class TimeStepping(InvertiblePhysics):
    """
    n equal time steps of a state,

        x = u_0,   u_{i+1} = advance(u_i, dt),   y = u_n

    Subclasses are frozen dataclasses that implement `advance`.

    Attributes:
        time_step: dt > 0, a number, or a tensor with batch dims.
        steps: n ≥ 1.
    """

    time_step: float | Tensor
    steps: int

    def __post_init__(self) -> None:
        """
        Checks dt and n. Subclasses with checks of their own call it.

        Raises:
            ParameterError: see `check_time_steps`.
        """
        check_time_steps(type(self).__name__, self.time_step, self.steps)

    @abstractmethod
    def advance(self, state: Any, dt: float | Tensor) -> Any:
        """
        Computes the state one time step later.

        Args:
            state: u_i.
            dt: Time step; negative where time runs backwards.

        Returns:
            u_{i+1}, of the structure and dims of `state`.
        """

    def initial_state(self, y_target: Any) -> Any:
        """Returns y*, as a state that has not changed would be observed."""
        return y_target

    def forward(self, x: Any) -> Any:
        """Computes y = u_n from x = u_0."""
        return self._run(x, self.time_step)

    def _run(self, state: Any, dt: float | Tensor) -> Any:
        with math.precision(trees.precision_of(state)):
            return repeated(lambda now: self.advance(now, dt), state, self.steps)


class Reversible(TimeStepping):
    """Time steps that can be taken with −dt. `advance` need not undo itself exactly, see `TimeReversal`."""

    def backward(self, y: Any) -> Any:
        """Computes the reverse simulation R(y): from u_n = y to u_0 by `steps` steps of −dt."""
        return self._run(y, -self.time_step)


@dataclass(frozen=True)
class Evolution(Reversible, FittedPrior):
    """
    n applications of a function that advances a state in time, e.g. one written with PhiFlow:

        x = u_0,   u_{i+1} = step(u_i, dt),   y = u_n

    There is no closed-form inverse: the default solver stands in, or `solver="time-reversal"` where `step` takes
    dt < 0.

    Args:
        step: Maps a state and dt to the state dt later, without random numbers.
        time_step: dt > 0, a number, or a tensor with batch dims.
        steps: n ≥ 1.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, at which numerical inverses stop; a number, or a
            tensor with batch dims, or with dims of y*, where sensors differ. Default: not known.
        regularization: `EmpiricalBayes()` or another rule, see `DifferentiablePhysics`. Default: no prior.
        x_scale: Characteristic sizes of the values of a state whose parts differ in unit, see
            `InvertiblePhysics.x_scale`. Default: 1 for all.

    Raises:
        UnsupportedError: if `step` cannot be called.
        ParameterError: if `time_step` is not a positive number or `steps` not an integer ≥ 1, or for `noise_std`,
            `regularization` and `x_scale` as `DifferentiablePhysics` does.

    Example:
        physics = Evolution(lambda v, dt: advect.semi_lagrangian(v, v, dt), time_step=0.5, steps=8)
        step = sip_inverse(physics, y_target, x, solver="time-reversal")
    """

    name: ClassVar[str] = "evolution"

    step: Callable[[Any, Any], Any]
    time_step: float | Tensor
    steps: int
    noise_std: float | Tensor | None = None
    regularization: Regularization | None = None
    x_scale: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.step):
            raise UnsupportedError(
                f"Evolution: step is a {type(self.step).__name__}. Give a function step(state, dt) -> state."
            )
        self._check_noise_and_prior()
        StateScales(self.x_scale)

    def advance(self, state: Any, dt: float | Tensor) -> Any:
        """Computes `step(state, dt)`."""
        return self.step(state, dt)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Evolution]
