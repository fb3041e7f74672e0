"""Half-inverse gradients, on three frameworks: against NumPy's singular values, gradients, and the whole batch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import frameworks
import keras
import numpy as np
import phiml.nn
import pytest
import tensorflow as tf
import torch
from fields import array, periodic, smooth
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY
from phiml.math import Tensor, batch, channel

import phi_sip
from phi_sip import (
    Batch,
    DifferentiablePhysics,
    GridMismatchError,
    HalfInverse,
    HeatEquation,
    InvertiblePhysics,
    NetworkOutputError,
    NonFiniteError,
    ParameterError,
    Teacher,
    UnsupportedError,
    sip_update_weights,
    train,
)
from phi_sip.data import by_step
from phi_sip.descriptions.from_data import construct
from phi_sip.descriptions.to_data import describe
from phi_sip.frameworks import training_framework
from phi_sip.step.half_inverse import HalfInverseUpdate
from phi_sip.step.half_inversion import HalfInversion

SIZE = 3
MATRIX = np.array([[1.0, 0.4, 0.0], [-0.3, 0.05, 0.2], [0.0, 0.1, -2.0]])


class Mixing(InvertiblePhysics):
    """y = A x, or sin(A x)."""

    name = "mixing-of-three"

    def __init__(self, is_bent: bool = False, size: float = 1.0):
        object.__setattr__(self, "is_bent", is_bent)
        object.__setattr__(self, "size", size)

    def forward(self, x: Tensor) -> Tensor:
        matrix = math.cast(math.wrap(self.size * MATRIX, channel("_out,vector")), x.dtype)
        y = math.rename_dims(math.dot(matrix, "vector", x, "vector"), "_out", "vector")
        return math.sin(y) if self.is_bent else y


class Overflowing(Mixing):
    """y = exp(1000 A x): finite for small x only."""

    def forward(self, x: Tensor) -> Tensor:
        return math.exp(1000 * super().forward(x))


def values(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, SIZE))


def observations(samples: int, seed: int = 0, precision: int = 32) -> Tensor:
    with math.precision(precision):
        return math.tensor(values(samples, seed).astype(f"float{precision}"), batch("batch"), channel("vector"))


def linear_net(framework) -> tuple[Any, list[np.ndarray]]:
    """x = y* W + b, with the same weights on all frameworks: W (in, out), b."""
    rng = np.random.default_rng(1)
    return network(framework, [], [rng.normal(size=(SIZE, SIZE)), rng.normal(size=SIZE)])


def network(framework, layers: list[int], weights: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
    with framework.backend, math.precision(32):
        net = phiml.nn.mlp(SIZE, SIZE, layers, activation="tanh")
    native = [w.T if framework.name == "torch" else w for w in weights]
    known = training_framework(framework.name)
    known.set_weights(
        net, [np.reshape(w, old.shape).astype(old.dtype) for w, old in zip(native, known.weights(net), strict=True)]
    )
    return net, weights


def weights_of(framework, net: Any) -> list[np.ndarray]:
    """The weights (in, out) and biases, whatever the framework."""
    return [np.squeeze(w).T if framework.name == "torch" else np.squeeze(w) for w in framework.weights(net)]


def expected_change(samples: int, weights: list[np.ndarray], rule: HalfInverse) -> list[np.ndarray]:
    """V Λ^(−κ) Uᵀ (y* − y) by NumPy's singular values, for the linear network and linear physics."""
    y_target = values(samples)
    matrix, bias = weights
    y = (y_target @ matrix + bias) @ MATRIX.T
    by_matrix = np.einsum("bj,ik->bijk", y_target, MATRIX).reshape(samples * SIZE, -1)
    jacobian = np.concatenate([by_matrix, np.tile(MATRIX, (samples, 1))], 1)
    u, s, vt = np.linalg.svd(jacobian, full_matrices=False)
    kept = s > rule.truncation * s[0]
    change = vt[kept].T @ (s[kept] ** -rule.exponent * (u.T[kept] @ (y_target - y).reshape(-1)))
    return [change[: SIZE * SIZE].reshape(SIZE, SIZE), change[SIZE * SIZE :]]


