"""Velocities on the faces of cells between walls: their components have different sizes."""

from __future__ import annotations

from typing import Any

import frameworks
import numpy as np
import pytest
from phi.field import CenteredGrid, Field, StaggeredGrid, native_call
from phi.physics import diffuse
from phiml import math
from phiml.math import batch, channel, spatial

from phi_sip import DifferentiablePhysics
from phi_sip import sip_inverse as invert
from phi_sip import sip_update_weights as update_weights
from phi_sip.data import Batch, by_step
from phi_sip.errors import GridMismatchError, NonFiniteError, ParameterError
from phi_sip.states import trees
from phi_sip.training import train

TORCH = frameworks.TABLE[1]
WALLS = 0  # the velocity at the boundary
PHYSICS = DifferentiablePhysics(lambda v: diffuse.explicit(v, 0.1, 1.0, substeps=2), linear=True)


def velocity(seed: int, boundary: Any = WALLS) -> Field:
    """Random components, in double precision."""
    values = np.random.default_rng(seed).standard_normal((3, 8, 16, 2))
    with math.precision(64):
        at_centers = math.tensor(values, batch("batch"), spatial("x,y"), channel(vector="x,y"))
        return StaggeredGrid(CenteredGrid(at_centers, boundary, x=8, y=16), boundary, x=8, y=16)


def predict_by(net: Any):
    """From faces to centers, through the network, and back to faces."""

    def predict(v: Field) -> Field:
        with math.precision(32):
            return StaggeredGrid(native_call(net, v.at_centers()), v.boundary, v.bounds, v.resolution)

    return predict


def error(v: Field, truth: Field) -> float:
    return float(math.mean(trees.l2_loss(trees.subtract(v, truth)), "batch"))


def test_a_state_is_its_components(double):
    v = velocity(0)
    parts = trees.leaves(v)
    assert [part.shape.spatial.sizes for part in parts] == [(7, 16), (8, 15)]
    doubled = trees.with_leaves(v, [2 * part for part in parts])
    assert doubled.values.shape == v.values.shape
    assert error(doubled, trees.scale(v, 2)) == 0
    assert error(trees.with_natives(v, trees.natives(v)), v) == 0
    expected = sum(0.5 * np.sum(part.numpy("batch,x,y") ** 2, (1, 2)) for part in parts)
    np.testing.assert_allclose(trees.l2_loss(v).numpy("batch"), expected)


@pytest.mark.slow_on("tensorflow", "jax")
@pytest.mark.parametrize("solver", [None, "gauss-newton", "levenberg-marquardt", "l-bfgs"])
def test_inverses(framework, double, solver):
    v = velocity(0)
    step = invert(PHYSICS, PHYSICS.forward(v), v * 0, solver=solver)
    assert error(step.x_target, v) < 1e-4 * error(v * 0, v)


@pytest.mark.slow  # four trainings, step by step
def test_updates(framework, double):
    """Compiled, eager and in parts: the same losses, which fall."""
    v = velocity(0)
    y_target = PHYSICS.forward(v)

    def losses(steps: int, **options: Any) -> list[float]:
        net = framework.u_net(2, batch_norm=False)
        optimizer, predict = framework.sgd(net, 1e-4), predict_by(net)
        updates = (
            update_weights(net, optimizer, PHYSICS, y_target, predict=predict, x_true=v, **options)
            for _ in range(steps)
        )
        return [float(update.x_l2.sum) for update in updates]

    compiled = losses(2)
    assert compiled[1] < compiled[0]
    np.testing.assert_allclose(losses(1, compile=False), compiled[:1], rtol=1e-5)
    np.testing.assert_allclose(losses(2, compile=False, micro_batches=3), compiled, rtol=1e-5)


@pytest.mark.slow  # a whole training
def test_training(double, tmp_path):
    def sample(step: int) -> Batch:
        v = velocity(step)
        return Batch(PHYSICS.forward(v), v)

    net = TORCH.u_net(2, batch_norm=False)
    optimizer = TORCH.adam(net)
    with TORCH.backend:
        plan = {"validation": sample(1000), "folder": tmp_path, "progress": False, "predict": predict_by(net)}
        train(net, optimizer, PHYSICS, by_step(sample), steps=2, **plan)
        record = train(net, optimizer, PHYSICS, by_step(sample), steps=4, **plan)
    assert record.last_step == 4
    assert record.validations[-1].x_l2 < record.validations[0].x_l2


def test_what_does_not_fit_is_refused(double):
    v, periodic = velocity(0), velocity(0, math.extrapolation.PERIODIC)
    with pytest.raises(
        GridMismatchError, match=r"\(batchᵇ=3, xˢ=7, yˢ=16\) and \(batchᵇ=3, xˢ=8, yˢ=15\).*dims differ"
    ):
        invert(PHYSICS, periodic, v)
    with pytest.raises(GridMismatchError, match="dims differ"):
        invert(PHYSICS, v, periodic)
    with pytest.raises(NonFiniteError, match="y_target"):
        invert(PHYSICS, v * float("nan"), v)


def test_a_network_needs_one_array(framework, double):
    net = framework.u_net(2)
    with pytest.raises(ParameterError, match=r"components have different sizes.*Pass predict="):
        update_weights(net, framework.adam(net), PHYSICS, velocity(0))
