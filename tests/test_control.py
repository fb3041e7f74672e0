"""Control: against least squares in NumPy, single modes, loops written out, and finite differences."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from fields import array, periodic, smooth
from frameworks import TABLE
from phi import field
from phi.field import CenteredGrid, Field
from phi.physics import diffuse
from phiml import math, nn
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import (
    Burgers,
    ConjugateGradient,
    Control,
    DifferentiablePhysics,
    Evolution,
    GridMismatchError,
    HeatEquation,
    LevenbergMarquardt,
    NavierStokes,
    NetworkOutputError,
    NonFiniteError,
    ParameterError,
    UnsupportedError,
    Wave,
    get_physics,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.frameworks import operations_of
from phi_sip.states import trees

SAMPLES, CELLS, STEPS = 2, 12, 5
HEAT = HeatEquation(0.5, 0.8)
FRONTS = Burgers(0.5, 0.2, 1)
ALIKE = pytest.mark.slow_on("tensorflow", "jax")
EXACT = ConjugateGradient(iterations=300, tolerance=1e-13)


def line(seed: int, samples: int = SAMPLES, n: int = CELLS) -> Field:
    return periodic(smooth(np.random.default_rng(seed), samples, n))


def forces(seed: int, samples: int = SAMPLES, steps: int = STEPS, n: int = CELLS) -> Field:
    values = np.random.default_rng(seed).normal(size=(samples, n, steps))
    return line(0, samples, n).with_values(math.tensor(values, batch("batch"), spatial("x"), channel("time")))


def in_time(x: Any) -> np.ndarray:
    """(batch, time, x)."""
    return (x.values if isinstance(x, Field) else x).numpy("batch,time,x")


def gains() -> np.ndarray:
    """exp(−k² ν t) of the modes that the FFT of NumPy has."""
    return np.exp(-((2 * np.pi * np.fft.fftfreq(CELLS)) ** 2) * 0.5 * 0.8)


def diffused(values: np.ndarray, times: int) -> np.ndarray:
    return np.fft.ifft(np.fft.fft(values) * gains() ** times).real


def heat_matrix(time_step: float) -> np.ndarray:
    """A with u_n = Hⁿ u_0 + A f, f = (f_0, …) of length n · cells."""
    unit = np.eye(CELLS)
    return np.concatenate([time_step * diffused(unit, STEPS - t).T for t in range(STEPS)], 1)


# ------------------------------------------------------------------------------------------------ the least squares


@pytest.mark.parametrize("time_step", [pytest.param(1.0, marks=ALIKE), 0.25])
def test_forces_on_heat_are_the_smallest_that_reach_the_target(framework, double, time_step):
    """f = A⁺ (y* − Hⁿ u_0), by NumPy."""
    start, target = line(1), line(2)
    physics = Control(HEAT, start, STEPS, time_step=time_step)
    found = sip_inverse(physics, target, physics.initial_state(target), solver=EXACT)
    matrix = heat_matrix(time_step)
    wanted = [np.linalg.lstsq(matrix, t, rcond=None)[0] for t in array(target) - diffused(array(start), STEPS)]
    np.testing.assert_allclose(in_time(found.x_target).reshape(SAMPLES, -1), wanted, atol=1e-7)
    np.testing.assert_allclose(array(physics.forward(found.x_target)), array(target), atol=1e-9)


def test_forces_that_cost_are_those_of_ridge_regression(framework, double):
    """min ½ ‖A f − r‖² + ½ Σ c ‖f‖² with one cost per sample; conjugate gradients find it by default."""
    start, target, costs = line(1), line(2), np.array([1e-3, 10.0])
    physics = Control(HEAT, start, STEPS, cost=math.tensor(costs, batch("batch")))
    assert physics.is_linear
    y_target = physics.as_observation(target)
    found = sip_inverse(physics, y_target, physics.initial_state(y_target[0]))
    matrix, residual = heat_matrix(1.0), array(target) - diffused(array(start), STEPS)
    wanted = [
        np.linalg.lstsq(
            np.concatenate([matrix, np.sqrt(c) * np.eye(matrix.shape[1])]), np.append(r, 0 * matrix[0]), rcond=None
        )[0]
        for c, r in zip(costs, residual, strict=True)
    ]
    np.testing.assert_allclose(in_time(found.x_target).reshape(SAMPLES, -1), wanted, atol=1e-5)


@ALIKE
def test_one_mode(framework, double):
    """f_t = g^{n−t} r / Σ_s g^{2 (n−s)}: late forces do more, as they are diffused less."""
    wave = np.cos(2 * np.pi * (np.arange(CELLS) + 0.5) / CELLS)[None]
    start, target = periodic(wave), periodic(3 * wave)
    physics = Control(HEAT, start, STEPS)
    found = sip_inverse(physics, target, physics.initial_state(target), solver=EXACT).x_target
    powers = gains()[1] ** (STEPS - np.arange(STEPS))
    amplitude = (3 - gains()[1] ** STEPS) * powers / (powers**2).sum()
    np.testing.assert_allclose(in_time(found)[0], amplitude[:, None] * wave, atol=1e-9)


@ALIKE
def test_what_the_target_does_not_determine_stays_as_it_is(framework, double):
    """The correction of forces is the shortest one, wherever they begin."""
    start, target, x = line(1), line(2), forces(3)
    physics = Control(HEAT, start, STEPS)
    dx = in_time(sip_inverse(physics, target, x, solver=EXACT).dx).reshape(SAMPLES, -1)
    rows = heat_matrix(1.0)
    inside = np.linalg.lstsq(rows.T, dx.T, rcond=None)[0]
    np.testing.assert_allclose(dx, (rows.T @ inside).T, atol=1e-7)


# ------------------------------------------------------------------------------------------------ the loop


def walls(state: Any, force: Any) -> Any:
    """Acts on the left half only."""
    left = math.to_float(math.range(spatial(x=CELLS)) < CELLS // 2)
    return state + 0.3 * force * left


def two_fields(samples: int = SAMPLES) -> Any:
    return line(1, samples), line(2, samples)


CASES: dict[str, tuple[Any, Any]] = {
    "heat": (lambda: Control(HEAT, line(1), STEPS), lambda: forces(3)),
    "fronts": (lambda: Control(FRONTS, line(1), STEPS, time_step=0.2), lambda: forces(3)),
    "cost": (lambda: Control(FRONTS, line(1), STEPS, 0.1), lambda: forces(3)),
    "path": (lambda: Control(FRONTS, line(1), STEPS, trajectory=True), lambda: forces(3)),
    "act": (lambda: Control(FRONTS, line(1), STEPS, act=walls), lambda: forces(3)),
    "one start": (lambda: Control(FRONTS, line(1, 1).batch[0], STEPS), lambda: forces(3)),
    "one force": (lambda: Control(FRONTS, line(1), 1), lambda: forces(3, steps=1)),
    "viscosities": (
        lambda: Control(Burgers(math.tensor([0.5, 0.1], batch("batch")), 0.2, 2), line(1, 1).batch[0], STEPS),
        lambda: forces(3, 1).batch[0],
    ),
    "waves": (lambda: Control(Wave(1.0, 0.5, 2), two_fields(), STEPS), lambda: (forces(3), forces(4))),
    "function": (
        lambda: Control(DifferentiablePhysics(lambda u: u - 0.1 * u**3), line(1), STEPS),
        lambda: forces(3).values,
    ),
}


def written_out(physics: Control, x: Any) -> Any:
    """The loop as one writes it."""
    state, path = physics.start, []
    for t in range(physics.steps):
        force = trees.tree_map(lambda leaf, t=t: leaf.time[t], x)
        acted = physics.act(state, force) if physics.act else trees.add(state, trees.scale(force, physics.time_step))
        state = physics.physics.forward(acted)
        path.append(state)
    if physics.trajectory:
        return trees.tree_map(lambda *leaves: math.stack(list(leaves), channel("time")), *path)
    return (state, trees.scale(x, physics.cost**0.5)) if physics.cost else state


@pytest.mark.parametrize("case", CASES)
def test_forward_is_the_loop(framework, double, case):
    make, make_x = CASES[case]
    physics, x = make(), make_x()
    found, wanted = physics.forward(x), written_out(physics, x)
    for a, b in zip(trees.leaves(found), trees.leaves(wanted), strict=True):
        assert set(a.shape.names) == set(b.shape.names)
        math.assert_close(a, b, rel_tolerance=1e-10, abs_tolerance=1e-10)


@pytest.mark.parametrize("case", ["heat", *(pytest.param(case, marks=ALIKE) for case in ("fronts", "cost", "path"))])
def test_derivatives(framework, double, case):
    """J d is that of finite differences, Jᵀ v its adjoint, and both are the same where the loop is compiled."""
    physics, operations = CASES[case][0](), operations_of(framework.backend)
    template = forces(3)

    def simulate(native: Any) -> Any:
        x = template.with_values(math.reshaped_tensor(native, [*template.values.shape], convert=False))
        flat = [math.pack_dims(leaf, leaf.shape.non_batch, channel("all")) for leaf in trees.leaves(physics.forward(x))]
        return math.concat(flat, "all").native("batch,all")

    def products(x: Any, d: Any, v: Any) -> Any:
        y, push, pull = operations.linearize(simulate, x)
        return y, push(d), pull(v)

    x, d = (framework.backend.as_tensor(forces(seed).values.numpy([*template.values.shape.names])) for seed in (3, 4))
    v = framework.backend.as_tensor(np.random.default_rng(5).normal(size=np.shape(simulate(x))))
    y, pushed, pulled = (np.asarray(part) for part in products(x, d, v))
    compiled = [np.asarray(part) for part in operations.compile(products)(x, d, v)]
    difference = (np.asarray(simulate(x + 1e-5 * d)) - np.asarray(simulate(x - 1e-5 * d))) / 2e-5
    np.testing.assert_allclose(pushed, difference, atol=1e-7 * np.abs(difference).max())
    np.testing.assert_allclose((pushed * np.asarray(v)).sum(), (pulled * np.asarray(d)).sum(), rtol=1e-10)
    for one, other in zip((y, pushed, pulled), compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 * np.abs(one).max())


def test_frameworks_agree(framework, double):
    """With NumPy, to rounding: forces in the plane on a vortex flow."""
    start = periodic(smooth(np.random.default_rng(1), 2, 12, 10))
    with NUMPY:
        values = math.tensor(
            np.random.default_rng(2).normal(size=(2, 12, 10, 3)), batch("batch"), spatial("x,y"), channel("time")
        )
    physics = Control(NavierStokes(0.1, 0.1, 2), start, 3, time_step=0.2)
    found = physics.forward(start.with_values(math.convert(values)))
    alone = Control(physics.physics, trees.to_backend(start, NUMPY), 3, time_step=0.2)
    np.testing.assert_allclose(
        array(found), array(alone.forward(trees.to_backend(start, NUMPY).with_values(values))), atol=1e-10
    )


def test_a_loop_is_traced_once(compiling):
    """To compile 40 steps takes no longer than to compile 4."""

    def traced(steps: int) -> int:
        calls = []

        def step(u: Any) -> Any:
            calls.append(1)
            return u - 0.1 * u**3

        physics = Control(DifferentiablePhysics(step), line(1).values, steps)
        template = forces(3, steps=steps).values

        def simulate(native: Any) -> Any:
            x = math.reshaped_tensor(native, [*template.shape], convert=False)
            return physics.forward(x).native("batch,x")

        native = compiling.backend.as_tensor(template.numpy([*template.shape.names]))
        operations_of(compiling.backend).compile(simulate)(native)
        return len(calls)

    assert traced(4) == traced(40) <= 4


# ------------------------------------------------------------------------------------------------ the closed loop


def towards(state: Any, target: Any, left: Any) -> Any:
    """A policy without a network: a fraction of what is left, more at the end."""
    factor = 0.5 * (1 - left) + 0.1
    return state.with_values((target.values - state.values) * factor)  # Fields round numbers that they are scaled by


@pytest.mark.parametrize("case", ["heat", "fronts", "cost", "one start", "path"])
def test_a_rollout_gives_the_forces_of_its_states(framework, double, case):
    physics, target = CASES[case][0](), line(6)
    if physics.trajectory:
        target = line(6).with_values(math.stack([line(s).values for s in range(STEPS)], channel("time")))
    y_target = physics.as_observation(target)
    found = physics.rollout(towards, y_target)
    state, wanted = physics.start, []
    for t in range(STEPS):
        goal = target.time[t] if physics.trajectory else target
        wanted.append(towards(state, goal, 1 - t / STEPS))
        state = physics.physics.forward(state.with_values(state.values + physics.time_step * wanted[-1].values))
    for t in range(STEPS):
        np.testing.assert_allclose(in_time(found)[:, t], array(wanted[t]), atol=1e-10)
    reached = trees.leaves(physics.forward(found))[0]
    reached = reached.time[-1] if physics.trajectory else reached
    np.testing.assert_allclose(array(reached), array(state), atol=1e-10)


def scaled(net: Any, state: Any, target: Any) -> Any:
    """A network with two channels in and one out."""
    seen = math.stack([state.values, target.values], channel("seen"))
    answer = math.native_call(net, seen, channel_dim="answer")
    return state.with_values(answer["answer", 0] if "answer" in answer.shape else answer)


def network(framework: Any) -> Any:
    return framework.u_net(2, 1, in_spatial=1, batch_norm=False)


def updated(framework: Any, physics: Control, y_target: Any, stop: bool, **options: Any) -> tuple[np.ndarray, Any]:
    """The gradient of the weights, as plain gradient descent with the rate 1 sees it, and what the update did."""
    net = network(framework)
    before = framework.weights(net)

    def predict(y: Any) -> Any:
        return physics.rollout(lambda u, goal, _: scaled(net, u, goal), y, stop_gradients=stop)

    update = sip_update_weights(net, framework.sgd(net, 1.0), physics, y_target, predict=predict, **options)
    after = framework.weights(net)
    return np.concatenate([(a - b).ravel() for a, b in zip(before, after, strict=True)]), update


def forces_after(change: np.ndarray, physics: Control, target: Field, states: list[Field] | None) -> Any:
    """Forces of the network with other weights, on PyTorch: in the closed loop, or at given states."""
    net = network(next(row for row in TABLE if row.name == "torch"))
    moved = torch.nn.utils.parameters_to_vector(net.parameters()) + torch.tensor(change, dtype=torch.float32)
    torch.nn.utils.vector_to_parameters(moved, net.parameters())
    with torch.no_grad():
        if states is None:
            return physics.rollout(lambda u, goal, _: scaled(net, u, goal), target)
        answers = [scaled(net, state, target).values for state in states]
        return target.with_values(math.stack(answers, channel("time")))


@pytest.mark.parametrize("stop", [False, True], ids=["through the states", "stopped"])
@pytest.mark.parametrize("solver", [None, "gradient"], ids=["SIP", "DP"])
def test_the_gradient_through_the_states(on_torch, solver, stop):
    """
    Against differences along the gradient: of the proxy loss ½ ‖f(θ) − x̃‖² with the states that the weights bring
    about, or as they were where gradients are stopped. For DP through the states it is backpropagation through time,
    the derivative of ½ ‖y(θ) − y*‖².
    """
    torch_row = next(row for row in TABLE if row.name == "torch")
    physics, target = Control(FRONTS, line(1), STEPS, time_step=0.2), line(6)
    gradient, update = updated(torch_row, physics, target, stop, solver=solver)
    states = [physics.start]
    for t in range(STEPS - 1):
        states.append(FRONTS.forward(states[-1] + 0.2 * update.x.time[t]))

    def loss(length: float) -> float:
        x = forces_after(length * gradient, physics, target, states if stop else None)
        if solver == "gradient" and not stop:
            return float(trees.l2_loss(trees.subtract(physics.forward(x), target)).sum)
        return float(trees.l2_loss(trees.subtract(x, update.x_target)).sum)

    step = 1e-2 / np.linalg.norm(gradient)
    assert (loss(step) - loss(-step)) / (2 * step) == pytest.approx(float(gradient @ gradient), rel=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [False, True])
def test_updates_are_the_same_compiled(compiling, stop):
    """With the loop of the network, which is traced once."""
    physics, target = Control(FRONTS, line(1), STEPS, 1e-2, time_step=0.2), line(6)
    y_target = physics.as_observation(target)
    found = [updated(compiling, physics, y_target, stop, compile=way)[0] for way in (False, True)]
    np.testing.assert_allclose(*found, atol=2e-4 * np.abs(found[0]).max())


@ALIKE
def test_starts_are_divided_with_the_batch(framework):
    """Micro-batches; the forces of each sample begin at its own start."""
    physics, target = Control(FRONTS, line(1, 4), STEPS), line(6, 4)
    weights = []
    for parts in (1, 2):
        net = framework.u_net(1, STEPS, in_spatial=1, batch_norm=False)

        def predict(y: Any, net: Any = net) -> Any:
            answer = math.native_call(net, y.values, channel_dim="time")
            return y.with_values(answer)

        sip_update_weights(net, framework.sgd(net, 1e-2), physics, target, predict=predict, micro_batches=parts)
        weights.append(framework.weights(net))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


# ------------------------------------------------------------------------------------------------ forms and mistakes


@ALIKE
def test_forces_of_any_form(framework, double):
    """One amplitude for each step; Levenberg–Marquardt reaches what they reach."""
    shape = line(7).values

    def push(state: Any, force: Any) -> Any:
        return state + force * shape

    physics = Control(FRONTS, line(1), 3, act=push)
    truth = math.tensor([[1.0, -0.5, 0.2], [0.3, 0.0, -1.0]], batch("batch"), channel("time"))
    assert not physics.is_linear
    target = physics.forward(truth)
    found = sip_inverse(physics, target, truth * 0, solver=LevenbergMarquardt(iterations=40, tolerance=1e-6))
    np.testing.assert_allclose(array(physics.forward(found.x_target)), array(target), atol=1e-4)
    assert np.abs(array(found.residual)).max() > 0.1
    with pytest.raises(UnsupportedError, match="form of the forces"):
        physics.initial_state(line(6))


def test_it_is_registered():
    physics = get_physics("control", physics=HEAT, start=line(1), steps=3)
    assert isinstance(physics, Control)
    assert dataclasses.replace(physics, steps=4).initial_state(line(2)).values.shape.get_size("time") == 4


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"physics": "heat"}, UnsupportedError, "physics is a str"),
        ({"start": "u"}, UnsupportedError, "not a state"),
        ({"start": forces(1)}, GridMismatchError, "'time' is the dim"),
        ({"start": line(1) * np.nan}, NonFiniteError, "start"),
        ({"steps": 0}, ParameterError, "steps"),
        ({"cost": -1.0}, ParameterError, "cost"),
        ({"time_step": 0.0}, ParameterError, "time_step"),
        ({"act": 1}, UnsupportedError, "act is a int"),
        ({"act": walls, "time_step": 0.5}, ParameterError, "time_step has no effect"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        Control(**{"physics": HEAT, "start": line(1), "steps": 3, **arguments})


@pytest.mark.parametrize("x", [line(1), forces(1, steps=STEPS + 1)])
def test_forces_of_other_steps(x):
    with pytest.raises(GridMismatchError, match=f"there are {STEPS} forces"):
        Control(HEAT, line(1), STEPS).forward(x)


def test_a_policy_that_answers_something_else():
    physics = Control(HEAT, line(1), STEPS)

    def two(state: Any, target: Any, left: Any) -> Any:
        return math.stack([state.values, target.values], channel("out"))

    with pytest.raises(NetworkOutputError, match="outᶜ=2"):
        physics.rollout(two, line(6))


def test_evolutions_step_by_step(framework, double):
    """One step of many as the process: a function of state and dt."""
    process = Evolution(lambda u, dt: u - dt * u**3, 0.1, 2)
    physics = Control(process, line(1).values, 3)
    x = forces(3, steps=3).values
    math.assert_close(physics.forward(x), written_out(physics, x), rel_tolerance=1e-10, abs_tolerance=1e-10)


# ------------------------------------------------------------------------------------------------ long horizons


class Oscillating(torch.nn.Module):
    """A network with sines: bounded answers, steep everywhere, so that its answers to its own actions are chaotic."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Conv1d(2, 8, 3, padding=1), torch.nn.Conv1d(8, 1, 3, padding=1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.last(torch.sin(60 * self.first(values)))


