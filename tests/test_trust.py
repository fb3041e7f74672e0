"""A folder from anybody is data: it calls no code, leaves its folder never, and is measured before it is read."""

from __future__ import annotations

import io
import json
import os
import sys
import types
import zipfile
from pathlib import Path

import earlier_weights
import frameworks
import numpy as np
import pytest
from fields import array, periodic
from hypothesis import given, settings
from hypothesis import strategies as st
from phiml.backend import default_backend, set_global_default_backend
from rich.console import Console
from safetensors import safe_open
from typer.testing import CliRunner

import phi_sip
from phi_sip import (
    DuplicateNameError,
    HeatEquation,
    NetworkSpec,
    PluginWarning,
    RecordWarning,
    UnknownNameError,
    UntrustedError,
    available_networks,
    hookimpl,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.cli.app import app
from phi_sip.cli.strangers import is_of_a_run
from phi_sip.errors import CheckpointError, ConfigurationError, PluginError, RecordError, RunFolderError, SipError
from phi_sip.experiment import build, read_experiment
from phi_sip.inference import load_inverse, save_inverse
from phi_sip.inference.network_size import _least_weights
from phi_sip.plugins.manager import get_plugin_manager
from phi_sip.reporting import compare, write_report
from phi_sip.storage import tensors
from phi_sip.storage.archives import read_arrays
from phi_sip.storage.tensors import write_tensors
from phi_sip.text.printable import printable
from phi_sip.text.terminal import PlainConsole
from phi_sip.training.checkpoints import CheckpointStore
from phi_sip.training.checkpoints.manifest import NAME, read_manifest, write_manifest
from phi_sip.training.lock import locked
from phi_sip.training.progress import ProgressBar
from phi_sip.training.record_files import read_run
from phi_sip.training.records import RunRecord
from phi_sip.training.state import training_state

TORCH = frameworks.TABLE[1]
SPEC = NetworkSpec("conv_net", {"in_channels": 1, "out_channels": 1, "layers": [2]})
PHYSICS = HeatEquation(1.0, 1.0, 1e-4)
AS_IN_TRAINING = ("--size", "8", "--boundary", "periodic")
ESCAPE = "a\x1b]8;;http://e\x07\x1b[31m[red]\u202e\x9b2J"


@pytest.fixture(autouse=True)
def _default_backend():
    """Experiments change it for the whole process."""
    before = default_backend()
    yield
    set_global_default_backend(before)


def phi_sip_(*arguments: object):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)), prog_name="phi-sip")


def saved(framework, folder: Path) -> Path:
    with framework.backend:
        return save_inverse(folder, SPEC.build(), PHYSICS, SPEC)


@pytest.fixture
def model(tmp_path) -> Path:
    return saved(TORCH, tmp_path / "model")


def resealed(folder: Path, **changes) -> Path:
    """The folder with other content, as one who wants harm would seal it."""
    before = json.loads((folder / NAME).read_text())["manifest"]
    (folder / NAME).unlink()
    write_manifest(folder, before["step"], before["framework"], {**before["content"], **changes})
    return folder


@pytest.fixture
def trap(tmp_path, monkeypatch) -> Path:
    """A module in the working directory, and `os.system`, that leave a file when they are imported or called."""
    sprung = tmp_path / "sprung"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trapped.py").write_text(
        f"open({str(sprung)!r}, 'w')\n"
        "def net(**arguments):\n    from phiml import nn\n    return nn.conv_net(1, 1, [2])\n"
        "def data(physics, batch_size, seed):\n    raise ValueError('called')\n"
    )
    monkeypatch.setattr(os, "system", lambda command: sprung.write_text(command))
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.delitem(sys.modules, "trapped", raising=False)
    yield sprung
    sys.modules.pop("trapped", None)


# what a folder names is not called


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("os:system", {"command": "touch x"}, r"'os' would be imported, and system\(command='touch x'\)"),
        ("trapped:net", {}, r"'trapped' would be imported, and net\(\)"),
        ("trapped:", {}, "trapped"),
        (":system", {}, "names code"),
    ],
)
def test_code_that_a_model_names_is_not_imported(model, trap, name, arguments, said):
    resealed(model, network={"name": name, "arguments": arguments})
    with pytest.raises(UntrustedError, match=said):
        load_inverse(model)
    np.save("y.npy", np.ones((1, 8, 8)))
    done = phi_sip_("invert", model, "y.npy", "-o", "x.npy")
    assert done.exit_code == 2
    assert "--trust" in done.output
    assert not trap.exists()
    assert not Path("x.npy").exists()
    assert "trapped" not in sys.modules


