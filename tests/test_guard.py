"""The guard of a network: its gain against the best one, on three frameworks, kept with trained inverses."""

from __future__ import annotations

import json
from dataclasses import replace

import frameworks
import numpy as np
import phiml.nn
import pytest
from fields import array, periodic, smooth
from phiml import math
from typer.testing import CliRunner

from phi_sip import (
    Burgers,
    DifferentiablePhysics,
    EmpiricalBayes,
    Guard,
    HeatEquation,
    NetworkSpec,
    ParameterError,
    RiskEstimate,
    Tikhonov,
    UnsupportedError,
    fit_guard,
    predict_state,
    sip_inverse,
)
from phi_sip.cli.app import app
from phi_sip.errors import CheckpointError
from phi_sip.experiment import build, read_experiment
from phi_sip.files import GridArray, read_grid, write_grids
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.states import trees
from phi_sip.training.checkpoints.manifest import write_manifest

SIGMA = 0.05
PHYSICS = HeatEquation(1.0, 0.5, SIGMA, EmpiricalBayes())
INPUTS = ("y", "estimate")
SPEC = NetworkSpec("u_net", {"in_channels": 2, "out_channels": 1, "levels": 1, "filters": 4, "batch_norm": False})


def observations(samples: int, seed: int = 0, n: int = 16):
    rng = np.random.default_rng(seed)
    x = periodic(1 + smooth(rng, samples, n, n))
    return PHYSICS.forward(x) + periodic(SIGMA * rng.standard_normal((samples, n, n))), x


def by_rule(y, rule, physics=PHYSICS):
    return sip_inverse(replace(physics, regularization=rule), y, physics.initial_state(y)).x_target


def network(framework):
    framework.seed(0)
    with framework.backend, math.precision(32):
        return phiml.nn.u_net(2, 1, in_spatial=2, levels=1, filters=4, batch_norm=False)


@pytest.mark.parametrize(
    ("inverse", "other", "low", "high"),
    [
        (EmpiricalBayes(), Tikhonov(1e-7), 0.0, 0.02),  # which follows the noise
        (EmpiricalBayes(), Tikhonov(10.0), 0.0, 0.1),  # which sees nearly nothing
        (Tikhonov(1e-7), EmpiricalBayes(), 0.95, 1.0),
        (Tikhonov(1.0), Tikhonov(1e-3), 0.3, 1.0),  # somewhere between
    ],
    ids=str,
)
def test_the_gain_is_the_best_one(inverse, other, low, high):
    physics = replace(PHYSICS, regularization=inverse)
    with math.precision(64):
        y, x = observations(500)
        risk = RiskEstimate.of(physics, y)
        found, probed = (by_rule(u, other, physics) for u in (y, risk.probed))
        guard = Guard.of(risk, found, probed)
        alone = by_rule(y, inverse, physics)
        assert low <= guard.gain <= high

        def weighted(gain):  # −⟨e, W (x* − (x* + e))⟩, the same weight with the truth in place of the observation
            error = trees.subtract(replace(guard, gain=gain).guarded(found, alone), x)
            without_noise = risk.weight.unexplained(physics.forward(x), x + error)
            return -(array(error) * array(without_noise)).sum()

        gains = np.linspace(0, 1, 51)
        best = gains[np.argmin([weighted(gain) for gain in gains])]
        assert guard.gain == pytest.approx(best, abs=0.1)
        assert (guard.risk < 0) == (weighted(1) < weighted(0))


def test_a_standard_error_is_given_to_the_network():
    with math.precision(64):
        y, _ = observations(200)
        risk = RiskEstimate.of(PHYSICS, y)
        found, probed = (by_rule(u, Tikhonov(3e-2)) for u in (y, risk.probed))
        linear, quadratic = risk.terms(found, probed)
        least = -linear.mean() / (2 * quadratic.mean())
        error = np.std(linear + 2 * least * quadratic, ddof=1) / np.sqrt(200) / (2 * quadratic.mean())
        guard = Guard.of(risk, found, probed)
    assert guard.gain == pytest.approx(np.clip(least + error, 0, 1))
    assert guard.risk == pytest.approx((linear + quadratic).mean())
    assert guard.risk_error == pytest.approx(np.std(linear + quadratic, ddof=1) / np.sqrt(200))


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("row", frameworks.TABLE, ids=lambda row: row.name)
def test_networks_are_guarded(row):
    net = network(row)
    y = observations(6)[0]
    unguarded = predict_state(net, PHYSICS, y, inputs=INPUTS)
    alone = array(by_rule(trees.to_backend(y, row.backend), EmpiricalBayes()))
    for gain in (0.0, 0.25, 1.0):
        guarded = predict_state(net, PHYSICS, y, inputs=INPUTS, guard=Guard(gain, 0.0, 0.0))
        np.testing.assert_allclose(array(guarded), alone + gain * (array(unguarded) - alone), atol=1e-4)
    guard = fit_guard(net, PHYSICS, y, inputs=INPUTS)  # a new network adds noise
    assert guard.gain < 0.3
    assert guard.risk > 0


