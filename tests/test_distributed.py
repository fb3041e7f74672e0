"""
Training on several workers by the frameworks' own engines, as users run it: processes and devices of this machine.

What they find is compared with what one process finds on the whole batch.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import Command, free_ports, run_together, torchrun

from phi_sip import UnsupportedError
from phi_sip.frameworks.jax.trainable import _check_processes_run_one_program

sys.path.insert(0, str(Path(__file__).parent / "distributed"))
from cases import AS_ONE, BATCH_NORM

EXAMPLES = Path(__file__).parent.parent / "examples" / "distributed"
SCRIPTS = Path(__file__).parent / "distributed"
TENSORFLOW, TORCH, JAX = (
    str(SCRIPTS / name) for name in ("tensorflow_replicas.py", "torch_ranks.py", "jax_devices.py")
)
ALONE = {
    "tensorflow": lambda folder: [Command([TENSORFLOW, "alone", folder])],
    "torch": lambda folder: [Command([TORCH, folder])],
    "jax": lambda folder: [Command([JAX, "alone", folder])],
}
EXACT = {case.name for case in AS_ONE}
Found = dict[str, np.ndarray]


def multi_worker(*arguments: str) -> list[Command]:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    configurations = [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in range(2)
    ]
    return [Command(arguments, {"TF_CONFIG": json.dumps(configuration)}) for configuration in configurations]


def torch_ranks(*arguments: str) -> list[Command]:
    """As `torchrun` starts them, but with hash seeds with which PhiML orders dims differently on each."""
    port = str(free_ports(1)[0])
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [Command(arguments, {**group, "RANK": str(i), "PYTHONHASHSEED": str(1 + 10 * i)}) for i in range(2)]


def jax_processes(folder: str) -> list[Command]:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    same = {"PYTHONHASHSEED": "0"}
    return [Command([JAX, "processes", folder, address, str(number)], same) for number in range(2)]


TOGETHER = {
    "tensorflow": {
        "mirrored": lambda folder: [Command([TENSORFLOW, "mirrored", folder])],
        "multi-worker": lambda folder: multi_worker(TENSORFLOW, "multi-worker", folder),
    },
    "torch": {"ranks": lambda folder: torch_ranks(TORCH, folder)},
    "jax": {"devices": lambda folder: [Command([JAX, "devices", folder])], "processes": jax_processes},
}


def run(commands: Callable[[str], list[Command]], folder: Path) -> list[Found]:
    """What each process has saved."""
    folder.mkdir()
    run_together(commands(str(folder)), folder)
    return [dict(np.load(file)) for file in sorted(folder.glob("*.npz"))]


@pytest.mark.slow
@pytest.mark.parametrize("framework", ALONE)
def test_workers_train_as_one(framework, tmp_path):
    (alone,) = run(ALONE[framework], tmp_path / "alone")
    for name, commands in TOGETHER[framework].items():
        found = run(commands, tmp_path / name)
        check_weights(alone, found)
        check_bad_data(found)


def check_weights(alone: Found, found: list[Found]) -> None:
    assert set(alone) >= EXACT
    for name in {*alone, BATCH_NORM.name}:
        weights = np.concatenate([process[name] for process in found])
        assert len(weights) == 2, "two workers"
        np.testing.assert_array_equal(weights[0], weights[1], err_msg=name)
        if name in alone:
            atol = 1e-6 if name in EXACT else 1e-5  # statistics and line searches amplify rounding
            np.testing.assert_allclose(weights, np.repeat(alone[name], 2, 0), atol=atol, rtol=0, err_msg=name)


def check_bad_data(found: list[Found]) -> None:
    """No worker waits for another, and none has changed anything; then all go on."""
    states = np.concatenate([process["kept"] for process in found])
    np.testing.assert_array_equal(states, np.repeat(states[:, :1], states.shape[1], 1))
    after = np.concatenate([process["after"] for process in found])
    np.testing.assert_array_equal(after[0], after[1])
    assert np.abs(after[0] - states[0, 0, : after.shape[1]]).max() > 0
    for process in found:
        if "applied" in process:
            assert process["applied"].tolist() == [False, False, True]
        else:
            assert set(process["errors"]) <= {"NonFiniteError", "FailedElsewhereError"}
            assert len(process["errors"]) == 2


@pytest.mark.slow
def test_teachers_of_all_ranks_are_alike(tmp_path):
    """Where one rank meets bad data while it simulates, none waits for it, and their averages stay the same."""
    found = run(lambda folder: torch_ranks(str(SCRIPTS / "torch_teacher.py"), folder), tmp_path / "ranks")
    assert [process["errors"].tolist() for process in found] == [["FailedElsewhereError"], ["NonFiniteError"]]
    assert [int(process["batches"]) for process in found] == [2, 2]
    np.testing.assert_array_equal(found[0]["average"], found[1]["average"])


SMALL = ["--steps", "3", "--batch", "4", "--resolution", "16"]
DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "launch"),
    {
        "tensorflow_mirrored.py": lambda *arguments: [Command(arguments)],
        "tensorflow_multi_worker.py": multi_worker,
        "torch_ddp.py": lambda *arguments: [torchrun(2, *arguments)],
        "jax_sharded.py": lambda *arguments: [Command(arguments, DEVICES)],
    }.items(),
)
def test_examples(script, launch, tmp_path):
    """One worker prints the loss."""
    (printed,) = [text for text in run_together(launch(str(EXAMPLES / script), *SMALL), tmp_path) if "loss" in text]
    losses = [float(loss) for loss in re.findall(r"^step \d+: loss (\S+)", printed, re.MULTILINE)]
    assert len(losses) == 3
    assert np.isfinite(losses).all()


def test_jax_processes_must_order_dims_alike(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    with pytest.raises(UnsupportedError, match="PYTHONHASHSEED=0"):
        _check_processes_run_one_program(2)
    _check_processes_run_one_program(1)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    _check_processes_run_one_program(2)
