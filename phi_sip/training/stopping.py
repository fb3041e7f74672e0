"""When a training run ends before its last step: one class per rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..errors import ParameterError
from ..states.checks import check_count, check_parameter
from .records import QUANTITIES, RISK, RunRecord


class StoppingRule(ABC):
    """Decides from the records alone, so that a resumed run ends where an undisturbed one does."""

    @property
    def needs(self) -> str | None:
        """The validation error, `x_l2`, `y_l2` or `risk`, without which it cannot decide; `None` if it needs none."""
        return None

    @abstractmethod
    def reason(self, run: RunRecord) -> str | None:
        """Returns why the run should end now; `None` to go on."""


@dataclass(frozen=True)
class WallTime(StoppingRule):
    """
    Ends after so many seconds of training, those before an interruption included.

    Args:
        seconds: > 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        check_parameter("WallTime", "seconds", self.seconds, positive=True)

    def reason(self, run: RunRecord) -> str | None:
        return f"{self.seconds:g} s of training are over" if run.elapsed >= self.seconds else None


@dataclass(frozen=True)
class Target(StoppingRule):
    """
    Ends when a validation error is small enough.

    Args:
        quantity: `"x_l2"`, `"y_l2"` or `"risk"` of the validation.
        value: Error ≥ 0; of the risk any number, as it is less than 0 where the network is better than the inverse.
    """

    quantity: str
    value: float

    def __post_init__(self) -> None:
        check_quantity("Target", "quantity", self.quantity)
        check_parameter("Target", "value", self.value, signed=self.quantity == RISK)

    @property
    def needs(self) -> str:
        return self.quantity

    def reason(self, run: RunRecord) -> str | None:
        errors = run.errors(self.quantity)
        return f"{self.quantity} is {errors[-1]:.4g}" if errors and errors[-1] <= self.value else None


@dataclass(frozen=True)
class EarlyStopping(StoppingRule):
    """
    Ends when a validation error has not become smaller for a while.

    Args:
        quantity: `"x_l2"`, `"y_l2"` or `"risk"` of the validation.
        patience: Number ≥ 1 of validations without a new least error.
        improvement: Fraction ≥ 0 of the size of the least error by which another must be smaller to count.
    """

    quantity: str = "y_l2"
    patience: int = 10
    improvement: float = 0.0

    def __post_init__(self) -> None:
        check_quantity("EarlyStopping", "quantity", self.quantity)
        check_count("EarlyStopping", "patience", self.patience)
        check_parameter("EarlyStopping", "improvement", self.improvement)

    @property
    def needs(self) -> str:
        return self.quantity

    def reason(self, run: RunRecord) -> str | None:
        least, since = float("inf"), 0
        for error in run.errors(self.quantity):
            better = least == float("inf") or error < least - self.improvement * abs(least)
            least, since = (error, 0) if better else (least, since + 1)
        if since < self.patience:
            return None
        return f"{self.quantity} has not fallen below {least:.4g} in {since} validations"


def check_quantity(owner: str, name: str, quantity: str) -> None:
    """
    Checks the name of a validation error.

    Raises:
        ParameterError: if this is not the name of a validation error.
    """
    if quantity not in QUANTITIES:
        raise ParameterError(f"{owner}: {name} = {quantity!r}, but it must be one of {', '.join(QUANTITIES)}.")