@pytest.mark.slow
def test_a_horizon_at_which_the_gradient_of_phiflow_is_not_finite_trains(on_torch):
    """
    64 steps of PhiFlow's diffusion with a network in the loop. All states are bounded, but the derivative through the
    loop grows some sixfold with each step and overflows: PhiFlow's own update leaves NaN behind, DP is refused and
    changes nothing, clipped or not. With gradients stopped between the steps SIP lowers the error.
    """

    def step(u: Field) -> Field:
        return diffuse.explicit(u, 0.2, 1.0)

    with math.precision(32):
        start, target = (trees.cast(line(seed), 32) for seed in (1, 6))
        physics = Control(DifferentiablePhysics(step), start, 64)

        def updated_weights(update: Any) -> tuple[list[np.ndarray], Any]:
            net = Oscillating()
            made = update(net, torch.optim.Adam(net.parameters(), 1e-3))
            return [p.detach().numpy().copy() for p in net.parameters()], made

        def answer(net: Any, y: Field, stop: bool = False) -> Field:
            return physics.rollout(lambda u, goal, _: scaled(net, u, goal), y, stop_gradients=stop)

        def by_phiflow(net: Any, optimizer: Any) -> Any:
            return nn.update_weights(
                net, optimizer, lambda: field.l2_loss(physics.forward(answer(net, target)) - target)
            )

        def by_dp(net: Any, optimizer: Any) -> None:
            for options in ({}, {"clip_norm": 1.0}):
                with pytest.raises(NonFiniteError, match="gradient of the weights"):
                    sip_update_weights(
                        net, optimizer, physics, target, predict=lambda y: answer(net, y), solver="gradient", **options
                    )

        def by_sip(net: Any, optimizer: Any) -> list[float]:
            return [
                float(
                    sip_update_weights(
                        net, optimizer, physics, target, predict=lambda y: answer(net, y, True), clip_norm=1.0
                    ).y_l2.mean
                )
                for _ in range(12)
            ]

        before = [p.detach().numpy() for p in Oscillating().parameters()]
        weights, loss = updated_weights(by_phiflow)
        assert np.isfinite(float(loss.sum))
        assert not all(np.isfinite(w).all() for w in weights)
        for a, b in zip(updated_weights(by_dp)[0], before, strict=True):
            np.testing.assert_array_equal(a, b)
        weights, losses = updated_weights(by_sip)
        assert all(np.isfinite(w).all() for w in weights)
        assert np.mean(losses[-3:]) < np.mean(losses[:3])


