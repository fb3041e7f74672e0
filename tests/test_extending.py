"""
What `docs/design.md` says under "To add": a physics, solver, rule, noise law, input, target, network, file format,
framework, weight update and record field come from a package of a stranger, through its entry point alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import phiml.nn
import pytest
from fields import array, periodic, smooth
from phiml import math
from phiml.backend import NUMPY

import phi_sip
from phi_sip import (
    Batch,
    HeatEquation,
    NetworkSpec,
    ParameterError,
    UnsupportedError,
    predict_state,
    read_run,
    sip_inverse,
    sip_update_weights,
    train,
)
from phi_sip.data import by_step
from phi_sip.descriptions.from_data import construct
from phi_sip.descriptions.to_data import describe
from phi_sip.files import GridArray, read_grid, write_grids
from phi_sip.frameworks import training_framework, training_frameworks
from phi_sip.frameworks.torch import PyTorch
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.step.transaction import make_update
from phi_sip.testing import check_physics

EXTENSIONS = Path(__file__).parent / "extensions"


@pytest.fixture
def installed(tmp_path, monkeypatch, fresh_plugins):
    """Installs one file of `extensions/` as a distribution that has an entry point, and nothing else."""

    def install(module: str):
        place = tmp_path / "site-packages"
        about = place / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (place / f"{module}.py").write_text((EXTENSIONS / f"{module}.py").read_text())
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[phi_sip]\n{module} = {module}\n")
        monkeypatch.syspath_prepend(place)
        monkeypatch.delitem(sys.modules, module, raising=False)
        phi_sip.plugins.manager.get_plugin_manager.cache_clear()
        return __import__(module)

    yield install
    for module in [name for name in sys.modules if (EXTENSIONS / f"{name}.py").exists()]:
        del sys.modules[module]


def observations(cells: int = 8):
    return periodic(1.5 + 0.2 * smooth(np.random.default_rng(0), 2, cells, cells))


def test_a_physics(installed):
    installed("cube")
    physics = phi_sip.get_physics("cube")
    y = observations()
    np.testing.assert_allclose(array(sip_inverse(physics, y, y).x_target), array(y) ** (1 / 3), 1e-6)
    assert construct(describe(physics)) == physics
    check_physics(physics, y)


def test_a_solver(installed):
    installed("landweber")
    assert "landweber" in phi_sip.available_solvers()
    y = observations()
    x = sip_inverse(HeatEquation(1.0, 0.1), y, y, solver="landweber").x_target
    np.testing.assert_allclose(array(HeatEquation(1.0, 0.1).forward(x)), array(y), atol=1e-4)


def test_a_rule(installed):
    sharp_cut = installed("sharp_cut")
    physics = HeatEquation(1.0, 1.0, 1e-3, regularization=sharp_cut.SharpCut(0.2))
    x = observations()
    y = physics.forward(x)
    estimate = sip_inverse(physics, y, y).x_target
    np.testing.assert_allclose(array(physics.forward(estimate)), array(y), atol=0.1)
    assert describe(physics)["parameters"]["regularization"]["type"] == "SharpCut"
    assert construct(describe(physics)) == physics


def test_a_noise_law(installed):
    law = installed("uniform_noise").UniformNoise()
    assert "uniform" in phi_sip.available_noise()
    physics = HeatEquation(1.0, 1.0, 0.1, noise="uniform")
    assert physics.noise == law
    assert construct(describe(physics)) == physics
    with NUMPY, math.precision(64):
        y = periodic(np.zeros((50, 16, 16)))
        noise = array(
            physics.add_noise(y, periodic(np.random.default_rng(1).normal(size=(50, 16, 16))), {"noise_std": 0.1})
        )
        plain, named = (sip_inverse(p, y + 1, y).x_target for p in (HeatEquation(1.0, 1.0, 0.1), physics))
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise).max() < 0.1 * 3**0.5
    np.testing.assert_array_equal(array(named), array(plain))


def test_an_input(installed):
    mean = installed("mean_input").Mean()
    assert "mean" in phi_sip.available_inputs()
    assert construct(describe(mean)) == mean
    from phi.torch import TORCH

    seen = []
    y = observations()
    with TORCH:
        net = NetworkSpec("u_net", {"in_channels": 2, "out_channels": 1, "levels": 1, "filters": 2}).build()
        net.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        predict_state(net, HeatEquation(1.0, 1.0, 0.1), y, inputs=("y", "mean"))
    expected = array(y).mean((1, 2))
    np.testing.assert_allclose(seen[0][:, 1].detach().numpy(), expected[:, None, None] + 0 * array(y), rtol=1e-5)


def test_a_target(installed):
    half_way = installed("half_way")
    assert "half-way" in phi_sip.available_targets()
    assert construct(describe(half_way.HalfWay(0.25))) == half_way.HalfWay(0.25)
    from phi.torch import TORCH

    y, physics = observations(), HeatEquation(1.0, 1.0, 0.1)
    with TORCH:
        net = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 1, "filters": 2}).build()
        optimizer = phiml.nn.adam(net, 1e-3)
        update = sip_update_weights(net, optimizer, physics, y, targets="half-way")
        estimate = sip_inverse(physics, y, y * 0).x_target
        with pytest.raises(UnsupportedError, match="HalfWay does not use the argument step_size"):
            sip_update_weights(net, optimizer, physics, y, targets="half-way", step_size=0.5)
    np.testing.assert_allclose(array(update.x_target), (array(update.x) + array(estimate)) / 2, atol=1e-5)


def test_a_network(installed):
    installed("scaling_network")
    from phi.torch import TORCH

    assert "scaling" in phi_sip.available_networks()
    with TORCH:
        net = NetworkSpec("scaling", {"start": 2.0}).build()
    assert float(net.weight.detach()) == 2.0


def test_a_framework(installed, tmp_path):
    """Networks of NumPy: updates, a whole training with checkpoints, and a trained inverse in a folder."""
    plain = installed("plain_numpy")
    physics, y = HeatEquation(1.0, 0.01, 0.0), observations()
    with NUMPY, math.precision(64):
        net, optimizer = plain.Scaling(0.5), plain.Descent(2.0)
        first = sip_update_weights(net, optimizer, physics, y)
        for _ in range(20):
            last = sip_update_weights(net, optimizer, physics, y, micro_batches=2)
        assert float(last.loss.mean) < 0.1 * float(first.loss.mean)
        with pytest.raises(ParameterError, match="no meaning"):
            sip_update_weights(net, optimizer, physics, y, training=True)
        run = train(
            net, optimizer, physics, by_step(lambda _: Batch(y)), steps=3, folder=tmp_path / "run", progress=False
        )
        assert len(run.steps) == 3
        network = NetworkSpec("numpy-scaling", {"start": 0.5})
        save_inverse(tmp_path / "model", net, physics, network, y)
        loaded = load_inverse(tmp_path / "model")
        np.testing.assert_allclose(array(loaded.predict(y)), array(physics.constrain(y * net.weight, y)), rtol=1e-6)


def test_a_weight_update(installed):
    """Half-inverse gradients get predictions, micro-batches and rollback; what they do not use is refused."""
    import torch
    from phi.torch import TORCH

    half_inverse = installed("half_inverse")
    with TORCH, math.precision(64):
        y = observations()
        torch.manual_seed(0)
        net = torch.nn.Conv2d(1, 1, 3, padding=1)
        optimizer = half_inverse.HalfInverse(net.parameters(), lr=0.5)
        physics = HeatEquation(1.0, 0.1, 0.0)
        losses = [float(sip_update_weights(net, optimizer, physics, y, micro_batches=2).y_l2.mean) for _ in range(10)]
        assert losses[-1] < 0.1 * losses[0]
        assert sip_update_weights(net, optimizer, physics, y, x_true=y).x_l2 is not None
        before = [parameter.clone() for parameter in net.parameters()]
        with pytest.raises(UnsupportedError, match="half_inverse_gradient does not use the argument solver"):
            sip_update_weights(net, optimizer, physics, y, solver="gradient")
        again = torch.optim.LBFGS(net.parameters())
        phi_sip.plugins.manager.get_plugin_manager().register(Always(half_inverse), name="always")
        with pytest.raises(UnsupportedError, match="could not make its step and was undone"):
            sip_update_weights(net, again, physics, y)
        optimizer.param_groups[0]["lr"] = float("inf")
        with pytest.raises(phi_sip.NonFiniteError, match="was undone"):
            sip_update_weights(net, optimizer, physics, y)
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_file_format(installed, tmp_path):
    installed("table_format")
    y = observations()
    write_grids(tmp_path / "y.table", {"heat": GridArray.of_field(y)})
    found = read_grid(tmp_path / "y.table").to_field(boundary="periodic", size=8)
    np.testing.assert_allclose(array(found), array(y), rtol=1e-6)


def test_a_record_field(installed, tmp_path):
    """Numbers of plugins are in the records of a training, and in its folder."""
    from phi.torch import TORCH

    installed("step_norm")
    physics, y = HeatEquation(1.0, 0.01, 0.0), observations()
    with TORCH:
        net = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 1, "filters": 2}).build()
        optimizer = phiml.nn.adam(net)
        run = train(net, optimizer, physics, by_step(lambda _: Batch(y)), steps=2, folder=tmp_path, progress=False)
    assert [record.further["step_norm"] > 0 for record in run.steps] == [True, True]
    assert read_run(tmp_path).steps == run.steps


def test_a_plugin_that_fails_to_record_ends_the_training_after_the_step_is_counted(installed, tmp_path):
    from phi.torch import TORCH

    installed("step_norm")
    phi_sip.plugins.manager.get_plugin_manager().register(NotANumber(), name="not-a-number")
    physics, y = HeatEquation(1.0, 0.01, 0.0), observations()
    with TORCH:
        net = NetworkSpec("u_net", {"in_channels": 1, "out_channels": 1, "levels": 1, "filters": 2}).build()
        optimizer = phiml.nn.adam(net)
        with pytest.raises(phi_sip.TrainingError) as error:
            train(net, optimizer, physics, by_step(lambda _: Batch(y)), steps=2, folder=tmp_path, progress=False)
    assert "Plugin 'not-a-number' of this process failed in its hook sip_record" in str(error.value.__cause__)
    assert read_run(tmp_path).last_step == 1


def test_a_framework_that_is_contested_leaves_the_others_usable(installed):
    class Second(PyTorch):
        name = "jax"

    class Plugin:
        @phi_sip.hookimpl
        def sip_frameworks(self):
            return [Second()]

    installed("step_norm")
    phi_sip.plugins.manager.get_plugin_manager().register(Plugin(), name="second")
    with pytest.warns(phi_sip.PluginWarning, match="'jax' is registered twice"):
        assert "torch" in training_frameworks()
    with pytest.raises(phi_sip.DuplicateNameError), pytest.warns(phi_sip.PluginWarning):
        training_framework("jax")


class NotANumber:
    @phi_sip.hookimpl
    def sip_record(self, update):
        return {"strange": float("nan")}


class Always:
    """A rule without a loss that could be evaluated again, whatever the optimizer is."""

    def __init__(self, module):
        self.module = module

    @phi_sip.hookimpl(tryfirst=True)
    def sip_update_weights(self, trainable, request):
        if not isinstance(trainable.optimizer, self.module.torch.optim.LBFGS):
            return None
        trainable.optimizer.truncation, trainable.optimizer.power = 1e-6, 0.5
        return make_update(trainable, request, self.module.half_inverse_gradient)
