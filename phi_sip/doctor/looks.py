"""Imports libraries and plugins in processes of their own, and hears what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

PROBE = f"import sys; from {__package__}.probes import main; main(*sys.argv[1:])"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@dataclass(frozen=True)
class Look:
    """
    What a process has seen that imported one thing.

    Attributes:
        name: What was looked at, a key of `probes.PROBES`.
        stage: The last thing that was tried, e.g. `import torch`.
        cause: Why it ended there; empty if all went well.
        found: What was found on the way, e.g. `devices`.
    """

    name: str
    stage: str = ""
    cause: str = ""
    found: dict[str, Any] = field(default_factory=dict)


def look_at(names: Iterable[str], seconds: float) -> list[Look]:
    """
    Looks at each of `names`, as many at once as there are cores.

    Args:
        names: Keys of `probes.PROBES`.
        seconds: Time limit for each. What takes longer is ended.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda name: _look(name, seconds), names))


def _look(name: str, seconds: float) -> Look:
    with TemporaryDirectory(prefix="phi-sip-doctor-") as folder:
        journal, errors = Path(folder) / "journal", Path(folder) / "stderr"
        journal.touch()
        with errors.open("wb") as stderr:
            end = _end_of([sys.executable, "-c", PROBE, name, str(journal)], seconds, stderr, folder)
        return _read(name, journal.read_text(encoding="utf-8"), end, errors.read_text(errors="replace"))


def _end_of(command: list[str], seconds: float, stderr: BinaryIO, folder: str) -> str:
    """Runs a process to its end, and says how it ended, for one that could not say it itself."""
    none = subprocess.DEVNULL
    try:  # Python looks for modules in the working directory first, which may be anybody's
        done = subprocess.run(
            command, stdin=none, stdout=none, stderr=stderr, env={**os.environ, **QUIET}, cwd=folder, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:g} seconds, see --timeout"
    if done.returncode < 0:
        return f"the process was ended by {signal.Signals(-done.returncode).name}"
    return f"the process ended with code {done.returncode}"


def _read(name: str, journal: str, end: str, stderr: str) -> Look:
    look: dict[str, Any] = {"stage": "start Python", "found": {}}
    for line in map(json.loads, (line for line in journal.splitlines(keepends=True) if line.endswith("\n"))):
        look["found"].update(line.pop("found", {}))
        look.update(line)
    said = [line for line in stderr.splitlines() if line.strip()]
    cause = look.pop("ended", f"{end}; it said: {said[-1].strip()}" if said else end)
    return Look(name, look["stage"], cause, look["found"])
