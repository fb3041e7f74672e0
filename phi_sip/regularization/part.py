"""A part of the samples of a batch."""

from __future__ import annotations

import dataclasses
from typing import Any

from phiml import math
from phiml.math import Shape, Tensor, batch

from ..states import order
from .base import SpectralProblem, SpectrumEstimate

_CHOSEN = "_chosen"


class Part:
    """
    The samples of the smallest numbers. Where the numbers are random, each sample is as likely as the others.

    Args:
        numbers: A number for each sample. All of its dims are samples.
        size: How many are chosen.
    """

    def __init__(self, numbers: Tensor, size: int) -> None:
        self._backend = numbers.default_backend
        self._samples = numbers.shape.only(order.by_name(numbers.shape.names), reorder=True)
        ranked = self._backend.argsort(numbers.native([self._samples]), 0)
        self._chosen, self._size = ranked[:size], size
        self._place = self._backend.minimum(self._backend.argsort(ranked, 0), size)  # among the chosen; of others: last

    @property
    def weight(self) -> float:
        """How many samples there are for each that is chosen."""
        return float(self._samples.volume / self._size)

    def of(self, values: Tensor) -> Tensor:
        """Returns the values of the samples that are chosen; those that all samples share stay as they are."""
        if not values.shape.only(self._samples):
            return values
        rest = values.shape.without(self._samples)
        whole = self._native(math.expand(values, self._samples), self._samples, rest)
        native = self._backend.gather(whole, self._chosen, 0)
        return math.reshaped_tensor(native, [batch(**{_CHOSEN: self._size}), *rest], convert=False)

    def spread(self, values: Tensor) -> Tensor:
        """Returns what `of` returned at the samples that are chosen, and 0 at the others."""
        rest = values.shape.without(_CHOSEN)
        chosen = self._native(values, values.shape.only(_CHOSEN), rest)
        padded = self._backend.concat([chosen, chosen[:1] * 0], 0)
        native = self._backend.gather(padded, self._place, 0)
        return math.reshaped_tensor(native, [self._samples, *rest], convert=False)

    def of_problem(self, problem: SpectralProblem) -> SpectralProblem:
        """Returns the observations that are chosen. Spectra that are fitted are those of the whole batch."""

        def fit(_: SpectralProblem, pooled: bool) -> SpectrumEstimate:
            whole = problem.power_law(pooled=pooled)
            return SpectrumEstimate(self.of(whole.log_power), lambda: self.of(whole.log_mean()))

        return dataclasses.replace(
            problem,
            compute_target=lambda: self.of(problem.target),
            compute_state=lambda: self.of(problem.state),
            compute_residual=lambda: self.of(problem.residual),
            compute_mean_square=lambda: self.of(problem.mean_square),
            log_gain=self.of(problem.log_gain),
            noise_std=self.of(problem.noise_std),
            offset=self.of(problem.offset),
            fit=fit,
            log_power=None if problem.log_power is None else self.of(problem.log_power),
        )

    def _native(self, values: Tensor, first: Shape, rest: Shape) -> Any:
        """Returns a native tensor with a row per sample."""
        ordered = order.reordered(values, (*first.names, *rest.names))
        return math.convert(ordered, self._backend).native([first, *rest.names])
