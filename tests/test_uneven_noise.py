"""σ that differs between the values of an observation: a value counts as much as many that are noisier."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array, grid, smooth
from phi.field import Field
from phiml import math
from phiml.math import channel, instance

from phi_sip import (
    DifferentiablePhysics,
    EmpiricalBayes,
    GridMismatchError,
    ParameterError,
    Sensors,
    sip_inverse,
)

CELLS, SENSORS, COPIES = 8, 12, 4


def state() -> Field:
    return grid(smooth(np.random.default_rng(0), 2, CELLS, CELLS), None, 0)


def at(positions: np.ndarray) -> math.Tensor:
    return math.tensor(positions, instance("sensors"), channel(vector="x,y"))


def readings(values: np.ndarray) -> math.Tensor:
    return math.tensor(values, math.batch("batch"), instance("sensors"))


def blurred(x: Field) -> Field:
    """Linear, without a closed form."""
    return x.with_values(0.5 * x.values + 0.25 * (x.values * 2))


def sensors(x: Field, positions: np.ndarray, std, **options) -> Sensors:
    physics = DifferentiablePhysics(blurred, noise_std=std, linear=True, regularization=EmpiricalBayes(), **options)
    return Sensors(physics, at(positions), x)


@pytest.mark.parametrize("solver", ["gaussian-process", "maximum-a-posteriori"])
def test_a_good_sensor_is_many_that_are_worse(framework, double, solver):
    """Four readings of one value with σ say as much as one with σ / 2: posterior and fitted prior are the same."""
    x, rng = state(), np.random.default_rng(1)
    positions = rng.uniform(0.5, CELLS - 0.5, (SENSORS, 2))
    values = rng.standard_normal((2, SENSORS)) * 0.1 + sensors(x, positions, 0.1).forward(x).numpy("batch,sensors")
    good = np.where(np.arange(SENSORS) < 3, 1, COPIES)
    std = math.tensor(0.2 / np.sqrt(good), instance("sensors"))
    one = sip_inverse(sensors(x, positions, std), readings(values), 0 * x, solver=solver)
    repeated = np.repeat(positions, good, 0)
    many = sip_inverse(sensors(x, repeated, 0.2), readings(np.repeat(values, good, 1)), 0 * x, solver=solver)
    np.testing.assert_allclose(array(one.x_target), array(many.x_target), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(array(one.uncertainty), array(many.uncertainty), rtol=1e-3)
    np.testing.assert_allclose(one.stats["noise_std"].numpy("sensors"), std.numpy("sensors"))


def test_bad_sensors_hardly_count(on_torch, double):
    x, rng = state(), np.random.default_rng(2)
    positions = rng.uniform(0.5, CELLS - 0.5, (30, 2))
    std = np.where(np.arange(30) % 2, 1.0, 0.01)
    exact = sensors(x, positions, 0.0).forward(x).numpy("batch,sensors")
    observed = readings(exact + std * rng.standard_normal(exact.shape))
    errors = [
        float(np.linalg.norm(array(sip_inverse(sensors(x, positions, told), observed, 0 * x).x_target) - array(x)))
        for told in (math.tensor(std, instance("sensors")), float(np.sqrt(np.mean(std**2))))
    ]
    assert errors[0] < 0.6 * errors[1]


def test_wrong_noise_of_values_is_refused(on_torch, double):
    x, positions = state(), np.random.default_rng(3).uniform(0.5, CELLS - 0.5, (SENSORS, 2))
    observed = readings(np.zeros((2, SENSORS)))
    with pytest.raises(GridMismatchError, match="one along dims of the observation"):
        sip_inverse(sensors(x, positions, math.tensor([0.1, 0.2], channel("camera"))), observed, 0 * x)
    std = math.tensor(np.linspace(0, 1, SENSORS), instance("sensors"))
    with pytest.raises(ParameterError, match="is 0 for some values"):
        sip_inverse(sensors(x, positions, std), observed, 0 * x)
