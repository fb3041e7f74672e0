"""What the minimization of total variation takes, and where it is."""

from __future__ import annotations

from typing import Any, NamedTuple


class Limits(NamedTuple):
    """
    What the minimization obeys, see `TotalVariation`.

    Attributes:
        minimum: Whether x has a least value.
        strength: Factor on λ.
        iterations: At most this many.
        tolerance: A row stops when x changes by less than this fraction of its fluctuation.
        single: Whether what is split off is found in single precision.
    """

    minimum: bool
    strength: float
    iterations: int
    tolerance: float
    single: bool


class Observed(NamedTuple):
    """
    An observation, as native tensors with a row per batch entry, or one row for all, and the axes last.

    Attributes:
        target: Coefficients of y*, shape (rows, *modes).
        log_gain: log h_k, shape (rows, *modes).
        noise: σ², shape (rows, 1, …).
        determined: γ, shape (rows, 1, …).
        floor: The least value of x per cell, shape (rows, *axes).
        log_power: log v_k, shape (rows, *modes), or (1, 1, …) if all are 1. See `SpectralProblem`.
    """

    target: Any
    log_gain: Any
    noise: Any
    determined: Any
    floor: Any
    log_power: Any


class AdmmState(NamedTuple):
    """
    Where the iteration is.

    Attributes:
        moving: Which rows go on, shape (rows,).
        count: How many iterations each row has done, shape (rows,).
        x: α x per cell.
        pull: Coefficients of Σ Aᵀ (z − u).
        z: What each part has split off.
        u: The scaled dual of each part.
    """

    moving: Any
    count: Any
    x: Any
    pull: Any
    z: tuple[Any, ...]
    u: tuple[Any, ...]
