"""Random markers and velocities for `flow.py`: the data of the paper, and fields without any form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import AffineSubspace, IncompressibleFlow

TIME = 2.0  # of a simulation of the paper, whose domain is 128 wide: lengths are given in these units
WIDTH = 128.0
SWIRL = 20.0


@dataclass(frozen=True)
class Sample:
    """
    A batch of observations.

    Attributes:
        physics: How they are made; it holds the markers at the start.
        x: True velocities at the start.
        y: Markers at the end.
        family: What is known of the velocities of this batch before anything is inverted; `None`: nothing.
    """

    physics: IncompressibleFlow
    x: Field
    y: Field
    family: AffineSubspace | None


def blobs(rng: np.random.Generator, samples: int, n: int) -> Sample:
    """
    The experiment of the paper: one blob, moved to the center of the domain by a uniform velocity, which is known from
    where it starts, and a swirl at the center, of which the strength is not known, with weak fluctuations:

        u = (c − c(0)) / T + w s + 0.1 f,   s = (−dy, dx) exp(−½ d² / 20²),   w from −2 to 2,   T = 2

    The paper cuts a binary marker out of noise. Here it is as rough as a spectral method resolves.
    """
    unit = n / WIDTH
    centers = np.arange(n) + 0.5
    at = np.meshgrid(centers, centers, indexing="ij")
    place = rng.uniform(n / 4, 3 * n / 4, (samples, 2, 1, 1))
    window = np.exp(-sum(((at[i] - place[:, i]) / (22 * unit)) ** 4 for i in range(2)))
    marker = window / (1 + np.exp(-4 * (random_structures(rng, samples, n, n / 6) - 0.3)))
    mass = marker.sum((1, 2))
    blob = np.stack([(marker * at[i]).sum((1, 2)) / mass for i in range(2)], 1)
    uniform = np.broadcast_to(((n / 2 - blob) / TIME)[:, :, None, None], (samples, 2, n, n))
    dx, dy = (a - n / 2 for a in at)
    swirl = np.stack([-dy, dx])[None] * np.exp(-0.5 * (dx**2 + dy**2) / (SWIRL * unit) ** 2)
    strength = rng.uniform(-2, 2, (samples, 1, 1, 1))
    noise = np.stack([random_structures(rng, samples, n, n / 8) for _ in range(2)], 1)
    physics = IncompressibleFlow(tensor(marker), TIME / (3 * n // 4), 3 * n // 4)

    def velocity(values: np.ndarray) -> Field:
        return physics.constrain(as_velocity(values), None)

    family = AffineSubspace([velocity(swirl)[{"batch": 0}]], velocity(uniform))
    return observed(physics, velocity(uniform + strength * swirl + 0.1 * unit * noise), family)


def fields(rng: np.random.Generator, samples: int, n: int) -> Sample:
    """
    Markers and velocities that are Gaussian random fields with structures of a third and a half of the domain. The flow
    moves by a twelfth of it.
    """
    marker = random_structures(rng, samples, n, n / 3)
    stream = random_structures(rng, samples, n, n / 2)
    values = [np.roll(stream, -1, 2) - np.roll(stream, 1, 2), np.roll(stream, 1, 1) - np.roll(stream, -1, 1)]
    speed = np.sqrt(np.mean(values[0] ** 2 + values[1] ** 2, (1, 2), keepdims=True))
    steps = 16
    physics = IncompressibleFlow(tensor(marker), n / 12 / steps, steps)
    return observed(physics, physics.constrain(as_velocity(np.stack([v / speed for v in values], 1)), None), None)


DATA: dict[str, Callable[[np.random.Generator, int, int], Sample]] = {"blobs": blobs, "fields": fields}


def observed(physics: IncompressibleFlow, x: Field, family: AffineSubspace | None) -> Sample:
    return Sample(physics, x, physics.forward(x), family)


def random_structures(rng: np.random.Generator, samples: int, n: int, size: float) -> np.ndarray:
    """Periodic Gaussian random fields (batch, x, y) of variance 1 and mean 0, with structures `size` cells long."""
    k = np.fft.fftfreq(n)
    spectrum = np.exp(-(size**2) * (k[:, None] ** 2 + k**2) / 2)
    spectrum[0, 0] = 0
    values = np.fft.ifft2(np.fft.fft2(rng.standard_normal((samples, n, n))) * spectrum).real
    return np.asarray(values / values.std((1, 2), keepdims=True))


def tensor(values: np.ndarray, *dims: Any) -> math.Tensor:
    """(batch, [component], x, y) in single precision."""
    shape = values.shape
    return math.tensor(values.astype(np.float32), batch(batch=shape[0]), *dims, spatial(x=shape[-2], y=shape[-1]))


def as_velocity(values: np.ndarray) -> Field:
    """A periodic velocity with cells of size 1 from (batch, component, x, y)."""
    n = values.shape[-1]
    return CenteredGrid(tensor(values, channel(vector="x,y")), extrapolation.PERIODIC, x=n, y=n)
