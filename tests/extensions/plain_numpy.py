"""A framework of a stranger: networks of one weight in NumPy, trained by gradient descent."""

from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar

import numpy as np
from phiml.backend import NUMPY

from phi_sip import ParameterError, hookimpl
from phi_sip.contract.framework import TrainingFramework
from phi_sip.contract.trainable import Trainable
from phi_sip.contract.training_state import TrainingState
from phi_sip.states import trees


class Scaling:
    """f(y; θ) = θ y."""

    def __init__(self, start: float) -> None:
        self.weight = np.float64(start)

    def __call__(self, values):
        return self.weight * values


class Descent:
    """θ ← θ − rate ∂L/∂θ."""

    def __init__(self, rate: float) -> None:
        self.rate = rate


class NumPyTrainable(Trainable):
    def __init__(self, net, optimizer):
        super().__init__(NUMPY, net, optimizer)
        self.saved = net.weight

    def call(self, native):
        self.seen = native
        return self.net(native)

    def prepare(self, predict):
        pass

    def save(self):
        self.gradients, self.saved = [], self.net.weight

    def restore(self):
        self.net.weight = self.saved

    def record(self, predict):
        x = predict()
        seen = self.seen

        def pull_back(cotangent, share):
            (native,) = trees.natives(cotangent)
            self.add_gradients([np.sum(native * seen.reshape(native.shape))])

        return x, pull_back

    @property
    def weights(self):
        return [self.net.weight]

    def add_gradients(self, gradients):
        self.gradients = [a + b for a, b in zip(self.gradients or [0.0], gradients, strict=True)]

    def apply(self, objectives):
        self.net.weight = self.net.weight - self.optimizer.rate * self.gradients[0]

    def is_finite(self, values):
        return all(bool(np.isfinite(value).all()) for value in values if value is not None)

    def is_state_finite(self):
        return bool(np.isfinite(self.net.weight))


class NumPyState(TrainingState):
    framework = "plain-numpy"

    @property
    def learning_rate(self):
        return self.optimizer.rate

    def evaluating(self):
        return nullcontext()

    def layout(self):
        return [[[], "float64"]]

    def save(self, folder: Path):
        np.save(folder / "weight.npy", self.net.weight)

    def restore(self, folder: Path):
        self.net.weight = np.load(folder / "weight.npy")[()]


class PlainNumPy(TrainingFramework):
    name: ClassVar[str] = "plain-numpy"
    backend = NUMPY

    @property
    def operations(self):
        from phi_sip.frameworks.numpy import operations

        return operations

    def is_network(self, net):
        return isinstance(net, Scaling)

    def trainable(self, net, optimizer, training=None):
        if training is not None:
            raise ParameterError("training=... has no meaning for plain NumPy.")
        return NumPyTrainable(net, optimizer)

    def training_state(self, net, optimizer, schedule=None):
        return NumPyState(NumPyTrainable(net, optimizer))

    def save_weights(self, net, folder):
        np.save(folder / "weight.npy", net.weight)

    def load_weights(self, net, folder):
        net.weight = np.load(folder / "weight.npy")[()]

    def evaluation(self, net):
        return net

    def seed(self, seed):
        np.random.seed(seed)  # noqa: NPY002

    def optimizer(self, net, optimizer, rate, schedule):
        return Descent(rate), None


@hookimpl
def sip_frameworks():
    return [PlainNumPy()]


@hookimpl
def sip_networks():
    return {"numpy-scaling": lambda start=1.0: Scaling(start)}
