"""What workers train in the tests: small cases that are the same for all engines, and their data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import batch, extrapolation, spatial

from phi_sip import HeatEquation, ProbabilisticDamping, Wiener
from phi_sip.data import step_seed
from phi_sip.regularization.noise import EmptyModes

STEPS = 10
ENTRIES = 2  # of the batch, per worker
CELLS = 16
LEARNING_RATE = 1e-4
EPSILON = 1.0  # Adam's first step is the sign of the gradient unless ε is large, and rounding has random signs
NOISE = 1e-3
PHYSICS = HeatEquation(1.0, 1.0, NOISE, regularization=ProbabilisticDamping())  # compiles quickly
POOLED = HeatEquation(1.0, 2.0, EmptyModes(pooled=True), regularization=Wiener())
BAD = (np.nan, 1e39)  # not finite; finite, but not in single precision, so that the prediction is not


@dataclass(frozen=True)
class Case:
    """One training run."""

    name: str
    optimizer: str = "sgd"
    batch_norm: bool = False
    physics: Any = PHYSICS
    micro_batches: int = 1
    clip_norm: float | None = None


CLIPPED = Case("clipped", clip_norm=0.5)  # each update: of the sum over all workers, not of their parts
AS_ONE = (Case("sgd"), Case("adam", optimizer="adam", physics=POOLED), CLIPPED)
MICRO_BATCHES = Case("micro-batches", micro_batches=2)
BATCH_NORM = Case("batch norm", optimizer="adam", batch_norm=True, physics=POOLED)


def part(step: int, worker: int) -> np.ndarray:
    """The states of one worker, (batch, x, y)."""
    rng = np.random.default_rng(step_seed(0, step, worker))
    noise = np.fft.fft2(rng.standard_normal((ENTRIES, CELLS, CELLS)))
    k2 = sum(np.meshgrid(*[np.fft.fftfreq(CELLS, 1 / CELLS) ** 2] * 2, indexing="ij"))
    return 1 + 2 * np.fft.ifft2(noise / (1 + k2)).real


def observed(physics: HeatEquation, step: int, worker: int) -> np.ndarray:
    """Their noisy observations, (batch, x, y)."""
    rng = np.random.default_rng(step_seed(1, step, worker))
    k2 = sum(np.meshgrid(*[(2 * np.pi * np.fft.fftfreq(CELLS)) ** 2] * 2, indexing="ij"))
    gain = np.exp(-physics.time * k2)
    return np.fft.ifft2(gain * np.fft.fft2(part(step, worker))).real + NOISE * rng.standard_normal(k2.shape)


def whole(physics: HeatEquation, step: int, workers: int = 2) -> np.ndarray:
    """Those of all workers."""
    return np.concatenate([observed(physics, step, worker) for worker in range(workers)])


def with_bad_value(values: np.ndarray, bad: float) -> np.ndarray:
    values = values.copy()
    values[0, 3, 4] = bad
    return values


def field(values: Any) -> Field:
    """The observation with these values: a NumPy array or native tensor (batch, x, y)."""
    tensor = math.wrap(values, batch("batch"), spatial("x,y"))
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=Box(x=CELLS, y=CELLS), resolution=tensor.shape.spatial)