@pytest.mark.parametrize(("samples", "compile"), [(2, False), (2, None), (8, None)])
def test_the_change_is_that_of_the_singular_values(samples, compile, framework):
    rule = HalfInverse(truncation=0.1)
    net, before = linear_net(framework)
    optimizer = framework.sgd(net, 0.5)
    update = sip_update_weights(net, optimizer, Mixing(), observations(samples), targets=rule, compile=compile)
    for new, old, change in zip(
        weights_of(framework, net), before, expected_change(samples, before, rule), strict=True
    ):
        np.testing.assert_allclose(new - old, 0.5 * change, rtol=1e-4, atol=1e-5)
    y = (values(samples) @ before[0] + before[1]) @ MATRIX.T
    np.testing.assert_allclose(array(update.y), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(update.loss), 0.5 * ((y - values(samples)) ** 2).sum(1), rtol=1e-4)
    np.testing.assert_array_equal(array(update.x_target), array(update.x))
    np.testing.assert_array_equal(array(update.y_l2), array(update.loss))


def test_part_of_the_singular_values_is_left_out():
    """So that the test above shows that they are."""
    weights = [np.eye(SIZE), np.zeros(SIZE)]
    whole, cut = (expected_change(8, weights, HalfInverse(truncation=t)) for t in (1e-6, 0.1))
    assert abs(whole[0] - cut[0]).max() > 0.1


