import numpy as np
import pytest
from phi_sip_logistic import LogisticGrowth, Newton1D
from phiml import math
from phiml.math import batch, channel

from phi_sip import ParameterError, sip_inverse
from phi_sip.testing import check_physics


def populations():
    return math.tensor(np.linspace(0.2, 1.4, 12).reshape(4, 3), batch("batch"), channel("city"))


@pytest.mark.parametrize("solver", [None, Newton1D()])
def test_conformance(solver):
    with math.precision(64):
        print(check_physics(LogisticGrowth(rate=0.7, time=2.0), populations(), solver=solver))


def test_agrees_with_the_equation():
    """dp/dt = r p (1 − p / K) by many small steps."""
    with math.precision(64):
        p = populations()
        for _ in range(20000):
            p = p + 1e-4 * 0.7 * p * (1 - p / 1.2)
        y = LogisticGrowth(rate=0.7, time=2.0, capacity=1.2).forward(populations())
    np.testing.assert_allclose(y.numpy("batch,city"), p.numpy("batch,city"), rtol=1e-4)


@pytest.mark.parametrize("solver", [None, Newton1D(iterations=12)])
def test_inverse_is_exact(solver):
    with math.precision(64):
        x, physics = populations(), LogisticGrowth()
        step = sip_inverse(physics, physics.forward(x), x * 0 + 0.7, solver=solver)
        np.testing.assert_allclose(step.x_target.numpy("batch,city"), x.numpy("batch,city"), atol=1e-6)


def test_bad_input():
    with pytest.raises(ParameterError, match="rate"):
        LogisticGrowth(rate=0)
    with pytest.raises(ParameterError, match="observation"):
        sip_inverse(LogisticGrowth(), populations() + 9, populations())
