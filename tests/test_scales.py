"""States of parts that differ in unit and size: their norm, in training and in iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from fields import array, periodic, smooth
from phi.field import StaggeredGrid
from phi.geom import Box
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import (
    LBFGS,
    Composite,
    ConjugateGradient,
    Control,
    Correction,
    DifferentiablePhysics,
    Evolution,
    GaussNewton,
    HeatEquation,
    InvertiblePhysics,
    Labels,
    LevenbergMarquardt,
    Masked,
    ParameterError,
    Projected,
    SelfSimulated,
    TruncatedGaussNewton,
    get_solver,
    sip_inverse,
    sip_update_weights,
    train,
)
from phi_sip.data import Batch, by_step
from phi_sip.states import trees
from phi_sip.states.scales import StateScales

CELLS, SAMPLES, RATE = 8, 4, 1e-2
SCALE = {"u": 0.5, "b": 20.0}
GAIN = {"u": 3.0, "b": 0.1}


@dataclass(frozen=True)
class Gains(InvertiblePhysics):
    """y = g x for each part of a state, with the exact inverse."""

    name: ClassVar[str] = "gains"

    x_scale: Any = None

    def forward(self, x):
        return {"u": x["u"] * GAIN["u"], "b": x["b"] * GAIN["b"]}

    def inverse(self, y_target, x, y):
        return Correction({key: (y_target[key] - y[key]) / GAIN[key] for key in x})

    def initial_state(self, y_target):
        return trees.scale(y_target, 0)


def state(seed: int = 0, samples: int = SAMPLES) -> dict[str, Any]:
    """A field u and a number b for each sample, which is ten times as large."""
    rng = np.random.default_rng(seed)
    u = periodic(1 + smooth(rng, samples, CELLS))
    return {"u": u, "b": math.tensor(10 * rng.standard_normal(samples), batch("batch"))}


def predictor(net):
    """u is the first channel, b ten times the mean of the second one."""

    def predict(y):
        with math.precision(32):
            out = math.native_call(net, math.to_float(y["u"].values), channel_dim="out")
        return {"u": y["u"].with_values(out.out[0]), "b": 10 * math.mean(out.out[1], spatial)}

    return predict


def updated(framework, physics, seed=0, **options):
    """One step of SGD: what it reports, and how far it moves the bias of the last layer and all other weights."""
    net = framework.u_net(1, 2, in_spatial=1, batch_norm=False)
    before = framework.weights(net)
    x = state(seed)
    y_target = physics.forward(x)
    options = {"x_true": x, "predict": predictor(net), **options}
    update = sip_update_weights(net, framework.sgd(net, RATE), physics, y_target, **options)
    moved = [b - a for a, b in zip(before, framework.weights(net), strict=True)]
    (bias,) = (change.ravel() for change in moved if change.size == change.shape[-1] == 2)
    return update, bias, moved


def values(update, name):
    return getattr(update, name).numpy("batch")


def differences(update, x):
    return array(update.x["u"]) - array(x["u"]), update.x["b"].numpy("batch") - x["b"].numpy("batch")


@pytest.mark.parametrize("targets", [Labels(), None], ids=["labels", "inverse"])
@pytest.mark.parametrize("scale", [None, SCALE], ids=["default", "scaled"])
def test_loss_and_gradient_are_those_of_the_norm(framework, scale, targets):
    """Σ_parts N/n Σ (x/s)²: the field has 8 values, the number one, N = 8. With labels step by step, else compiled."""
    compile = True if targets is None and framework.name != "torch" else None
    update, bias, _ = updated(framework, Gains(scale), targets=targets, compile=compile)
    s = scale or {"u": 1.0, "b": 1.0}
    du, db = differences(update, state())
    loss = 0.5 * np.sum(du**2, 1) / s["u"] ** 2 + 0.5 * CELLS * db**2 / s["b"] ** 2
    np.testing.assert_allclose(values(update, "loss"), loss, rtol=1e-4)
    np.testing.assert_allclose(values(update, "x_l2"), loss, rtol=1e-4)
    expected = -RATE * np.array([np.sum(du) / s["u"] ** 2, 10 * CELLS * np.sum(db) / s["b"] ** 2])
    np.testing.assert_allclose(bias, expected, rtol=1e-3)
    du, db = 3 * du, 0.1 * db
    np.testing.assert_allclose(values(update, "y_l2"), 0.5 * np.sum(du**2, 1) + 0.5 * db**2, rtol=1e-4)


def test_self_simulated_states_have_the_norm(framework):
    physics = Gains({"u": 0.5, "b": 2.0})
    target = SelfSimulated(transform=None, noise_std=0.0, bias_correction=0.0)
    update, *_ = updated(framework, physics, targets=target, x_true=None)
    with NUMPY:
        error = trees.subtract(trees.to_backend(update.x, NUMPY), trees.to_backend(state(), NUMPY))
    expected = 2 * np.sum(array(error["u"]) ** 2, 1) + CELLS / 8 * error["b"].numpy("batch") ** 2
    loss = update.loss
    np.testing.assert_allclose(loss.numpy(loss.shape).ravel(), expected, rtol=1e-3)


def test_gradient_of_the_weights_is_ordinary_training_whatever_the_scales(framework):
    """Jᵀ(y* − y) is measured in the norm in which it is pulled back."""
    found = [updated(framework, Gains(scale), solver="gradient") for scale in (None, SCALE)]
    du, db = differences(found[0][0], state())
    expected = -RATE * np.array([GAIN["u"] ** 2 * np.sum(du), 10 * GAIN["b"] ** 2 * np.sum(db)])
    for _, bias, _ in found:
        np.testing.assert_allclose(bias, expected, rtol=1e-3)
    for a, b in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_parts_of_the_batch_have_the_scales_of_their_samples(framework):
    s = np.array([1.0, 4.0, 0.5, 2.0])
    physics = Gains({"u": 1.0, "b": math.tensor(10 * s, batch("batch"))})
    compile = framework.name != "torch" or None
    update, bias, moved = updated(framework, physics, compile=compile)
    du, db = differences(update, state())
    np.testing.assert_allclose(bias, -RATE * np.array([np.sum(du), 10 * CELLS * np.sum(db / (10 * s) ** 2)]), rtol=1e-3)
    parts, _, by_parts = updated(framework, physics, micro_batches=2, compile=compile)
    np.testing.assert_allclose(values(parts, "loss"), values(update, "loss"), rtol=1e-5)
    for a, b in zip(moved, by_parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7)


# --- the norm itself


def boxed(**sizes):
    return {"bounds": Box(**{axis: float(size) for axis, size in sizes.items()}), **sizes}


SIMPLE = {
    "field": lambda: periodic(smooth(np.random.default_rng(0), 2, 4, 6)),
    "vector": lambda: periodic(smooth(np.random.default_rng(0), 2, 4, 6)[..., None] * np.ones(2), vector=True),
    "staggered": lambda: StaggeredGrid(1.0, extrapolation.ZERO, **boxed(x=3, y=7)),
    "number": lambda: math.tensor([1.0, 2.0], batch("batch")),
    "equal parts": lambda: (math.zeros(spatial(x=6)), math.zeros(spatial(x=3), channel(vector="x,y"))),
}


@pytest.mark.parametrize("make", SIMPLE.values(), ids=SIMPLE)
def test_states_of_one_part_and_of_equal_ones_are_as_they_are(make):
    with NUMPY:
        x = make()
        assert StateScales(None).relative(x) is x
        assert StateScales(None).absolute(x) is x


def test_components_of_a_staggered_grid_are_one_part(double):
    """Although between walls they have different sizes: here 2 · 7 and 3 · 6 values."""
    with NUMPY:
        v = StaggeredGrid(1.0, extrapolation.ZERO, **boxed(x=3, y=7))
        x = {"v": v, "b": math.tensor([2.0, 4.0], batch("batch"))}
        along = v.values.shape.without("x,y")
        np.testing.assert_allclose(StateScales(None).loss(x).numpy("batch"), 16 + 16 * np.array([4.0, 16.0]))
        scaled = StateScales({"v": math.tensor([1.0, 2.0], along), "b": 2.0})
        np.testing.assert_allclose(scaled.loss(x).numpy("batch"), 7 + 9 / 4 + 16 * np.array([1.0, 4.0]))
        back = scaled.absolute(scaled.relative(x))
        np.testing.assert_allclose(back["b"].numpy("batch"), [2.0, 4.0])
        assert back["v"].resolution == v.resolution


WRONG = {
    "zero": ({"u": 0.0, "b": 1.0}, "> 0"),
    "negative": ({"u": 1.0, "b": -1.0}, "> 0"),
    "not finite": ({"u": float("nan"), "b": 1.0}, "finite"),
    "a word": ({"u": "auto", "b": 1.0}, "numbers"),
    "a part is missing": ({"u": 1.0}, "each of its parts"),
    "another part": ({"u": 1.0, "c": 1.0}, "each of its parts"),
    "one for all": (2.0, "each of its parts"),
    "another structure": ((1.0, 2.0), "each of its parts"),
    "dims of another part": ({"u": 1.0, "b": math.wrap([1.0] * CELLS, spatial("x"))}, "dims of the part"),
}


@pytest.mark.parametrize(("scale", "message"), WRONG.values(), ids=WRONG)
def test_wrong_scales_are_refused(on_torch, scale, message):
    import frameworks

    torch = frameworks.TABLE[1]
    net = torch.u_net(1, 2, in_spatial=1, batch_norm=False)
    before = torch.weights(net)
    x = state()
    with pytest.raises(ParameterError, match=message):
        sip_update_weights(
            net, torch.adam(net), Gains(scale), Gains().forward(x), predict=predictor(net), targets=Labels(), x_true=x
        )
    for a, b in zip(before, torch.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ParameterError, match=message):
        sip_inverse(DifferentiablePhysics(Gains().forward, x_scale=scale), Gains().forward(x), trees.scale(x, 0.5))


@pytest.mark.parametrize("scale", [{"u": 0.0, "b": 1.0}, {"u": -1, "b": 1.0}, "auto"])
def test_wrong_scales_are_refused_when_physics_is_made(scale):
    with pytest.raises(ParameterError, match="x_scale"):
        DifferentiablePhysics(Gains().forward, x_scale=scale)
    with pytest.raises(ParameterError, match="x_scale"):
        Evolution(lambda x, dt: x, 1.0, 2, x_scale=scale)


def test_physics_of_physics_pass_the_scales_on():
    inner = DifferentiablePhysics(lambda x: x["u"], x_scale=SCALE)
    mask = math.tensor([1.0, 0.0] * (CELLS // 2), spatial("x"))
    assert Masked(DifferentiablePhysics(lambda x: x["u"], noise_std=0.1, x_scale=SCALE), mask).x_scale is SCALE
    assert Composite(inner, DifferentiablePhysics(lambda u: 2 * u)).x_scale is SCALE
    assert Evolution(lambda x, dt: x, 1.0, 2, x_scale=SCALE).x_scale is SCALE
    assert Projected(inner, lambda x: x).x_scale is SCALE
    control = Control(inner, {"u": mask, "b": math.wrap(0.0)}, 2, time_step=0.5)
    assert {name: float(scale) for name, scale in control.x_scale.items()} == {k: 2 * v for k, v in SCALE.items()}
    assert Control(inner, {"u": mask, "b": math.wrap(0.0)}, 2, act=lambda x, f: x).x_scale is None
    assert Gains().x_scale is None


# --- iterations


UNIT = 2.0**10
MIXED = np.random.default_rng(3).standard_normal((12, CELLS + 1)) @ np.diag([*np.linspace(0.3, 1, CELLS), 1.0])


def mixed(unit: float, linear: bool):
    """y = A (u, b / unit), or with an exponential of b: b is in units of 1 / unit."""

    def forward(x):
        matrix = math.tensor(MIXED, channel(out=12), spatial(x=CELLS + 1))
        b = math.expand(x["b"], spatial(x=1)) / unit
        state = math.concat([x["u"], b if linear else math.exp(0.3 * b)], "x")
        return math.dot(matrix, "x", state, "x")

    return forward


def unknowns(unit: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    u = math.tensor(rng.standard_normal((3, CELLS)), batch("batch"), spatial("x"))
    return {"u": u, "b": math.tensor(unit * rng.standard_normal(3), batch("batch"))}


def flat(x) -> np.ndarray:
    return np.concatenate([x["u"].numpy("batch,x"), x["b"].numpy("batch")[:, None]], 1)


SOLVERS = [
    GaussNewton(iterations=1, inner_iterations=2),
    LevenbergMarquardt(iterations=2, inner_iterations=3),
    TruncatedGaussNewton(),
    LBFGS(iterations=3),
    get_solver("gradient"),
    get_solver("saddle-free-newton"),
    ConjugateGradient(iterations=3),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_units_of_a_part_do_not_matter(on_torch, double, solver):
    """Given its size in these units, each iteration takes the same steps, long before it has converged."""
    check_units(solver)


@pytest.mark.slow_on("tensorflow")
def test_units_do_not_matter_where_iterations_are_compiled(compiling, double):
    check_units(LevenbergMarquardt(iterations=2, inner_iterations=3))


def check_units(solver) -> None:
    linear = isinstance(solver, ConjugateGradient)
    found = []
    for unit in (1.0, UNIT):
        scale = {"u": 1.0, "b": unit}
        physics = DifferentiablePhysics(mixed(unit, linear), linear=linear, x_scale=scale)
        step = sip_inverse(physics, physics.forward(unknowns(unit)), trees.scale(unknowns(unit, 1), 0.3), solver=solver)
        found.append(flat(step.dx) / np.array([1.0] * CELLS + [unit]))
    assert np.abs(found[0]).max() > 1e-3
    np.testing.assert_allclose(found[1], found[0], rtol=1e-7, atol=1e-9)


def test_conjugate_gradients_are_those_of_the_scaled_matrix(framework, double):
    """Two iterations on A diag(s), by hand."""
    physics = DifferentiablePhysics(mixed(1.0, True), linear=True, x_scale={"u": 2.0, "b": 5.0})
    x = unknowns(1.0)
    step = sip_inverse(physics, physics.forward(x), trees.scale(x, 0), solver=ConjugateGradient(iterations=2))
    s = np.array([2.0] * CELLS + [5.0])
    scaled, target = MIXED * s, flat(x) @ MIXED.T
    gradient = target @ scaled
    basis = np.stack([gradient, gradient @ scaled.T @ scaled], 2)  # of the Krylov space
    image = scaled @ basis
    best = np.stack([np.linalg.lstsq(image[i], target[i], rcond=None)[0] for i in range(3)])
    np.testing.assert_allclose(flat(step.dx), s * np.einsum("bnk,bk->bn", basis, best), rtol=1e-6)


@pytest.mark.parametrize("solver", [LevenbergMarquardt(), GaussNewton()], ids=lambda solver: solver.name)
def test_a_part_in_small_units_is_found_with_its_size_only(on_torch, double, solver):
    """The size 1e-6 of b hides it from what counts iterations, but not from its size."""
    errors = []
    for scale in (None, {"u": 1.0, "b": 1e-6}):
        physics = DifferentiablePhysics(mixed(1e-6, False), x_scale=scale)
        x = unknowns(1e-6)
        start = {"u": x["u"] * 0, "b": x["b"] * 0}
        step = sip_inverse(physics, physics.forward(x), start, solver=solver)
        errors.append(np.abs(flat(step.x_target) - flat(x))[:, :CELLS].max())
    assert errors[1] < 1e-2
    assert errors[1] < 0.1 * errors[0]


# --- heat with a diffusivity that is not known


def heat(x):
    nu = math.exp(x["log_nu"])
    return {"early": HeatEquation(nu, 0.5).forward(x["u"]), "u": HeatEquation(nu, 2.0).forward(x["u"])}


def unknown(seed: int = 0):
    rng = np.random.default_rng(seed)
    u = periodic(1 + smooth(rng, 2, CELLS))
    return {"u": u, "log_nu": math.tensor(rng.uniform(-0.7, 0.7, 2), batch("batch"))}


@pytest.mark.slow_on("tensorflow")
def test_an_unknown_diffusivity_is_found(framework, double):
    physics, x = DifferentiablePhysics(heat, x_scale={"u": 0.5, "log_nu": 0.4}), unknown()
    y = physics.forward(x)
    step = sip_inverse(physics, y, {"u": y["early"], "log_nu": x["log_nu"] * 0})
    difference = step.x_target["log_nu"].numpy("batch") - x["log_nu"].numpy("batch")
    assert np.abs(difference).max() < 2e-2
    assert np.abs(array(step.x_target["u"]) - array(x["u"])).max() < 0.1


@pytest.mark.slow
def test_an_update_for_it_is_compiled(compiling):
    found = []
    for compile in (False, True):
        net = compiling.u_net(1, 2, in_spatial=1, batch_norm=False)
        physics = DifferentiablePhysics(heat, x_scale={"u": 0.5, "log_nu": 0.4})
        predict = predictor(net)

        def prediction(y, predict=predict):
            x = predict(y)
            return {"u": x["u"], "log_nu": 0.01 * x["b"]}

        y = physics.forward(unknown())
        update = sip_update_weights(net, compiling.sgd(net, 1e-2), physics, y, predict=prediction, compile=compile)
        found.append((update.loss.numpy("batch"), compiling.weights(net)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-3)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_validation_reports_the_norm(on_torch, tmp_path):
    import frameworks

    torch = frameworks.TABLE[1]
    net, x = torch.u_net(1, 2, in_spatial=1, batch_norm=False), state()
    physics, predict = Gains(SCALE), predictor(net)
    held_out = [Batch(physics.forward(x), x)]
    record = train(
        net,
        torch.sgd(net, 1e-9),
        physics,
        by_step(lambda step: Batch(physics.forward(state(step + 1)))),
        steps=1,
        validation=held_out,
        validate_every=1,
        folder=tmp_path / "run",
        predict=predict,
    )
    error = trees.stop_gradient(trees.subtract(predict(physics.forward(x)), x))
    expected = float(StateScales(SCALE).loss(error).mean)
    np.testing.assert_allclose(record.validations[-1].x_l2, expected, rtol=1e-3)
