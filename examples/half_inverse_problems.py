"""
The three problems of the paper on half-inverse gradients (arXiv 2203.10131, section 4), in PyTorch: nonlinear
oscillators, Poisson's equation and the quantum dipole, with its networks, batches and truncations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from equal_time import Method, Problem, Sample
from phiml import math
from phiml.math import Tensor, batch, channel, spatial

from phi_sip import Correction, HalfInverse, InvertiblePhysics

VECTOR = "vector"
RATES = (1e-3, 3e-3, 1e-2, 3e-2)


@dataclass(frozen=True, eq=False)
class NonlinearOscillators(InvertiblePhysics):
    """
    y = (q, q̇) at the time T of N unit masses on springs, with cubic springs between neighbours and a force on the last
    one, which is the unknown x:

        q̈ᵢ = −qᵢ + (qᵢ₊₁ − qᵢ)³ − (qᵢ − qᵢ₋₁)³ + 3 x(t) δᵢₙ

    by the classical Runge–Kutta method of fourth order.

    Args:
        start: (q, q̇) at t = 0, a tensor with a batch dim and the channel dim `vector` of size 2 N.
        steps: Time steps, in each of which the force is constant.
        time_step: Its length, in units of 1 / √(spring constant).
    """

    name: ClassVar[str] = "nonlinear-oscillators"

    start: Tensor
    steps: int = 96
    time_step: float = 0.125

    def forward(self, x: Tensor) -> Tensor:
        dims = x.shape.batch
        forces = math.reshaped_native(x, [dims, "time"])
        state = math.reshaped_native(self.start, [dims, VECTOR], force_expand=True).to(forces)
        masses, dt = state.shape[1] // 2, self.time_step
        linear, cubic, last = (torch.as_tensor(m).to(forces) for m in _oscillator_matrices(masses))
        pushes = 3 * forces[:, :, None] * last

        def rate(s: torch.Tensor, push: torch.Tensor) -> torch.Tensor:
            moved = s @ linear
            return moved[:, : 2 * masses] + (moved[:, 2 * masses :] ** 3) @ cubic + push

        for step in range(self.steps):
            push = pushes[:, step]
            a = rate(state, push)
            b = rate(state + dt / 2 * a, push)
            c = rate(state + dt / 2 * b, push)
            d = rate(state + dt * c, push)
            state = state + dt / 6 * (a + 2 * b + 2 * c + d)
        return math.reshaped_tensor(state, [dims, channel(VECTOR)], convert=False)

    def initial_state(self, y_target: Tensor) -> Tensor:
        """No force."""
        return math.zeros(y_target.shape.batch, channel(time=self.steps), dtype=y_target.dtype)


def _oscillator_matrices(masses: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    What multiplies (q, q̇) from the right: its linear change beside the lengths of the springs after and before each
    mass; what these become, cubed; and the direction of the force.
    """
    identity, zero = np.eye(masses), np.zeros((masses, masses))
    after, before = np.eye(masses, k=1) - identity, np.eye(masses, k=-1) - identity
    after[-1] = before[0] = 0
    linear = np.block([[zero, -identity, after.T, before.T], [identity, zero, zero, zero]])
    cubic = np.block([[zero, identity], [zero, identity]])
    return linear, cubic, np.eye(2 * masses)[-1]


@dataclass(frozen=True)
class Laplace(InvertiblePhysics):
    """
    y = ∇²x on cells of size 1, five-point stencil, x = 0 around them: networks that invert it solve Poisson's equation.

    Args:
        cells: Along each of the axes x and y.
    """

    name: ClassVar[str] = "laplace"

    cells: int = 8

    @property
    def is_linear(self) -> bool:
        return True

    def forward(self, x: Tensor) -> Tensor:
        return self._apply(self.matrix(), x)

    def inverse(self, y_target: Tensor, x: Tensor, y: Tensor) -> Correction:
        return Correction(self._apply(np.linalg.inv(self.matrix()), y_target - y))

    def matrix(self) -> np.ndarray:
        n = self.cells
        second = np.eye(n, k=1) + np.eye(n, k=-1) - 2 * np.eye(n)
        return np.kron(second, np.eye(n)) + np.kron(np.eye(n), second)

    def _apply(self, matrix: np.ndarray, x: Tensor) -> Tensor:
        dims = x.shape.batch
        values = math.reshaped_native(x, [dims, "x,y"])
        product = (values @ torch.as_tensor(matrix).to(values)).reshape(-1, self.cells, self.cells)
        return math.reshaped_tensor(product, [dims, spatial("x"), spatial("y")], convert=False)


