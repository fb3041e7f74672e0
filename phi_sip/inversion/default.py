"""How `sip_inverse` inverts unless a plugin takes over: the solver asked for, the closed form, or the default."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver, Solve
from ..contract.step import SipStep
from ..errors import UnsupportedError
from ..plugins.registry import get_solver
from ..states import trees
from ..states.checks import check_like, check_same_grid

LINEAR_SOLVER = "linear"
_nonlinear_solver = ContextVar("default solver of nonlinear physics", default="levenberg-marquardt")


@contextmanager
def for_training() -> Iterator[None]:
    """Within it nonlinear physics is inverted by `TruncatedGaussNewton` by default, which costs less."""
    token = _nonlinear_solver.set("truncated-gauss-newton")
    try:
        yield
    finally:
        _nonlinear_solver.reset(token)


@hookimpl(trylast=True)
def sip_inverse(
    physics: InvertiblePhysics, y_target: Any, x: Any, step_size: Any, solver: InverseSolver | None
) -> SipStep:
    """Inverts the physics. It is the default implementation of the hook."""
    used = solver_of(physics, solver)
    owner, (y, solve) = used or physics, _begin(physics, x, used)
    check_same_grid("y_target", y_target, f"the observation that {type(physics).__name__} simulates", y)
    y_target = trees.in_order_of(y_target, y)
    residual = trees.subtract(y_target, y)
    if physics.is_linear or any(used.has_prior for used in _solvers(physics, solver)):
        correction = _checked(owner, solve(y_target), x)
        dx = trees.scale(correction.dx, step_size)
    else:
        target = trees.subtract(y_target, trees.scale(residual, 1 - step_size))
        correction = _checked(owner, solve(target), x)
        dx = correction.dx
    return SipStep(x, dx, y, residual, correction.uncertainty, correction.stats, correction.draw)


def correct(physics: InvertiblePhysics, target: Any, x: Any, y: Any, solver: InverseSolver | None = None) -> Correction:
    """
    Computes x̃ − x by `solver` if given, else by the closed form, else by the default solver for linear or nonlinear
    physics.

    Args:
        physics: Process to invert.
        target: Observation to be explained.
        x: State around which to invert.
        y: `physics.forward(x)`.
        solver: Numerical inverse to use in any case.
    """
    used = solver_of(physics, solver)
    if used is None:
        return _checked(physics, physics.inverse(target, x, y), x)
    return _checked(used, used.solve(physics, target, x, y), x)


def _begin(physics: InvertiblePhysics, x: Any, used: InverseSolver | None) -> tuple[Any, Solve]:
    """Returns y = P(x), and what solves for observations near it: the solver, or the closed form if there is none."""
    if used is not None and issubclass(_owner(used, "begin"), _owner(used, "solve")):
        return used.begin(physics, x)
    y = physics.forward(x)
    if used is not None:  # it solves in a way of its own, of which `begin` knows nothing
        return y, lambda y_target: used.solve(physics, y_target, x, y)
    return y, lambda y_target: physics.inverse(y_target, x, y)


def _owner(solver: InverseSolver, method: str) -> type:
    """Returns the class that implements a method."""
    return next(base for base in type(solver).__mro__ if method in vars(base))


def solver_of(physics: InvertiblePhysics, solver: InverseSolver | None) -> InverseSolver | None:
    """
    Returns the numerical solver that inverts a physics; `None` if its closed form does.

    Args:
        physics: Process to invert.
        solver: The one that was asked for, if any.
    """
    if solver is not None:
        return solver
    if physics.has_inverse:
        return None
    return get_solver(physics.default_solver or (LINEAR_SOLVER if physics.is_linear else _nonlinear_solver.get()))


def _checked(owner: Any, correction: Any, x: Any) -> Correction:
    if not isinstance(correction, Correction):
        raise UnsupportedError(
            f"The inverse of {type(owner).__name__} returned a {type(correction).__name__}. Return Correction(dx), "
            f"with dx like x."
        )
    check_like("dx", correction.dx, x)
    return correction


def runs_on_host(physics: InvertiblePhysics, solver: InverseSolver | None) -> bool:
    """
    Tells whether an inversion leaves the framework, so that nothing with it can be compiled.

    Args:
        physics: Process to invert, which may consist of others.
        solver: The one that was asked for, if any.
    """
    return any(used.on_host for used in _solvers(physics, solver))


def _solvers(physics: InvertiblePhysics, solver: InverseSolver | None) -> Iterator[InverseSolver]:
    """Yields the numerical solvers that an inversion uses, for the physics or for those that it consists of."""
    used = solver_of(physics, solver)
    if used is not None:
        yield used
        return
    for field in dataclasses.fields(physics):
        value = getattr(physics, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, InvertiblePhysics):
                yield from _solvers(part, physics.solver_of_parts)
