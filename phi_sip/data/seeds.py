"""Seeds of random data."""

from __future__ import annotations

import numpy as np

from ..errors import ParameterError


def step_seed(seed: int, step: int, worker: int = 0) -> int:
    """
    Returns a different seed for each step of each worker of a run,

        s(seed, step, worker),   0 ≤ s < 2⁶³

    such that the random numbers of all of them are independent. It is the same on every machine.

    It fits `numpy.random.default_rng`, the data of `phi_sip.data`, and `torch.manual_seed`; `math.seed` and
    `numpy.random.seed` take 32 bits only.

    Args:
        seed: Seed ≥ 0 of the run.
        step: Number ≥ 0 of the step.
        worker: Number ≥ 0 of the worker.

    Returns:
        The seed.

    Raises:
        ParameterError: if an argument is negative.

    Source: `numpy.random.SeedSequence`; the sequence of `step` and `worker` is that of `spawn`.
    """
    if min(seed, step, worker) < 0:
        raise ParameterError(f"step_seed: seed = {seed}, step = {step}, worker = {worker}, but all must be ≥ 0.")
    words = np.random.SeedSequence(seed, spawn_key=(step, worker)).generate_state(1, np.uint64)
    return int(words[0]) >> 1


def seed_or_global(seed: int | None) -> int:
    """Returns `seed`, or a seed from NumPy's global state if it is `None`."""
    return np.random.randint(2**31) if seed is None else seed  # noqa: NPY002


def generator(owner: str, seed: int) -> np.random.Generator:
    """Returns a generator of random numbers. Raises `ParameterError` in the name of `owner` if the seed is negative."""
    if seed < 0:
        raise ParameterError(f"{owner}: seed = {seed}, but it must be ≥ 0.")
    return np.random.default_rng(seed)
