"""How parts of a state that differ in unit and in size count beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..errors import GridMismatchError, ParameterError, UnsupportedError
from . import trees
from .parameters import as_tensor


@dataclass(frozen=True, eq=False)
class StateScales:
    """
    What states are measured by whose parts, Fields or Tensors, have units s, and n values each, N those of the largest:

        x / s,   ‖x‖² = Σ_parts N/n Σ_values (x / s)²

    Iterations look for x / s. Losses of states are ½ ‖x‖²: a part counts by its mean square in its own units, whatever
    its number of values. States of one part, or of parts of one size, without s are as they are, to the last bit.

    Args:
        x_scale: s, see `InvertiblePhysics.x_scale`.

    Raises:
        ParameterError: if a value is not finite or not positive.
    """

    x_scale: Any

    def __post_init__(self) -> None:
        for scale in _scales_in(self.x_scale):
            if scale.available and not bool((math.is_finite(scale) & (scale > 0)).all):
                raise ParameterError(
                    f"x_scale = {self.x_scale}, but characteristic sizes are finite and > 0. Give those that values of "
                    f"the state have, e.g. their standard deviations."
                )

    def relative(self, x: Any) -> Any:
        """
        Returns x / s.

        Raises:
            ParameterError: if the parts of `x_scale` are not those of the state.
        """
        return self._mapped(lambda values, scale: values / scale, x)

    def absolute(self, x: Any) -> Any:
        """Returns s x, the inverse of `relative`."""
        return self._mapped(lambda values, scale: values * scale, x)

    def loss(self, dx: Any) -> Tensor:
        """Computes ½ ‖dx‖²; batch dims are kept."""
        return trees.l2_loss(_by_size(self.relative(dx), 0.5))

    def derivative(self, dx: Any) -> Any:
        """Computes the derivative of `loss`, N/n dx / s²."""
        return _by_size(self.relative(self.relative(dx)), 1.0)

    def steepest(self, gradient: Any) -> Any:
        """Returns the direction of steepest ascent in this norm, n/N s² gradient: the inverse of `derivative`."""
        return _by_size(self.absolute(self.absolute(gradient)), -1.0)

    def _mapped(self, function: Callable[[Tensor, Tensor], Tensor], x: Any) -> Any:
        if self.x_scale is None:
            return x
        self._check_parts(x)
        with math.precision(trees.precision_of(x)):
            return trees.tree_map(lambda values, scale: function(values, as_tensor(scale)), x, self.x_scale)

    def _check_parts(self, x: Any) -> None:
        """Raises `ParameterError` unless there is one scale for each part of the state."""

        def check(values: Tensor, scale: Tensor) -> Tensor:
            if not set(scale.shape.non_batch.names) <= set(values.shape.names):
                raise GridMismatchError(f"{scale.shape} is not in {values.shape}")
            return values

        try:
            trees.tree_map(check, x, self.x_scale)
        except (GridMismatchError, AttributeError, TypeError, KeyError) as error:
            raise ParameterError(
                f"x_scale = {self.x_scale}, but the state is {trees.describe(x)}. Give one number, or a Tensor of dims "
                f"of the part, for each of its parts, in a {type(x).__name__} as the state is."
            ) from error


def _by_size(x: Any, power: float) -> Any:
    """Returns (N/n)^power x for each part of a state."""
    sizes: list[int] = []

    def count(values: Tensor) -> Tensor:
        sizes.append(_size(values))
        return values

    trees.tree_map(count, x)
    largest = max(sizes, default=0)
    if all(size == largest for size in sizes):
        return x
    with math.precision(trees.precision_of(x)):
        return trees.tree_map(lambda values: values * as_tensor((largest / max(1, _size(values))) ** power), x)


def _size(values: Tensor) -> int:
    """Returns the number of values of one batch entry."""
    return sum(int(leaf.shape.non_batch.volume) for leaf in trees.leaves(values))


def _scales_in(x_scale: Any) -> Iterator[Tensor]:
    """
    Yields the tensors of `x_scale`.

    Raises:
        ParameterError: if something is no state.
    """
    if x_scale is None:
        return
    try:
        yield from trees.leaves(x_scale)
    except UnsupportedError as error:
        raise ParameterError(
            f"x_scale holds a {type(x_scale).__name__}. Give numbers > 0, in tuples, lists or dicts as the state has."
        ) from error
