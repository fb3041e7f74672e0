"""Small fields that tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import InvertiblePhysics

AXES = "xyz"


def periodic(values: np.ndarray, dx: tuple[float, ...] | None = None, vector: bool = False) -> Field:
    """A periodic grid on the default backend from an array (batch, x, [y, [z]], [vector])."""
    return grid(values, dx, extrapolation.PERIODIC, vector)


def grid(values: np.ndarray, dx: tuple[float, ...] | None, boundary: Any, vector: bool = False) -> Field:
    """A centered grid on the default backend from an array (batch, x, [y, [z]], [vector])."""
    rank = values.ndim - 1 - vector
    sizes = values.shape[1 : 1 + rank]
    lengths = [n * d for n, d in zip(sizes, dx or (1.0,) * rank, strict=True)]
    dims = [batch("batch"), *(spatial(a) for a in AXES[:rank])]
    if vector:
        dims.append(channel(vector=list(AXES[: values.shape[-1]])))
    return CenteredGrid(
        math.tensor(values, *dims),
        boundary,
        bounds=Box(**dict(zip(AXES, lengths, strict=False))),
        resolution=spatial(**dict(zip(AXES, sizes, strict=False))),
    )


def array(field: Any) -> np.ndarray:
    """(batch, x, [y, [z]], [vector]) from a grid or tensor."""
    values = field.values if isinstance(field, Field) else field
    return values.numpy([*values.shape.batch.names, *sorted(values.shape.spatial.names), *values.shape.channel.names])


def states(samples: int = 4, n: int = 16, seed: int = 0) -> Field:
    """Smooth random states with the mean 1."""
    return periodic(1 + smooth(np.random.default_rng(seed), samples, n, n))


def observed(physics: InvertiblePhysics, noise_std: float, samples: int = 4, n: int = 16, seed: int = 0) -> Field:
    """y* = P(x) + σ n for the states x of the same seed."""
    noise = noise_std * np.random.default_rng(seed + 100).standard_normal((samples, n, n))
    return physics.forward(states(samples, n, seed)) + periodic(noise)


def smooth(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random fields (batch, cells…) with most of their power in long waves, so that diffusion leaves some of it."""
    noise = rng.standard_normal(shape)
    axes = tuple(range(1, len(shape)))
    squares = [np.fft.fftfreq(n, 1 / n) ** 2 for n in shape[1:]]
    k2 = sum(s.reshape([-1 if a == i else 1 for a in range(len(squares))]) for i, s in enumerate(squares))
    return np.fft.ifftn(np.fft.fftn(noise, axes=axes) / (1 + k2), axes=axes).real * np.sqrt(np.prod(shape[1:])) / 8
