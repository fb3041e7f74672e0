"""What is wrong, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong with an installation.

    Attributes:
        what: What is wrong and why, in one sentence.
        remedy: What to type or do; empty where `what` says it.
    """

    what: str
    remedy: str = ""
