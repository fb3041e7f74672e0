"""One inversion of a batch, without a network, in units of the two Fourier transforms that any such inverse needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chapter
import independent
import numpy as np
from native import use
from phiml import math
from problem import array, inversion, observed_rectangles
from settings import Settings, Sizes
from timing import Row, Times, comparison, interleaved

from phi_sip import EmpiricalBayes, PowerLaw, ProbabilisticDamping, Regularization, Tikhonov, TotalVariation, Wiener

Inversion = Callable[[], Any]
TRANSFORMS = "two real FFTs"
ALPHA, BALANCE = 1e-6, 1e-3
RULES: dict[str, Regularization | None] = {
    "damping": ProbabilisticDamping(),
    "Wiener, power law": Wiener(PowerLaw(1.0, 3.0)),
    "Tikhonov, α given": Tikhonov(ALPHA),
    "empirical Bayes": EmpiricalBayes(),
    "total variation": TotalVariation(),
    "default rule": None,
}
WIENER, LSQR = "scikit-image wiener, NumPy", "SciPy lsqr (Tikhonov), NumPy"


def measure(settings: Settings) -> dict[str, Any]:
    use(settings.framework)
    sizes = settings.sizes
    rows: list[Row] = []
    for precision in sizes.precisions:
        with math.precision(precision):
            cases = cases_of(settings) | (libraries(sizes) if precision == 64 else {})
            times = interleaved(cases, settings.repeats, f"inverses in float{precision}, {settings.framework}")
        rows += [{"precision": f"float{precision}", **row} for row in comparison(whole_batch(times, sizes), TRANSFORMS)]
    note = f"{sizes.one_by_one} samples one after another, time × {sizes.batch // sizes.one_by_one}"
    title = f"One inversion, {sizes.cells}² cells, batch {sizes.batch}: ratio to {TRANSFORMS} (NumPy libraries: {note})"
    return {"tables": {title: rows}}


def cases_of(settings: Settings) -> dict[str, Inversion]:
    """Inversions in the current precision."""
    x, y_target = observed_rectangles(settings.sizes.batch, settings.sizes.cells)(0)
    guess, y_guess = observed_rectangles(settings.sizes.batch, settings.sizes.cells)(1)
    cases = {TRANSFORMS: use(settings.framework).fft_pair(array(x))}
    for name, rule in RULES.items():
        cases[name] = inversion(rule, [y_target, guess, y_guess])
    return cases


def libraries(sizes: Sizes) -> dict[str, Inversion]:
    """Inversions of a few samples by other libraries, which have double precision only."""
    y = array(observed_rectangles(sizes.one_by_one, sizes.cells)(0)[1])
    gain, alpha = independent.heat_gain((sizes.cells, sizes.cells), chapter.AMOUNT), np.full(len(y), ALPHA)
    return {
        WIENER: lambda: independent.wiener(y, gain, BALANCE),
        LSQR: lambda: independent.tikhonov_lsqr(y, gain, alpha),
    }


def whole_batch(times: dict[str, Times], sizes: Sizes) -> dict[str, Times]:
    """Times of what inverted a few samples one after another, scaled up to the batch."""
    factor = sizes.batch / sizes.one_by_one
    return {name: case.times(factor) if name in (WIENER, LSQR) else case for name, case in times.items()}
