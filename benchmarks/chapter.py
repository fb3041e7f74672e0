"""The training step of the published chapter, from its formulas, as the baseline to measure against."""

from __future__ import annotations

from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field, l2_loss, mean, native_call, resample, stop_gradient
from phi.geom import Cuboid
from phi.physics import diffuse
from phiml import math, nn
from phiml.math import batch, channel, extrapolation

AMOUNT = 8.0
RATE = 1e-3  # of Adam
SIGNAL_THRESHOLD = 0.68


def rectangles(samples: int, cells: int) -> Field:
    """Random rectangles, added to the grid one after another with PhiFlow's soft resampling."""
    heat = CenteredGrid(0.0, extrapolation.PERIODIC, x=cells, y=cells)
    entries, vector = batch(batch=samples), channel(vector="x,y")
    count = math.floor(4 + 7 * math.random_uniform(entries))
    for i in range(10):
        half = 10 * math.random_uniform(entries, vector)
        center = cells * (0.5 + 0.8 * (math.random_uniform(entries, vector) - 0.5))
        box = Cuboid(math.clip(center, half, cells - half), half_size=half)
        strength = math.random_uniform(entries) * math.to_float(i < count)
        heat += resample(box, heat, soft=True) * strength
    return heat


def inverse(residual: Field, relative_uncertainty: float = 1e-6) -> Field:
    """The published damped inverse, with complex transforms over all modes."""
    values = residual.values
    noise = math.sqrt(math.sum((abs(values) * relative_uncertainty) ** 2, "x,y"))
    k2 = math.sum(math.fftfreq(residual.resolution, residual.dx) ** 2, "vector")
    exponent = (2 * np.pi) ** 2 * k2 * AMOUNT
    amplitude = math.fft(values)
    expected = values.shape.get_size("x") * math.exp(-exponent)
    signal = math.exp(-0.5 * (abs(amplitude) / expected) ** 2)
    signal = math.where(math.is_finite(signal), signal, math.zeros_like(signal))
    chance = math.exp(-0.5 * (abs(amplitude) / noise) ** 2)
    probability = math.safe_div(signal, signal + chance)
    undecided = (probability > 0.5) & (probability < SIGNAL_THRESHOLD)
    kernel = math.exp(exponent * math.where(undecided, 0.0, 2 * probability - 1))
    return residual.with_values(math.real(math.ifft(amplitude * math.to_complex(kernel))))


def loss(net: Any, x_true: Field, sip: bool) -> tuple:
    """The chapter's loss function: the proxy loss of SIP, or the loss through the physics."""
    y_target = diffuse.fourier(x_true, AMOUNT, 1)
    with math.precision(32):
        prediction = native_call(net, y_target)
    prediction += mean(x_true) - mean(prediction)
    x = stop_gradient(prediction)
    if sip:
        y = diffuse.fourier(x, AMOUNT, 1)
        value = l2_loss(prediction - (x + inverse(y_target - y)))
        y_l2 = l2_loss(y - y_target)
    else:
        y = diffuse.fourier(prediction, AMOUNT, 1)
        value = y_l2 = l2_loss(y - y_target)
    return value, x, y, l2_loss(x_true - x), y_l2


def step(net: Any, optimizer: Any, x_true: Field, sip: bool = True) -> tuple:
    """One weight update of the chapter."""
    return nn.update_weights(net, optimizer, loss, net, x_true, sip)
