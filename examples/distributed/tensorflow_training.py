"""Training in a strategy of TensorFlow, the same for all of them. To be imported once there is a strategy."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import keras
import numpy as np
import phi.tf.flow  # noqa: F401 - makes TensorFlow PhiFlow's default backend
import tensorflow as tf
from phi.field import CenteredGrid, Field
from phiml import math, nn
from phiml.math import batch, extrapolation, spatial

from phi_sip import HeatEquation, sip_update_weights
from phi_sip.data import Samples, heat_rectangle_samples, step_seed


def train(strategy: tf.distribute.Strategy, options: argparse.Namespace, prints: bool) -> None:
    """Trains the network, and prints the loss if this is the process to do so."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        net = nn.u_net(1, 1, periodic=True)
        optimizer = keras.optimizers.Adam(1e-3)
        optimizer.build(net.trainable_variables)
    physics = HeatEquation(diffusivity=1.0, time=8.0)
    samples = options.batch // strategy.num_replicas_in_sync
    rectangles = heat_rectangle_samples(batch(batch=samples), spatial(x=options.resolution, y=options.resolution))
    data = iter(strategy.distribute_datasets_from_function(lambda context: dataset(rectangles, context)))

    def update(heat: tf.Tensor) -> tf.Tensor:
        x = field(heat)
        found = sip_update_weights(net, optimizer, physics, physics.forward(x), x_true=x)
        return tf.stack([tf.reduce_mean(loss.native("batch")) for loss in (found.loss, found.x_l2)])

    @tf.function(autograph=False)
    def step(heat: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("MEAN", strategy.run(update, args=(heat,)), axis=None)

    for number in range(options.steps):
        loss, x_loss = step(next(data)).numpy()
        if prints:
            print(f"step {number}: loss {loss:.3f}  x loss {x_loss:.3f}", flush=True)


def dataset(rectangles: Samples[np.ndarray, Field], context: tf.distribute.InputContext) -> tf.data.Dataset:
    """Heat for the replicas of this process, one after the other; no other step or replica sees the same."""
    replicas = context.num_replicas_in_sync // context.num_input_pipelines
    first = replicas * context.input_pipeline_id

    def draw() -> Iterator[np.ndarray]:
        for step in itertools.count():
            for replica in range(first, first + replicas):
                yield rectangles.draw(step_seed(0, step, replica))

    like = tf.TensorSpec(rectangles.draw(0).shape, tf.float64)
    return tf.data.Dataset.from_generator(draw, output_signature=like).prefetch(2 * replicas)


def field(heat: tf.Tensor) -> Field:
    """The periodic grid with these values (batch, x, y)."""
    return CenteredGrid(math.wrap(heat, batch("batch"), spatial("x,y")), extrapolation.PERIODIC)
