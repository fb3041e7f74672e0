"""Observations unlike those of the training: trained inverses say so, and say nothing about those like them."""

from __future__ import annotations

import warnings

import frameworks
import numpy as np
import pytest
from fields import array, periodic, smooth
from phi.field import Field
from phiml import math
from typer.testing import CliRunner

from phi_sip import EmpiricalBayes, HeatEquation, NetworkSpec, sip_update_weights
from phi_sip.cli.app import app
from phi_sip.errors import MisfitWarning
from phi_sip.files import GridArray, write_grids
from phi_sip.inference import TrainedInverse, invert_file, load_inverse, save_inverse

PHYSICS = HeatEquation(1.0, 1.0, 1e-3, EmpiricalBayes())
SPEC = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 2, "filters": 4})
TORCH = frameworks.TABLE[1]


def observations(samples: int, seed: int, n: int = 16, amplitude: float = 1.0) -> Field:
    rng = np.random.default_rng(seed)
    with math.precision(64):
        y = PHYSICS.forward(periodic(smooth(rng, samples, n, n) * 16 / n))
        return periodic(amplitude * (array(y) + 1e-3 * rng.standard_normal((samples, n, n))))


def noise(samples: int, n: int = 16) -> np.ndarray:
    return array(observations(64, 0)).std() * np.random.default_rng(9).standard_normal((samples, n, n))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with TORCH.backend:
        TORCH.seed(0)
        net = SPEC.build()
        optimizer = TORCH.adam(net, 5e-3)
        for step in range(120):
            sip_update_weights(net, optimizer, PHYSICS, observations(8, step))
        return save_inverse(tmp_path_factory.mktemp("misfit") / "model", net, PHYSICS, SPEC, observations(64, 1000))


@pytest.fixture
def inverse(model) -> TrainedInverse:
    return load_inverse(model)


@pytest.mark.parametrize("n", [16, 32])
def test_held_out_observations_are_like_those_of_the_training(inverse, n):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inversion = inverse.invert(observations(256, 2000, n))
    ratios = inversion.misfit_ratio.numpy("batch")
    assert 0.8 < (ratios < 1).mean() <= 1


@pytest.mark.parametrize("n", [16, 32])
@pytest.mark.parametrize("kind", ["noise", "amplitude"])
def test_other_observations_are_named(inverse, n, kind):
    y = array(observations(12, 2000, n))
    other = noise(12, n) if kind == "noise" else 30 * y
    y[[3, 7]] = other[[3, 7]]
    with pytest.warns(MisfitWarning, match=r"2 of 12 samples .* times .*counted from 0: 3, 7\).*--refine 1"):
        inversion = inverse.invert(periodic(y))
    ratios = inversion.misfit_ratio.numpy("batch")
    assert set(np.argsort(ratios)[-2:]) == {3, 7}
    assert ratios[[3, 7]].min() > 5


def test_the_remedy(inverse):
    """An observation of another amplitude can be explained, and then there is no reason to warn."""
    y = observations(4, 2000, amplitude=30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inversion = inverse.invert(y, refine=1)
    assert inversion.misfit_ratio.numpy("batch").max() < 5


def test_files_and_the_command(model, inverse, tmp_path):
    y = array(observations(10, 2000))
    y[[4, 9]] = noise(2)
    with math.precision(64):
        write_grids(tmp_path / "y.npz", {"observation": GridArray.of_field(periodic(y))})
        write_grids(tmp_path / "like.npz", {"observation": GridArray.of_field(observations(10, 2000))})
    with pytest.warns(MisfitWarning, match=r"2 of 10 samples .*counted from 0: 4, 9\)") as caught:
        invert_file(inverse, tmp_path / "y.npz", tmp_path / "x.npz", batch_size=3)
    assert len(caught) == 1
    for name, warned in (("y", True), ("like", False)):
        command = ["invert", str(model), str(tmp_path / f"{name}.npz"), "-o", str(tmp_path / "states.npz")]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert ("2 of 10 samples" in done.output) is warned
        assert ("Warning" in done.output) is warned


def test_without_observations_nothing_is_compared(tmp_path):
    with TORCH.backend:
        folder = save_inverse(tmp_path / "model", SPEC.build(), PHYSICS, SPEC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inversion = load_inverse(folder).invert(periodic(noise(2)))
    assert inversion.misfit_ratio is None