def test_code_of_a_model_that_is_trusted(model, trap):
    expected = load_inverse(model).predict(periodic(np.ones((1, 8, 8))))
    resealed(model, network={"name": "trapped:net", "arguments": {}})
    found = load_inverse(model, trust=True).predict(periodic(np.ones((1, 8, 8))))
    np.testing.assert_array_equal(array(found), array(expected))
    np.save("y.npy", np.ones((1, 8, 8)))
    assert phi_sip_("invert", model, "y.npy", "-o", "x.npy", "--trust", *AS_IN_TRAINING).exit_code == 0
    assert trap.exists()


RUN = """
[experiment]
framework = "torch"
[data]
kind = "{kind}"
resolution = [8, 8]
batch_size = 2
validation = 2
[network]
name = "{network}"
[network.arguments]
{arguments}
[training]
steps = 1
"""
CONV = "in_channels = 1\nout_channels = 1\nlayers = [2]"


@pytest.mark.parametrize(
    ("kind", "network", "arguments"),
    [("trapped:data", "conv_net", CONV), ("rectangles", "os:system", "command = 'x'"), ("os:system", "conv_net", CONV)],
)
def test_code_that_the_experiment_of_a_run_names_is_not_imported(trap, tmp_path, kind, network, arguments):
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.toml").write_text(RUN.format(kind=kind, network=network, arguments=arguments))
    (run / "run.json").write_text("{}")
    for command in (("resume", run), ("train", run / "experiment.toml", "-o", "new")):
        done = phi_sip_(*command)
        assert done.exit_code == 2, done.output
        assert "would be imported" in done.output
        assert "--trust" in done.output
    for command in (("report", run), ("compare", run), ("compare", run, "--json")):
        assert phi_sip_(*command).exit_code == 0
    with pytest.raises(UntrustedError):
        build(read_experiment(run / "experiment.toml"))
    assert not trap.exists()
    assert {path.name for path in run.iterdir()} <= {"experiment.toml", "run.json", "report.html", "figures"}


def test_what_the_user_names_himself_is_called(trap, tmp_path):
    """On the command line over a file, in a call, and in a file that is not that of a run."""
    (tmp_path / "mine.toml").write_text(RUN.format(kind="rectangles", network="conv_net", arguments=CONV))
    mine = read_experiment("mine.toml", [{"data": {"kind": "trapped:data"}}])
    with pytest.raises(ValueError, match="called"):
        build(mine)
    (tmp_path / "mine.toml").write_text(RUN.format(kind="trapped:data", network="conv_net", arguments=CONV))
    done = phi_sip_("train", "mine.toml", "-o", "new")
    assert "called" in str(done.exception)
    with pytest.raises(ValueError, match="called"):
        build(read_experiment("mine.toml"), trust=True)
    for reference in (":net", "trapped:", "..trapped:net", "a b:c"):
        with pytest.raises(UnknownNameError, match="names no object"):
            NetworkSpec(reference)


@pytest.mark.parametrize("of_a_run", [(), ("model",), ("checkpoints",), ("model", "checkpoints")])
def test_folders_of_ones_own_beside_a_file_do_not_make_it_that_of_a_run(trap, tmp_path, of_a_run):
    for name in of_a_run:
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).write_text('{"manifest": {"kind": "mine"}}')
    (tmp_path / "mine.toml").write_text(RUN.format(kind="trapped:data", network="conv_net", arguments=CONV))
    assert "called" in str(phi_sip_("train", "mine.toml", "-o", "new").exception)


def test_what_tells_the_folder_of_a_run(model):
    file = model.parent / "experiment.toml"
    assert is_of_a_run(file)  # a trained inverse
    (model / NAME).unlink()
    assert not is_of_a_run(file)
    (model.parent / "run.lock").touch()
    assert not is_of_a_run(file)
    (model.parent / "checkpoints").mkdir()
    assert is_of_a_run(file)