class Double(torch.nn.Module):
    """A linear network in double precision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(SIZE, SIZE, dtype=torch.float64)

    def forward(self, native):
        return self.linear(native)


@pytest.mark.parametrize("exponent", [-1.0, -0.5, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("samples", [2, 8])
def test_every_exponent(samples, exponent, on_torch):
    rule = HalfInverse(exponent, 1e-5)
    net = Double()
    before = [net.linear.weight.detach().numpy().T.copy(), net.linear.bias.detach().numpy().copy()]
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    sip_update_weights(net, optimizer, Mixing(), observations(samples, precision=64), targets=rule)
    after = [net.linear.weight.detach().numpy().T, net.linear.bias.detach().numpy()]
    for new, old, change in zip(after, before, expected_change(samples, before, rule), strict=True):
        np.testing.assert_allclose(new - old, change, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("samples", [2, 8])
def test_exponent_1_solves_a_linear_problem_in_one_step(samples, on_torch):
    net, y = Double(), observations(samples, precision=64)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    first, second = (sip_update_weights(net, optimizer, Mixing(), y, targets=HalfInverse(1.0, 1e-7)) for _ in range(2))
    assert float(first.loss.mean) > 0.1
    assert float(second.loss.mean) < 1e-20


@pytest.mark.parametrize("exponent", [0.5, 1.0])
@pytest.mark.parametrize("sizes", [(40, 90), (90, 40)], ids=["fewer values than weights", "more"])
def test_it_is_accurate_down_to_the_truncation(sizes, exponent):
    """Singular values from 1 to 1e-7, of which those above 1e-6 are kept."""
    rng, least = np.random.default_rng(0), min(sizes)
    left, right = (np.linalg.qr(rng.normal(size=(n, least)))[0] for n in sizes)
    jacobian, residual = (left * np.geomspace(1, 1.23e-7, least)) @ right.T, rng.normal(size=(sizes[0], 1))
    u, s, vt = np.linalg.svd(jacobian, full_matrices=False)
    kept = s > 1e-6 * s[0]
    expected = vt[kept].T @ (s[kept, None] ** -exponent * (u[:, kept].T @ residual))
    found = []
    for parts in (1, 2):
        inversion = HalfInversion(HalfInverse(exponent, 1e-6), NUMPY, *sizes)
        for rows, left_over in zip(np.split(jacobian, parts), np.split(residual, parts), strict=True):
            inversion.add(rows, left_over)
        found.append(inversion.change())
    for change in found:
        assert np.linalg.norm(change - expected) < 2e-4 * np.linalg.norm(expected)


def bent(framework) -> tuple[Any, Any]:
    """A network of two layers, and a physics that bends."""
    rng = np.random.default_rng(2)
    shapes = (SIZE, 5), (5,), (5, SIZE), (SIZE,)
    return network(framework, [5], [0.5 * rng.normal(size=shape) for shape in shapes])[0], Mixing(is_bent=True)


def test_exponent_minus_1_is_the_gradient(framework):
    y, found = observations(4), []
    compile = False if framework.name == "tensorflow" else None
    for asked in ({"targets": HalfInverse(-1.0, 1e-7)}, {"solver": "gradient"}):
        net, physics = bent(framework)
        sip_update_weights(net, framework.sgd(net, 0.1), physics, y, **asked, compile=compile)
        found.append(weights_of(framework, net))
    for half_inverse, gradient in zip(*found, strict=True):
        np.testing.assert_allclose(half_inverse, gradient, rtol=1e-4, atol=1e-5)


def losses(framework) -> np.ndarray:
    net, physics = bent(framework)
    optimizer, y, rule = framework.sgd(net, 0.2), observations(4), HalfInverse(truncation=1e-3)
    return np.stack([array(sip_update_weights(net, optimizer, physics, y, targets=rule).loss) for _ in range(3)])


def test_frameworks_agree(framework):
    found = losses(framework)
    with TORCH:
        expected = losses(next(row for row in frameworks.TABLE if row.name == "torch"))
    assert found[-1].mean() < 0.9 * found[0].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_micro_batches_change_nothing(framework):
    """With fewer observed values than weights, so that all rows are kept."""
    whole, parts = (changed(framework, 4, micro_batches=n) for n in (1, 2))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.slow_on("tensorflow", "jax")
def test_micro_batches_of_more_values_than_weights_change_nothing(framework):
    whole, parts = (changed(framework, 24, micro_batches=n) for n in (1, 2))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def changed(framework, samples: int, **options: Any) -> list[np.ndarray]:
    net, physics = bent(framework)
    rule = HalfInverse(truncation=1e-3)
    sip_update_weights(net, framework.sgd(net, 0.2), physics, observations(samples), targets=rule, **options)
    return weights_of(framework, net)


def test_the_jacobian_is_that_of_the_whole_batch(on_torch):
    """Batch normalization, by which samples of a batch influence each other: against PyTorch's own Jacobian."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(SIZE, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, SIZE)]
    net, y, rule = torch.nn.Sequential(*layers), observations(4), HalfInverse(truncation=1e-3)
    names, start = zip(*net.named_parameters(), strict=True)
    seen, matrix = torch.tensor(values(4), dtype=torch.float32), torch.tensor(MATRIX, dtype=torch.float32)

    def simulated(*parameters: torch.Tensor) -> torch.Tensor:
        answer = torch.func.functional_call(net, dict(zip(names, parameters, strict=True)), seen)
        return torch.sin(answer @ matrix.T)

    parameters = tuple(p.detach().clone() for p in start)
    blocks = torch.autograd.functional.jacobian(simulated, parameters)
    jacobian = torch.cat([b.reshape(4 * SIZE, -1) for b in blocks], 1).double().numpy()
    u, s, vt = np.linalg.svd(jacobian, full_matrices=False)
    kept = s > rule.truncation * s[0]
    left = (seen - simulated(*parameters)).detach().double().numpy().reshape(-1)
    change = vt[kept].T @ (s[kept] ** -0.5 * (u.T[kept] @ left))
    sip_update_weights(net, torch.optim.SGD(net.parameters(), 0.1), Mixing(is_bent=True), y, targets=rule)
    after = np.concatenate([p.detach().numpy().reshape(-1) for p in net.parameters()])
    before = np.concatenate([p.numpy().reshape(-1) for p in parameters])
    np.testing.assert_allclose(after - before, 0.1 * change, rtol=1e-2, atol=1e-4 * abs(change).max())


