"""Training steps: SIP by each rule and training through the physics, against a supervised step without `phi_sip`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any

import chapter
from native import use
from phi.field import Field
from phiml import math
from problem import Pair, array, heat, new_network, observed_rectangles
from settings import Settings
from timing import comparison, interleaved

from phi_sip import (
    EmpiricalBayes,
    LocalInverse,
    ProbabilisticDamping,
    Regularization,
    TotalVariation,
    sip_update_weights,
)
from phi_sip.data import prefetched

Step = Callable[[], float]
ANY: Mapping[str, Any] = {}  # options of the network: those of the settings
FLOOR = "supervised, framework only"
DAMPING, DEFAULT, CHAPTER = "SIP, damping", "SIP, default rule", "chapter's SIP"
WHOLE = "SIP, default rule, edges for all of the batch"
INLINE, AHEAD = "SIP, damping, data inline", "SIP, damping, data made ahead"
DEFAULT_AHEAD, CHAPTER_WITH_DATA = "SIP, default rule, data made ahead", "chapter's SIP, its data"
RULES: dict[str, Regularization | None] = {
    DAMPING: ProbabilisticDamping(),
    "SIP, empirical Bayes": EmpiricalBayes(),
    "SIP, total variation": TotalVariation(),
    DEFAULT: None,
}


def measure(settings: Settings) -> dict[str, Any]:
    use(settings.framework)
    sizes = settings.sizes
    make = observed_rectangles(sizes.batch, sizes.cells)
    with math.precision(64), closing(prefetched(make, itertools.count(1))) as ahead:
        cases = without_data(settings) | with_data(settings, ahead)
        times = interleaved(cases, settings.repeats, f"steps, {settings.framework}")
    grid = f"{sizes.cells}² cells, batch {sizes.batch}"
    tables = {f"Training step, {grid}: ratio to the step '{FLOOR}'": comparison(times, FLOOR)}
    if settings.supports.has_chapter:
        named = {name: times[name] for name in (CHAPTER_WITH_DATA, INLINE, AHEAD, DEFAULT_AHEAD)}
        title = f"Training step and its data, {grid}: ratio to '{CHAPTER_WITH_DATA}'"
        tables[title] = comparison(named, CHAPTER_WITH_DATA)
    return {"tables": tables, "turns": {name: list(case.turns) for name, case in times.items()}}


def without_data(settings: Settings) -> dict[str, Step]:
    """Steps on one batch, each with a network of its own."""
    x, y = observed_rectangles(settings.sizes.batch, settings.sizes.cells)(0)
    cases = {FLOOR: floor(settings, x, y)}
    for name, rule in RULES.items():
        cases[name] = sip(settings, lambda: (x, y), rule)
    cases[WHOLE] = sip(settings, lambda: (x, y), targets=LocalInverse(subset=1.0))
    cases["through the physics (DP)"] = sip(settings, lambda: (x, y), solver="gradient")
    if settings.supports.runs_without_compiling:
        cases["SIP, default rule, compile=False"] = sip(settings, lambda: (x, y), compile=False)
    if settings.supports.has_chapter:
        cases[CHAPTER] = chapter_step(settings, lambda: x)
    return cases


def with_data(settings: Settings, ahead: Generator[Pair, None, None]) -> dict[str, Step]:
    """Steps that make or get a new batch each."""
    samples, cells = settings.sizes.batch, settings.sizes.cells
    seeds, make = itertools.count(1), observed_rectangles(samples, cells)
    cases = {
        INLINE: sip(settings, lambda: make(next(seeds)), RULES[DAMPING]),
        AHEAD: sip(settings, lambda: next(ahead), RULES[DAMPING]),
        DEFAULT_AHEAD: sip(settings, lambda: next(ahead)),
    }
    if settings.supports.has_chapter:
        cases[CHAPTER_WITH_DATA] = chapter_step(settings, lambda: chapter.rectangles(samples, cells))
    return cases


def floor(settings: Settings, x: Field, y: Field, network: Mapping[str, Any] = ANY) -> Step:
    """What no step of this network can be faster than."""
    net, optimizer = new_network(settings, **network)
    return use(settings.framework).supervised_step(net, optimizer, array(y), array(x))


def sip(
    settings: Settings,
    data: Callable[[], Pair],
    rule: Regularization | None = None,
    network: Mapping[str, Any] = ANY,
    **options: Any,
) -> Step:
    """The step as a user calls it, on what `data` returns."""
    physics = heat(rule)
    net, optimizer = new_network(settings, **network)

    def step() -> float:
        x, y = data()
        return float(sip_update_weights(net, optimizer, physics, y, x_true=x, **options).loss.mean)

    return step


def chapter_step(settings: Settings, data: Callable[[], Field]) -> Step:
    """The chapter's step, which simulates its observation itself."""
    net, optimizer = new_network(settings)
    return lambda: float(chapter.step(net, optimizer, data())[0].mean)
