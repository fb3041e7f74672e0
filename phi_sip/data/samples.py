"""Random data in two parts: one for any thread, and one that depends on the global state of PhiFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Drawn = TypeVar("Drawn")
Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Samples(Generic[Drawn, Sample]):
    """
    sample = finish(draw(seed)).

    PhiFlow's precision and default backend belong to the whole process: `with math.precision(64):` in one thread holds
    in all others. `prefetched` therefore calls `draw` on its threads, and `finish` in the loop that uses the sample.

    Example:
        heat = heat_rectangle_samples(batch(batch=128), spatial(x=64, y=64))

        def draw(seed):
            return heat.draw(seed), np.random.default_rng([seed, 1]).standard_normal((128, 64, 64))

        def finish(drawn):
            x, noise = heat.finish(drawn[0]), drawn[1]
            return x, physics.forward(x) + 1e-3 * math.tensor(noise, batch("batch"), spatial("x,y"))

        for x, y_target in prefetched(Samples(draw, finish), range(1000)):
            sip_update_weights(net, optimizer, physics, y_target, x_true=x)

    Attributes:
        draw: Returns random numbers for a seed ≥ 0. It may use NumPy, SciPy and files, but not PhiFlow or PhiML.
        finish: Returns the sample for what `draw` returned. It may use PhiFlow.
    """

    draw: Callable[[int], Drawn]
    finish: Callable[[Drawn], Sample]

    def __call__(self, seed: int) -> Sample:
        """Returns the sample of `seed`, drawn and finished on this thread."""
        return self.finish(self.draw(seed))
