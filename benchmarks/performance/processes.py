"""Measurements in processes of their own: no section meets the memory, caches or threads of another one."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from settings import Settings

from phi_sip.errors import PerformanceWarning

HERE = Path(__file__).parent


def measured(section: str, settings: Settings, part: dict[str, Any] | None = None) -> dict[str, Any]:
    """
    What `measure(settings)` of a section's module returns in a fresh process; given a part, `measure_part`.

    Linux hands the peak memory of the process that starts another on to it: start those that measure memory from a
    process that is still small.

    Raises:
        CalledProcessError: if it fails; its messages have been shown.
    """
    with tempfile.TemporaryDirectory() as directory:
        job = Path(directory) / "job.json"
        job.write_text(json.dumps({"section": section, "settings": dataclasses.asdict(settings), "part": part}))
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        subprocess.run([sys.executable, str(HERE), "--job", str(job)], check=True, env=environment)
        answer: dict[str, Any] = json.loads(job.read_text())
        return answer


def work(job: Path) -> None:
    """What the fresh process does: the file with the job becomes the file with the result."""
    warnings.simplefilter("error", PerformanceWarning)  # what fails to compile must not be measured as if it had
    order = json.loads(job.read_text())
    module, settings = importlib.import_module(order["section"]), Settings(**order["settings"])
    before = os.getloadavg()[0]
    result = module.measure(settings) if order["part"] is None else module.measure_part(settings, **order["part"])
    job.write_text(json.dumps({**result, "machine": machine(settings.framework, before)}))


def machine(framework: str, load_before: float) -> dict[str, Any]:
    """Where it was measured, and what else may have run: the load average before and after."""
    versions = {name: version(name) for name in (framework, "phi-sip", "phiflow", "phiml")}
    return {"cores": os.cpu_count(), "versions": versions, "load": [load_before, os.getloadavg()[0]]}


def peak() -> float:
    """The largest resident memory of this process so far in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def available() -> float:
    """Bytes that new processes can use without swapping, on Linux."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
