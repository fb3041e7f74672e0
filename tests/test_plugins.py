"""Discovery of plugins: blocking, duplicates, broken ones, wrappers."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest
from fields import array, periodic
from phiml import math

import phi_sip
from phi_sip import (
    Correction,
    DuplicateNameError,
    HeatEquation,
    InvertiblePhysics,
    ParameterError,
    PluginError,
    PluginWarning,
    UnknownNameError,
    UnsupportedError,
    hookimpl,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.plugins.manager import create_plugin_manager, get_plugin_manager
from phi_sip.solvers.gradient import GradientSolver
from phi_sip.states import trees
from phi_sip.step.transaction import make_update


class Doubling(InvertiblePhysics):
    name: ClassVar[str] = "doubling"

    def forward(self, x):
        return x * 2

    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2)


class ImpostorHeat(Doubling):
    name: ClassVar[str] = "heat"


def plugin(name: str, **hooks) -> types.SimpleNamespace:
    """A plugin with the given hook implementations, registered with the current manager."""
    namespace = types.SimpleNamespace(**{hook: hookimpl(function) for hook, function in hooks.items()})
    get_plugin_manager().register(namespace, name=name)
    return namespace


def module(monkeypatch, name: str, source: str) -> EntryPoint:
    """An entry point whose module runs `source` when imported."""
    finder_source = {name: source}

    class Finder:
        @staticmethod
        def find_spec(fullname, path=None, target=None):
            import importlib.util

            if fullname not in finder_source:
                return None
            return importlib.util.spec_from_loader(fullname, Loader())

    class Loader:
        @staticmethod
        def create_module(spec):
            return None

        @staticmethod
        def exec_module(mod):
            exec(finder_source[mod.__name__], mod.__dict__)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    monkeypatch.delitem(sys.modules, name, raising=False)
    return EntryPoint(name=name, value=name, group="phi_sip")


def test_built_ins_come_through_the_entry_points():
    entries = {entry.name for entry in __import__("importlib.metadata").metadata.entry_points(group="phi_sip")}
    assert {"heat", "gradient", "inverse", "tensorflow", "torch", "jax"} <= entries
    assert "heat" in phi_sip.available_physics()
    assert "gradient" in phi_sip.available_solvers()
    assert isinstance(phi_sip.get_physics("heat", diffusivity=1.0, time=2.0), HeatEquation)
    assert isinstance(phi_sip.get_solver("gradient"), GradientSolver)


def test_import_loads_no_framework_and_no_plugin():
    code = (
        "import sys, phi_sip, phi_sip.plugins.manager as p;"
        "bad = [m for m in ('tensorflow', 'keras', 'torch', 'jax', 'optax', 'matplotlib',"
        " 'phi_sip.frameworks.tensorflow.trainable', 'phi_sip.solvers.gradient', 'phi_sip.inversion.default',"
        " 'phi_sip.physics.heat', 'phi') if m in sys.modules];"
        "assert not bad, bad; assert p.get_plugin_manager.cache_info().currsize == 0;"
        "phi_sip.available_physics();"
        "bad = [m for m in ('tensorflow', 'keras', 'torch', 'jax', 'optax') if m in sys.modules]; assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_suggest(fresh_plugins):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'heat'\?.*Registered: .*heat"):
        phi_sip.get_physics("haet")
    with pytest.raises(UnknownNameError, match="gradient"):
        phi_sip.get_solver("nonsense")
    field = periodic(np.ones((1, 4, 4)))
    with pytest.raises(UnknownNameError, match="No solver is named 'nonsense'"):
        sip_inverse(HeatEquation(1.0, 1.0), field, field, solver="nonsense")


def test_wrong_parameters_are_named():
    with pytest.raises(ParameterError, match="viscosity"):
        phi_sip.get_physics("heat", diffusivity=1.0, time=1.0, viscosity=1.0)


def test_blocking_by_environment(fresh_plugins, monkeypatch):
    monkeypatch.setenv("PHI_SIP_DISABLE_PLUGINS", "heat, gradient")
    assert "heat" not in phi_sip.available_physics()
    assert "gradient" not in phi_sip.available_solvers()


def test_blocking_a_name_that_no_one_has_is_reported(fresh_plugins, monkeypatch):
    monkeypatch.setenv("PHI_SIP_DISABLE_PLUGINS", "haet")
    with pytest.warns(PluginWarning, match="haet"):
        assert "heat" in phi_sip.available_physics()


def test_blocked_built_ins_give_clear_errors(fresh_plugins, monkeypatch):
    monkeypatch.setenv("PHI_SIP_DISABLE_PLUGINS", "inverse")
    field = periodic(np.ones((1, 4, 4)))
    with pytest.raises(phi_sip.SipError, match="PHI_SIP_DISABLE_PLUGINS"):
        sip_inverse(HeatEquation(1.0, 1.0), field, field)


def test_duplicates_are_refused_and_both_named(fresh_plugins):
    plugin("impostor", sip_physics=lambda: [ImpostorHeat])
    with pytest.raises(DuplicateNameError) as error:
        phi_sip.get_physics("heat", diffusivity=1.0, time=1.0)
    for part in ("HeatEquation", "ImpostorHeat", "phi-sip", "impostor", "PHI_SIP_DISABLE_PLUGINS"):
        assert part in str(error.value)


def test_broken_plugins_are_isolated_and_named(monkeypatch, fresh_plugins):
    good = EntryPoint(name="heat", value="phi_sip.physics.heat", group="phi_sip")
    bad = module(monkeypatch, "broken_plugin", "raise RuntimeError('needs a licence')")
    with pytest.warns(PluginWarning, match="broken_plugin.*RuntimeError: needs a licence"):
        manager = create_plugin_manager([bad, good], disabled=[])
    assert manager.has_plugin("heat")
    monkeypatch.setattr("phi_sip.plugins.collection.get_plugin_manager", lambda: manager)
    assert phi_sip.available_physics() == ("heat",)
    with pytest.raises(UnknownNameError, match="needs a licence") as error:
        phi_sip.get_physics("licensed")
    assert isinstance(error.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import sys; sys.exit(3)", "SystemExit"),
        ("import no_such_module", "no_such_module"),
        ("def x(:", "SyntaxError"),
        ("from phi_sip import hookimpl\n@hookimpl\ndef sip_phisics(): return []", "sip_phisics"),
        ("from phi_sip import hookimpl\n@hookimpl\ndef sip_physics(extra): return []", "extra"),
    ],
    ids=["exit", "import", "syntax", "unknown-hook", "unknown-argument"],
)
def test_each_way_to_be_broken_is_reported(monkeypatch, source, complaint):
    entry = module(monkeypatch, "bad_plugin", source)
    with pytest.warns(PluginWarning, match=complaint):
        manager = create_plugin_manager([entry], disabled=[])
    assert not manager.has_plugin("bad_plugin")
    assert [failure.name for failure in manager.failures] == ["bad_plugin"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: [int], "expected subclasses"),
        (lambda: None, "NoneType"),
        (lambda: [type("Nameless", (Doubling,), {"name": ""})], "name"),
    ],
    ids=["raises", "wrong-class", "none", "nameless"],
)
def test_hooks_that_answer_wrongly_are_isolated(fresh_plugins, answer, complaint):
    plugin("wrong", sip_physics=answer)
    with pytest.warns(PluginWarning, match=complaint):
        assert "heat" in phi_sip.available_physics()
    assert "heat" in phi_sip.available_physics()  # reported once


@pytest.mark.parametrize("order", [1, -1])
def test_two_distributions_may_name_their_plugins_alike(monkeypatch, order):
    entries = [
        EntryPoint(name="heat", value=value, group="phi_sip")
        for value in ("phi_sip.physics.heat", "phi_sip.solvers.gradient")
    ]
    manager = create_plugin_manager(entries[::order], disabled=[])
    monkeypatch.setattr("phi_sip.plugins.collection.get_plugin_manager", lambda: manager)
    assert phi_sip.available_physics() == ("heat",)
    assert phi_sip.available_solvers() == ("gradient",)


def test_a_contested_name_leaves_the_others_usable(fresh_plugins):
    plugin("impostor", sip_physics=lambda: [ImpostorHeat, Doubling])
    assert isinstance(phi_sip.get_physics("doubling"), Doubling)
    with pytest.warns(PluginWarning, match="registered twice"):
        assert "heat" not in phi_sip.available_physics()


@pytest.mark.parametrize(
    "hook",
    [lambda physics: 3, lambda physics, x: Correction(x)],
    ids=["number", "correction"],
)
def test_inversions_of_the_wrong_type_are_refused_before_anything_changes(framework, fresh_plugins, hook):
    plugin("wrong", sip_inverse=hook)
    net = framework.u_net()
    optimizer = framework.adam(net)
    before = framework.weights(net)
    with pytest.raises(phi_sip.SipError, match=r"in place of a SipStep.*wrong"):
        sip_update_weights(net, optimizer, HeatEquation(1.0, 1.0), periodic(np.ones((2, 8, 8))))
    for a, b in zip(before, framework.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)


def test_trainers_do_not_depend_on_their_order(framework, fresh_plugins):
    """Each knows its own networks."""
    manager = get_plugin_manager()
    for name in ("jax", "tensorflow", "torch"):
        trainer = manager.get_plugin(name)
        manager.unregister(trainer)
        manager.register(trainer, name=name)
    net = framework.u_net()
    sip_update_weights(net, framework.adam(net), HeatEquation(1.0, 1.0), periodic(np.ones((2, 8, 8))))


def test_wrapping_every_inversion(fresh_plugins):
    """Clip, log, time: a wrapper sees each step on its way out."""
    seen = []

    def clip(physics, step_size):
        step = yield
        seen.append((type(physics).__name__, step_size))
        return step.replace(dx=step.dx * 0.5)

    x = periodic(np.random.default_rng(0).standard_normal((2, 8, 8)))
    physics = HeatEquation(0.1, 1.0)
    before = sip_inverse(physics, x, x * 0)
    namespace = types.SimpleNamespace(sip_inverse=hookimpl(clip, wrapper=True))
    get_plugin_manager().register(namespace, name="clip")
    after = sip_inverse(physics, x, x * 0, step_size=1.0)
    np.testing.assert_allclose(array(after.dx), 0.5 * array(before.dx))
    np.testing.assert_allclose(array(after.x_target), 0.5 * array(before.x_target), atol=1e-6)
    assert seen == [("HeatEquation", 1.0)]


def test_a_wrapper_acts_on_training_too(framework, fresh_plugins):
    def stop():
        step = yield
        return step.replace(dx=step.dx * 0)

    get_plugin_manager().register(types.SimpleNamespace(sip_inverse=hookimpl(stop, wrapper=True)), name="stop")
    net = framework.u_net()
    before = framework.weights(net)
    y = periodic(np.random.default_rng(0).standard_normal((2, 8, 8)))
    update = sip_update_weights(net, framework.sgd(net), HeatEquation(0.1, 1.0), y)
    assert float(update.loss.mean) == 0
    for a, b in zip(before, framework.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)


def test_taking_over_an_inversion(fresh_plugins):
    def take_over(physics, y_target, x):
        if not isinstance(physics, Doubling):
            return None
        return phi_sip.SipStep(x, x * 0 + 7, x, x, stats={"by": "plugin"})

    plugin("special", sip_inverse=take_over)
    x = periodic(np.ones((1, 4, 4)))
    assert sip_inverse(Doubling(), x, x).stats == {"by": "plugin"}
    assert "kernel" in sip_inverse(HeatEquation(1.0, 1.0), x, x).stats


def test_physics_without_a_closed_form_are_inverted_numerically(framework):
    class NoInverse(InvertiblePhysics):
        name = "no-inverse"

        def forward(self, x):
            return x * 2

    x = periodic(np.ones((1, 4, 4)))
    step = sip_inverse(NoInverse(), x, x)
    np.testing.assert_allclose(array(step.x_target), 0.5, atol=1e-3)
    assert bool(step.stats["converged"].all)


def test_gradient_needs_a_differentiable_framework():
    import phiml

    with phiml.backend.NUMPY:
        x = periodic(np.ones((1, 4, 4)))
        with pytest.raises(UnsupportedError, match=r"phi\.tf\.flow"):
            sip_inverse(HeatEquation(1.0, 1.0), x, x, solver="gradient")


def test_disable_variable_in_a_process_of_its_own():
    code = "import phi_sip; print(phi_sip.available_physics())"
    env = {**os.environ, "PHI_SIP_DISABLE_PLUGINS": "heat"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert "'heat'" not in out
    assert "'heterogeneous-heat'" in out


def test_arguments_that_a_plugin_does_not_declare_are_refused_where_they_are_asked_for(fresh_plugins):
    def take_over(physics, y_target, x):
        return phi_sip.SipStep(x, x * 0, x, x) if isinstance(physics, Doubling) else None

    plugin("special", sip_inverse=take_over)
    x = periodic(np.ones((1, 4, 4)))
    for step_size in (1, 1.0, math.wrap(1.0)):
        sip_inverse(Doubling(), x, x, step_size=step_size)
    for asked in ({"step_size": 0.5}, {"step_size": math.wrap(0.5)}, {"solver": "gradient"}):
        with pytest.raises(
            UnsupportedError, match=f"'special' of this process answered `sip_inverse`.*{next(iter(asked))}"
        ):
            sip_inverse(Doubling(), x, x, **asked)
    assert "kernel" in sip_inverse(HeatEquation(1.0, 1.0), x, x, step_size=0.5).stats  # on which it passes


def test_training_asks_plugins_for_no_solver(framework, fresh_plugins):
    """The default of training is not one that was asked for."""

    def take_over(physics, y_target, x):
        return phi_sip.SipStep(x, y_target - x, x, x)

    plugin("special", sip_inverse=take_over)
    net, x = framework.u_net(), periodic(np.ones((2, 8, 8)))
    physics = phi_sip.DifferentiablePhysics(lambda u: u + u * u)
    update = sip_update_weights(net, framework.adam(net), physics, x)
    np.testing.assert_allclose(array(update.x_target), 1, atol=1e-6)


def test_updates_by_a_plugin_that_drops_arguments_are_refused(framework, fresh_plugins):
    """Before anything is changed: `make_update` knows what the gradient uses."""
    net = framework.u_net()
    optimizer, before = framework.adam(net), framework.weights(net)
    x = periodic(np.ones((2, 8, 8)))

    def zero(part):
        y_target = part.observation()
        x, pull_back = part.trainable.record(part.prediction(y_target))
        pull_back(x * 0, part.share)
        loss = trees.l2_loss(x)
        return phi_sip.SipUpdate(loss, x, x, x, loss), None

    plugin("special", sip_update_weights=lambda trainable, request: make_update(trainable, request, zero))
    for asked in ({"compile": True}, {"step_size": 0.5}, {"solver": "gradient"}):
        if framework.name != "torch" or "compile" not in asked:
            with pytest.raises(UnsupportedError, match=f"does not use the argument {next(iter(asked))}"):
                sip_update_weights(net, optimizer, Doubling(), x, **asked)
    for a, b in zip(before, framework.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)
    for works in ({}, {"micro_batches": 2}):
        assert float(sip_update_weights(net, optimizer, Doubling(), x, x_true=x, **works).x_l2.sum) > 0


@pytest.mark.parametrize("declared", [lambda trainable: None, lambda request: None], ids=["trainable", "request"])
def test_updates_by_a_plugin_that_declares_no_request_are_refused(fresh_plugins, declared):
    with pytest.raises(PluginError, match="'special' of this process implements `sip_update_weights` without"):
        plugin("special", sip_update_weights=declared)
