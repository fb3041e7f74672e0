"""Control: the forces that drive a process to a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.backend import choose_backend
from phiml.math import Tensor, channel

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import GridMismatchError, NetworkOutputError, ParameterError, UnsupportedError
from ..states import trees
from ..states.checks import check_count, check_finite, check_parameter
from .time_loop import TIME, in_time

Policy = Callable[[Any, Any, Tensor], Any]


@dataclass(frozen=True, eq=False)
class Control(InvertiblePhysics):
    """
    A process that is acted on before each of its steps. The unknown x = (f_0, …, f_{n−1}) are the forces:

        u_0 = start,   u_{t+1} = P(u_t + Δt f_t),   y = u_n

    The observation y* is the target that the last state is to reach. With a cost c > 0 small forces are asked for too,

        y = (u_n, √c · f),   ½ ‖y − y*‖² = ½ ‖u_n − target‖² + ½ c Σ_t ‖f_t‖²

    with y* = `as_observation(target)`, whose second part is 0. No closed form: solvers invert it, conjugate gradients
    where P is linear, which change the forces as little as possible from where they start.

    A network that sees all of y* gives all forces at once. One that acts at each step on the state that it sees then
    (a policy, feedback control) gives them by `rollout`. For either, the local inverse corrects the whole sequence:

        physics = Control(Burgers(0.1, 0.1, 1), start, steps=32, cost=1e-3)
        sip_update_weights(
            net,
            optimizer,
            physics,
            physics.as_observation(target),
            predict=lambda y, physics: physics.rollout(policy, y),
        )

    The steps are compiled as a loop. Forces have the channel dim `time`.

    Args:
        physics: P, one step of the process: any physics whose observation is a state like x, e.g. `HeatEquation` with a
            short time, `Burgers`, `NavierStokes`, `Wave`, or `Evolution` and `DifferentiablePhysics` around a function.
        start: u_0, a state of `physics`; batch dims allowed.
        steps: n ≥ 1.
        cost: c ≥ 0; a number, or a tensor with batch dims.
        time_step: Δt > 0, for which f_t acts; a number, or a tensor with batch dims. With 1, f_t is what is added to
            the state.
        act: Function (u_t, f_t) ↦ state on which P acts, in place of u_t + Δt f_t, e.g. for forces that reach a part of
            the domain only. f_t may then have any form.
        trajectory: Whether all states u_1, …, u_n are observed, along the dim `time`: then a whole path is asked for.

    Raises:
        UnsupportedError: if `physics` is not an `InvertiblePhysics`, `start` no state, or `act` cannot be called; by
            `initial_state`, with `act`, as the form of the forces is not known.
        ParameterError: if a number is out of range, or `time_step` is given with `act`.
        NonFiniteError: if `start` holds NaN or infinity.
        GridMismatchError: if `start` has a dim `time`; by `forward`, if x has not, or has another number of steps.

    Source: Holl, Thuerey, Koltun, "Learning to Control PDEs with Differentiable Physics", ICLR 2020.
    """

    name: ClassVar[str] = "control"

    physics: InvertiblePhysics
    start: Any
    steps: int
    cost: float | Tensor = 0.0
    time_step: float | Tensor = 1.0
    act: Callable[[Any, Any], Any] | None = None
    trajectory: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.physics, InvertiblePhysics):
            raise UnsupportedError(
                f"Control: physics is a {type(self.physics).__name__}. Give an object such as Burgers(0.1, 0.1, 1), or "
                f"DifferentiablePhysics(function)."
            )
        check_count("Control", "steps", self.steps)
        check_parameter("Control", "cost", self.cost)
        check_parameter("Control", "time_step", self.time_step, positive=True)
        if self.act is not None and not callable(self.act):
            raise UnsupportedError(f"Control: act is a {type(self.act).__name__}. Give a function act(state, force).")
        if self.act is not None and (isinstance(self.time_step, Tensor) or self.time_step != 1):
            raise ParameterError(
                "Control: time_step has no effect with act=..., which says how forces act: use it there."
            )
        if any(TIME in leaf.shape for leaf in trees.leaves(self.start)):
            raise GridMismatchError(
                f"Control: start is {trees.describe(self.start)}, but '{TIME}' is the dim along which forces follow "
                f"each other. Rename that of start."
            )
        check_finite("Control: start", self.start, "Remove or repair these samples.")

    @property
    def is_linear(self) -> bool:
        """Whether the process is linear, and forces are added."""
        return self.physics.is_linear and self.act is None

    @property
    def x_scale(self) -> Any:
        """What forces must be to change states by the sizes of the process in one step; `None` with `act`."""
        if self.act is not None or self.physics.x_scale is None:
            return None
        return trees.tree_map(lambda scale: scale / self.time_step, self.physics.x_scale)

    @property
    def default_solver(self) -> str | None:
        """`ConjugateGradient` for linear processes: without a prior, so that forces are as small as possible."""
        return "conjugate-gradient" if self.is_linear else None

    def as_observation(self, target: Any) -> Any:
        """
        Returns y*, the observation that `forward` would give if the target was reached by forces that cost nothing.

        Args:
            target: State, or with `trajectory` states along the dim `time`.
        """
        return (target, self.initial_state(target)) if self._costs else target

    def initial_state(self, y_target: Any) -> Any:
        """
        Returns no force.

        Raises:
            UnsupportedError: with `act`, as the form of the forces is not known.
        """
        if self.act is not None:
            raise UnsupportedError(
                "Control: with act=... the form of the forces is not known. Give forces to begin with: "
                "sip_inverse(physics, y_target, x), and (target, 0 · x) as the observation if they have a cost."
            )
        time = channel(**{TIME: self.steps})
        start = self._start_like(y_target)
        return trees.tree_map(lambda leaf: math.expand(leaf * 0, time), start)

    def forward(self, x: Any) -> Any:
        """
        Computes y from the forces.

        Args:
            x: Forces: what is added to the state, or what `act` takes, with the channel dim `time`.
        """
        if any(leaf.shape.get_size(TIME) != self.steps if TIME in leaf.shape else True for leaf in trees.leaves(x)):
            raise GridMismatchError(
                f"Control: x is {trees.describe(x)}, but there are {self.steps} forces, one for each step, along the "
                f"channel dim '{TIME}'. Stack them: math.stack(forces, channel('{TIME}'))."
            )
        precision = trees.precision_of(x)
        with math.precision(precision):
            end, path = in_time(self._observed_step, self._start_like(x), x, self.steps)
            reached = path if self.trajectory else end
            if not self._costs:
                return reached
            return reached, trees.scale(x, _in_precision(self.cost, precision) ** 0.5)

    def rollout(self, policy: Policy, y_target: Any, *, stop_gradients: bool = False) -> Any:
        """
        Closes the loop: the forces with which a policy, e.g. a network, answers to the states that it brings about,

            f_t = policy(u_t, target, (n − t) / n),   u_{t+1} = P(u_t + Δt f_t)

        It is to be called in `predict` of `sip_update_weights`, where the correction Δf of the forces is pulled back to
        the weights θ of the policy,

            −∂L/∂θ = Σ_t Δf_t · df_t/dθ

        Args:
            policy: Maps a state, the target, and the part of the steps that is left, a number as `Tensor`, to a force.
                It is compiled as the body of a loop: its answer depends on nothing else.
            y_target: Observation y*, as given to `predict`. With `trajectory` the policy is given the state to be
                reached by its step.
            stop_gradients: Whether the derivative of f_t is taken at the state u_t as it is, ∂f_t/∂θ, and not through
                the actions before it, which have brought it about. Derivatives through many answers of a network to its
                own actions grow or vanish with the number of steps, and may overflow; those of a dissipative process,
                which are in Δf, do not. With `solver="gradient"` these are the updates that the source calls gradient
                stopping.

        Returns:
            All forces, with the channel dim `time`: a state x.

        Raises:
            NetworkOutputError: if the policy returns no force for the state.

        Source: Schnell, Thuerey, "Stabilizing Backpropagation Through Time to Learn Complex Physics", ICLR 2024.
        """
        target = y_target[0] if self._costs else y_target
        precision = trees.precision_of(target)
        start = self._start_like(target)
        with math.precision(precision):
            backend = choose_backend(*trees.natives(target))
            part = np.linspace(1, 1 / self.steps, self.steps, dtype=f"float{precision}")
            left = math.convert(math.wrap(part, channel(TIME)), backend)
            inputs = {"left": left, **({"target": target} if self.trajectory else {})}

            def step(state: Any, given: Any) -> tuple[Any, Any]:
                seen = trees.stop_gradient(state) if stop_gradients else state
                force = trees.cast(policy(seen, given.get("target", target), given["left"]), precision)
                self._check_force(force, seen)
                moves = trees.stop_gradient(force) if stop_gradients else force
                return self.physics.forward(self._acted_on(seen, moves)), force

            return in_time(step, start, inputs, self.steps)[1]

    @property
    def _costs(self) -> bool:
        """Whether forces are observed; which of the two does not depend on values."""
        return isinstance(self.cost, Tensor) or self.cost != 0

    def _observed_step(self, state: Any, force: Any) -> tuple[Any, Any]:
        following = self.physics.forward(self._acted_on(state, force))
        return following, following if self.trajectory else ()

    def _acted_on(self, state: Any, force: Any) -> Any:
        if self.act is not None:
            return self.act(state, force)
        factor = _in_precision(self.time_step, trees.precision_of(state))
        return trees.add(state, trees.scale(force, factor))

    def _start_like(self, tree: Any) -> Any:
        """Returns the start in the precision and on the backend of other data."""
        start = trees.cast(self.start, trees.precision_of(tree))
        return trees.to_backend(start, choose_backend(*trees.natives(tree)))

    def _check_force(self, force: Any, state: Any) -> None:
        if self.act is not None:
            return
        expected = [set(leaf.shape.non_batch.names) for leaf in trees.leaves(state)]
        if [set(leaf.shape.non_batch.names) for leaf in trees.leaves(force)] != expected:
            raise NetworkOutputError(
                f"The policy returned {trees.describe(force)} for the state {trees.describe(state)}, to which it is "
                f"added. Return a force with the dims of the state: a channel dim of the answer that the state "
                f"has not is left out by answer['dim', 0]."
            )


def _in_precision(value: float | Tensor, precision: int) -> float | Tensor:
    """Returns a parameter that rounds nothing which it multiplies."""
    return math.cast(value, math.DType(float, precision)) if isinstance(value, Tensor) else value


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Control]
