"""What is done in any case, whatever else has failed."""

from __future__ import annotations

from collections.abc import Callable

from ..text.printable import sentence


class Attempts:
    """
    Does things once each, and notes what fails.

    Attributes:
        troubles: A sentence for each attempt that failed.
    """

    def __init__(self) -> None:
        self.troubles: list[str] = []

    def make(self, what: str, action: Callable[[], None]) -> BaseException | None:
        """Does something. Returns the error if it fails, which is not raised."""
        try:
            action()
        except BaseException as error:
            self.troubles.append(f"In {what}: {type(error).__name__}: {sentence(error)}")
            return error
        return None
