"""TensorFlow: graphs without autograph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import phi.tf.flow  # noqa: F401 makes TensorFlow the default
import tensorflow as tf
from phiml import nn


def seed(seed: int) -> None:
    keras.utils.set_random_seed(seed)  # math.seed gives every Keras network the same weights


def adam(net: Any, rate: float) -> Any:
    return nn.adam(net, rate)


def supervised_step(net: Any, optimizer: Any, y: np.ndarray, x: np.ndarray) -> Callable[[], float]:
    given, label = (tf.constant(values[..., None], tf.float32) for values in (y, x))

    @tf.function(autograph=False)
    def step(given: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.nn.l2_loss(net(given) - label)
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
        return loss

    return lambda: float(step(given, label))


def fft_pair(values: np.ndarray) -> Callable[[], Any]:
    tensor = tf.constant(values)
    forward, back = {
        2: (tf.signal.rfft, tf.signal.irfft),
        3: (tf.signal.rfft2d, tf.signal.irfft2d),
        4: (tf.signal.rfft3d, tf.signal.irfft3d),
    }[tensor.ndim]
    pair = tf.function(lambda t: back(forward(t), t.shape[1:]), autograph=False)
    return lambda: finished(pair(tensor))


def finished(result: Any) -> Any:
    tf.test.experimental.sync_devices()
    return result


def restart_peak() -> None:
    for device in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(device.name)


def peak_bytes() -> int | None:
    found = [tf.config.experimental.get_memory_info(d.name)["peak"] for d in tf.config.list_logical_devices("GPU")]
    return found[0] if found else None