class Halving(torch.autograd.Function):
    """A derivative that is written by hand, of which PyTorch cannot take several at once."""

    @staticmethod
    def forward(ctx, values):
        return values / 2

    @staticmethod
    def backward(ctx, cotangent):
        return Halving.apply(cotangent)


class ByHand(Mixing):
    def forward(self, x: Tensor) -> Tensor:
        return math.reshaped_tensor(
            Halving.apply(super().forward(x).native("batch,vector")), [x.shape.batch, x.shape.channel], convert=False
        )


def test_physics_whose_derivatives_are_written_by_hand(on_torch):
    found = []
    for physics in (ByHand(), Mixing(size=0.5)):
        net = Double()
        y = observations(4, precision=64)
        sip_update_weights(net, torch.optim.SGD(net.parameters(), 0.1), physics, y, targets=HalfInverse())
        found.append(net.linear.weight.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_nothing_depends_on_the_order_of_dims(on_torch):
    found, physics = [], HeatEquation(1.0, 0.1, 0.0)
    field = periodic(smooth(np.random.default_rng(0), 2, 4, 4))
    for order in ("batch,x,y", "y,batch,x"):
        torch.manual_seed(0)
        net = torch.nn.Conv2d(1, 1, (3, 1), padding=(1, 0))
        native = field.values.native(order)
        names = {"batch": batch("batch"), "x": field.values.shape["x"], "y": field.values.shape["y"]}
        stored = math.reshaped_tensor(native, [names[n] for n in order.split(",")], convert=False)
        y = field.with_values(stored)
        update = sip_update_weights(net, torch.optim.SGD(net.parameters(), 0.1), physics, y, targets="half-inverse")
        assert update.y.values.shape.names == y.values.shape.names
        found.append([array(update.y), net.weight.detach().numpy()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_is_not_finite_changes_nothing(framework):
    net, _ = linear_net(framework)
    optimizer = framework.adam(net)
    rule = HalfInverse(truncation=1e-3)
    sip_update_weights(net, optimizer, Mixing(), observations(2), targets=rule)
    before = framework.everything(net, optimizer)
    for physics, what in ((Overflowing(), "The simulated observation"), (Mixing(size=1e30), "holds NaN or infinity")):
        with pytest.raises(NonFiniteError, match=what):
            sip_update_weights(net, optimizer, physics, observations(2), targets=rule)
        for old, new in zip(before, framework.everything(net, optimizer), strict=True):
            np.testing.assert_array_equal(old, new)


def test_a_step_that_diverges_is_undone(on_torch):
    net = Double()
    optimizer = torch.optim.SGD(net.parameters(), float("inf"))
    before = [p.detach().clone() for p in net.parameters()]
    with pytest.raises(NonFiniteError, match="was undone"):
        sip_update_weights(net, optimizer, Mixing(), observations(2), targets=HalfInverse())
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_errors_of_states_are_reported(framework):
    net, (matrix, bias) = linear_net(framework)
    y, x_true = observations(4), observations(4, seed=9)
    update = sip_update_weights(
        net, framework.adam(net), Mixing(), y, x_true=x_true, targets="half-inverse", micro_batches=2
    )
    expected = 0.5 * ((values(4) @ matrix + bias - values(4, 9)) ** 2).sum(1)
    np.testing.assert_allclose(array(update.x_l2), expected, rtol=1e-4)


def test_a_zero_jacobian_changes_nothing(on_torch):
    net = Double()
    before = net.linear.weight.detach().clone()
    sip_update_weights(
        net, torch.optim.SGD(net.parameters(), 1.0), Mixing(size=0.0), observations(2), targets=HalfInverse()
    )
    assert torch.equal(net.linear.weight, before)


def test_a_weight_that_is_a_number(on_torch):
    """x = a y*: J = A y* has one column, and Δa = (J · Δy) / |J|^(1+κ)."""

    class Gain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

        def forward(self, native):
            return self.a * native

    net, y_target = Gain(), values(4)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    sip_update_weights(net, optimizer, Mixing(), observations(4, precision=64), targets=HalfInverse())
    column = y_target @ MATRIX.T
    change = (column * (y_target - 0.3 * column)).sum() / np.linalg.norm(column) ** 1.5
    assert float(net.a.detach()) == pytest.approx(0.3 + change, rel=1e-9)


@pytest.mark.parametrize("frozen", [False, True])
def test_weights_that_nothing_depends_on(frozen, on_torch):
    """They stay as they are; without any other weights nothing can be learned."""
    net, spare = Double(), torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    for parameter in net.parameters():
        parameter.requires_grad_(not frozen)
    net.register_parameter("spare", spare)
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    before = net.linear.weight.detach().clone()
    if frozen:
        with pytest.raises(NetworkOutputError, match="does not depend on the weights"):
            sip_update_weights(net, optimizer, Mixing(), observations(2), targets=HalfInverse())
    else:
        sip_update_weights(net, optimizer, Mixing(), observations(2), targets=HalfInverse())
        assert not torch.equal(net.linear.weight, before)
    assert spare.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "gradient"}, "HalfInverse does not use the argument solver"),
        ({"step_size": 0.5}, "HalfInverse does not use the argument step_size"),
        ({"compile": True}, "compile=True is for TensorFlow and JAX"),
        ({"micro_batches": 3}, "Give a number that divides"),
    ],
)
def test_what_it_does_not_use_is_refused(options, message, on_torch):
    net = Double()
    before = net.linear.weight.detach().clone()
    with pytest.raises((UnsupportedError, ParameterError), match=message):
        sip_update_weights(
            net, torch.optim.SGD(net.parameters(), 1.0), Mixing(), observations(4), targets=HalfInverse(), **options
        )
    assert torch.equal(net.linear.weight, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exponent": 1.5}, "from −1, the gradient, to 1"),
        ({"exponent": float("nan")}, "from −1, the gradient, to 1"),
        ({"exponent": "half"}, "exponent is a str"),
        ({"truncation": 0.0}, "truncation = 0.0"),
        ({"truncation": 1.0}, "truncation = 1.0"),
        ({"truncation": True}, "truncation is a bool"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ParameterError, match=message):
        HalfInverse(**arguments)


def test_an_optimizer_that_evaluates_the_loss_again_is_refused(on_torch):
    net = Double()
    with pytest.raises(UnsupportedError, match="could not make its step and was undone"):
        sip_update_weights(net, torch.optim.LBFGS(net.parameters()), Mixing(), observations(2), targets=HalfInverse())


def test_what_does_not_fit_into_memory_is_refused(on_torch, monkeypatch):
    monkeypatch.setattr("phi_sip.step.half_inverse.available", lambda: 10_000)
    net = Double()
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    sip_update_weights(net, optimizer, Mixing(), observations(4), targets=HalfInverse())
    before = net.linear.weight.detach().clone()
    message = "derivatives of 300 observed values by 12 weights, which take 0.00147 GB, but 1e-05 GB"
    with pytest.raises(ParameterError, match=message):
        sip_update_weights(net, optimizer, Mixing(), observations(100), targets=HalfInverse())
    assert torch.equal(net.linear.weight, before)


def test_physics_of_more_samples_than_are_observed_is_refused(on_torch):
    net = Double()
    before = net.linear.weight.detach().clone()
    sizes = math.tensor([1.0, 2.0, 3.0], batch("bodies"))
    physics = DifferentiablePhysics(lambda x: x * sizes)
    with pytest.raises(GridMismatchError, match="bodies=3"):
        sip_update_weights(net, torch.optim.SGD(net.parameters(), 1.0), physics, observations(4), targets=HalfInverse())
    assert torch.equal(net.linear.weight, before)


def test_complex_weights_are_refused(on_torch):
    class Complex(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(SIZE, dtype=torch.complex64))

        def forward(self, native):
            return (native * self.weight).real

    net = Complex()
    with pytest.raises(UnsupportedError, match="complex weights"):
        sip_update_weights(net, torch.optim.SGD(net.parameters()), Mixing(), observations(2), targets=HalfInverse())


@pytest.mark.parametrize("compile", [False, None])
def test_losses_of_keras_layers_are_refused(compile):
    net = keras.Sequential([keras.layers.Input((SIZE,)), keras.layers.Dense(SIZE, kernel_regularizer="l2")])
    before = [v.numpy() for v in net.variables]
    with pytest.raises(UnsupportedError, match="Layers of the network add losses"):
        sip_update_weights(
            net, keras.optimizers.SGD(0.1), Mixing(), observations(2), targets=HalfInverse(), compile=compile
        )
    for old, new in zip(before, net.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_scaled_losses_of_keras_change_nothing():
    """The optimizer divides what it is given by its scale."""
    found = []
    for optimizer in (keras.optimizers.SGD(0.1), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), 8.0)):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.Input((SIZE,)), keras.layers.Dense(SIZE)])
        sip_update_weights(
            net, optimizer, Mixing(), observations(2), targets=HalfInverse(truncation=1e-3), compile=False
        )
        found.append(net.trainable_variables[0].numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_several_workers_are_refused():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        net = keras.Sequential([keras.layers.Input((SIZE,)), keras.layers.Dense(SIZE)])
        optimizer = keras.optimizers.SGD(0.1)
    trainable = training_framework("tensorflow").trainable(net, optimizer)
    trainable.workers = object()
    request = phi_sip.contract.update.UpdateRequest(Mixing(), observations(2), targets=HalfInverse())
    with pytest.raises(UnsupportedError, match="several workers"):
        phi_sip.step.half_inverse.sip_update_weights(trainable, request)


def test_a_framework_without_jacobians_is_refused():
    path = Path(__file__).parent / "extensions" / "plain_numpy.py"
    spec = importlib.util.spec_from_file_location("plain_numpy_of_half_inverse", path)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    with pytest.raises(UnsupportedError, match="NumPyTrainable gives gradients only"):
        plain.NumPyTrainable(plain.Scaling(1.0), plain.Descent(0.1)).record_rows(lambda: 0)


def test_observations_that_cannot_be_compared_are_refused(on_torch):
    class Shorter(Mixing):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).vector[:2]

    net = Double()
    with pytest.raises(GridMismatchError, match="y_target is"):
        sip_update_weights(net, torch.optim.SGD(net.parameters()), Shorter(), observations(2), targets=HalfInverse())