def test_networks_that_do_not_add_to_it_are_guarded_too():
    y = observations(40)[0]
    net = network(frameworks.TABLE[1])
    guard = fit_guard(net, PHYSICS, y, predict=lambda u: trees.scale(u, 3.0))
    assert guard.gain < 0.05
    x = predict_state(net, PHYSICS, y, predict=lambda u: trees.scale(u, 3.0), guard=Guard(0.0, 0.0, 0.0))
    np.testing.assert_allclose(array(x), array(by_rule(y, EmpiricalBayes())), atol=1e-4)


def test_a_network_that_adds_nothing():
    with math.precision(64):
        y, _ = observations(5)
        risk = RiskEstimate.of(PHYSICS, y)
        assert Guard.of(risk, risk.reference, risk.reference_probed) == Guard(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("physics", "error", "message"),
    [
        (Burgers(0.1, 0.1, 4), UnsupportedError, "is not linear"),
        (DifferentiablePhysics(lambda x: x * 2, noise_std=1.0), UnsupportedError, "not linear|no inverse"),
        (HeatEquation(1.0, 1e-9), ParameterError, "needs σ"),
        ("heat", UnsupportedError, "physics is a str"),
    ],
    ids=["not linear", "no inverse", "noise", "no physics"],
)
def test_where_there_is_nothing_to_weigh(physics, error, message):
    net = network(frameworks.TABLE[1])
    with pytest.raises(error, match=message):
        fit_guard(net, physics, observations(2)[0], predict=lambda y: y)


@pytest.mark.parametrize("numbers", [(1.1, 0.0, 0.0), (-0.1, 0.0, 0.0), (float("nan"), 0.0, 0.0), (0.5, "a", 0.0)])
def test_numbers_that_make_no_guard(numbers):
    with pytest.raises(ParameterError, match="Guard: "):
        Guard(*numbers)


def saved(folder, guard):
    return save_inverse(folder, network(frameworks.TABLE[1]), PHYSICS, SPEC, inputs=INPUTS, guard=guard)


def test_it_is_kept_with_a_trained_inverse(tmp_path):
    y = observations(3)[0]
    none, half = (load_inverse(saved(tmp_path / str(g), g and Guard(g, -1.0, 0.1))) for g in (None, 0.5))
    assert none.guard is None
    assert half.guard == Guard(0.5, -1.0, 0.1)
    alone = array(by_rule(y, EmpiricalBayes()))
    between = alone + 0.5 * (array(none.predict(y)) - alone)
    np.testing.assert_allclose(array(half.predict(y)), between, atol=1e-4)
    write_grids(tmp_path / "y.npz", {"observation": GridArray.of_field(y)})
    result = CliRunner().invoke(
        app, ["invert", str(tmp_path / "0.5"), *map(str, (tmp_path / "y.npz", "-o", tmp_path / "x.npz"))]
    )
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(array(read_grid(tmp_path / "x.npz", "state").to_field()), between, atol=1e-4)
    with np.load(tmp_path / "x.npz") as file:
        assert any('guard: {"gain": 0.5' in text for text in file["attributes"])


@pytest.mark.parametrize(
    "guard", [{"gain": 7, "risk": 0, "risk_error": 0}, {"gain": 0.5}, "all", {"gain": "x"}, {}, 0, False]
)
def test_what_a_folder_says_is_checked(tmp_path, guard):
    folder = saved(tmp_path / "model", Guard(0.5, 0.0, 0.0))
    content = json.loads((folder / "manifest.json").read_text())["manifest"]["content"]
    assert content["format"] == 4
    (folder / "manifest.json").unlink()
    write_manifest(folder, 0, "torch", {**content, "guard": guard})
    with pytest.raises((CheckpointError, ParameterError), match=r"guard|Guard"):
        load_inverse(folder)


EXPERIMENT = """
[experiment]
framework = "torch"
[physics.parameters]
diffusivity = 1.0
time = 0.5
regularization = { type = "EmpiricalBayes" }
[data]
resolution = [16, 16]
batch_size = 4
validation = 16
noise_std = 0.05
[network]
arguments = { in_channels = 2, out_channels = 1, levels = 1, filters = 4 }
inputs = ["y", "estimate"]
[training]
steps = 2
guard = true
interval = true
"""


def test_experiments_end_with_it(tmp_path):
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    result = CliRunner().invoke(app, ["train", *map(str, (tmp_path / "experiment.toml", "-o", tmp_path / "run"))])
    assert result.exit_code == 0, result.output
    assert "of what the network adds to the inverse is kept" in result.output
    inverse = load_inverse(tmp_path / "run" / "model")
    assert inverse.guard is not None
    assert inverse.interval is not None


def test_experiments_without_noise_to_be_known_are_refused_first(tmp_path):
    (tmp_path / "experiment.toml").write_text(EXPERIMENT.replace("time = 0.5", "time = 1e-9"))
    with pytest.raises(ParameterError, match="The guard needs σ"):
        build(read_experiment(tmp_path / "experiment.toml"))
