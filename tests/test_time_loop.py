"""Time steps that are compiled as a loop: the numbers and derivatives of single steps, in a time that does not grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fields import array, periodic, smooth
from phi import field
from phi.field import CenteredGrid, Field
from phiml import math
from phiml.math import extrapolation

from phi_sip import Evolution, sip_inverse
from phi_sip.physics.time_loop import repeated
from phi_sip.solvers.gradient import GradientSolver
from phi_sip.states import order, trees

STEPS = 12


def population(cells: int = 8) -> Field:
    return periodic(0.3 + 0.1 * smooth(np.random.default_rng(0), 2, cells, cells))


def spread(u: Field, dt: float) -> Field:
    return u + dt * (0.5 * field.laplace(u) + 0.25 * u * (1 - u))


def spread_with_food(state: dict[str, Any], dt: float) -> dict[str, Any]:
    """A state of several parts, given back in another order of dims."""
    u, food, count = state["u"], state["food"], state["count"]
    grown = spread(u, dt) + 0.1 * food
    stored = order.reordered(grown.values, grown.shape["y"] & grown.shape["batch"] & grown.shape["x"])
    return {"u": grown.with_values(stored), "food": 0.9 * food, "count": count + 1}


def widened(u: Field, dt: float) -> Field:
    """A step after which the cells are larger, as of a grid that grows with what is on it."""
    bounds = u.bounds.scaled(1.1)
    return CenteredGrid(spread(u, dt).values, u.boundary, bounds=bounds, resolution=u.resolution)


def heated(u: Field, dt: float) -> Field:
    """A step with a boundary that the first one sets."""
    warm = CenteredGrid(u.values, extrapolation.ConstantExtrapolation(0.2), bounds=u.bounds, resolution=u.resolution)
    return spread(warm, dt)


def compiled(framework, function):
    return function if framework.name == "torch" else math.jit_compile(function)


@pytest.mark.slow_on("tensorflow")
@pytest.mark.parametrize("step", [spread, widened, heated], ids=lambda step: step.__name__)
def test_compiled_steps_are_the_steps(framework, double, step):
    x = population()
    values = compiled(framework, lambda values: repeated(lambda u: step(u, 0.1), x.with_values(values), STEPS).values)
    expected = x
    for _ in range(STEPS):
        expected = step(expected, 0.1)
    np.testing.assert_allclose(array(x.with_values(values(x.values))), array(expected), rtol=1e-12)


def test_trees_of_states(framework, double):
    x = population()

    def run(values):
        state = {"u": x.with_values(values), "food": values * 0.5, "count": math.wrap(0)}
        end = repeated(lambda now: spread_with_food(now, 0.1), state, STEPS)
        return end["u"].values, end["food"], end["count"]

    expected = {"u": x, "food": x.values * 0.5, "count": math.wrap(0)}
    for _ in range(STEPS):
        expected = spread_with_food(expected, 0.1)
    u, food, count = compiled(framework, run)(x.values)
    np.testing.assert_allclose(u.numpy("batch,x,y"), expected["u"].values.numpy("batch,x,y"), rtol=1e-12)
    np.testing.assert_allclose(food.numpy("batch,x,y"), expected["food"].numpy("batch,x,y"), rtol=1e-12)
    assert int(count) == STEPS


@pytest.mark.not_on("torch")  # where nothing is compiled
def test_steps_are_looked_at_once_however_many_there_are(framework, double):
    counts = []
    for steps in (10, 40):
        calls = []

        def step(u: Field, dt: float, calls=calls) -> Field:
            calls.append(0)
            return spread(u, dt)

        physics = Evolution(step, 0.1, steps)
        x = population()
        y_target = physics.forward(x)
        calls.clear()
        sip_inverse(physics, y_target, 0.9 * x, solver="truncated-gauss-newton")
        counts.append(len(calls) - steps)  # P(x), which is simulated step by step
    assert counts[0] == counts[1] < 10


def test_derivatives_of_a_loop(framework, double):
    """Jᵀ v of the compiled inverse, against differences."""
    physics, x = Evolution(spread, 0.1, STEPS), population(6)
    y_target = x * 0.8

    def gradient(values):
        start = x.with_values(values)
        return GradientSolver().solve(physics, y_target, start, physics.forward(start)).dx.values

    found = compiled(framework, gradient)(x.values)
    direction = periodic(np.random.default_rng(1).standard_normal((2, 6, 6)))
    h = 1e-4

    def misfit(t: float) -> float:
        return float(math.sum(trees.l2_loss(physics.forward(x + t * direction) - y_target), "batch"))

    slope = (misfit(h) - misfit(-h)) / (2 * h)
    np.testing.assert_allclose(-float(math.sum(found * direction.values, found.shape)), slope, rtol=1e-6)
