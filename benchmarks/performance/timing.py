"""Times of several computations that take turns, so that a busy moment of the machine meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.progress import track

WARM_UP = 2  # turns that do not count: compiling, memory, caches
Row = dict[str, Any]


@dataclass(frozen=True)
class Times:
    """Seconds of one case: of its first call, and of each turn."""

    first: float
    turns: Sequence[float]

    def times(self, factor: float) -> Times:
        """Those of so many times the work."""
        return Times(self.first * factor, [seconds * factor for seconds in self.turns])


def interleaved(cases: Mapping[str, Callable[[], object]], repeats: int, what: str) -> dict[str, Times]:
    """
    In each turn every case runs once, in an order that rotates from turn to turn.

    Args:
        cases: What to run. Each must end with its result on the host, as some frameworks return before they are done.
        repeats: Turns that count; two more go before.
        what: Shown while it runs.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    turns = [name for turn in range(WARM_UP + repeats) for name in _rotated(list(cases), turn)]
    for name in track(turns, what):
        seconds[name].append(elapsed(cases[name]))
    return {name: Times(found[0], found[WARM_UP:]) for name, found in seconds.items()}


def elapsed(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def comparison(times: Mapping[str, Times], baseline: str) -> list[Row]:
    """One row per case, with median and quartiles of the ratios to the baseline in the same turn."""
    return [_row(name, case, times[baseline]) for name, case in times.items()]


def _row(name: str, case: Times, baseline: Times) -> Row:
    low, ratio, high = np.quantile(np.divide(case.turns, baseline.turns), [0.25, 0.5, 0.75])
    return {
        "case": name,
        "first": case.first,
        "seconds": float(np.median(case.turns)),
        "ratio": float(ratio),
        "low": float(low),
        "high": float(high),
    }


def _rotated(names: list[str], turn: int) -> Iterator[str]:
    start = turn % len(names)
    yield from names[start:] + names[:start]
