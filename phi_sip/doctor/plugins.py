"""Loads the plugins of `phi_sip`. Runs in a process of its own."""

from __future__ import annotations

import contextlib
import warnings
from importlib.metadata import entry_points

from ..errors import PluginWarning
from .journal import Journal, described


def load_plugins(journal: Journal) -> None:
    """Each plugin by itself first, so that one that ends the process is named; then all, as `phi_sip` loads them."""
    from ..plugins.manager import create_plugin_manager, get_plugin_manager

    blocked = create_plugin_manager([])
    for entry in entry_points(group="phi_sip"):
        if not blocked.is_blocked(entry.name):
            origin = entry.dist.name if entry.dist else "an unknown distribution"
            journal.begins(f"load plugin '{entry.name}' of {origin}")
            with contextlib.suppress(Exception, SystemExit):
                entry.load()
    journal.begins("collect what plugins register")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager = get_plugin_manager()
        try:
            from ..plugins.registry import available_networks, available_physics, available_solvers

            journal.finds(physics=available_physics(), solvers=available_solvers(), networks=available_networks())
        finally:
            failures = [
                {"plugin": failure.name, "distribution": failure.distribution, "cause": described(failure.cause)}
                for failure in manager.failures
            ]
            isolated = [str(failure) for failure in manager.failures]
            complaints = [str(warning.message) for warning in caught if issubclass(warning.category, PluginWarning)]
            journal.finds(
                loaded=len(manager.get_plugins()),
                failures=failures,
                complaints=[text for text in complaints if not any(failure in text for failure in isolated)],
            )
