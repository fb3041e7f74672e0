"""Discovery of plugins: entry-point group `phi_sip`, blocking, and what happens to a broken one."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import traceback
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import CodeType
from typing import Any

import pluggy

from ..contract.markers import PROJECT
from ..errors import PluginError, PluginWarning
from .arguments import check_arguments

DISABLE_VARIABLE = "PHI_SIP_DISABLE_PLUGINS"


@dataclass(frozen=True)
class PluginFailure:
    """A plugin that was left out, and why."""

    name: str
    distribution: str
    cause: BaseException

    def __str__(self) -> str:
        return f"plugin '{self.name}' of {self.distribution}: {type(self.cause).__name__}: {self.cause}"


class PluginManager(pluggy.PluginManager):
    """A `pluggy.PluginManager` that isolates broken plugins and knows where each plugin comes from."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        with contextlib.suppress(ImportError):  # of PhiFlow: each plugin that needs it will say so
            from ..contract import hookspecs

            self.add_hookspecs(hookspecs)
        self.failures: list[PluginFailure] = []
        self._distributions: dict[str, str] = {}

    def distribution_of(self, plugin_name: str) -> str:
        """Returns name and version of the distribution that brought the plugin."""
        return self._distributions.get(plugin_name, "this process")

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Registers a plugin. What its implementations do not declare is refused where it is asked for."""
        found = super().register(plugin, name)
        if found is not None:
            where = f"Plugin '{found}' of {self.distribution_of(found)}"
            for caller in self.get_hookcallers(plugin) or ():
                if caller.spec is not None and caller.spec.opts.get("firstresult"):
                    own = (one for one in caller.get_hookimpls() if one.plugin is plugin)
                    for implementation in own:
                        if not (implementation.wrapper or implementation.hookwrapper):
                            check_arguments(implementation, caller.name, caller.spec.argnames, where)
        return found

    def fail(self, name: str, cause: BaseException) -> None:
        """Records and reports a plugin that cannot be used."""
        failure = PluginFailure(name, self.distribution_of(name), cause)
        self.failures.append(failure)
        warnings.warn(
            f"phi_sip goes on without {failure}. Update or remove {failure.distribution}, "
            f"or silence this with {DISABLE_VARIABLE}={name}.",
            PluginWarning,
            stacklevel=2,
        )

    def first_result(self, hook: str, **arguments: Any) -> Any:
        """
        Returns what the first plugin answers that knows an answer; `None` if no plugin does.

        Raises:
            PluginError: if an implementation of a plugin exits. A `SystemExit` of the user's own code, of a signal
                handler for example, and `KeyboardInterrupt` pass.
        """
        try:
            return getattr(self.hook, hook)(**arguments)
        except SystemExit as cause:
            name = self._that_exits(hook, cause)
            if name is None:
                raise
            raise PluginError(
                f"Plugin '{name}' of {self.distribution_of(name)} tried to end the process in its hook {hook} "
                f"(SystemExit: {cause}), which a plugin must not do. Update or remove it, or leave it out with "
                f"{DISABLE_VARIABLE}={name}."
            ) from cause

    def _that_exits(self, hook: str, cause: SystemExit) -> str | None:
        """
        Returns the plugin whose implementation is the innermost that was running. Our own never exit: what ends in them
        is the user's code, which they call.
        """
        plugins: dict[CodeType, str] = {
            function.__code__: implementation.plugin_name
            for implementation in getattr(self.hook, hook).get_hookimpls()
            if hasattr(function := inspect.unwrap(implementation.function), "__code__")
        }
        running = [frame.f_code for frame, _ in traceback.walk_tb(cause.__traceback__) if frame.f_code in plugins]
        if not running or self._is_ours(plugins[running[-1]]):
            return None
        return plugins[running[-1]]

    def _is_ours(self, plugin_name: str) -> bool:
        return getattr(self.get_plugin(plugin_name), "__name__", "").partition(".")[0] == PROJECT

    def load(self, entry: EntryPoint) -> None:
        """Imports and registers one entry point. A plugin that fails is left out, named and kept in `failures`."""
        if self.is_blocked(entry.name):
            return
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
        # Two distributions may name an entry point alike: what counts is what they register.
        name = entry.name if entry.name not in self._distributions else f"{entry.name} ({distribution})"
        self._distributions[name] = distribution
        plugin = None
        try:
            plugin = entry.load()
            self.register(plugin, name=name)
            self.check_pending()
        except (Exception, SystemExit) as cause:
            if plugin is not None and self.get_plugin(name) is plugin:
                self.unregister(name=name)
            self.fail(name, cause)


def create_plugin_manager(
    entries: Iterable[EntryPoint] | None = None, disabled: Iterable[str] | None = None
) -> PluginManager:
    """
    Returns a new manager with all plugins loaded.

    Args:
        entries: Entry points to load; by default those of the group `phi_sip` of all installed distributions.
        disabled: Names of plugins to leave out; by default those listed in `PHI_SIP_DISABLE_PLUGINS`.
    """
    manager = PluginManager()
    entries = list(entry_points(group=PROJECT) if entries is None else entries)
    if disabled is None:
        disabled = [name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()]
    for name in disabled:
        if name not in {entry.name for entry in entries}:
            known = ", ".join(sorted(entry.name for entry in entries))
            warnings.warn(
                f"{DISABLE_VARIABLE} names '{name}', which no one provides. Plugins: {known}.",
                PluginWarning,
                stacklevel=2,
            )
        manager.set_blocked(name)
    for entry in entries:
        manager.load(entry)
    return manager


@functools.cache
def get_plugin_manager() -> PluginManager:
    """Returns the manager of this process; plugins are loaded at the first call."""
    return create_plugin_manager()
