"""Flows that are too fast for a time step, and markers that move by more than their width."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array, periodic, smooth
from phiml import math
from phiml.math import batch, spatial
from test_evolution import markers, relative, swirl

from phi_sip import (
    Burgers,
    IncompressibleFlow,
    NonFiniteError,
    ParameterError,
    TruncatedGaussNewton,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.spectral.coarse_to_fine import CoarseToFine
from phi_sip.spectral.derivatives import PeriodicDerivatives
from phi_sip.spectral.optical_flow import OpticalFlow
from phi_sip.spectral.substeps import COUNTS, Substeps
from phi_sip.spectral.vorticity import VorticityTransport


def blob(n: int, *at: tuple[float, float], width: float = 3.0) -> math.Tensor:
    """Gaussian blobs, one for each sample, on a periodic grid."""
    cells = np.arange(n) + 0.5
    distances = [np.stack([(cells - c[i] + n / 2) % n - n / 2 for c in at]) for i in range(2)]
    values = np.exp(-(distances[0][:, :, None] ** 2 + distances[1][:, None, :] ** 2) / (2 * width**2))
    return math.tensor(values, batch("batch"), spatial("x,y"))


@pytest.mark.parametrize("factor", [0.9, 1.9, 3.0, 20.0])
def test_a_step_is_divided_as_often_as_the_fastest_sample_needs(framework, double, factor):
    """It computes what as many shorter steps compute; those that are stable are taken as they are."""
    u, marker, dt = swirl(8), markers(8), 2.0
    courant = PeriodicDerivatives(u).courant(u.values, dt)
    fast = u * (factor * 2.8 / float(math.max(courant, courant.shape)))
    count = next(n for n in COUNTS if n >= factor)
    divided = IncompressibleFlow(marker, dt, 2).forward(fast)
    shorter = IncompressibleFlow(marker, dt / count, 2 * count).forward(fast)
    np.testing.assert_allclose(array(divided), array(shorter), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [0.9, 3.0])
def test_waves_that_are_too_steep_for_a_step_of_burgers(framework, double, factor):
    u = periodic(smooth(np.random.default_rng(0), 2, 16))
    courant = PeriodicDerivatives(u).courant(u.values, 0.5)
    fast = u * (factor * 2.8 / float(math.max(courant, courant.shape)))
    count = next(n for n in COUNTS if n >= factor)
    divided, shorter = Burgers(1.0, 0.5, 2), Burgers(1.0, 0.5 / count, 2 * count)
    expected = array(shorter.forward(fast))
    np.testing.assert_allclose(array(divided.forward(fast)), expected, rtol=1e-12, atol=1e-12)
    solver = TruncatedGaussNewton(1)  # compiled on TensorFlow and JAX
    dx = [array(sip_inverse(physics, 0.9 * fast, fast, solver=solver).dx) for physics in (divided, shorter)]
    np.testing.assert_allclose(dx[0], dx[1], rtol=1e-8, atol=1e-10)


def test_a_fast_flow_is_inverted_as_with_shorter_steps(framework, double):
    x, marker = swirl(8) * 3.0, markers(8)
    steps = []
    for dt, n in ((2.0, 2), (0.125, 32)):
        physics = IncompressibleFlow(marker, dt / 4, n)
        steps.append(sip_inverse(physics, physics.forward(x), x * 0.9))
    assert float(PeriodicDerivatives(x).courant(x.values, 0.5).max) > 2.8
    assert relative(array(steps[0].dx), array(steps[1].dx)) < 0.05


@pytest.mark.parametrize("solver", [None, "gradient"])
def test_predictions_that_are_too_fast_do_not_end_a_training(compiling, double, solver):
    """The compiled update is the one that is made step by step, with steps that are divided by 4 there."""
    marker, target = markers(8), swirl(8)
    physics = IncompressibleFlow(math.to_float(marker), 1.0, 2)
    y_target = physics.forward(target.with_values(math.to_float(target.values)))
    losses = []
    for compile in (False, True):
        net = compiling.u_net(1, 2, batch_norm=False, levels=1, filters=2)
        optimizer = compiling.sgd(net, 1e-9)
        updates = [
            sip_update_weights(net, optimizer, physics, y_target * scale, inputs=("y",), solver=solver, compile=compile)
            for scale in (1.0, 60.0)
        ]
        assert all(update.applied for update in updates)
        losses.append(
            [update.y_l2.numpy("batch") for update in updates] + [update.loss.numpy("batch") for update in updates]
        )
        fast = physics.constrain(updates[1].x, None)
        assert 2.8 < float(PeriodicDerivatives(fast).courant(fast.values, 1.0).max) < 2.8 * 256
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_what_cannot_be_simulated_is_refused(framework):
    physics, u = IncompressibleFlow(math.to_float(markers(8)), 1.0, 2), swirl(8)
    with pytest.raises(ParameterError, match="learning rate"):
        physics.forward(u * 1e6)
    with pytest.raises(ParameterError, match="learning rate"):
        physics.forward(u * np.nan)
    with pytest.raises(NonFiniteError):
        sip_inverse(physics, physics.forward(u), u * np.inf)


def test_in_a_graph_what_cannot_be_simulated_is_not_applied(compiling):
    physics = IncompressibleFlow(math.to_float(markers(8)), 1.0, 2)
    u = swirl(8)
    y_target = physics.forward(u.with_values(math.to_float(u.values)))
    net = compiling.u_net(1, 2, batch_norm=False, levels=1, filters=2)
    optimizer = compiling.sgd(net)
    sip_update_weights(net, optimizer, physics, y_target, inputs=("y",), compile=True)
    before = compiling.everything(net, optimizer)
    with pytest.raises(ParameterError, match="learning rate"):
        sip_update_weights(net, optimizer, physics, y_target * 1e9, inputs=("y",), compile=True)
    for a, b in zip(compiling.everything(net, optimizer), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_number_of_parts():
    for courant, count in ((0.0, 1), (2.8, 1), (2.9, 2), (5.6, 2), (11.0, 4), (11.3, 8), (23.0, 16), (700.0, 256)):
        assert Substeps.of("", math.wrap([0.0, courant], batch("batch"))).count == count
    for courant in (720.0, np.inf, np.nan):
        with pytest.raises(ParameterError, match="256 at most"):
            Substeps.of("", math.wrap([1.0, courant], batch("batch")))


@pytest.mark.parametrize(("distance", "left_over", "gain"), [(1.0, 0.03, 1.5), (3.0, 0.1, 2.0), (6.0, 0.25, 3.0)])
def test_a_marker_that_moves_by_more_than_its_structures_is_found(framework, double, distance, left_over, gain):
    """Blobs of deviation 3, by one estimate of the displacement, with blurred images first and without them."""
    n = 32
    first, second = (blob(n, (8 + a, 9), (20, 11 + a)) for a in (0, distance))
    transport = VorticityTransport(PeriodicDerivatives(periodic(array(first))))
    image, target = (transport.space.basis.transform(values) for values in (first, second))
    slope = math.sqrt(math.mean(math.sum(transport.gradient(image) ** 2, "derivative"), "x,y"))
    flow = OpticalFlow(transport, 1e-2, 3.0 * math.std(first, "x,y") / slope, 8)
    left = []
    for found in (
        CoarseToFine(transport, flow, slope).displacement("", image, target - image),
        flow.displacement(transport.gradient(0.5 * (image + target)), second - first),
    ):
        mean, vorticity = transport.curl(found)
        start = math.stack([vorticity, image], math.channel("quantity"))
        end = transport.scalar(transport.run(mean, start, 0.05, 20), 1)
        left.append(np.linalg.norm(array(end) - array(second)) / np.linalg.norm(array(first) - array(second)))
    assert left[0] < left_over
    assert left[1] > gain * left[0]