def test_it_is_plain_data_and_has_a_name():
    rule = HalfInverse(0.25, 1e-4)
    assert construct(describe(rule)) == rule
    assert "half-inverse" in phi_sip.available_targets()
    assert phi_sip.get_target("half-inverse", exponent=0.25) == HalfInverse(0.25)
    assert HalfInverseUpdate() == HalfInverseUpdate()


def test_without_its_plugin(fresh_plugins, monkeypatch, on_torch):
    monkeypatch.setenv("PHI_SIP_DISABLE_PLUGINS", "half-inverse")
    net = Double()
    assert "half-inverse" not in phi_sip.available_targets()
    with pytest.raises(UnsupportedError, match="by the plugin 'half-inverse', which is left out"):
        sip_update_weights(net, torch.optim.SGD(net.parameters()), Mixing(), observations(2), targets=HalfInverse())


def test_a_training_with_a_teacher(on_torch, tmp_path):
    net = Double()
    teacher = Teacher(net, decay=0.5)
    y = observations(4, precision=64)
    run = train(
        net,
        torch.optim.SGD(net.parameters(), 0.3),
        Mixing(),
        by_step(lambda _: Batch(y)),
        steps=20,
        targets="half-inverse",
        teacher=teacher,
        folder=tmp_path / "run",
        progress=False,
    )
    assert run.steps[-1].y_l2 < 0.01 * run.steps[0].y_l2
