"""What is not known of a state that is found by several inverses, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor, batch

from ..contract.physics import Correction, Draw, InvertiblePhysics
from ..contract.step import SAMPLES
from ..inversion.default import correct
from ..states import trees

DRAWS = 256  # for the uncertainty, which they give within 5 %
AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Link:
    """
    One inverse of a chain.

    Attributes:
        physics: What is inverted.
        before: State around which it is inverted.
        after: P(before).
        correction: What the inverse made of the target.
    """

    physics: InvertiblePhysics
    before: Any
    after: Any
    correction: Correction

    @property
    def state(self) -> Any:
        """Corrected state."""
        return trees.add(self.before, self.correction.dx)

    @property
    def is_known(self) -> bool:
        """Whether the distribution of the state is known for a given target."""
        return self.physics.inverse_is_exact or self.correction.draw is not None

    def draw(self, targets: Any, generator: np.random.Generator) -> Any:
        """Draws one state for each of some targets, along the dim of samples."""
        own = _unused(targets)
        targets = _renamed(targets, SAMPLES, own)
        dims = trees.leaves(targets)[0].shape.only(own)
        before, after = (
            trees.in_canonical_order(trees.tree_map(lambda leaf: math.expand(leaf, dims), state))
            for state in (self.before, self.after)
        )
        found = correct(self.physics, trees.in_canonical_order(targets), before, after)
        if found.draw is None:
            return _renamed(trees.add(before, found.dx), own, SAMPLES)
        drawn = trees.tree_map(lambda leaf: leaf[{SAMPLES: 0}], found.draw(1, generator))
        return _renamed(drawn, own, SAMPLES)


@dataclass(frozen=True, eq=False)
class Chain:
    """
    Inverses, the first of which inverts the observation, each other one what the one before it has found:

        p(x_0 | y*) = ∫ p(x_0 | x_1) … p(x_{n−1} | y*) dx_1 … dx_{n−1}

    Draws are exact where each factor is known: by a posterior of the inverse, or because it is exact.
    """

    links: Sequence[Link]

    @property
    def draw(self) -> Callable[[int, np.random.Generator], Any] | None:
        """What draws states x_0; `None` if a factor is not known, or nothing is uncertain."""
        links = self.links
        if not all(link.is_known for link in links) or all(link.correction.draw is None for link in links):
            return None
        return self._draw

    @property
    def uncertainty(self) -> Callable[[], Any] | None:
        """What computes the standard deviation of x_0: that of the last inverse, if those before are exact."""
        *others, last = self.links
        if all(link.physics.inverse_is_exact and link.correction.draw is None for link in others):
            return last.correction.uncertainty
        draw = self.draw
        return None if draw is None else lambda: deviation(draw, self.links[-1].state)

    def _draw(self, count: int, generator: np.random.Generator) -> Any:
        first = next(i for i, link in enumerate(self.links) if link.correction.draw is not None)
        draw = self.links[first].correction.draw
        assert draw is not None, "it was chosen so"
        states = draw(count, generator)
        for link in self.links[first + 1 :]:
            states = link.draw(states, generator)
        return states


def deviation(draw: Draw, state: Any) -> Any:
    """
    Computes the root mean square distance of 256 draws from a state, always of the same ones.

    Args:
        draw: Draws states of its distribution, see `Correction`.
        state: Its mean.
    """
    generator = np.random.default_rng(0)

    def square(drawn: Tensor, center: Tensor) -> Tensor:
        return math.mean((drawn - center) ** 2, SAMPLES)

    parts = [trees.tree_map(square, draw(AT_ONCE, generator), state) for _ in range(DRAWS // AT_ONCE)]
    return trees.tree_map(lambda *squares: math.sqrt(sum(squares) / len(squares)), *parts)


def _renamed(states: Any, old: str, new: str) -> Any:
    return trees.tree_map(lambda leaf: math.rename_dims(leaf, old, batch(new)), states)


def _unused(states: Any) -> str:
    """Returns the name of a dim that no state has, as chains may be parts of others."""
    names = {name for leaf in trees.leaves(states) for name in leaf.shape.names}
    return next(name for name in (f"_drawn{i}" for i in range(len(names) + 1)) if name not in names)
