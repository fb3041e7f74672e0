"""How the time of forward simulation and closed-form inverse grows with the number of cells and samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from native import use
from phi.field import Field
from phiml import math
from phiml.math import batch, spatial
from problem import compiled, forward_and_inverse, heat
from processes import available, measured, peak
from settings import Settings, Sizes
from timing import Row, elapsed, interleaved

from phi_sip import ProbabilisticDamping
from phi_sip.data.grids import periodic_grid

NEEDED = 12e9  # bytes for 256³ cells


def measure(settings: Settings) -> dict[str, Any]:
    large = largest(settings)  # first, as long as this process is small: see `measured`
    use(settings.framework)
    with math.precision(64):
        cases = {shape: inversion(samples, cells) for shape, (_, samples, cells) in shapes(settings.sizes).items()}
        times = interleaved(cases, settings.repeats, f"scaling, {settings.framework}")
    rows = []
    for shape, (kind, samples, cells) in shapes(settings.sizes).items():
        seconds = np.quantile(times[shape].turns, [0.5, 0.25, 0.75])
        rows.append({"kind": kind, "shape": shape, **per_cell(samples, cells, *seconds)})
    tables = {"Forward and inverse (damping), float64": rows}
    if large:
        tables["Forward and inverse (damping), a large grid in a process of its own"] = large
    return {"tables": tables}


def shapes(sizes: Sizes) -> dict[str, tuple[str, int, tuple[int, ...]]]:
    """Name → kind, samples, cells per axis."""
    planes = {f"{n}²": ("2-D", 1, (n, n)) for n in sizes.planes}
    cubes = {f"{n}³": ("3-D", 1, (n, n, n)) for n in sizes.cubes}
    n = sizes.cells
    return planes | cubes | {f"{b} × {n}²": ("batch", b, (n, n)) for b in sizes.batches}


def per_cell(samples: int, cells: tuple[int, ...], seconds: float, low: float, high: float) -> Row:
    """Time, and time ÷ N log₂ N for each sample of N cells."""
    n = int(np.prod(cells))
    work = samples * n * np.log2(n)
    total = {"cells": samples * n, "seconds": float(seconds)}
    return total | {"ns_per_n_log_n": 1e9 * seconds / work, "low": 1e9 * low / work, "high": 1e9 * high / work}


def inversion(samples: int, cells: tuple[int, ...]) -> Callable[[], Any]:
    """Forward and inverse of random numbers, as their values do not matter to the time."""
    physics, x, y_target = heat(ProbabilisticDamping()), noise(samples, cells, 0), noise(samples, cells, 1)
    return compiled(lambda y_target, x: forward_and_inverse(physics, y_target, x), [y_target, x])


def noise(samples: int, cells: tuple[int, ...], seed: int) -> Field:
    """Numbers uniform in [0, 1), drawn in the current precision so that no memory is used but theirs."""
    dims = batch(batch=samples) & spatial(**dict(zip("xyz", cells, strict=False)))
    kind = np.float32 if math.get_precision() == 32 else np.float64
    return periodic_grid(np.random.default_rng(seed).random(dims.sizes, kind), dims, None)


def largest(settings: Settings) -> list[Row]:
    """One large cube in both precisions, if there is memory for it."""
    n = settings.sizes.largest
    if available() < NEEDED * (n / 256) ** 3:
        print(f"scaling: {n}³ cells left out, as only {available() / 1e9:.0f} GB of memory are available.")
        return []
    parts = [{"cells": n, "precision": precision} for precision in settings.sizes.precisions]
    return [measured("scaling", settings, part)["row"] for part in parts]


def measure_part(settings: Settings, cells: int, precision: int) -> dict[str, Any]:
    use(settings.framework)
    with math.precision(precision):
        run = inversion(1, (cells,) * 3)
        before = peak()
        first = elapsed(run)
        seconds = np.median([elapsed(run) for _ in range(3)])
    return {
        "row": {
            "shape": f"{cells}³",
            "precision": f"float{precision}",
            "first": first,
            "seconds": float(seconds),
            "peak_mb": peak() / 1e6,
            "growth_mb": (peak() - before) / 1e6,
            "arrays": (peak() - before) / (cells**3 * precision / 8),
        }
    }