def test_resuming_names_the_data_files_before_it_reads_them(trap, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    text = RUN.format(kind="stored", network="conv_net", arguments=CONV)
    (run / "experiment.toml").write_text(text + "[data.arguments]\nobservations = ['/none/y.npy', 'z.npy']\n")
    (run / "run.json").write_text("{}")
    done = phi_sip_("resume", run)
    assert done.exit_code == 1
    assert f"Data are read from /none/y.npy, {tmp_path / 'z.npy'}\n" in done.output


@pytest.mark.parametrize(
    ("framework", "name", "module"),
    [("tensorflow", "deserialize", "keras"), ("torch", "swap_in_optimizer_params_and_state", "torch")]
    + [("jax", name, "optax") for name in ("chain", "inject_hyperparams", "apply_updates")],
)
def test_an_optimizer_is_an_optimizer(framework, name, module):
    """Keras' `deserialize` imports and calls what its arguments say."""
    with pytest.raises(UnknownNameError, match=f"{module}.* has no optimizer '{name}'"):
        build(read_experiment(None, [{"experiment": {"framework": framework}, "optimizer": {"name": name}}, TINY]))


TINY = {
    "data": {"resolution": [8, 8], "batch_size": 2, "validation": 2},
    "network": {"name": "conv_net", "arguments": {"in_channels": 1, "out_channels": 1, "layers": [2]}},
}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["heat", "Wiener"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "type", "parameters", "vector", "arguments", "axes", "x"]), inner)
    ),
    max_leaves=8,
)


@given(key=st.sampled_from(["physics", "network", "grid", "versions", "kind"]), value=PLAIN)
@settings(max_examples=60)
def test_any_manifest_is_loaded_or_refused_clearly(tmp_path_factory, key, value):
    folder = tmp_path_factory.getbasetemp() / "any"
    if not folder.exists():
        saved(TORCH, folder)
    before = read_manifest(folder).content
    try:
        load_inverse(resealed(folder, **{key: value}))
    except SipError:
        pass
    finally:
        resealed(folder, **before)


# networks of plugins


def own_net(width: int = 1, **_):
    """A net of one's own."""
    return [width]


@pytest.fixture
def plugin(fresh_plugins):
    def register(name: str, **hooks) -> None:
        namespace = types.SimpleNamespace(**{hook: hookimpl(function) for hook, function in hooks.items()})
        get_plugin_manager().register(namespace, name=name)

    return register


def test_networks_come_from_plugins(plugin):
    assert available_networks() == ("conv_net", "mlp", "res_net", "u_net")
    plugin("mine", sip_networks=lambda: {"own": own_net})
    assert "own" in available_networks()
    assert NetworkSpec("own", {"width": 3}).build() == [3]
    with pytest.raises(UnknownNameError, match="Did you mean 'own'"):
        NetworkSpec("owm")
    listed = phi_sip_("physics", "--networks").output
    assert "A net of one's own." in listed
    assert "u_net" in phi_sip_("physics", "--networks", "u_net", "--json").output


def test_a_network_of_two_plugins_names_both(plugin):
    plugin("mine", sip_networks=lambda: {"u_net": own_net})
    with pytest.raises(DuplicateNameError, match=r"phi-sip .*plugin 'mine' of this process"):
        NetworkSpec("u_net", {})
    with pytest.warns(PluginWarning, match="registered twice"):
        assert "u_net" not in available_networks()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda: [own_net], "functions by name"),
        (lambda: {"own": 3}, "not a function"),
        (lambda: {"os:system": own_net}, "without ':'"),
        (lambda: sys.exit(3), "SystemExit"),
    ],
)
def test_networks_that_are_none_are_left_out(plugin, answer, complaint):
    plugin("wrong", sip_networks=answer)
    with pytest.warns(PluginWarning, match=complaint):
        assert "u_net" in available_networks()


# plugins that exit


def exiting(**_):
    sys.exit(5)


@pytest.mark.parametrize("hook", ["sip_physics", "sip_solvers"])
def test_a_plugin_that_exits_when_it_is_asked_is_left_out(plugin, hook):
    plugin("leaves", **{hook: lambda: sys.exit(5)})
    with pytest.warns(PluginWarning, match="'leaves' of this process: SystemExit: 5"):
        assert phi_sip.available_physics() * len(phi_sip.available_solvers())


