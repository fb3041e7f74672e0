"""The physics of `examples/half_inverse.py`: against SciPy, PhiFlow and exact evolution."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import torch
from phi import field
from phi.field import CenteredGrid
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import sip_inverse

EXAMPLES = str(Path(__file__).parent.parent / "examples")


@pytest.fixture
def problems(monkeypatch, on_torch):
    monkeypatch.syspath_prepend(EXAMPLES)
    before = set(sys.modules)
    yield __import__("half_inverse_problems")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(EXAMPLES):
            del sys.modules[name]


def signal(samples: int, steps: int, seed: int = 0):
    values = np.random.default_rng(seed).normal(size=(samples, steps)) / 2
    return values, math.reshaped_tensor(torch.as_tensor(values), [batch("batch"), channel("time")], convert=False)


@pytest.mark.parametrize("masses", [2, 3])
def test_oscillators(problems, masses, double):
    """By SciPy's adaptive method, step by step, as the force jumps."""
    start = np.random.default_rng(1).normal(size=2 * masses)
    forces, x = signal(1, 12)
    tensor = math.reshaped_tensor(torch.as_tensor(start[None]), [batch("batch"), channel("vector")], convert=False)
    y = problems.NonlinearOscillators(tensor, steps=12, time_step=0.02).forward(x)

    def rate(_, state, force):
        q, speed = state[:masses], state[masses:]
        springs = np.diff(q) ** 3
        return np.concatenate(
            [speed, -q + np.append(springs, 0) - np.insert(springs, 0, 0) + force * np.eye(masses)[-1]]
        )

    for force in 3 * forces[0]:
        solved = scipy.integrate.solve_ivp(rate, (0, 0.02), start, args=(force,), rtol=1e-10, atol=1e-12)
        start = solved.y[:, -1]
    np.testing.assert_allclose(y.numpy("batch,vector")[0], start, rtol=1e-5, atol=1e-6)


def test_laplace(problems):
    """PhiFlow's own Laplacian, and its inverse."""
    physics, rng = problems.Laplace(5), np.random.default_rng(0)
    x = math.tensor(rng.normal(size=(2, 5, 5)).astype(np.float32), batch("batch"), spatial("x,y"))
    y = physics.forward(x)
    grid = CenteredGrid(x, extrapolation.ZERO, x=5, y=5)
    expected = field.laplace(grid).values.numpy("batch,x,y")
    np.testing.assert_allclose(y.numpy("batch,x,y"), expected, rtol=1e-4, atol=1e-5)
    found = sip_inverse(physics, y, x * 0).x_target
    np.testing.assert_allclose(found.numpy("batch,x,y"), x.numpy("batch,x,y"), atol=1e-4)


def test_dipole(problems, double):
    """Small steps of the exponential of the whole Hamiltonian, and a norm that does not change."""
    points, steps, dt = 14, 60, 0.01
    fields, x = signal(2, steps)
    target = np.random.default_rng(3).normal(size=(2, 2 * points))
    tensor = math.reshaped_tensor(torch.as_tensor(target), [batch("batch"), channel("vector")], convert=False)
    y = problems.QuantumDipole(tensor, steps=steps, time_step=dt).forward(x).numpy("batch,vector")
    np.testing.assert_allclose((y**2).sum(1), 1, rtol=1e-12)
    modes = problems.sine_modes(points)
    kinetic = modes @ np.diag((np.arange(1, points + 1) * np.pi / 2) ** 2) @ modes.T
    places = np.diag(np.arange(1, points + 1) * 2 / (points + 1))
    for sample in range(2):
        state = modes[:, 0].astype(complex)
        for step in range(steps):
            state = scipy.linalg.expm(-1j * dt * (kinetic + fields[sample, step] * places)) @ state
        goal = target[sample, :points] + 1j * target[sample, points:]
        overlap = np.vdot(goal, state)
        state *= abs(overlap) / overlap
        np.testing.assert_allclose(y[sample, :points] + 1j * y[sample, points:], state, atol=2e-3)
        assert np.vdot(goal, y[sample, :points] + 1j * y[sample, points:]).imag == pytest.approx(0, abs=1e-12)


def test_samples_can_be_trained_with(problems):
    """Shapes and precision: what the networks of each problem predict is what its physics takes."""
    for name, problem in problems.PROBLEMS.items():
        sample = problem.make_sample(0, 0, 2)
        x = problem.predict(problem.make_network(0), sample.y_target)
        y = sample.physics.forward(x)
        assert set(y.shape.names) == set(sample.y_target.shape.names), name
        assert y.dtype == sample.y_target.dtype
        again = sample.physics.forward(sample.physics.initial_state(sample.y_target))
        assert again.shape.volume == sample.y_target.shape.volume
