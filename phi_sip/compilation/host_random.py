"""Random numbers that Python draws: what is compiled would draw them once, and use the same ones for ever."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class RandomNumbersError(Exception):
    """Raised where a computation that is being compiled draws random numbers in Python."""


@contextmanager
def without_random_numbers() -> Iterator[None]:
    """
    Refuses that a block draws random numbers by `random`, by NumPy's global generator, or by PhiML's on JAX, whose key
    is Python's too.

    Raises:
        RandomNumbersError: at the end of the block, if it drew some. The generators are put back.
    """
    of_jax = getattr(sys.modules.get("phiml.backend.jax"), "JAX", None)
    python, key = random.getstate(), getattr(of_jax, "rnd_key", None)
    numpy = np.random.get_state()  # noqa: NPY002
    drawn = []
    try:
        yield
    finally:
        if random.getstate() != python:
            drawn.append("Python's random")
            random.setstate(python)
        if not _equal(np.random.get_state(), numpy):  # noqa: NPY002
            drawn.append("numpy.random")
            np.random.set_state(numpy)  # noqa: NPY002
        if of_jax is not None and of_jax.rnd_key is not key:
            drawn.append("PhiML on JAX")
            of_jax.rnd_key = key
    if drawn:
        raise RandomNumbersError(f"it draws random numbers by {' and '.join(drawn)}, which would never change again")


def _equal(a: Any, b: Any) -> bool:
    return bool(a[2:] == b[2:] and np.array_equal(a[1], b[1]))
