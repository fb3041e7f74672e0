import numpy as np
import pytest
from phi_sip_exponential import Exponential, Newton1D
from phiml import math
from phiml.math import batch, channel

from phi_sip import ParameterError, sip_inverse
from phi_sip.testing import check_physics


def sample():
    return math.tensor(np.linspace(-3, 1, 12).reshape(4, 3), batch("batch"), channel("value"))


def test_conformance():
    with math.precision(64):
        print(check_physics(Exponential(rate=0.7), sample()))


@pytest.mark.parametrize("solver", [None, Newton1D(iterations=12)])
def test_inverse_is_exact(solver):
    with math.precision(64):
        x, physics = sample(), Exponential()
        step = sip_inverse(physics, physics.forward(x), x * 0 - 1, solver=solver)
        np.testing.assert_allclose(step.x_target.numpy("batch,value"), x.numpy("batch,value"), atol=1e-6)


def test_bad_input():
    with pytest.raises(ParameterError, match="rate"):
        Exponential(rate=0)
    with pytest.raises(ParameterError, match="observation"):
        sip_inverse(Exponential(), sample() * 0 - 1, sample())
