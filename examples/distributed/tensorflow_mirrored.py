"""
Train a network to invert heat conduction on the GPUs of one machine: TensorFlow's MirroredStrategy.

One process, one replica per GPU. Where there is no GPU, two parts of the CPU show how it works.

    python examples/distributed/tensorflow_mirrored.py --steps 50 --batch 32
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from arguments import parse_arguments


def make_strategy() -> tf.distribute.Strategy:
    """All GPUs, or two halves of the CPU."""
    if tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    strategy = make_strategy()  # before PhiFlow starts TensorFlow
    from tensorflow_training import train

    train(strategy, options, prints=True)
