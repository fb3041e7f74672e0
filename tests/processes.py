"""Processes that work together: none may outlive a test, or make it hang."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

LONGEST = 300  # seconds
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Command:
    """What a Python process is started with."""

    arguments: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


def run_together(commands: Sequence[Command], folder: Path) -> list[str]:
    """
    What all processes print. They are stopped when one fails.

    Raises:
        AssertionError: with what the first failed process has printed, or all if they take too long.
    """
    outputs = [folder / f"output{i}.txt" for i in range(len(commands))]
    processes = [_start(command, output) for command, output in zip(commands, outputs, strict=True)]
    try:
        deadline = time.monotonic() + LONGEST
        while any(process.poll() is None for process in processes) and not any(p.returncode for p in processes):
            assert time.monotonic() < deadline, "\n".join(["timeout", *(output.read_text() for output in outputs)])
            time.sleep(0.05)
    finally:
        for process in processes:
            _stop(process)
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode in (0, -signal.SIGTERM), output.read_text()
    assert not any(process.returncode for process in processes)
    return [output.read_text() for output in outputs]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """`torchrun` stops its processes when asked to end, but not when killed."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(command: Command, output: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **ENVIRONMENT, **command.environment}
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, *command.arguments], stdout=file, stderr=subprocess.STDOUT, env=environment
        )


def free_ports(count: int) -> list[int]:
    """Ports of this machine that no one listens to."""
    sockets = [socket.socket() for _ in range(count)]
    for listener in sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def torchrun(processes: int, *arguments: str) -> Command:
    """`torchrun` on this machine, which finds a port by itself."""
    module = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return Command([*module, *arguments])
