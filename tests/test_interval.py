"""Intervals around the states of a network: how often they hold the truth, and how they are kept."""

from __future__ import annotations

import json
from dataclasses import replace

import frameworks
import numpy as np
import phiml.nn
import pytest
from fields import array, grid, periodic
from phi.field import StaggeredGrid
from phiml import math
from phiml.math import extrapolation
from typer.testing import CliRunner

from phi_sip import (
    Burgers,
    EmpiricalBayes,
    EmptyModes,
    Guard,
    HeatEquation,
    Interval,
    NetworkSpec,
    NoisePerCell,
    ParameterError,
    TotalVariation,
    UnsupportedError,
    fit_interval,
    predict_state,
    sip_inverse,
    start_from_estimate,
)
from phi_sip.cli.app import app
from phi_sip.data import heat_rectangles
from phi_sip.errors import CheckpointError
from phi_sip.files import GridArray, read_grid, write_grids
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.step.interval import _half_size, check_interval
from phi_sip.training.checkpoints.manifest import write_manifest

PHYSICS = HeatEquation(1.0, 2.0, 0.01, TotalVariation(minimum=0.0))
INPUTS = ("y", "estimate")
SPEC = NetworkSpec("u_net", {"in_channels": 2, "out_channels": 1, "levels": 1, "filters": 4, "batch_norm": False})
TORCH = frameworks.TABLE[1]


def network(framework=TORCH):
    framework.seed(0)
    with framework.backend, math.precision(32):
        return phiml.nn.u_net(2, 1, in_spatial=2, levels=1, filters=4, batch_norm=False)


def observations(samples: int, cells: int = 32, seed: int = 0):
    x = heat_rectangles(math.batch(batch=samples), math.spatial(x=cells, y=cells), seed=seed)
    noise = 0.01 * np.random.default_rng(seed).standard_normal((samples, cells, cells))
    return PHYSICS.forward(x) + periodic(noise), x


def test_it_holds_the_true_states():
    """Of rectangles, which the network that adds nothing inverts as the inverse does."""
    y, x = observations(64)
    net = network()
    start_from_estimate(net, PHYSICS, y.batch[:2], inputs=INPUTS)
    interval = fit_interval(net, PHYSICS, observations(64, seed=1)[0], inputs=INPUTS)
    found = predict_state(net, PHYSICS, y, inputs=INPUTS)
    width = interval.half_width(sip_inverse(PHYSICS, y, PHYSICS.initial_state(y)).uncertainty)
    covered = np.abs(array(found) - array(x)) <= array(width)
    assert 0.93 <= covered.mean() <= 0.97


def test_its_factor_is_the_quantile_of_the_simulated_errors():
    rng = np.random.default_rng(0)
    errors, deviations = rng.standard_normal(100_000), np.full(100_000, 2.0)
    assert Interval.of(errors, deviations, 0.95).factor == pytest.approx(0.98, abs=0.02)
    few = Interval.of(np.arange(1.0, 10.0), np.ones(9), 0.8)
    assert few.factor == 8  # of 10 values, nine and the one to come, eight are below
    assert Interval.of(np.arange(1.0, 10.0), np.ones(9), 0.99).factor == 9


def test_half_the_size_keeps_cells_and_means():
    values = np.random.default_rng(0).random((2, 8, 4))
    state = grid(values, (0.5, 2.0), extrapolation.ZERO_GRADIENT)
    half = _half_size(state)
    np.testing.assert_allclose(array(half), values.reshape(2, 4, 2, 2, 2).mean((2, 4)), rtol=1e-6)
    assert half.boundary == state.boundary
    for axis in "xy":
        assert float(half.dx.vector[axis]) == float(state.dx.vector[axis])
        assert float(half.bounds.size.vector[axis]) == float(state.bounds.size.vector[axis]) / 2


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
@pytest.mark.parametrize("row", frameworks.TABLE, ids=lambda row: row.name)
def test_frameworks_agree(row):
    physics = replace(PHYSICS, regularization=EmpiricalBayes())
    y, _ = observations(4, 16)
    net = network(row)
    start_from_estimate(net, physics, y, inputs=INPUTS)
    interval = fit_interval(net, physics, y, inputs=INPUTS)
    with TORCH.backend:
        other = network()
        start_from_estimate(other, physics, y, inputs=INPUTS)
    assert interval.factor == pytest.approx(fit_interval(other, physics, y, inputs=INPUTS).factor, rel=1e-2)
    wider = fit_interval(net, physics, y, inputs=INPUTS, coverage=0.99)
    assert wider.factor > interval.factor
    assert fit_interval(net, physics, y, inputs=INPUTS, guard=Guard(0.0, 0.0, 0.0)).factor == pytest.approx(
        interval.factor, rel=1e-3
    )


