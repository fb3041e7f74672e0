"""Conformance check for authors of physics and solvers: what every one of them must do to be trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phiml import math

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..inversion.operator import resolve_solver
from ..states import trees
from . import convergence, derivatives, forward, inverse
from .report import CheckReport, CheckResult, PhysicsCheckError, run
from .sample import Sample

__all__ = ["CheckReport", "CheckResult", "PhysicsCheckError", "check_physics"]

CHECKS: Sequence[tuple[str, Callable[[Sample], str]]] = (
    ("definition", forward.check_definition),
    ("forward is finite", forward.check_finite),
    ("forward is repeatable", forward.check_repeatable),
    ("forward keeps precision", forward.check_precision),
    ("order of dims does not matter", forward.check_order_of_dims),
    ("forward is differentiable", derivatives.check_differentiable),
    ("derivatives are adjoint", derivatives.check_adjoint),
    ("inverse keeps dims and precision", inverse.check_dims),
    ("inverse approaches the target", inverse.check_approaches),
    ("inverse is a descent direction", inverse.check_descends),
    ("inverse rests at the solution", inverse.check_rests),
    ("inverse is scale-invariant", convergence.check_scale_invariant),
    ("units of y do not matter", convergence.check_units),
    ("convergence order", convergence.check_order),
    ("round trip", convergence.check_round_trip),
    ("batch entries do not mix", inverse.check_batch_independent),
    ("constraint holds", inverse.check_constraint),
    ("uncertainty is a deviation", inverse.check_uncertainty),
    ("draws spread as uncertain", inverse.check_posterior),
)


def check_physics(
    physics: InvertiblePhysics,
    x: Any,
    *,
    solver: str | InverseSolver | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> CheckReport:
    """
    Checks that `physics` can be trained with, on sample states.

    Simulates y* = P(x), perturbs x by noise of 10 %, 1 % and 0.1 % of its size, and looks at how forward, inverse and
    constraint behave there. What each check asks, and what its failure means: `docs/writing-physics.md`.

    Args:
        physics: Physics to check.
        x: Sample states, typical of the application: a `Field`, `Tensor` or tree with a batch dim of size 2 or more.
            Small ones will do; a check costs about ten inversions.
        solver: Numerical inverse to check on this physics, by name or as object. Default: the physics' own inverse.
        tolerance: Relative tolerance for equality. Default: 1e-9 in double, 1e-4 in single precision.
        seed: Seed of the perturbation.

    Returns:
        `CheckReport`, printable.

    Raises:
        PhysicsCheckError: if a check fails. The message says which, by how much, and what to change.
        ParameterError: if `x` has no batch dim of size 2 or more.
    """
    with math.precision(trees.precision_of(x)):
        sample = Sample(physics, x, resolve_solver(solver), tolerance, seed)
        results = tuple(run(name, check, sample) for name, check in CHECKS)
    title = type(physics).__qualname__ + (f" by {type(sample.solver).__qualname__}" if sample.solver else "")
    report = CheckReport(title, results)
    if report.failed:
        raise PhysicsCheckError(str(report))
    return report
