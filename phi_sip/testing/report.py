"""What a check says, and how it says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class CheckResult:
    """One line of a report: `outcome` is `passed`, `FAILED` or `skipped`."""

    name: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """The outcome of `check_physics`; prints as a table."""

    physics: str
    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(result for result in self.results if result.outcome == "FAILED")

    def __str__(self) -> str:
        width = max(len(result.name) for result in self.results)
        lines = [f"  {r.name:<{width}}  {r.outcome:<7}  {r.detail}".rstrip() for r in self.results]
        return "\n".join([f"check_physics: {self.physics}", *lines])


class PhysicsCheckError(AssertionError):
    """A physics does not do what training needs; the message is the report, with a remedy per failed check."""


class NotApplicableError(Exception):
    """A check does not apply; the message is the reason."""


def require(holds: bool, message: str) -> None:
    """Fails a check with a message, under `python -O` too."""
    if not holds:
        raise AssertionError(message)


def run(name: str, check: Callable[[T], str], sample: T) -> CheckResult:
    """Runs a check and returns one line of the report."""
    try:
        return CheckResult(name, "passed", check(sample))
    except NotApplicableError as reason:
        return CheckResult(name, "skipped", str(reason))
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return CheckResult(name, "FAILED", " ".join(f"{kind}{error}".split()))
