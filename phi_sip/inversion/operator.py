"""The operator `sip_inverse`: a local inverse of any physics, by whichever plugin answers."""

from __future__ import annotations

from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.step import SipStep
from ..errors import SipError, UnsupportedError
from ..plugins.manager import DISABLE_VARIABLE, get_plugin_manager
from ..plugins.registry import get_solver
from ..states import trees
from ..states.checks import check_finite, check_like, check_parameter, check_same_batch


def sip_inverse(
    physics: InvertiblePhysics,
    y_target: Any,
    x: Any,
    *,
    step_size: float | Tensor = 1.0,
    solver: str | InverseSolver | None = None,
) -> SipStep:
    """
    Inverts `physics` locally: the state near x that explains the observation y* better,

        y = P(x),   Δy = y* − y,   x̃ = P⁻¹(y + η Δy; x)

    For physics that is linear, and for solvers that have a prior, the step is scaled instead,
    x̃ = x + η (P⁻¹(y*; x) − x): for linear physics the same, if the inverse is exact.
    Computed in the floating point precision of `y_target`.

    Args:
        physics: Process to invert.
        y_target: Observation y*: `Field`, `Tensor` or tree.
        x: State around which to invert. Batch dims of `x` and `y_target` broadcast.
        step_size: η > 0; a number, or a tensor with batch dims.
        solver: Numerical inverse to use instead of the physics' own, by name or as object, e.g. `"gradient"`. It leaves
            out what only the physics' own inverse obeys, such as `regularization` and the measurement of σ. Default:
            the physics' own inverse; if it has none, the default numerical solver.

    Returns:
        `SipStep` with `x_target`, `dx`, `y`, `residual`, `uncertainty`, `posterior_samples` and `stats`.

    Raises:
        NonFiniteError: if an input or the result holds NaN or infinity.
        GridMismatchError: if P(x) and `y_target` cannot be compared, the correction has other dims than x, or
            `step_size` is that of another batch.
        ParameterError: if `step_size` is not a positive number.
        UnknownNameError: if no plugin provides the solver.

    Source: Holl, Koltun, Thuerey (arXiv 2109.15048), Algorithm 1.
    """
    if not isinstance(physics, InvertiblePhysics):
        raise UnsupportedError(
            f"physics is a {type(physics).__name__}. Give an InvertiblePhysics object such as HeatEquation(1.0, 8.0), "
            f"or get_physics('heat', diffusivity=1.0, time=8.0)."
        )
    check_parameter("sip_inverse", "step_size", step_size, positive=True)
    solver = resolve_solver(solver)
    check_finite("y_target", y_target, "Remove or repair these samples before inverting.")
    check_finite("x", x, "Check the network or the initial guess that produced it.")
    step = invert(physics, y_target, x, step_size, solver)
    check_finite(f"The correction of {type(physics).__name__}", step.dx, OVERFLOW)
    return step


OVERFLOW = "Its inverse amplified something beyond the range of the arithmetic: regularize it, or use float64."


def invert(
    physics: InvertiblePhysics, y_target: Any, x: Any, step_size: float | Tensor, solver: InverseSolver | None
) -> SipStep:
    """Inverts as `sip_inverse` does, states that are known to be finite. The correction is not checked to be finite."""
    precision = trees.precision_of(y_target)
    with math.precision(precision):
        observed = trees.stop_gradient(trees.cast(y_target, precision))
        if isinstance(step_size, Tensor):
            check_same_batch("step_size", step_size, "y_target", observed)
        start = _with_batch_of(observed, trees.stop_gradient(trees.cast(x, precision)))
        manager = get_plugin_manager()
        step = manager.first_result(
            "sip_inverse",
            physics=physics,
            y_target=trees.in_canonical_order(observed),
            x=trees.in_canonical_order(start),
            step_size=step_size,
            solver=solver,
        )
        if not isinstance(step, SipStep):
            plugins = ", ".join(asked.plugin_name for asked in manager.hook.sip_inverse.get_hookimpls())
            raise SipError(
                f"The inversion of {type(physics).__name__} gave {type(step).__name__} in place of a SipStep. Plugins "
                f"asked: {plugins or 'none'}. One of them returns something else, a wrapper has no `return`, or the "
                f"built-in plugin 'inverse' is blocked by {DISABLE_VARIABLE}."
            )
        check_like("dx", step.dx, start)
        return _stored_as(step, y_target, x)


def _stored_as(step: SipStep, y_target: Any, x: Any) -> SipStep:
    """Returns the step with its states in the order of dims in which the user stores his."""
    compute, draw = step.compute_uncertainty, step.draw
    return step.replace(
        x=trees.in_order_of(step.x, x),
        dx=trees.in_order_of(step.dx, x),
        y=trees.in_order_of(step.y, y_target),
        residual=trees.in_order_of(step.residual, y_target),
        compute_uncertainty=None if compute is None else lambda: trees.in_order_of(compute(), x),
        draw=None if draw is None else lambda *numbers: trees.in_order_of(draw(*numbers), x),
    )


def _with_batch_of(y_target: Any, x: Any) -> Any:
    """Returns x, repeated along batch dims that only `y_target` has."""
    dims = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(y_target)))
    return trees.tree_map(lambda u: math.expand(u, dims.without(u.shape)), x)


def resolve_solver(solver: str | InverseSolver | None) -> InverseSolver | None:
    """
    Returns the solver object for a name.

    Raises:
        UnknownNameError: if no plugin provides it.
        UnsupportedError: if `solver` is neither a name nor an `InverseSolver`.
    """
    if solver is None or isinstance(solver, InverseSolver):
        return solver
    if isinstance(solver, str):
        return get_solver(solver)
    raise UnsupportedError(f"solver is a {type(solver).__name__}. Give a name, an InverseSolver object, or None.")