def swapped(u: Field) -> Field:
    """A step after which the other boundary holds."""
    other = 0 if u.boundary == extrapolation.PERIODIC else extrapolation.PERIODIC
    return CenteredGrid(u.values, other, bounds=u.bounds, resolution=u.resolution) + 0.1 * field.laplace(u).values


def widened(u: Field) -> Field:
    """A step after which the cells are larger."""
    wide = CenteredGrid(u.values, u.boundary, bounds=u.bounds.scaled(1.1), resolution=u.resolution)
    return wide + 0.1 * field.laplace(u).values


@pytest.mark.slow_on("tensorflow")
@pytest.mark.parametrize("step", [swapped, widened], ids=["boundary", "bounds"])
def test_steps_that_change_grid_or_boundary(framework, double, step):
    physics = Control(DifferentiablePhysics(step), line(1), 4, act=lambda u, f: u.with_values(u.values + f))
    no_force = math.zeros(line(1).values.shape, channel(time=4))
    expected = line(1)
    for _ in range(4):
        expected = step(expected)
    run = math.jit_compile if framework.name != "torch" else lambda function: function
    found = run(lambda f: physics.forward(f).values)(math.convert(no_force, framework.backend))
    np.testing.assert_allclose(array(line(1).with_values(found)), array(expected), rtol=1e-10, atol=1e-12)
    reached = physics.forward(no_force)
    assert reached.boundary == expected.boundary
    assert float(reached.dx.mean) == pytest.approx(float(expected.dx.mean))
    with pytest.raises(GridMismatchError, match="from step to step"):
        dataclasses.replace(physics, trajectory=True).forward(no_force)
