"""What physics takes as the noise of its observations, and as its rule."""

from __future__ import annotations

from collections.abc import Callable

from phiml import math
from phiml.math import Tensor

from ..errors import ParameterError
from ..spectral import SpectralBasis
from ..states.checks import check_parameter
from .base import Regularization
from .field_prior import FieldPrior
from .noise import EmptyModes
from .plateau import NoiseEstimate


def resolve_noise(owner: str, noise_std: float | Tensor | EmptyModes | str) -> float | Tensor | EmptyModes:
    """
    Returns the noise that a physics has: a number or tensor after a check, or how to measure it.

    Args:
        owner: Name of the physics, for messages.
        noise_std: σ ≥ 0 in units of y, as a number or a tensor with batch dims; `EmptyModes`; or `"auto"` for
            `EmptyModes()`.

    Raises:
        ParameterError: if it is another word than `"auto"`, negative, not finite, or has other dims than batch dims.
    """
    if isinstance(noise_std, EmptyModes):
        return noise_std
    if isinstance(noise_std, str):
        if noise_std != "auto":
            raise ParameterError(
                f"{owner}: noise_std = '{noise_std}'. Give a number, a tensor with batch dims, EmptyModes(...), or "
                f"'auto' to measure the noise in each observation."
            )
        return EmptyModes()
    check_parameter(owner, "noise_std", noise_std)
    return noise_std


def estimate_noise(
    noise_std: float | Tensor | EmptyModes | str, power: Callable[[], Tensor], log_gain: Tensor, basis: SpectralBasis
) -> NoiseEstimate:
    """
    Returns σ as given, or as measured.

    Args:
        noise_std: What `resolve_noise` returned.
        power: Computes |â_k|² of y* per mode; called if σ is to be measured.
        log_gain: log h_k.
        basis: The modes.
    """
    if isinstance(noise_std, EmptyModes):
        return noise_std.estimate(power(), log_gain, basis)
    given = math.to_float(math.wrap(noise_std))
    return NoiseEstimate(given, given * 0, given >= 0)


def check_rule(owner: str, rule: object) -> None:
    """
    Checks the rule of a physics, if it has one.

    Raises:
        ParameterError: if it is no `Regularization`.
    """
    if rule is not None and not isinstance(rule, Regularization):
        raise ParameterError(
            f"{owner}: regularization is a {type(rule).__name__}. Give an object such as EmpiricalBayes() or "
            f"TotalVariation()."
        )


FIELD_RULES = "EmpiricalBayes(), Wiener.from_samples(x), TotalVariation() or, for linear physics, Tikhonov()"


def check_field_rule(owner: str, rule: object, *, is_linear: bool) -> FieldPrior:
    """
    Returns the prior of a rule for physics that has no closed form.

    Args:
        owner: Who asks, for messages.
        rule: The rule.
        is_linear: Whether the physics is linear.

    Raises:
        ParameterError: if it is no `Regularization`, needs a closed form, or filters what is not linear.
    """
    check_rule(owner, rule)
    prior = rule.field_prior if isinstance(rule, Regularization) else None
    if prior is None:
        raise ParameterError(
            f"{owner}: regularization={rule!r} works in the modes of a closed form, and there is none here. Give "
            f"{FIELD_RULES}, or nothing: a solver then stops where the noise, noise_std=..., explains the rest, or as "
            f"told, e.g. by solver=ConjugateGradient(iterations=20)."
        )
    if prior.filter is not None and not is_linear:
        raise ParameterError(
            f"{owner}: regularization={rule!r} filters singular values, which is for linear physics. Give "
            f"{FIELD_RULES}, or say that the physics is linear."
        )
    return prior
