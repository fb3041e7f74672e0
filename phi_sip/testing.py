"""Conformance check for authors of physics: what every registered physics must do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import Backend, choose_backend
from phiml.math import Tensor

from . import trees
from .errors import ParameterError
from .frameworks import framework_of
from .operator import SipStep, sip_inverse
from .physics.base import InvertiblePhysics


@dataclass(frozen=True)
class CheckResult:
    """One line of a report: `outcome` is `passed`, `FAILED` or `skipped`."""

    name: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class CheckReport:
    """The outcome of `check_physics`; prints as a table."""

    physics: str
    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(result for result in self.results if result.outcome == "FAILED")

    def __str__(self) -> str:
        width = max(len(result.name) for result in self.results)
        lines = [f"  {r.name:<{width}}  {r.outcome:<7}  {r.detail}".rstrip() for r in self.results]
        return "\n".join([f"check_physics: {self.physics}", *lines])


class PhysicsCheckError(AssertionError):
    """A physics does not do what training needs; the message is the report, with a remedy per failed check."""


class _NotApplicableError(Exception):
    """A check does not apply."""


def check_physics(physics: InvertiblePhysics, x: Any, *, tolerance: float | None = None, seed: int = 0) -> CheckReport:
    """
    Checks that `physics` can be trained with, on sample states.

    Simulates y* = P(x), perturbs x by 10 % noise, and looks at how forward, inverse and constraint behave there.

    Args:
        physics: Physics to check.
        x: Sample states, typical of the application: a `Field`, `Tensor` or tree with a batch dim of size 2 or more.
        tolerance: Relative tolerance for equality. Default: 1e-9 in double, 1e-4 in single precision.
        seed: Seed of the perturbation.

    Returns:
        `CheckReport`, printable.

    Raises:
        PhysicsCheckError: if a check fails. The message says which, by how much, and what to change.
        ParameterError: if `x` has no batch dim of size 2 or more.
    """
    sample = _Sample(physics, x, tolerance, seed)
    checks: dict[str, Callable[[_Sample], str]] = {
        "definition": _check_definition,
        "forward is finite": _check_forward_finite,
        "forward is repeatable": _check_forward_repeatable,
        "forward keeps precision": _check_forward_precision,
        "forward is differentiable": _check_forward_differentiable,
        "inverse keeps dims and precision": _check_inverse_dims,
        "inverse approaches the target": _check_inverse_approaches,
        "inverse is a descent direction": _check_inverse_descends,
        "inverse rests at the solution": _check_inverse_rests,
        "batch entries do not mix": _check_batch_independent,
        "constraint holds": _check_constraint,
        "uncertainty is a deviation": _check_uncertainty,
    }
    report = CheckReport(type(physics).__qualname__, tuple(_run(name, check, sample) for name, check in checks.items()))
    if report.failed:
        raise PhysicsCheckError(str(report))
    return report


class _Sample:
    """The situation in which all checks look at a physics: an observation and a perturbed guess."""

    def __init__(self, physics: InvertiblePhysics, x: Any, tolerance: float | None, seed: int) -> None:
        batch_dims = [
            name for leaf in trees.leaves(x) for name in leaf.shape.batch.names if leaf.shape.get_size(name) > 1
        ]
        if not batch_dims:
            raise ParameterError("check_physics needs x with a batch dim of size 2 or more: stack several samples.")
        self.physics = physics
        self.x = x
        self.batch_dim: str = batch_dims[0]
        self.precision = trees.precision_of(x)
        self.tolerance = tolerance or (1e-9 if self.precision > 32 else 1e-4)
        self.rng = np.random.default_rng(seed)
        self.guess = trees.tree_map(lambda u: u + 0.1 * self.noise(u) * math.sqrt(math.mean(u**2, u.shape)), x)

    def noise(self, like: Tensor) -> Tensor:
        values = self.rng.standard_normal(like.shape.sizes).astype(f"float{self.precision}")
        return math.reshaped_tensor(values, [*like.shape], convert=False)

    def forward(self, x: Any) -> Any:
        with math.precision(self.precision):
            return self.physics.forward(x)

    def step(self, physics: InvertiblePhysics | None = None, y: Any = None, guess: Any = None) -> SipStep:
        return sip_inverse(
            physics or self.physics,
            self.forward(self.x) if y is None else y,
            self.guess if guess is None else guess,
        )

    def entry(self, tree: Any, index: int) -> Any:
        return trees.tree_map(lambda u: u[{self.batch_dim: slice(index, index + 1)}], tree)


def _run(name: str, check: Callable[[_Sample], str], sample: _Sample) -> CheckResult:
    try:
        return CheckResult(name, "passed", check(sample))
    except _NotApplicableError as reason:
        return CheckResult(name, "skipped", str(reason))
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return CheckResult(name, "FAILED", f"{kind}{error}")


def _norm(tree: Any) -> float:
    return float(np.sqrt(sum(float(np.sum(leaf.numpy(leaf.shape).astype(float) ** 2)) for leaf in trees.leaves(tree))))


def _dot(a: Any, b: Any) -> float:
    pairs = zip(trees.leaves(a), trees.leaves(b), strict=True)
    return sum(float(np.sum(u.numpy(u.shape).astype(float) * v.numpy(u.shape).astype(float))) for u, v in pairs)


def _relative(a: Any, b: Any) -> float:
    return _norm(trees.subtract(a, b)) / (_norm(b) or 1.0)


def _check_definition(sample: _Sample) -> str:
    cls = type(sample.physics)
    assert isinstance(cls.name, str), "Give the class a `name: ClassVar[str]`."
    assert cls.name, "Give the class a `name`: the key under which users ask for it."
    assert dataclasses.is_dataclass(cls), "Decorate the class with @dataclass(frozen=True)."
    frozen = cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen, "Use @dataclass(frozen=True): a physics must not change during training."
    return f"name '{cls.name}'"


def _check_forward_finite(sample: _Sample) -> str:
    y = sample.forward(sample.x)
    assert trees.all_finite(y), "P(x) holds NaN or infinity. Check the range of x, and the stability of the simulation."
    return trees.describe(y)


def _check_forward_repeatable(sample: _Sample) -> str:
    difference = _relative(sample.forward(sample.x), sample.forward(sample.x))
    assert difference == 0, f"P(x) differs by {difference:.1e} between two calls. Draw no random numbers in `forward`."
    return ""


def _check_forward_precision(sample: _Sample) -> str:
    found = trees.precision_of(sample.forward(sample.x))
    assert found == sample.precision, (
        f"x has {sample.precision} bits, P(x) has {found}. Create constants with phiml, not with a fixed dtype."
    )
    return f"{found} bits"


def _vjp(sample: _Sample, x: Any, cotangent_of: Callable[[Any], Any]) -> tuple[Any, Any]:
    """(P(x), Jᵀ c) with c = cotangent_of(P(x))."""
    backend = choose_backend(*trees.natives(x))
    if not backend.supports(Backend.jacobian):
        raise _NotApplicableError(f"{backend.name} cannot differentiate: give x on TensorFlow, PyTorch or JAX")
    y = sample.forward(x)
    cotangent = cotangent_of(y)

    def run(*values: Any) -> list[Any]:
        return trees.natives(sample.forward(trees.with_natives(x, values)), like=y)

    _, pullback = framework_of(backend).vjp(run, trees.natives(x))
    natives = trees.natives(trees.to_backend(trees.cast(cotangent, sample.precision), backend), like=y)
    return y, trees.with_natives(x, pullback(natives))


def _check_forward_differentiable(sample: _Sample) -> str:
    direction = trees.tree_map(lambda u: sample.noise(u) * math.sqrt(math.mean(u**2, u.shape)), sample.x)
    size = 1e-5 if sample.precision > 32 else 1e-2
    ahead = sample.forward(trees.add(sample.x, trees.scale(direction, size)))
    behind = sample.forward(trees.subtract(sample.x, trees.scale(direction, size)))
    slope = trees.scale(trees.subtract(ahead, behind), 0.5 / size)
    _, gradient = _vjp(sample, sample.x, lambda y: slope)
    expected, found = _norm(slope) ** 2, _dot(gradient, direction)
    error = abs(found - expected) / (abs(expected) or 1.0)
    limit = 1e-5 if sample.precision > 32 else 5e-2
    assert error < limit, (
        f"The derivative of `forward` differs by {error:.1e} from finite differences. "
        f"Use operations that the framework can differentiate, and no stop_gradient."
    )
    return f"relative error {error:.0e}"


def _check_inverse_dims(sample: _Sample) -> str:
    step = sample.step()
    for dx, x in zip(trees.leaves(step.dx), trees.leaves(sample.guess), strict=True):
        assert set(dx.shape.names) == set(x.shape.names), f"dx has dims {dx.shape}, x has {x.shape}. Return dx like x."
        assert dx.dtype == x.dtype, f"dx is {dx.dtype}, x is {x.dtype}. Keep the precision of the input."
    return trees.describe(step.dx)


def _check_inverse_approaches(sample: _Sample) -> str:
    step = sample.step()
    before = _norm(step.residual)
    after = _norm(trees.subtract(sample.forward(sample.x), sample.forward(step.x_target)))
    assert after < before, (
        f"The residual grows from {before:.2e} to {after:.2e}. Check sign and scale of `inverse`; "
        f"where it is local, shorten the step."
    )
    return f"residual × {after / (before or 1):.1e}"


def _check_inverse_descends(sample: _Sample) -> str:
    target = sample.forward(sample.x)
    _, gradient = _vjp(sample, sample.guess, lambda y: trees.subtract(target, y))
    product = _dot(sample.step().dx, gradient)
    assert product > 0, (
        f"dx · Jᵀ(y* − y) = {product:.1e} ≤ 0: the correction does not descend on ½‖P(x) − y*‖², "
        f"so training need not converge. Check sign and scale of `inverse`."
    )
    cosine = product / (_norm(sample.step().dx) * _norm(gradient) or 1.0)
    return f"cosine to the gradient {cosine:.1e}"


def _check_inverse_rests(sample: _Sample) -> str:
    step = sample.step(guess=sample.x)
    moved, own = _norm(step.dx), (0.0 if step.uncertainty is None else _norm(step.uncertainty))
    size = _norm(sample.x) or 1.0
    assert moved < 1e3 * sample.tolerance * size + 2 * own, (
        f"At the solution dx is {moved / size:.1e} of x, and the uncertainty {own / size:.1e}. `inverse` must return 0 "
        f"where y = y*, or stay within twice the uncertainty that it reports if it has a prior of its own."
    )
    return f"|dx| / |x| = {moved / size:.0e}"


def _check_batch_independent(sample: _Sample) -> str:
    whole = sample.step()
    dim = sample.batch_dim
    sliced = {
        f.name: value[{dim: slice(0, 1)}]
        for f in dataclasses.fields(sample.physics)
        if isinstance(value := getattr(sample.physics, f.name), Tensor) and dim in value.shape
    }
    physics = dataclasses.replace(sample.physics, **sliced)
    alone = sample.step(physics, sample.entry(sample.forward(sample.x), 0), sample.entry(sample.guess, 0))
    error = max(
        _relative(alone.y, sample.entry(whole.y, 0)),
        _relative(alone.dx, sample.entry(whole.dx, 0)),
    )
    assert error < 1e3 * sample.tolerance, (
        f"A sample gives another answer alone than in a batch (relative difference {error:.1e}). "
        f"Reduce over spatial and channel dims only: math.mean(u, u.shape.non_batch)."
    )
    return f"relative difference {error:.0e}"


def _check_constraint(sample: _Sample) -> str:
    target = sample.forward(sample.x)
    with math.precision(sample.precision):
        once = sample.physics.constrain(sample.guess, target)
        twice = sample.physics.constrain(once, target)
        kept = sample.physics.constrain(sample.x, target)
    changed, moved = _relative(twice, once), _relative(kept, sample.x)
    assert changed < 1e3 * sample.tolerance, f"`constrain` applied twice changes x again by {changed:.1e}."
    assert moved < 1e3 * sample.tolerance, (
        f"`constrain` changes the true state by {moved:.1e}. Impose only what y* determines exactly."
    )
    return f"true state kept to {moved:.0e}"


def _check_uncertainty(sample: _Sample) -> str:
    uncertainty = sample.step().uncertainty
    if uncertainty is None:
        raise _NotApplicableError("the inverse reports none")
    assert trees.all_finite(uncertainty), "The uncertainty holds NaN or infinity."
    least = min(float(math.min(leaf, leaf.shape)) for leaf in trees.leaves(uncertainty))
    assert least >= 0, f"The uncertainty is {least:.1e} somewhere. It is a standard deviation: ≥ 0."
    return f"at least {least:.0e}"
