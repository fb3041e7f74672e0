"""What the minimizations take, and where they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from .splits import Split


class Limits(NamedTuple):
    """
    What a minimization obeys, see `TotalVariation` and `Sparse`.

    Attributes:
        minimum: Whether x has a least value.
        strength: Factor on λ.
        iterations: At most this many.
        tolerance: A row stops when x changes by less than this fraction of its size.
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
        number: The number that λ depends on, see `SplitPrior.number`, shape (rows, 1, …).
        floor: The least value of x per cell, shape (rows, *axes).
        log_power: log v_k, shape (rows, *modes), or (1, 1, …) if all are 1. See `SpectralProblem`.
        wanted: Which rows are to be computed, shape (rows, 1, …). The others take no iteration, and theirs is x̃ = 0.
    """

    target: Any
    log_gain: Any
    noise: Any
    number: Any
    floor: Any
    log_power: Any
    wanted: Any


class AdmmState(NamedTuple):
    """
    Where the iteration is.

    Attributes:
        moving: Which rows go on, shape (rows,).
        count: How many iterations each row has done, shape (rows,).
        x: α x per cell.
        answer: What x̃ follows from, see `Minimization`. It stays as it is in rows that have stopped.
        z: What each part has split off.
        u: The scaled dual of each part.
    """

    moving: Any
    count: Any
    x: Any
    answer: Any
    z: tuple[Any, ...]
    u: tuple[Any, ...]


class Stage(NamedTuple):
    """
    What stays the same from one fit of λ to the next: x̂ = offset + factor · pull, with pull = Σ Aᵀ (z − u).

    Attributes:
        parts: What is split off from x.
        offset: (h ŷ) / (h² + ρ |A|²), coefficients.
        factor: ρ / (h² + ρ |A|²), real.
        threshold: λ/ρ in units of x, shape (rows, 1, …).
    """

    parts: tuple[Split, ...]
    offset: Any
    factor: Any
    threshold: Any