@pytest.mark.parametrize(
    ("physics", "y", "error", "message"),
    [
        (PHYSICS, observations(2, 15)[0], UnsupportedError, "even number of cells along x"),
        (HeatEquation(1.0, 1e-9), observations(2, 16)[0], ParameterError, "needs σ"),
        (Burgers(0.1, 0.1, 2), observations(2, 16)[0], UnsupportedError, "does not know its uncertainty|channel"),
        (
            HeatEquation(1.0, 1.0, 0.1),
            StaggeredGrid(1.0, extrapolation.PERIODIC, x=8, y=8),
            UnsupportedError,
            "centered grid",
        ),
    ],
    ids=["odd", "noise", "uncertainty", "staggered"],
)
def test_what_it_cannot_be_fitted_to(physics, y, error, message):
    with pytest.raises(error, match=message):
        fit_interval(network(), physics, y, predict=lambda y: y)


def test_wrong_numbers():
    with pytest.raises(ParameterError, match=r"coverage = 1\.5"):
        fit_interval(network(), PHYSICS, observations(1, 16)[0], inputs=INPUTS, coverage=1.5)
    for numbers in ((-1.0, 0.95), (1.0, 0.0), (float("inf"), 0.95), ("a", 0.95)):
        with pytest.raises(ParameterError, match="Interval: "):
            Interval(*numbers)


def test_no_interval_where_the_inverse_finds_nothing():
    errors, deviations = np.ones(100), np.ones(100)
    deviations[:4] = 0.0
    assert Interval.of(errors, deviations, 0.95).factor == pytest.approx(1.0)
    deviations[:6] = 1e-20
    with pytest.raises(ParameterError, match="finds no signal in 6% of the values"):
        Interval.of(errors, deviations, 0.95)


def test_what_cannot_be_made_smaller_is_refused_before_the_training():
    y = observations(2, 16)[0]
    check_interval(network(), PHYSICS, y, INPUTS)
    of_cells = replace(PHYSICS, noise_std=EmptyModes(), noise=NoisePerCell(y.values[{"batch": 0}] * 0 + 0.1))
    with pytest.raises(UnsupportedError, match="half as many cells"):
        check_interval(network(), of_cells, y, INPUTS)


def saved(folder):
    return save_inverse(folder, network(), PHYSICS, SPEC, inputs=INPUTS, interval=Interval(1.5, 0.9))


def test_it_is_kept_and_written(tmp_path):
    inverse = load_inverse(saved(tmp_path / "model"))
    assert inverse.interval == Interval(1.5, 0.9)
    y = observations(2, 16)[0]
    inversion = inverse.invert(y)
    np.testing.assert_allclose(array(inversion.interval), 1.5 * array(inversion.uncertainty), rtol=1e-6)
    assert inverse.invert(y, refine=1).interval is None  # another state
    write_grids(tmp_path / "y.npz", {"observation": GridArray.of_field(y)})
    for refine in (0, 1):
        paths = map(str, (tmp_path / "model", tmp_path / "y.npz", "-o", tmp_path / f"{refine}.npz"))
        result = CliRunner().invoke(app, ["invert", *paths, "--refine", str(refine)])
        assert result.exit_code == 0, result.output
    found = read_grid(tmp_path / "0.npz", "interval").to_field()
    np.testing.assert_allclose(array(found), array(inversion.interval), rtol=1e-3)
    with np.load(tmp_path / "0.npz") as file:
        assert any("holds the true value in 90% of the cells" in text for text in file["attributes"])
    with np.load(tmp_path / "1.npz") as file:
        assert "interval" not in file
        assert not any(text.startswith("interval") for text in file["attributes"])


@pytest.mark.parametrize("interval", [{"factor": -1, "coverage": 0.95}, {"factor": 1}, "wide", {}, 0, False])
def test_what_a_folder_says_is_checked(tmp_path, interval):
    folder = saved(tmp_path / "model")
    content = json.loads((folder / "manifest.json").read_text())["manifest"]["content"]
    (folder / "manifest.json").unlink()
    write_manifest(folder, 0, "torch", {**content, "interval": interval})
    with pytest.raises((CheckpointError, ParameterError), match=r"interval|Interval"):
        load_inverse(folder)
