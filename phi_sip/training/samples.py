"""How the arrays of a validation, those of `samples.npz`, are read: which axes they have, and what is shown of them."""

from __future__ import annotations

import numpy as np

from .callbacks import Arrays


def scalars(samples: Arrays, name: str) -> np.ndarray:
    """Returns the first component of an array, with the axes (samples, cells…)."""
    values = samples[name]
    return values[..., 0] if values.ndim == 2 + len(samples["axes"]) else values


def first_sample(samples: Arrays, name: str) -> np.ndarray:
    """Returns the first component of the first sample; where there are three axes, the middle of the last of them."""
    values: np.ndarray = scalars(samples, name)[0]
    return values[..., values.shape[-1] // 2] if values.ndim == 3 else values
