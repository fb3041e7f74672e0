"""The exponential moving average of the weights of a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from phiml.backend import choose_backend
from phiml.math import DType

from ..errors import ParameterError
from ..frameworks import framework_for
from ..frameworks.arrays import read_arrays, write_arrays
from ..states.checks import check_parameter

FILE = "average.safetensors"
FIRST = 10  # the average of the first updates is over a part of them only: (1 + t) / (10 + t)


class WeightAverage:
    """
    The exponential moving average of weights and batch statistics, after t updates

        θ̄ ← d θ̄ + (1 − d) θ,   d = min(decay, (1 + t) / (10 + t))

    Args:
        net: Network.
        decay: Limit of d, in [0, 1).

    Raises:
        ParameterError: if `decay` is out of range.
        UnsupportedError: if no plugin knows the network.

    Source: Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; the decay at the beginning
    is that of TensorFlow's `ExponentialMovingAverage`.
    """

    def __init__(self, net: Any, decay: float = 0.99) -> None:
        check_parameter("WeightAverage", "decay", decay)
        if decay >= 1:
            raise ParameterError(f"WeightAverage: decay = {decay}, but it must be below 1, e.g. 0.99.")
        self.net, self.decay, self.updates = net, float(decay), 0
        self._framework = framework_for(net)
        self._values: list[Any] | None = None

    def follow(self) -> None:
        """Takes the weights after one more update into the average."""
        now = _precise(self._framework.state(self.net))
        decay = min(self.decay, (1 + self.updates) / (FIRST + self.updates))
        self._values = now if self._values is None else _mixed(self._values, now, 1 - decay)
        self.updates += 1

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Gives the network the averaged weights for the duration of a block; before the first update, its own."""
        if self._values is None:
            yield
            return
        own = self._framework.state(self.net)
        self._framework.set_state(self.net, self._values)
        try:
            yield
        finally:
            self._framework.set_state(self.net, own)

    def take_over(self) -> None:
        """Gives the network the averaged weights for good."""
        if self._values is not None:
            self._framework.set_state(self.net, self._values)

    def save(self, folder: Path) -> None:
        """Writes the average into a folder."""
        write_arrays(folder / FILE, map(_array, self._values or ()))

    def load(self, folder: Path, updates: int) -> None:
        """
        Reads what `save` wrote.

        Args:
            folder: Where it is.
            updates: How many updates there had been.

        Raises:
            CheckpointError: if it does not fit the network.
        """
        now = _precise(self._framework.state(self.net)) if updates else []
        arrays = read_arrays(folder / FILE, map(_array, now))
        values = [self._framework.tensor_like(like, array) for like, array in zip(now, arrays, strict=True)]
        self._values, self.updates = values or None, updates


def _mixed(before: Sequence[Any], now: Sequence[Any], share: float) -> list[Any]:
    """Returns a + share (b − a); what is no number with a fraction, such as a counter, is as it is now."""
    return [a + share * (b - a) if _has_fraction(b) else b for a, b in zip(before, now, strict=True)]


def _has_fraction(value: Any) -> bool:
    return choose_backend(value).dtype(value).kind in (float, complex)


def _precise(values: Sequence[Any]) -> list[Any]:
    """Returns tensors in at least single precision: in less, what an update adds to an average is lost by rounding."""

    def precise(value: Any) -> Any:
        backend = choose_backend(value)
        is_coarse = backend.dtype(value).kind is float and backend.dtype(value).precision < 32
        return backend.cast(value, DType(float, 32)) if is_coarse else value

    return [precise(value) for value in values]


def _array(value: Any) -> np.ndarray:
    array: np.ndarray = np.asarray(choose_backend(value).numpy(value))
    return array
