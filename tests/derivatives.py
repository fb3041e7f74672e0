"""Products with the derivative of physics, as all frameworks must have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from frameworks import Framework
from phi.field import Field
from phiml import math
from phiml.math import batch

from phi_sip import InvertiblePhysics
from phi_sip.frameworks import operations_of


def assert_derivatives(framework: Framework, physics: InvertiblePhysics, template: Field, *arrays: np.ndarray) -> None:
    """
    J d is that of finite differences, Jᵀ v its adjoint, and both are the same compiled.

    Args:
        framework: Where they are computed.
        physics: Process from a field to a field of the same shape.
        template: Its geometry.
        *arrays: x, d and v, shape (batch, x, y).
    """
    operations = operations_of(framework.backend)
    x, d, v = (framework.backend.as_tensor(part) for part in arrays)

    def simulate(native: Any) -> Any:
        values = math.reshaped_tensor(native, [batch(batch=len(arrays[0])), *template.resolution], convert=False)
        return physics.forward(template.with_values(values)).values.native("batch,x,y")

    def products(x: Any, d: Any, v: Any) -> Any:
        _, push, pull = operations.linearize(simulate, x)
        return push(d), pull(v)

    eager = [np.asarray(part) for part in products(x, d, v)]
    compiled = [np.asarray(part) for part in operations.compile(products)(x, d, v)]
    difference = (np.asarray(simulate(x + 1e-5 * d)) - np.asarray(simulate(x - 1e-5 * d))) / 2e-5
    np.testing.assert_allclose(eager[0], difference, atol=1e-7 * np.abs(difference).max())
    np.testing.assert_allclose((eager[0] * np.asarray(v)).sum(), (eager[1] * np.asarray(d)).sum(), rtol=1e-11)
    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12 * np.abs(one).max())
