"""One process of `gpu.py`: compiles the cases of one problem beside the others, and measures them alone."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import copies
import numpy as np
from native import use
from phi.field import Field
from phiml import math
from phiml.backend import default_backend
from phiml.math import batch, spatial
from problem import array, heat, inversion
from settings import Settings
from steps import DAMPING, DEFAULT, FLOOR, RULES, floor, sip
from timing import comparison, elapsed, interleaved

from phi_sip.data import heat_rectangles
from phi_sip.errors import PerformanceWarning

NOISE = 1e-3
TRANSFORMS = "two real FFTs"
BAYES = "SIP, empirical Bayes"
MEASURED = (DAMPING, BAYES, DEFAULT)  # of growing memory: on JAX its peak can only be seen to grow
Case = Callable[[], Any]


@dataclass(frozen=True)
class Problem:
    """
    Heat conduction with noise.

    Attributes:
        cells: Per axis.
        samples: In the batch.
        precision: Bits of the numbers of the physics; the network has 32.
    """

    cells: tuple[int, ...]
    samples: int
    precision: int = 32

    @property
    def name(self) -> str:
        return f"{self.cells[0]}{'⁰¹²³'[len(self.cells)]}, batch {self.samples}"

    def states(self, seed: int) -> tuple[Field, Field]:
        """x and y*, on the device that PhiFlow takes."""
        dims = batch(batch=self.samples), spatial(**dict(zip("xyz", self.cells, strict=False)))
        x = heat_rectangles(*dims, seed=seed)
        noise = np.random.default_rng(seed).standard_normal((self.samples, *self.cells))
        values = math.tensor(noise, batch("batch"), spatial(",".join("xyz"[: len(self.cells)])))
        return x, heat().forward(x) + NOISE * math.to_float(values)


@dataclass(frozen=True)
class Job:
    """
    What one process does.

    Attributes:
        framework: By name.
        problem: Of which all cases are measured.
        quick: Whether the network is tiny.
        repeats: Turns that count.
        counts: Whether copies are counted, which takes seconds.
        prepare_until: When nothing more is compiled, as the clock says.
        end: When the process is ended.
        rows: File to which rows are added.
    """

    framework: str
    problem: Problem
    quick: bool
    repeats: int
    counts: bool
    prepare_until: float
    end: float
    rows: str

    @staticmethod
    def read(told: dict[str, Any]) -> Job:
        """The inverse of `dataclasses.asdict`."""
        problem = Problem(**{**told["problem"], "cells": tuple(told["problem"]["cells"])})
        return Job(**{**told, "problem": problem})


@dataclass(frozen=True)
class Prepared:
    """A case that has been compiled and run: seconds of its first run, and the peak of the memory in its second one."""

    run: Case
    first: float
    peak: int | None


def work(job: Job) -> None:
    """Compiles and runs all cases once, waits until the others have, and measures them."""
    warnings.simplefilter("error", PerformanceWarning)  # what fails to compile must not be measured as if it had
    with open(job.rows) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        use(job.framework)
        with math.precision(job.problem.precision):
            groups = {FLOOR: dict(prepared(job, steps_of(job))), TRANSFORMS: dict(prepared(job, inverses_of(job)))}
            fcntl.flock(lock, fcntl.LOCK_UN)
            fcntl.flock(lock, fcntl.LOCK_EX)
            for baseline, cases in groups.items():
                if baseline in cases:
                    measure(job, baseline, cases)
            for cases in groups.values() if job.counts else ():
                count_copies(job, cases)


def steps_of(job: Job) -> Iterator[tuple[str, Callable[[], Case]]]:
    """What makes the steps, each of which has a network of its own."""
    settings = Settings(job.framework, job.quick, job.repeats, ())
    x, y = job.problem.states(0)
    network = {"in_spatial": len(job.problem.cells)}
    yield FLOOR, lambda: floor(settings, x, y, network)
    for name in MEASURED:
        yield name, lambda name=name: sip(settings, lambda: (x, y), RULES[name], network)


def inverses_of(job: Job) -> Iterator[tuple[str, Callable[[], Case]]]:
    """What makes the inversions."""
    (x, y), (guess, _) = (job.problem.states(seed) for seed in (0, 1))
    states = [y, guess, heat().forward(guess)]
    yield TRANSFORMS, lambda: use(job.framework).fft_pair(array(x))
    for name in MEASURED:
        yield name.replace("SIP", "inverse"), lambda name=name: inversion(RULES[name], states)


def prepared(job: Job, cases: Iterator[tuple[str, Callable[[], Case]]]) -> Iterator[tuple[str, Prepared]]:
    """Makes and runs cases as long as there is time."""
    native = use(job.framework)
    for name, make in cases:
        if time.time() > job.prepare_until:
            write(job, name, error="left out, as the time is over")
            continue
        try:
            run = make()
            first = elapsed(run)
            native.restart_peak()
            run()
            yield name, Prepared(run, first, native.peak_bytes())
        except Exception as error:  # most likely there is not enough memory
            write(job, name, error=f"{type(error).__name__}: {str(error)[:200]}")


def measure(job: Job, baseline: str, cases: dict[str, Prepared]) -> None:
    """Writes a row for each case, as they take turns."""
    runs = {name: case.run for name, case in cases.items()}
    times = interleaved(runs, job.repeats, f"{job.framework}, {job.problem.name}, {baseline}")
    for found in comparison(times, baseline):
        name = found.pop("case")
        case = cases[name]
        peak = {} if case.peak is None else {"peak_mb": case.peak / 1e6}
        write(job, name, **found | {"first": case.first}, **peak, baseline=baseline)


def count_copies(job: Job, cases: dict[str, Prepared]) -> None:
    """Writes a row for each case that a GPU runs."""
    for name, case in cases.items():
        try:
            counted = copies.counted(case.run)
        except Exception as error:  # of the profiler, without which all else has been measured
            write(job, name, error=f"not profiled: {type(error).__name__}: {str(error)[:200]}")
            continue
        if counted:
            write(job, name, copies=counted)


def write(job: Job, case: str, **values: Any) -> None:
    """Adds a row to the file of all processes, in one piece."""
    about = {"problem": job.problem.name, "precision": f"float{job.problem.precision}", "case": case}
    row = {"framework": job.framework, "machine": machine(job.framework), **about, **values}
    with Path(job.rows).open("a") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def machine(framework: str) -> str:
    """What it was measured on."""
    device = default_backend().get_default_device()
    name = getattr(device.ref, "device_kind", device.name)  # of JAX, for which PhiML has no name
    versions = ", ".join(f"{package} {version(package)}" for package in (framework, "numpy", "phiml", "phiflow"))
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
