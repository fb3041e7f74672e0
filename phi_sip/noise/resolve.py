"""Noise laws by name, and what physics is told of its noise."""

from __future__ import annotations

from typing import Any

from phiml.math import Tensor

from ..errors import ParameterError, UnsupportedError
from ..plugins.collection import collect
from ..plugins.registry import create
from ..regularization.noise import EmptyModes
from .base import NoiseLaw
from .white import WhiteNoise


def resolve_law(noise: str | NoiseLaw | None) -> NoiseLaw:
    """
    Returns the noise law as an object; white noise for `None`.

    Raises:
        UnknownNameError: if no plugin provides the name.
        UnsupportedError: if it is something else.
    """
    if noise is None:
        return WhiteNoise()
    if isinstance(noise, NoiseLaw):
        return noise
    if isinstance(noise, str):
        return get_noise(noise)
    raise UnsupportedError(f"noise is a {type(noise).__name__}. Give a name, or an object such as PoissonNoise().")


def get_noise(name: str, /, **options: Any) -> NoiseLaw:
    """
    Creates a noise law, e.g. `get_noise("poisson", counts=1000.0)`.

    Args:
        name: Registered name, see `available_noise()`.
        **options: Passed to its constructor.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
        ParameterError: if the options do not fit the constructor.
    """
    made: NoiseLaw = create("noise", name, collect("sip_noise", NoiseLaw), options)
    return made


def available_noise() -> tuple[str, ...]:
    """Returns the names of all registered noise laws, sorted, without those that two plugins claim."""
    return collect("sip_noise", NoiseLaw).names()


def check_std(owner: str, law: NoiseLaw, noise_std: Any, default: Any) -> None:
    """
    Checks that σ is said once.

    Args:
        owner: Name of the physics, for messages.
        law: Noise law.
        noise_std: What the physics has as its σ.
        default: What the physics has if nothing was said.

    Raises:
        ParameterError: if the law and the physics both say σ.
    """
    is_default = not isinstance(noise_std, Tensor) and noise_std in (default, EmptyModes())
    if is_default or not law.fixes_std:
        return
    raise ParameterError(
        f"{owner}: {type(law).__name__} says how large the noise is, and so does noise_std = {noise_std}. Leave one "
        f"of them out."
    )
