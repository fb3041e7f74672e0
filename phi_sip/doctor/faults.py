"""What is wrong, and what mends it; among it what failed when it was imported: one fault for each cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .looks import Look
from .probes import PLUGINS

FEW = 3  # plugins that are named one by one
VERSIONS_FIRST = "It may follow from the versions above: mend them first, then run phi-sip doctor again."


@dataclass(frozen=True)
class Fault:
    """
    One thing that is wrong with an installation.

    Attributes:
        what: What is wrong and why, in one sentence.
        remedy: What to type or do; empty where `what` says it.
    """

    what: str
    remedy: str = ""


@dataclass
class _Failed:
    """What failed for one reason: imports, by what was tried last, and plugins, by distribution."""

    looks: list[Look] = field(default_factory=list)
    plugins: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def failures(looks: Iterable[Look], versions_are_wrong: bool) -> list[Fault]:
    """
    Returns a fault for each cause for which something did not work, and for each complaint.

    Args:
        looks: What was seen.
        versions_are_wrong: Whether faults of versions are known, from which these may follow.
    """
    by_cause: dict[str, _Failed] = defaultdict(_Failed)
    complaints: list[str] = []
    for look in looks:
        if look.cause:
            by_cause[look.cause].looks.append(look)
        for failure in look.found.get("failures", ()):
            by_cause[failure["cause"]].plugins[failure["distribution"]].append(failure["plugin"])
        complaints += look.found.get("complaints", ())
    faults = [
        Fault(f"{_subject(failed)}: {cause}", VERSIONS_FIRST if versions_are_wrong else _remedy(failed))
        for cause, failed in by_cause.items()
    ]
    return [*faults, *map(Fault, complaints)]


def _subject(failed: _Failed) -> str:
    stages = [f"`{look.stage}`" for look in failed.looks]
    plugins = [f"{_named(names)} of {distribution}" for distribution, names in failed.plugins.items()]
    return f"Failed: {', '.join([*stages, *plugins])}"


def _named(plugins: list[str]) -> str:
    if len(plugins) > FEW:
        return f"{len(plugins)} plugins"
    return ", ".join(f"plugin '{name}'" for name in plugins)


def _remedy(failed: _Failed) -> str:
    if not failed.looks:
        names = ",".join(name for names in failed.plugins.values() for name in names)
        return f"Update or remove {', '.join(failed.plugins)}, or go without: PHI_SIP_DISABLE_PLUGINS={names}"
    look = failed.looks[0]
    if look.name == PLUGINS:
        return "Go without this plugin: PHI_SIP_DISABLE_PLUGINS=<its name>"
    return f'See where: python -c "{look.stage}". Reinstalling may help: pip install --force-reinstall {look.name}'
