"""Peak memory of training steps, each in a process of its own: what the first steps add to it."""

from __future__ import annotations

from typing import Any

from native import use
from phiml import math
from problem import observed_rectangles
from processes import measured, peak
from rich.progress import track
from settings import Settings
from steps import CHAPTER, DAMPING, DEFAULT, FLOOR, RULES, Step, chapter_step, floor, sip

STEPS = 3
PARTS = "SIP, default rule, micro-batches"


def measure(settings: Settings) -> dict[str, Any]:
    """Loads no framework, as the processes that it starts must find this one small: see `measured`."""
    sizes = settings.sizes
    cases = [FLOOR, DEFAULT, *([CHAPTER] if settings.supports.has_chapter else []), DAMPING, PARTS]
    parts = [
        {"case": case, "samples": samples} for samples in sizes.memory_batches for case in cases[: sizes.memory_cases]
    ]
    found = [measured("memory", settings, part)["row"] for part in track(parts, f"memory, {settings.framework}")]
    floors = {row["batch"]: row["growth_mb"] for row in found if row["case"] == FLOOR}
    rows = [{**row, "ratio": row["growth_mb"] / floors[row["batch"]]} for row in found]
    title = (
        f"Peak memory: what {STEPS} steps add to that of the process, {sizes.cells}² cells, "
        f"{sizes.micro_batches} micro-batches: ratio to the step '{FLOOR}'"
    )
    return {"tables": {title: rows}}


def measure_part(settings: Settings, case: str, samples: int) -> dict[str, Any]:
    use(settings.framework)
    with math.precision(64):
        step = make_step(settings, case, samples)
        before = peak()
        for _ in range(STEPS):
            step()
        after = peak()
    return {"row": {"batch": samples, "case": case, "peak_mb": after / 1e6, "growth_mb": (after - before) / 1e6}}


def make_step(settings: Settings, case: str, samples: int) -> Step:
    x, y = observed_rectangles(samples, settings.sizes.cells)(0)
    if case == FLOOR:
        return floor(settings, x, y)
    if case == CHAPTER:
        return chapter_step(settings, lambda: x)
    if case == PARTS:
        return sip(settings, lambda: (x, y), micro_batches=settings.sizes.micro_batches)
    return sip(settings, lambda: (x, y), RULES[case])