def test_a_plugin_that_exits_in_a_hook_does_not_end_the_process(framework, plugin):
    y = periodic(np.ones((2, 8, 8)))
    net = framework.u_net()
    optimizer, before = framework.adam(net), framework.weights(net)
    message = "Plugin 'leaves' of this process tried to end the process in its hook {}"
    plugin("leaves", sip_inverse=lambda physics: sys.exit(5))
    for call in (lambda: sip_inverse(PHYSICS, y, y), lambda: sip_update_weights(net, optimizer, PHYSICS, y)):
        with pytest.raises(PluginError, match=message.format("sip_inverse")) as error:
            call()
        assert isinstance(error.value.__cause__, SystemExit)
    get_plugin_manager().unregister(name="leaves")
    plugin("leaves", sip_update_weights=lambda trainable, request: sys.exit(5))
    with pytest.raises(PluginError, match=message.format("sip_update_weights")):
        sip_update_weights(net, optimizer, PHYSICS, y)
    get_plugin_manager().unregister(name="leaves")
    plugin("leaves", sip_frameworks=lambda: sys.exit(5))
    with pytest.warns(PluginWarning, match="phi_sip goes on without plugin 'leaves'.*SystemExit: 5"):
        training_state(net, optimizer)
    for a, b in zip(before, framework.weights(net), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_wrapper_that_exits(plugin):
    def wrapper():
        yield
        sys.exit(5)

    namespace = types.SimpleNamespace(sip_inverse=hookimpl(wrapper, wrapper=True))
    get_plugin_manager().register(namespace, name="late")
    with pytest.raises(PluginError, match="Plugin 'late'"):
        sip_inverse(PHYSICS, periodic(np.ones((1, 4, 4))), periodic(np.ones((1, 4, 4))))


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_the_end_that_the_user_wants_is_one(plugin, end):
    """From his own code, as a signal handler, also within hooks and wrappers of plugins."""

    def wrapper():
        return (yield)

    def predict(y):
        raise end

    namespace = types.SimpleNamespace(sip_inverse=hookimpl(wrapper, wrapper=True))
    get_plugin_manager().register(namespace, name="around")
    with TORCH.backend:
        net = TORCH.u_net()
        with pytest.raises(end):
            sip_update_weights(net, TORCH.adam(net), PHYSICS, periodic(np.ones((2, 8, 8))), predict=predict)


def test_an_interrupt_in_a_plugin_is_one(plugin):
    def interrupted(physics):
        raise KeyboardInterrupt

    plugin("slow", sip_inverse=interrupted)
    with pytest.raises(KeyboardInterrupt):
        sip_inverse(PHYSICS, periodic(np.ones((1, 4, 4))), periodic(np.ones((1, 4, 4))))


# links


def test_links_in_a_run_are_not_followed(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("all I have")
    for name in ("checkpoints", "run.lock", "tensorboard"):
        run = tmp_path / f"run-{name}"
        run.mkdir()
        (run / name).symlink_to(other / "precious" if name == "run.lock" else other)
        with pytest.raises(RunFolderError, match=f"{name} is a link"), locked(run):
            pass
    assert (other / "precious").read_text() == "all I have"


def written(folder: Path) -> None:
    (folder / "state").write_text("x")


@pytest.mark.filterwarnings("ignore::phi_sip.errors.CheckpointWarning")
def test_checkpoints_that_are_links_are_not_followed(tmp_path):
    elsewhere = CheckpointStore(tmp_path / "other", 9)
    for step in (1, 2, 3):
        elsewhere.save(step, "none", {}, written)
    (tmp_path / "linked").symlink_to(elsewhere.folder)
    with pytest.raises(CheckpointError, match="is a link"):
        CheckpointStore(tmp_path / "linked", 1).save(4, "none", {}, written)
    store = CheckpointStore(tmp_path / "checkpoints", 1)
    store.save(1, "none", {}, written)
    for name in ("step-00000002", ".unfinished-x"):
        (store.folder / name).symlink_to(elsewhere.place(2))
    assert store.newest()[1].step == 1
    for step in (2, 3):  # in place of the link, and the link is one too many
        store.save(step, "none", {}, written)
    assert [path.name for path in store.folder.iterdir()] == ["step-00000003"]
    assert [path.name for path in sorted(elsewhere.folder.iterdir())] == [f"step-0000000{i}" for i in (1, 2, 3)]
    assert all(read_manifest(elsewhere.place(step)) for step in (1, 2, 3))


def test_the_doctor_looks_at_no_module_of_the_working_directory(tmp_path, monkeypatch):
    from phi_sip.doctor.looks import look_at

    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    (look,) = look_at(["phiml"], 60)
    assert not look.cause
    assert not (tmp_path / "sprung").exists()


def test_files_of_a_model_are_in_it(model, tmp_path):
    weights = model / "weights.safetensors"
    weights.rename(tmp_path / "weights.safetensors")
    weights.symlink_to(tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"weights.safetensors is a link"):
        load_inverse(model)
    weights.unlink()
    os.mkfifo(weights)  # whoever opens it waits for ever
    with pytest.raises(CheckpointError, match=r"weights.safetensors is a link or a device"):
        load_inverse(model)


def test_a_model_that_is_a_link_is_read_and_replaced_but_not_what_it_leads_to(model, tmp_path):
    link, before = tmp_path / "link", read_manifest(model)
    link.symlink_to(model)
    assert load_inverse(link).network == SPEC
    for _ in range(2):
        assert not saved(TORCH, link).is_symlink()
    assert read_manifest(model) == before
    assert load_inverse(link).network == SPEC
    assert not list(tmp_path.glob(".*"))


def test_figures_are_not_written_through_a_link(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "other").mkdir()
    (run / "run.json").write_text("{}")
    (run / "figures").symlink_to(tmp_path / "other")
    with pytest.raises(RunFolderError, match="figures is a link"):
        write_report([run], run / "report.html")


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/b", "a\0b", "..", "a\nb", "x" * 300])
def test_names_of_runs_stay_in_their_folder(tmp_path, monkeypatch, name):
    from phi_sip.cli.strangers import check_name

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(f"[experiment]\nname = {json.dumps(name)}\n")
    done = phi_sip_("train", "a.toml")
    assert done.exit_code == 2
    assert "cannot be the name of a folder" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]
    check_name("ν·t = 0.1")


# what names can do to a terminal and a page


def steers(text: str) -> bool:
    return text != printable(text)


@given(st.text())
def test_nothing_that_is_printed_steers_the_terminal(name):
    assert not steers(printable(name))
    assert not steers(str(CheckpointError(name)))
    assert not steers(str(RecordWarning(name)))
    out = io.StringIO()
    console = PlainConsole(file=out, width=60)
    from rich.table import Table
    from rich.text import Text

    table = Table(name)
    table.add_row(name)
    for item in (name, Text(name), Text.assemble((name, "bold")), table):
        console.print(item)
    assert not steers(out.getvalue())


ODD = [ESCAPE + "\ud800", "[/red]", "$\\frac{", "_" + "x" * 10_000 + "<b>&", "\n\r\t"]


def test_odd_names_are_shown(tmp_path):
    runs = [tmp_path / str(number) for number in range(len(ODD))]
    lines = [{"kind": "step", "step": 1, "elapsed": 1.0, "seconds": 1.0, "loss": 1.0, "y_l2": 1.0}]
    lines += [{"kind": "validation", "step": 1, "elapsed": 1.0, "y_l2": 1.0}]
    for run, name in zip(runs, ODD, strict=True):
        run.mkdir()
        info = {"name": name, "ended": name, "framework": name, "physics": {name: name}, "versions": {name: name}}
        (run / "run.json").write_text(json.dumps(info))
        (run / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = tmp_path / "a.html"
    for command in (("compare", *runs), ("compare", *runs, "--json"), ("report", *runs, "-o", page)):
        done = phi_sip_(*command)
        assert done.exit_code == 0, done.output
        assert not steers(done.output)
    text = page.read_text(encoding="utf-8")
    assert not steers(text)
    assert "<b>" not in text
    assert text.count("<img") == len(ODD) + 2
    for run, name in zip(runs, ODD, strict=True):
        out = io.StringIO()
        bar = ProgressBar(Console(file=out, force_terminal=True, width=200), 1)
        bar.on_start(RunRecord(read_run(run).name))
        bar.on_end(RunRecord(name), name)
        assert "\x1b[31m[red]" not in out.getvalue()
        assert ("[/red]" in out.getvalue()) == (name == "[/red]")


def test_errors_of_the_command_line_do_not_steer_the_terminal(model):
    resealed(model, network={"name": f"{ESCAPE}:f", "arguments": {ESCAPE: ESCAPE}})
    done = phi_sip_("invert", model, "y.npy", "-o", "x.npy")
    assert done.exit_code == 2
    assert not steers(done.output)


# sizes


def big_archive(path: Path, shape: tuple[int, ...], content: bytes = b"") -> None:
    """An array that is larger than it is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("00000.npy", header.getvalue() + content)


def test_archives_are_measured_before_they_are_read(tmp_path):
    big_archive(tmp_path / "a.npz", (10**6, 10**6))
    big_archive(tmp_path / "b.npz", (10**6,), b"\0" * (4 * 10**6))
    for name in "ab":
        with pytest.raises(ValueError, match="unpacks to"):
            read_arrays(tmp_path / f"{name}.npz", 10**6)
    assert read_arrays(tmp_path / "b.npz", 10**7)["00000"].shape == (10**6,)


def test_weights_are_measured_before_they_are_read(framework, tmp_path, monkeypatch):
    folder = saved(framework, tmp_path / "model")
    (weights,) = (path for path in folder.iterdir() if path.name != NAME)
    with safe_open(weights, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    write_tensors(weights, {**arrays, "more": np.zeros(10**6)})
    monkeypatch.setattr(tensors, "deserialize", lambda _: pytest.fail("it was read"))
    with pytest.raises(CheckpointError, match=r"no more, so it was not read"):
        load_inverse(resealed(folder))


def test_weights_of_earlier_versions_are_measured_before_they_are_read(framework, tmp_path):
    folder = earlier_weights.rewritten(framework, saved(framework, tmp_path / "model"), SPEC)
    (weights,) = (path for path in folder.iterdir() if path.name != NAME)
    if weights.suffix == ".h5":
        import h5py

        with h5py.File(weights, "a") as file:
            name = next(iter(file["layers"]))
            file[f"layers/{name}/more"] = h5py.SoftLink("/layers")
        with pytest.raises(CheckpointError, match="link to another place"):
            load_inverse(resealed(folder))
        with h5py.File(weights, "a") as file:
            del file[f"layers/{name}/more"]
            file.create_dataset("large", (10**6, 10**6), chunks=True)  # takes no place
    elif weights.suffix == ".npz":
        big_archive(weights, (10**6,), b"\0" * (4 * 10**6))
    else:
        with zipfile.ZipFile(weights, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/9", b"\0" * (4 * 10**6))
    assert weights.stat().st_size < 10**5
    with pytest.raises(CheckpointError, match="unpacks to"):
        load_inverse(resealed(folder))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("conv_net", {"layers": [10**6, 10**6]}),
        ("res_net", {"layers": [2, 10**9]}),
        ("mlp", {"layers": [10**9]}),
        ("u_net", {"filters": 10**6}),
        ("u_net", {"filters": 4, "levels": 10**9}),
        ("u_net", {"filters": [4, 10**7]}),
        ("u_net", {"levels": 10**9}),
        ("u_net", {"filters": 1, "levels": 1, "down_kernel_size": 10**6}),
        ("conv_net", {"layers": [2], "in_channels": 10**9}),
        *((name, {"layers": [1], "out_channels": 10**9}) for name in ("conv_net", "res_net", "mlp")),
        ("u_net", {"filters": [1], "levels": 1, "out_channels": 10**9}),
        ("u_net", {"filters": 1, "levels": 1, "out_channels": 10**9}),
        ("mlp", {"layers": [], "in_channels": 10**5, "out_channels": 10**5}),
        ("mlp", {"layers": [1e9, 2.0]}),
        ("res_net", {"layers": [1], "out_channels": 1e9}),
        ("res_net", {"layers": [3000]}),
        ("u_net", {"filters": [1, 3000], "levels": 2}),
        ("u_net", {"filters": 2, "levels": 1, "down_kernel_size": [10**4, 10**4]}),
        ("u_net", {"filters": 2, "levels": 1, "in_spatial": 3, "down_kernel_size": 31}),
    ],
)
def test_networks_are_measured_before_they_are_made(model, name, arguments):
    network = {"name": name, "arguments": {"in_channels": 1, "out_channels": 1, **arguments}}
    with pytest.raises(CheckpointError, match=r"it was not made|are larger than"):
        load_inverse(resealed(model, network=network))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mlp", {"layers": []}),
        ("mlp", {"layers": [7, 2]}),
        ("conv_net", {"layers": [1]}),
        ("res_net", {"layers": [8, 2]}),
        ("u_net", {"filters": 2, "levels": 2, "down_kernel_size": 5, "up_kernel_size": 1}),
        ("u_net", {"filters": [2, 5], "levels": 2, "use_res_blocks": True, "up_kernel_size": 5, "in_spatial": 1}),
    ],
)
def test_networks_have_as_many_weights_as_they_need_at_least(name, arguments):
    given = {"in_channels": 2, "out_channels": 3, **arguments}
    with TORCH.backend:
        net = NetworkSpec(name, given).build()
    assert _least_weights(name, given) <= sum(weights.numel() for weights in net.parameters())


def test_files_of_runs_and_models_are_measured(tmp_path, model):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("run.json", "records.jsonl"):
        (run / "run.json").write_text("{}")
        with (run / name).open("wb") as file:
            file.truncate(10**10)  # takes no place
        with pytest.raises(RecordError, match="more than"):
            read_run(run)
    with (run / "experiment.toml").open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(ConfigurationError, match="at most"):
        read_experiment(run / "experiment.toml")
    with (model / NAME).open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(CheckpointError, match="at most"):
        load_inverse(model)


# damaged records

NUMBERS = st.integers() | st.floats() | st.none() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
KEYS = ("kind", "step", "elapsed", "seconds", "loss", "y_l2", "x_l2", "learning_rate", "other")
RIGHT = {"step": 1, "elapsed": 1.0, "seconds": 1.0, "loss": 1.0, "y_l2": 1.0}
LINES = st.dictionaries(st.sampled_from(KEYS), NUMBERS, max_size=3).map(
    lambda changes: json.dumps({"kind": "step", **RIGHT, **changes}).encode()
)
ARRAYS = st.sampled_from([np.ones(3), np.ones((2, 4, 4)), np.ones((0, 4)), np.array("x"), np.full((2, 4), np.nan)])
SAMPLES = st.dictionaries(st.sampled_from(["axes", "x", "x_target", "y_target", "uncertainty", "gain"]), ARRAYS)


@given(
    info=st.binary(max_size=20) | PLAIN.map(lambda value: json.dumps({"name": value, "physics": value}).encode()),
    lines=st.lists(st.binary(max_size=20) | LINES, max_size=3),
    samples=st.binary(max_size=20) | SAMPLES,
)
@settings(max_examples=60)
def test_any_run_is_reported_or_refused_clearly(tmp_path_factory, info, lines, samples):
    run = tmp_path_factory.getbasetemp() / "any-run"
    run.mkdir(exist_ok=True)
    (run / "run.json").write_bytes(info)
    (run / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    if isinstance(samples, bytes):
        (run / "samples.npz").write_bytes(samples)
    else:
        np.savez(run / "samples.npz", **samples)
    commands = [("compare", run, "--json"), ("compare", run)]
    if lines and not isinstance(samples, bytes):
        commands.append(("report", run))  # takes longest
    for command in commands:
        done = phi_sip_(*command)
        assert done.exit_code in (0, 1), done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert not steers(done.output)


def test_a_figure_that_cannot_be_drawn_is_left_out_with_a_message(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    names = ("axes", "x", "x_target", "y_target")
    np.savez(run / "samples.npz", **{name: np.ones(3) for name in names})
    with pytest.warns(RecordWarning, match="figure 'reconstructions' of .* is left out"):
        write_report([run], run / "report.html")
    assert compare([run])[0].steps == 0