@dataclass(frozen=True, eq=False)
class QuantumDipole(InvertiblePhysics):
    """
    y = ψ(T), real and imaginary parts, of a particle in a box of length 2 that a field drives, which is the unknown x:

        i ∂ψ/∂t = (−∂²/∂r² + x(t) r) ψ,   ψ = 0 at r = 0 and 2,   ψ(0) the ground state

    by Strang splitting in the sine modes of the box, which conserves the norm. ψ is turned by the phase that brings it
    nearest to y*: no other observable depends on it, and ½ ‖y − y*‖² = 1 − |⟨y*, ψ⟩|.

    Args:
        target: y*, for the phase: a tensor with a batch dim and the channel dim `vector`, all real parts, then all
            imaginary ones, at `points` places.
        points: Inner points of the box.
        steps: Time steps, in each of which the field is constant.
        time_step: Its length.
    """

    name: ClassVar[str] = "quantum-dipole"

    target: Tensor
    points: int = 14
    steps: int = 384
    time_step: float = 0.05

    def forward(self, x: Tensor) -> Tensor:
        dims, n = x.shape.batch, self.points
        fields = math.reshaped_native(x, [dims, "time"])
        modes, energies = sine_modes(n), (np.arange(1, n + 1) * np.pi / 2) ** 2
        kind = torch.complex(fields[:1, :1], fields[:1, :1]).dtype
        free, half = (
            torch.as_tensor(modes @ np.diag(np.exp(-1j * energies * time)) @ modes.T).to(kind)
            for time in (self.time_step, self.time_step / 2)
        )
        places = torch.as_tensor(np.arange(1, n + 1) * 2 / (n + 1)).to(fields)
        angles = -self.time_step * fields[:, :, None] * places
        kicks = torch.polar(torch.ones_like(angles), angles)
        state = torch.as_tensor(modes[:, 0]).to(kind)  # the first half of a free step turns its phase only
        for step in range(self.steps):
            state = (state * kicks[:, step]) @ (free if step < self.steps - 1 else half)
        target = math.reshaped_native(self.target, [dims, VECTOR], force_expand=True).to(fields)
        overlap = (torch.complex(target[:, :n], -target[:, n:]) * state).sum(1, keepdim=True)
        state = state * torch.polar(torch.ones_like(overlap.real), -torch.angle(overlap))
        values = torch.cat([state.real, state.imag], 1)
        return math.reshaped_tensor(values, [dims, channel(VECTOR)], convert=False)

    def initial_state(self, y_target: Tensor) -> Tensor:
        """A weak field in resonance with the transitions from the first to the second state, and on to the third."""
        times = (np.arange(self.steps) + 0.5) * self.time_step
        resonant = 0.1 * (np.cos(3 * (np.pi / 2) ** 2 * times) + np.cos(5 * (np.pi / 2) ** 2 * times))
        wave = math.reshaped_tensor(torch.as_tensor(resonant), [channel("time")], convert=False)
        return math.expand(math.cast(wave, y_target.dtype), y_target.shape.batch)


def sine_modes(points: int) -> np.ndarray:
    """The orthonormal modes of the box in columns, from the ground state on."""
    index = np.arange(1, points + 1)
    return np.sqrt(2 / (points + 1)) * np.sin(np.pi * np.outer(index, index) / (points + 1))


def oscillator_sample(seed: int, step: int, samples: int) -> Sample:
    """States at random, to which the oscillators are to return; no force is the true one."""
    y_target = _tensor(np.random.default_rng([seed, step]).random((samples, 4)), channel(VECTOR))
    return Sample(NonlinearOscillators(y_target), y_target, None)


