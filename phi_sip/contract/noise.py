"""How the noise in observations is known."""

from __future__ import annotations

from abc import ABC


class NoiseMeasurement(ABC):  # noqa: B024
    """
    A way to measure the standard deviation σ of the noise in each observation, in place of a number that is given.

    What an estimator needs depends on the physics that it is made for: `EmptyModes` reads σ in the modes that the
    physics leaves without signal. Physics that is given a measurement of another kind refuses it.
    """
