"""`sip_inverse`: step size, solvers, and what a step reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from fields import array, periodic, smooth
from phiml import math
from phiml.math import batch, channel

from phi_sip import Correction, GridMismatchError, HeatEquation, InverseSolver, InvertiblePhysics, sip_inverse

PHYSICS = HeatEquation(0.5, 1.0)


@dataclass(frozen=True)
class Power(InvertiblePhysics):
    """y = x³: a nonlinear physics on plain tensors, to see where η enters."""

    name: ClassVar[str] = "power"

    def forward(self, x):
        return x**3

    def inverse(self, y_target, x, y):
        return Correction(y_target ** (1 / 3) - x)


def states(seed: int):
    return periodic(2 + smooth(np.random.default_rng(seed), 3, 12, 10))


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("eta", [1.0, 0.5, 0.1])
def test_step_size_scales_the_step_of_linear_physics(framework, double, eta):
    x, y_target = states(0), PHYSICS.forward(states(1))
    full = sip_inverse(PHYSICS, y_target, x)
    part = sip_inverse(PHYSICS, y_target, x, step_size=eta)
    np.testing.assert_allclose(array(part.dx), eta * array(full.dx), atol=1e-7)
    np.testing.assert_allclose(array(part.residual), array(full.residual))


def test_step_size_acts_in_observation_space(double):
    """x̃ = P⁻¹(y + η Δy): for nonlinear physics not x + η dx."""
    x = math.tensor(np.full((2, 3), 1.0), batch("batch"), channel("k"))
    step = sip_inverse(Power(), x * 0 + 8, x, step_size=0.5)
    np.testing.assert_allclose(step.x_target.numpy("batch,k"), 4.5 ** (1 / 3))
    per_entry = sip_inverse(Power(), x * 0 + 8, x, step_size=math.tensor([1.0, 0.5], batch("batch")))
    np.testing.assert_allclose(per_entry.x_target.numpy("batch,k")[:, 0], [2.0, 4.5 ** (1 / 3)], rtol=1e-6)


def test_gradient_solver_is_the_adjoint(framework, double):
    """Diffusion is self-adjoint: the gradient is diffused once more."""
    x, y_target = states(0), PHYSICS.forward(states(1))
    step = sip_inverse(PHYSICS, y_target, x, solver="gradient", step_size=0.7)
    np.testing.assert_allclose(array(step.dx), 0.7 * array(PHYSICS.forward(step.residual)), atol=1e-13)
    assert step.uncertainty is None


def test_solver_objects_and_stats(double):
    class Constant(InverseSolver):
        name: ClassVar[str] = "constant"

        def solve(self, physics: Any, y_target: Any, x: Any, y: Any) -> Correction:
            np.testing.assert_array_equal(array(y), array(physics.forward(x)))
            return Correction(x * 0 + 1, stats={"iterations": 3})

    x = states(0)
    step = sip_inverse(PHYSICS, x, x, solver=Constant())
    np.testing.assert_allclose(array(step.x_target), array(x) + 1)
    assert step.stats == {"iterations": 3}


def test_forward_runs_once():
    """Nothing is simulated twice."""
    calls = []

    class Counted(HeatEquation):
        def forward(self, x):
            calls.append(x)
            return super().forward(x)

    x = states(0)
    sip_inverse(Counted(0.5, 1.0), x, x)
    assert len(calls) == 1


def test_no_gradient_flows_through_the_inversion(framework, double):
    """A proxy loss that inverts inside has the gradient x − x̃ all the same."""
    y_target = PHYSICS.forward(states(1))
    x = states(0)

    def proxy(values):
        step = sip_inverse(PHYSICS, y_target, x.with_values(values))
        return math.sum(math.l2_loss(values - step.x_target.values), "batch")

    gradient = math.gradient(proxy, "values", get_output=False)(x.values)
    np.testing.assert_allclose(array(gradient), -array(sip_inverse(PHYSICS, y_target, x).dx), atol=1e-12)


@pytest.mark.parametrize("solver", [None, "gradient"])
def test_guesses_broadcast_over_the_batch(framework, double, solver):
    y_target = PHYSICS.forward(states(0))
    step = sip_inverse(PHYSICS, y_target, states(1).batch[0], solver=solver)
    assert step.x_target.shape.get_size("batch") == 3


def test_order_of_keys_does_not_matter(framework, double):
    class Pair(InvertiblePhysics):
        name: ClassVar[str] = "pair"

        def forward(self, x):
            return {"b": x["b"] * 2, "a": x["a"] * 3}

    x = {key: math.tensor(np.ones((2, 3)), batch("batch"), channel("k")) for key in "ab"}
    y_target = {"a": x["a"] * 4, "b": x["b"] * 2}
    dx = sip_inverse(Pair(), y_target, x, solver="gradient").dx
    np.testing.assert_allclose(dx["a"].numpy("batch,k"), 3.0)
    np.testing.assert_allclose(dx["b"].numpy("batch,k"), 0.0)


def test_named_tuples_are_states(double):
    class State(NamedTuple):
        heat: Any
        source: Any

    class Twice(InvertiblePhysics):
        name: ClassVar[str] = "twice"

        def forward(self, x):
            return State(x.heat * 2, x.source)

        def inverse(self, y_target, x, y):
            return Correction(State((y_target.heat - y.heat) / 2, y_target.source - y.source))

    x = State(states(0), math.tensor([1.0, 2.0, 3.0], batch("batch")))
    step = sip_inverse(Twice(), State(x.heat * 2, x.source + 1), State(x.heat * 0, x.source))
    assert isinstance(step.x_target, State)
    np.testing.assert_allclose(array(step.x_target.heat), array(x.heat))
    np.testing.assert_allclose(step.x_target.source.numpy("batch"), [2.0, 3.0, 4.0])


def test_guess_without_batch_dims_broadcasts(double):
    y_target = PHYSICS.forward(states(0))
    step = sip_inverse(PHYSICS, y_target, states(0).batch[0] * 0)
    assert step.x_target.shape.get_size("batch") == 3
    np.testing.assert_allclose(array(step.x_target), array(sip_inverse(PHYSICS, y_target, states(0) * 0).x_target))


def test_integers_are_taken_as_floats():
    step = sip_inverse(PHYSICS, periodic(np.ones((2, 8, 8), dtype=int)), periodic(np.zeros((2, 8, 8), dtype=int)))
    np.testing.assert_allclose(array(step.x_target), 1.0, atol=1e-6)


def test_steps_can_be_replaced(double):
    x = states(0)
    step = sip_inverse(PHYSICS, PHYSICS.forward(states(1)), x)
    np.testing.assert_allclose(array(step.replace(dx=step.dx * 2).x_target), array(x) + 2 * array(step.dx))
    np.testing.assert_allclose(array(step.x_target), array(x) + array(step.dx))
    assert step.uncertainty is step.uncertainty  # computed once


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize(
    ("dx", "eta"),
    [
        (math.ones(math.spatial(x=3)), 0.5),
        (math.ones(batch(batch=2), math.spatial(x=4)), math.tensor([1.0, 0.5, 0.1], batch("batch"))),
        (math.ones(math.spatial(x=4), channel(c="a,d")), 1.0),
        ([math.ones(math.spatial(x=4))], 0.5),
        (None, 0.5),
    ],
)
def test_a_correction_unlike_x_is_refused(linear, dx, eta):
    class Mine(InvertiblePhysics):
        is_linear = linear

        def forward(self, x):
            return x

        def inverse(self, y_target, x, y):
            return Correction(dx)

    x = math.ones(math.spatial(x=4), channel(c="a,b"))
    with pytest.raises(GridMismatchError):
        sip_inverse(Mine(), x, x, step_size=eta)


def test_a_step_size_of_another_batch_is_refused():
    x = states(0)
    with pytest.raises(GridMismatchError, match=r"step_size has the dims .*'batch' has two sizes"):
        sip_inverse(PHYSICS, x, x, step_size=math.tensor([1.0, 0.5], batch("batch")))
