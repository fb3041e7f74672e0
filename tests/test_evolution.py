"""Physics that advance in time: reversibility, conserved quantities, known solutions, orders of convergence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fields import array, grid, periodic, smooth
from phi import field
from phi.field import Field
from phiml import math
from phiml.math import batch, extrapolation, spatial

from phi_sip import (
    BoundaryError,
    Burgers,
    Composite,
    Evolution,
    HeatEquation,
    IncompressibleFlow,
    NonFiniteError,
    ParameterError,
    TimeReversal,
    UnsupportedError,
    Wave,
    get_physics,
    sip_inverse,
)
from phi_sip.solvers.gradient import GradientSolver
from phi_sip.spectral.derivatives import PeriodicDerivatives
from phi_sip.spectral.vorticity import VorticityTransport

LENGTH = 2 * np.pi
BOUNDARIES = {"periodic": extrapolation.PERIODIC, "insulated": extrapolation.ZERO_GRADIENT, "fixed": 0, "value": 2.0}


def waves(*shape: int, boundary=extrapolation.PERIODIC) -> tuple[Field, Field]:
    rng = np.random.default_rng(0)
    return tuple(grid(smooth(rng, *shape), None, boundary) for _ in range(2))


def line(values: np.ndarray) -> Field:
    """One periodic sample on [0, 2π)."""
    return periodic(values[None], dx=(LENGTH / len(values),))


def centers(n: int) -> np.ndarray:
    return (np.arange(n) + 0.5) * LENGTH / n


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def orders(errors: list[float]) -> np.ndarray:
    return np.log2(np.array(errors[:-1]) / errors[1:])


# Properties of the scheme, over many steps: that all frameworks make the same steps, the others show.
ALIKE = pytest.mark.slow_on("tensorflow", "jax")


# Wave


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_waves_run_back_to_rounding(framework, double, boundary):
    x, physics = waves(2, 12, 10, boundary=BOUNDARIES[boundary]), Wave(1.0, 0.5, 40)
    for back, start in zip(physics.backward(physics.forward(x)), x, strict=True):
        assert np.abs(array(back) - array(start)).max() < 1e-12


@ALIKE
@pytest.mark.parametrize("solver", [None, "time-reversal"])
def test_wave_inverse_is_exact_from_anywhere(framework, double, solver):
    x, guess = waves(2, 12, 10), tuple(u * 0 + 3.0 for u in waves(2, 12, 10))
    step = sip_inverse(Wave(1.0, 0.5, 40), Wave(1.0, 0.5, 40).forward(x), guess, solver=solver)
    for found, true in zip(step.x_target, x, strict=True):
        assert np.abs(array(found) - array(true)).max() < 1e-12


@ALIKE
def test_plane_wave_converges_with_second_order(framework, double):
    """u = cos(k·x − ωt), ω = c |k|; cells and time steps are halved together."""
    errors = []
    for n in (16, 32, 64):
        x, y = np.meshgrid(centers(n), centers(n), indexing="ij")
        omega, time = 0.7 * np.hypot(1, 2), 3.0

        def state(t: float, phase=x + 2 * y, n=n, omega=omega) -> tuple[Field, Field]:
            dx = (LENGTH / n,) * 2
            u, v = np.cos(phase - omega * t), omega * np.sin(phase - omega * t)
            return periodic(u[None], dx=dx), periodic(v[None], dx=dx)

        end = Wave(0.7, time / (2 * n), 2 * n).forward(state(0.0))
        errors.append(relative(array(end[0]), array(state(time)[0])))
    assert errors[-1] < 2e-2
    assert np.all(np.abs(orders(errors) - 2) < 0.2)


@ALIKE
def test_wave_energy_does_not_drift(framework, double):
    def energy(state: tuple[Field, Field]) -> np.ndarray:
        u, v = (array(s) for s in state)
        slopes = sum((np.roll(u, -1, axis) - u) ** 2 for axis in (1, 2))
        return (v**2 + slopes).sum((1, 2))

    state = waves(2, 12, 10)
    start, energies = energy(state), []
    for _ in range(10):
        state = Wave(1.0, 0.1, 20).forward(state)
        energies.append(energy(state) / start - 1)
    assert np.abs(energies).max() < 5e-3
    assert np.abs(np.mean(energies[5:]) - np.mean(energies[:5])) < 2e-3


def test_wave_that_violates_cfl_is_refused():
    with pytest.raises(ParameterError, match=r"1\.06 > 1.*smaller time_step"):
        Wave(1.0, 0.75, 1).forward(waves(2, 8, 8))
    with pytest.raises(UnsupportedError, match="pairs"):
        Wave(1.0, 0.5, 1).forward(waves(2, 8, 8)[0])


# Burgers


def cole_hopf(x: np.ndarray, t: float, viscosity: float) -> np.ndarray:
    """u = −2 ν φ_x / φ with a solution φ of the heat equation."""
    phi, slope = 1.0, 0.0
    for k, amplitude in ((1, 0.5), (2, 0.3)):
        decayed = amplitude * np.exp(-viscosity * k**2 * t)
        phi, slope = phi + decayed * np.cos(k * x), slope - decayed * k * np.sin(k * x)
    return -2 * viscosity * slope / phi


def test_burgers_meets_cole_hopf_with_fourth_order(framework, double):
    x = centers(64)
    errors = [
        relative(array(Burgers(0.5, 1 / n, n).forward(line(cole_hopf(x, 0, 0.5))))[0], cole_hopf(x, 1.0, 0.5))
        for n in (8, 16, 32)
    ]
    assert errors[-1] < 1e-7
    assert np.all(orders(errors) > 3.5)


def test_burgers_along_a_diagonal_is_burgers_in_one_dimension(framework, double):
    """u = (w, w) / 2 with w(x + y) solves the equation if w_t + w w_s = 2 ν w_ss."""
    n, viscosity = 32, 0.25
    x, y = np.meshgrid(centers(n), centers(n), indexing="ij")
    start, end = (cole_hopf(x + y, t, 2 * viscosity) / 2 for t in (0.0, 1.0))
    u = periodic(np.stack([start, start], -1)[None], dx=(LENGTH / n,) * 2, vector=True)
    found = array(Burgers(viscosity, 0.05, 20).forward(u))[0]
    assert np.abs(found - np.stack([end, end], -1)).max() < 1e-4


def test_burgers_conserves_momentum_in_one_dimension(framework, double):
    x = periodic(1 + smooth(np.random.default_rng(0), 2, 24))
    y = Burgers(0.1, 0.1, 10).forward(x)
    assert np.allclose(array(y).mean(1), array(x).mean(1), atol=1e-13)
    assert np.ptp(array(y)) < np.ptp(array(x))


def test_burgers_refuses_what_it_cannot_do():
    u = periodic(smooth(np.random.default_rng(0), 2, 12, 12))
    with pytest.raises(ParameterError, match="crosses the grid that often in one step"):
        Burgers(0.1, 1.0, 1).forward(line(cole_hopf(centers(64), 0, 0.5)) * 1000)
    with pytest.raises(UnsupportedError, match="one component per axis"):
        Burgers(0.1, 0.1, 1).forward(u)
    with pytest.raises(BoundaryError, match="PERIODIC"):
        Burgers(0.1, 0.1, 1).forward(grid(smooth(np.random.default_rng(0), 2, 12), None, 0))
    with pytest.raises(UnsupportedError, match="backwards"):
        TimeReversal().solve(Burgers(0.1, 0.1, 1), u, u, u)


# Incompressible flow


def swirl(n: int, samples: int = 2, seed: int = 0) -> Field:
    """Divergence-free velocities of root mean square 1 with structures half the box long."""
    k = np.fft.fftfreq(n, 1 / n)
    spectrum = np.exp(-(k[:, None] ** 2 + k**2) / 4)
    noise = np.random.default_rng(seed).standard_normal((samples, n, n, 2))
    values = np.fft.ifft2(np.fft.fft2(noise, axes=(1, 2)) * spectrum[..., None], axes=(1, 2)).real
    u = periodic(values, vector=True)
    u = u.with_values(VorticityTransport(PeriodicDerivatives(u)).project(u.values))
    return u / math.sqrt(2 * math.mean(u.values**2, "x,y,vector"))


def markers(n: int, samples: int = 2) -> math.Tensor:
    k = np.fft.fftfreq(n, 1 / n)
    noise = np.random.default_rng(9).standard_normal((samples, n, n))
    values = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-(k[:, None] ** 2 + k**2) / 18)).real * n / 3
    return math.tensor(values, batch("batch"), spatial("x,y"))


def test_cellular_flow_is_steady_and_carries_the_marker_along_its_streamlines(framework, double):
    """ψ = sin x sin y is a steady solution: u stays, and a marker f(ψ) with it."""
    n = 32
    x, y = np.meshgrid(centers(n), centers(n), indexing="ij")
    u = np.stack([np.sin(x) * np.cos(y), -np.cos(x) * np.sin(y)], -1)[None]
    psi = math.tensor((np.sin(x) * np.sin(y))[None], batch("batch"), spatial("x,y"))
    physics = IncompressibleFlow(psi, 0.1, 10)
    end = physics.forward(periodic(u, dx=(LENGTH / n,) * 2, vector=True))
    assert np.abs(array(end) - array(psi)).max() < 1e-12


def test_uniform_flow_translates_the_marker(framework, double):
    marker = markers(16)
    u = periodic(np.ones((2, 16, 16, 2)) * [2.0, -1.0], vector=True)
    end = array(IncompressibleFlow(marker, 0.025, 40).forward(u))
    low = VorticityTransport(PeriodicDerivatives(u))
    smooth_marker = array(low.space.basis.inverse(low.space.basis.transform(marker) * low.space.resolved))
    expected = np.roll(smooth_marker, (2, -1), (1, 2)) + array(marker) - smooth_marker
    assert np.abs(end - expected).max() < 1e-4


def test_flow_conserves_energy_and_runs_back_with_fourth_order(framework, double):
    u, marker = swirl(16), markers(16)
    transport = VorticityTransport(PeriodicDerivatives(u))
    mean, start = transport.encode(u.values, marker)
    drifts, errors = [], []
    for n in (8, 16, 32):
        end = transport.run(mean, start, 2 / n, n)
        back = transport.run(mean, end, -2 / n, n)
        velocity = transport.velocity(mean, end.quantity[0])
        drifts.append(abs(float(math.l2_loss(velocity).mean / math.l2_loss(u.values).mean) - 1))
        errors.append(float(math.max(abs(back - start), back.shape)))
    assert drifts[-1] < 1e-7
    assert np.all(orders(drifts) > 3.5)
    assert np.all(orders(errors) > 3.5)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_flow_inverse_explains_a_small_error_almost_exactly(framework, double):
    x, physics = swirl(16), IncompressibleFlow(markers(16), 0.2, 10)
    guess = x * 0.9
    step = sip_inverse(physics, physics.forward(x), guess)
    assert relative(array(physics.forward(step.x_target)), array(physics.forward(x))) < 0.2 * relative(
        array(physics.forward(guess)), array(physics.forward(x))
    )
    assert relative(array(step.x_target), array(x)) < 0.5 * 0.1
    divergence = math.sum(
        PeriodicDerivatives(x).wavevector
        * math.rename_dims(_coefficients(step.dx), "vector", PeriodicDerivatives(x).wavevector.shape["derivative"]),
        "derivative",
    )
    assert float(math.max(abs(divergence), divergence.shape)) < 1e-12


def _coefficients(u: Field) -> math.Tensor:
    return PeriodicDerivatives(u).basis.transform(u.values)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_flow_inverse_does_not_depend_on_the_unit_of_the_marker(framework, factor):
    """In single precision, whose rounding the reverse simulation and the conjugate gradients amplify."""
    x = swirl(16)
    x = x.with_values(math.to_float(x.values))
    steps = []
    for unit in (1.0, factor):
        physics = IncompressibleFlow(math.to_float(markers(16)) * unit, 0.2, 4)
        steps.append(array(sip_inverse(physics, physics.forward(x), x * 0.7).dx))
    assert relative(*steps) < 1e-3


@ALIKE
def test_flow_inverse_descends_for_every_sample_where_the_marker_moves_by_its_structures(framework, double):
    x, physics = swirl(16, 16), IncompressibleFlow(markers(16, 16), 0.2, 10)
    y_target = physics.forward(x)
    for guess in (x * 0, x * 0.5, x + swirl(16, 16, seed=1) * 0.3):
        y = physics.forward(guess)
        step = physics.inverse(y_target, guess, y)
        descent = GradientSolver().solve(physics, y_target, guess, y)
        product = math.sum((step.dx * descent.dx).values, "x,y,vector")
        assert float(math.min(product, product.shape)) > 0


def test_flow_refuses_what_it_cannot_do():
    u = swirl(16)
    with pytest.raises(ParameterError, match="Make them even"):
        IncompressibleFlow(markers(16), 0.2, 5)
    with pytest.raises(UnsupportedError, match="scalar Field or Tensor"):
        IncompressibleFlow(u, 0.2, 4)
    with pytest.raises(UnsupportedError, match="same grid"):
        IncompressibleFlow(markers(8), 0.2, 4).forward(u)
    with pytest.raises(ParameterError, match="no state that can be simulated"):
        IncompressibleFlow(markers(16), 5e3, 4).forward(u)
    with pytest.raises(BoundaryError, match="PERIODIC"):
        IncompressibleFlow(markers(16), 0.2, 4).forward(u.with_boundary(0))


# Evolution and time reversal


def rotate(u: Field, dt: float) -> Field:
    """Translation by dt cells, through Fourier space: what can be undone."""
    space = PeriodicDerivatives(u)
    shift = math.exp(-space.nabla.derivative["x"] * dt)
    return u.with_values(space.basis.inverse(space.basis.transform(u.values) * shift))


def diffuse(u: Field, dt: float) -> Field:
    return u + 0.1 * dt * field.laplace(u)


def test_evolution_is_the_repeated_step(framework, double):
    x = periodic(smooth(np.random.default_rng(0), 2, 12, 9))
    y = Evolution(diffuse, 0.5, 3).forward(x)
    assert np.allclose(array(y), array(diffuse(diffuse(diffuse(x, 0.5), 0.5), 0.5)), atol=1e-14)


def test_time_reversal_reports_as_numerical_solvers_do(framework, double):
    x = periodic(smooth(np.random.default_rng(0), 3, 12, 9))
    physics = Evolution(rotate, 0.3, 5)
    step = sip_inverse(physics, physics.forward(x), x * 0.5, solver="time-reversal")
    assert np.abs(array(step.x_target) - array(x)).max() < 1e-12
    assert set(step.stats) == {"iterations", "objective", "converged", "simulations"}
    for value in step.stats.values():
        assert set(value.shape.names) <= {"batch"}
    assert step.stats["objective"].max < 1e-20
    assert step.stats["converged"].all


def test_time_reversal_rests_at_a_solution_that_it_cannot_undo(framework, double):
    x = periodic(smooth(np.random.default_rng(0), 2, 12, 9))
    physics = Evolution(diffuse, 0.5, 3)
    step = sip_inverse(physics, physics.forward(x), x, solver="time-reversal")
    assert np.abs(array(step.dx)).max() == 0
    closer = sip_inverse(physics, physics.forward(x), x * 0.5, solver="time-reversal")
    assert closer.stats["converged"].all


def test_time_reversal_of_diffusion_overflows_with_an_error():
    x = periodic(smooth(np.random.default_rng(0), 2, 12, 9))
    physics = Evolution(lambda u, dt: u * math.exp(-dt), 100.0, 8)
    with math.precision(64), pytest.raises(NonFiniteError):
        sip_inverse(physics, x, x, solver="time-reversal")


@pytest.mark.parametrize("make", [lambda **o: Evolution(diffuse, **o), lambda **o: Wave(1.0, **o)])
@pytest.mark.parametrize("options", [{"time_step": 0.0, "steps": 1}, {"time_step": 0.1, "steps": 0}])
def test_time_steps_are_checked(make: Callable, options):
    with pytest.raises(ParameterError, match=r"time_step|steps"):
        make(**options)


def test_evolution_needs_a_function():
    with pytest.raises(UnsupportedError, match="step is a str"):
        Evolution("euler", 0.1, 2)


# Composite


def test_composite_is_the_chain(framework, double):
    x = periodic(1 + smooth(np.random.default_rng(0), 2, 12, 9))
    first, second = Evolution(rotate, 0.3, 5), HeatEquation(0.1, 1.0, 0.0)
    chain = Composite(first, second)
    assert np.array_equal(array(chain.forward(x)), array(second.forward(first.forward(x))))
    assert not chain.is_linear
    assert Composite(second, second).is_linear


@ALIKE
def test_composite_of_exact_inverses_is_exact(framework, double):
    x = waves(2, 12, 10)
    physics = Composite(Wave(1.0, 0.5, 8), Wave(0.5, 0.5, 8), Wave(1.0, 0.1, 8))
    step = sip_inverse(physics, physics.forward(x), tuple(u * 0 for u in x))
    for found, true in zip(step.x_target, x, strict=True):
        assert np.abs(array(found) - array(true)).max() < 1e-12


def test_composite_of_heat_inverts_as_heat_for_the_whole_time(framework, double):
    x = periodic(1 + smooth(np.random.default_rng(0), 2, 12, 9))
    twice, once = Composite(HeatEquation(0.05, 0.5, 0.0), HeatEquation(0.05, 0.5, 0.0)), HeatEquation(0.05, 1.0, 0.0)
    y_target = once.forward(x)
    steps = [sip_inverse(physics, y_target, x * 0).dx for physics in (twice, once)]
    assert relative(array(steps[0]), array(steps[1])) < 1e-6
    assert len(sip_inverse(twice, y_target, x * 0).stats["stages"]) == 2


def test_composite_is_made_by_name_and_checked():
    heat = HeatEquation(0.1, 1.0)
    assert get_physics("composite", stages=[heat, heat]).stages == Composite(heat, heat).stages
    with pytest.raises(ParameterError, match="at least one"):
        Composite()
    with pytest.raises(UnsupportedError, match="Evolution"):
        Composite(heat, diffuse)