def poisson_sample(seed: int, step: int, samples: int) -> Sample:
    """Smooth random fields."""
    physics = Laplace()
    noise = np.random.default_rng([seed, step]).normal(size=(samples, physics.cells, physics.cells))
    modes = sine_modes(physics.cells)
    squares = np.arange(1, physics.cells + 1) ** 2
    x = modes @ (modes.T @ noise @ modes * 5 / (squares[:, None] + squares)) @ modes.T
    x = _tensor(x, spatial("x"), spatial("y"))
    return Sample(physics, physics.forward(x), x)


def dipole_sample(seed: int, step: int, samples: int) -> Sample:
    """Real superpositions of the second and the third state of the box; no field is the true one."""
    weights = np.random.default_rng([seed, step]).normal(size=(samples, 2))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    state = weights @ sine_modes(QuantumDipole.points)[:, 1:3].T
    y_target = _tensor(np.concatenate([state, 0 * state], 1), channel(VECTOR))
    return Sample(QuantumDipole(y_target), y_target, None)


def _tensor(values: np.ndarray, *dims: Any) -> Tensor:
    """Returns a tensor in single precision, whatever PhiFlow's is."""
    native = torch.as_tensor(np.asarray(values, np.float32))
    return math.reshaped_tensor(native, [batch("batch"), *dims], convert=False)


def dense_network(sizes: Sequence[int], activation: type[torch.nn.Module], seed: int) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    between = [part for layer in layers[:-1] for part in (layer, activation())]
    return torch.nn.Sequential(*between, layers[-1])


def predict_signal(net: Any, y: Tensor) -> Tensor:
    """x(t), from the state that is to be reached."""
    values = net(math.reshaped_native(y, [y.shape.batch, VECTOR]).float())
    return math.reshaped_tensor(values, [y.shape.batch, channel("time")], convert=False)


def predict_field(net: Any, y: Tensor) -> Tensor:
    values = net(math.reshaped_native(y, [y.shape.batch, "x,y"]).float())
    sizes = y.shape["x"].size, y.shape["y"].size
    return math.reshaped_tensor(values.reshape(-1, *sizes), [y.shape.batch, spatial("x"), spatial("y")], convert=False)


def methods(rates: Sequence[float], truncation: float, adam: Sequence[float] = RATES) -> dict[str, Method]:
    """HIG by gradient descent, and DP and SIP by Adam."""
    return {
        "HIG, SGD": Method(torch.optim.SGD, rates, {"targets": HalfInverse(truncation=truncation)}),
        "DP, Adam": Method(torch.optim.Adam, adam, {"solver": "gradient"}),
        "SIP, Adam": Method(torch.optim.Adam, adam, by_inverse=True),
    }


PROBLEMS = {
    "nonlinear oscillators": Problem(
        oscillator_sample,
        lambda seed: dense_network((4, 20, 20, 20, NonlinearOscillators.steps), torch.nn.ReLU, seed),
        predict_signal,
        methods((5e-3, 1.5e-2, 5e-2), 1e-6),
        batch=512,
        batches={"HIG, SGD": 128},
        measured="y_l2",
    ),
    "Poisson": Problem(
        poisson_sample,
        lambda seed: dense_network((64, 64, 128, 64, 64), torch.nn.Tanh, seed),
        predict_field,
        methods((3e-3, 1e-2, 3e-2), 1e-5),
        batch=64,
        batches={"HIG, SGD": 8},  # 64 in the paper, on a graphics card
        measured="y_l2",
    ),
    "quantum dipole": Problem(
        dipole_sample,
        lambda seed: dense_network((28, 20, 20, 20, QuantumDipole.steps), torch.nn.Tanh, seed),
        predict_signal,
        methods((1e-2, 3e-2, 1e-1), 1e-5),
        batch=256,
        batches={"HIG, SGD": 16},
        measured="y_l2",
    ),
}
